//! `model serve`: a model behind an HTTP endpoint.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rollout::model::{LocalModel, ModelParts};
use serve::{ApiKey, Options, Served, Server};

use super::Session;
use crate::arguments::Serve;
use crate::failure::Failure;
use crate::interrupt;
use crate::models::{self, Loaded};
use crate::output::say;

pub(super) fn run(arguments: &Serve, session: &Session) -> anyhow::Result<()> {
    let server = Server::bind(options(arguments)?)?;
    let url = server.url();
    if arguments.api_key_env.is_none() && !server.is_private() {
        say("warning: whoever reaches this address can use the model; `--api-key-env` asks for a key");
    }
    // Until there is a model, signals end the process at once; then answers are finished first.
    let (hold, terminated) = (OnceCell::new(), OnceCell::new());
    let ready = || {
        hold.get_or_init(|| session.interrupt.hold());
        terminated.get_or_init(interrupt::terminations);
        say(format_args!("listening on {url}"));
    };
    let is_terminated = |flag: &Arc<AtomicBool>| flag.load(Ordering::SeqCst);
    let stop = || session.interrupt.requested() || terminated.get().is_some_and(is_terminated);
    server.run(|| load(arguments, session), ready, &stop)
}

fn options(arguments: &Serve) -> anyhow::Result<Options> {
    let name = &arguments.model;
    Ok(Options {
        host: arguments.host.clone(),
        port: arguments.port,
        model: short_name(name).to_owned(),
        aliases: vec![name.clone()],
        api_key: arguments.api_key_env.as_deref().map(api_key).transpose()?,
        max_waiting: arguments.max_waiting.get(),
    })
}

/// A file's or folder's name says enough, and where it lies is nobody's business.
fn short_name(name: &str) -> &str {
    let last = Path::new(name).file_name().and_then(|last| last.to_str()).unwrap_or(name);
    last.strip_suffix(".gguf").unwrap_or(last)
}

#[expect(clippy::disallowed_methods, reason = "a key comes by the name of its variable")]
fn api_key(variable: &str) -> Result<ApiKey, Failure> {
    let key = std::env::var(variable).unwrap_or_default();
    match key.trim() {
        "" => Err(Failure::NoKey { variable: variable.to_owned() }),
        key => Ok(ApiKey::new(key)),
    }
}

fn load(arguments: &Serve, session: &Session) -> anyhow::Result<Served<lm::CpuEngine>> {
    let Loaded { checkpoint, tokenizer, template, engine, adapter } =
        models::load(&arguments.model, &arguments.engine, session)?;
    // Nothing here keeps a journal, which is what fingerprints are for.
    let (name, fingerprint) = (arguments.model.clone(), String::new());
    let parts = ModelParts { name, fingerprint, tokenizer, template, stop_tokens: checkpoint.stop_tokens() };
    Ok(Served { model: LocalModel::new(engine, parts), adapter })
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn models_are_called_by_the_last_part_of_their_name() {
        for (name, short) in [
            ("smollm2-135m-instruct", "smollm2-135m-instruct"),
            ("models/qwen2.5-0.5b/", "qwen2.5-0.5b"),
            ("models/gemma.Q4_K_M.gguf", "gemma.Q4_K_M"),
            ("hf:ORG/REPO", "REPO"),
        ] {
            assert_eq!(short_name(name), short);
        }
    }
}
