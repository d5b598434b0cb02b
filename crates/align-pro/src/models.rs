//! From what a user types to an opened, or loaded, model.

use std::path::PathBuf;
use std::sync::Arc;

use lm::{ChatTemplate, Checkpoint, CpuEngine, EngineOptions, Lora, Precision, Token, Tokenizer};

use crate::arguments::{EngineFlags, PrecisionFlag};
use crate::commands::Session;
use crate::progress;
use crate::pull::{Wanted, pull};

/// A model that is ready to compute.
pub(crate) struct Loaded {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) template: Option<ChatTemplate>,
    pub(crate) engine: CpuEngine,
    pub(crate) adapter: Option<Lora>,
}

/// Open the model that `name` stands for: a file or folder, or a name that is fetched first if it is not here.
pub(crate) fn open(name: &str, session: &Session) -> anyhow::Result<Checkpoint> {
    Ok(Checkpoint::open(&locate(name, session)?)?)
}

/// Open and load.
pub(crate) fn load(name: &str, flags: &EngineFlags, session: &Session) -> anyhow::Result<Loaded> {
    let checkpoint = open(name, session)?;
    let tokenizer = Arc::new(checkpoint.tokenizer()?);
    let template = checkpoint.chat_template()?;
    let adapter =
        flags.adapter.as_deref().map(|folder| Lora::load_peft(folder, checkpoint.architecture())).transpose()?;
    let precision = match flags.precision {
        PrecisionFlag::Auto => Precision::Auto,
        PrecisionFlag::F32 => Precision::F32,
        PrecisionFlag::Bf16 => Precision::Bf16,
        PrecisionFlag::Int8 => Precision::Int8,
    };
    let options = EngineOptions { threads: flags.threads, precision, ..EngineOptions::default() };
    let bar = progress::count("loading", 0);
    let mut engine = CpuEngine::load(&checkpoint, options, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    engine.set_tokenizer(Arc::clone(&tokenizer));
    Ok(Loaded { checkpoint, tokenizer, template, engine, adapter: adapter.map(|(adapter, _)| adapter) })
}

/// The name of a precision in reports.
pub(crate) fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Auto => "auto",
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
        Precision::Int8 => "int8",
    }
}

/// Every token as people see it.
pub(crate) fn token_texts(tokenizer: &Tokenizer, tokens: &[Token]) -> Vec<String> {
    tokens.iter().map(|&token| tokenizer.token_text(token).unwrap_or_default()).collect()
}

fn locate(name: &str, session: &Session) -> anyhow::Result<PathBuf> {
    match Wanted::by_name(name)? {
        Some(wanted) => Ok(pull(&wanted, name, None, session)?.path),
        None => Ok(lm::find_model(name, session.home.path())?),
    }
}
