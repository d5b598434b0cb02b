//! The thread that serves the network.

use tokio::runtime::{Handle, Runtime};

use crate::Error;

/// The runtime of the network's thread, which others call in a blocking way.
#[derive(Debug)]
pub(crate) struct Network {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Network {
    pub(crate) fn start() -> Result<Network, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("endpoint")
            .enable_io()
            .enable_time()
            .build();
        let runtime = runtime.map_err(|source| Error::Thread { source })?;
        Ok(Network { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        // Blocking a thread that serves futures is a panic in tokio.
        match Handle::try_current() {
            Ok(_) => Err(Error::Asynchronous),
            Err(_) => Ok(self.handle.block_on(future)),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Not waiting for a name that is being looked up, and allowed in asynchronous code too.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
