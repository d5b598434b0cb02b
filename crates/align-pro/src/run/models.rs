//! The local models of a run: one copy of the weights, whoever needs them.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use lm::{Checkpoint, CpuEngine, EngineOptions, Precision};
use rollout::model::{LocalModel, ModelParts};

use crate::arguments::ThreadFlags;
use crate::commands::Session;
use crate::config::plan::PrecisionName;
use crate::models;
use crate::progress;

/// Models that are loaded when they are first asked for.
pub(crate) struct Models<'a> {
    tape_budget: usize,
    threads: &'a ThreadFlags,
    session: &'a Session,
    loaded: Vec<(String, PrecisionName, Rc<LocalModel<CpuEngine>>)>,
}

impl<'a> Models<'a> {
    /// No model yet. `tape_budget` is what the activations of one backward pass may take, in bytes.
    pub(crate) fn new(tape_budget: usize, threads: &'a ThreadFlags, session: &'a Session) -> Models<'a> {
        Models { tape_budget, threads, session, loaded: Vec::new() }
    }

    /// The model of this name in this precision.
    pub(crate) fn get(&mut self, name: &str, precision: PrecisionName) -> anyhow::Result<Rc<LocalModel<CpuEngine>>> {
        if let Some((_, _, model)) = self.loaded.iter().find(|(known, kept, _)| known == name && *kept == precision) {
            return Ok(Rc::clone(model));
        }
        let options =
            EngineOptions { threads: self.threads.threads, precision: precision.into(), tape_budget: self.tape_budget };
        let model = load(name, options, self.session)?;
        self.loaded.push((name.to_owned(), precision, Rc::clone(&model)));
        Ok(model)
    }
}

fn load(name: &str, options: EngineOptions, session: &Session) -> anyhow::Result<Rc<LocalModel<CpuEngine>>> {
    let checkpoint = models::open(name, session)?;
    let tokenizer = Arc::new(checkpoint.tokenizer()?);
    let template = checkpoint.chat_template()?;
    let bar = progress::count("loading", 0);
    let engine = CpuEngine::load(&checkpoint, options, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let fingerprint = fingerprint(&checkpoint, engine.precision())?;
    let stop_tokens = checkpoint.stop_tokens();
    let parts = ModelParts { name: name.to_owned(), fingerprint, tokenizer, template, stop_tokens };
    Ok(Rc::new(LocalModel::new(engine, parts)))
}

/// What tells a model from all others: its precision, and the sizes and first bytes of its files, which hold the
/// directory of its tensors. Hashing all of a large model would take longer than many runs.
fn fingerprint(checkpoint: &Checkpoint, precision: Precision) -> anyhow::Result<String> {
    let path = checkpoint.path();
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        files.retain(|file| file.is_file());
        files.sort();
    }
    let mut hash = String::new();
    for file in files {
        let (length, head) = (std::fs::metadata(&file)?.len(), head_of(&file)?);
        hash += &format!("{length:x}-{:016x} ", rollout::data::stable_hash(&[&head]));
    }
    Ok(format!("{hash}{}", models::precision_name(precision)))
}

fn head_of(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut head = Vec::new();
    std::fs::File::open(file)?.take(1 << 24).read_to_end(&mut head)?;
    Ok(head)
}
