//! What a caller calls: bind, then run.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread;

use hyper_util::server::graceful::GracefulShutdown;
use lm::Engine;

use crate::local::{self, Queue, Routes, Served};
use crate::{Error, Options, http};

/// A server that has its address, and no model yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
}

impl Server {
    /// Take the address.
    ///
    /// # Errors
    /// Where the address does not exist or is taken.
    pub fn bind(options: Options) -> Result<Server, Error> {
        let listen = || {
            let listener = TcpListener::bind((options.host.as_str(), options.port))?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) =
            listen().map_err(|source| Error::Listen { host: options.host.clone(), port: options.port, source })?;
        Ok(Server { listener, address, options })
    }

    /// What clients call their base URL.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Whether only this machine can reach it.
    pub fn is_private(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Load a model on a thread of its own, say that it is `ready`, and answer requests until `stop` says so. Then what is
    /// being generated is finished and handed over, and what waits is refused.
    ///
    /// # Errors
    /// That of `load`, or what ended the server early.
    pub fn run<E, X>(
        self,
        load: impl FnOnce() -> Result<Served<E>, X> + Send,
        ready: impl FnOnce(),
        stop: &dyn Fn() -> bool,
    ) -> Result<(), X>
    where
        E: Engine,
        X: From<Error> + Send,
    {
        let queue = Arc::new(Queue::new(self.options.max_waiting));
        thread::scope(|scope| {
            let (loaded, wait) = mpsc::channel();
            let work = || -> Result<(), X> {
                let _closing = queue.close_at_the_end();
                let served = load()?;
                // The other side waits for it.
                let _ = loaded.send(());
                drop(loaded);
                local::work(&served, &queue);
                Ok(())
            };
            let builder = thread::Builder::new().name("engine".to_owned());
            let engine = builder.spawn_scoped(scope, work).map_err(|source| Error::Start { source })?;
            let mut outcome = Ok(());
            // The sender goes away unused where loading fails.
            if wait.recv().is_ok() {
                ready();
                outcome = self.talk(&queue, stop, &|| engine.is_finished());
            }
            queue.close();
            match engine.join() {
                Ok(worked) => worked.and(outcome.map_err(X::from)),
                Err(_panic) => Err(Error::EngineGone.into()),
            }
        })
    }

    /// Serve the network until told to stop, or until nobody is left who answers.
    fn talk(self, queue: &Arc<Queue>, stop: &dyn Fn() -> bool, engine_is_gone: &dyn Fn() -> bool) -> Result<(), Error> {
        let start = |source| Error::Start { source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(start)?;
        let routes = Arc::new(Routes::new(self.options, Arc::clone(queue)));
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener).map_err(start)?;
            let connections = GracefulShutdown::new();
            let respond = move |request| Arc::clone(&routes).respond(request);
            http::accept(listener, respond, &connections, &|| stop() || engine_is_gone()).await;
            queue.close();
            http::finish(connections, engine_is_gone).await;
            Ok(())
        })
    }
}
