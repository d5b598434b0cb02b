//! The models of a run: those on this machine, each loaded once whoever asks for it, and those behind endpoints.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use endpoint::{ApiKey, Budget, Client, EndpointOptions};
use lm::{Checkpoint, CpuEngine, EngineOptions, Precision};
use rollout::journal::Journal;
use rollout::model::{LocalModel, ModelParts};
use rollout::target::{EndpointTarget, EndpointTargetOptions, Journaled, LocalTarget, Target, TargetOptions};

use crate::arguments::ThreadFlags;
use crate::commands::Session;
use crate::config::judge::AskedModel;
use crate::config::plan::{BudgetPlan, EndpointTarget as EndpointTargetPlan, PrecisionName};
use crate::failure::Failure;
use crate::models;
use crate::progress;

/// Models on this machine that are loaded, and how more are.
pub(crate) struct Shelf<'a> {
    tape_budget: usize,
    threads: &'a ThreadFlags,
    session: &'a Session,
    loaded: Vec<(String, PrecisionName, Rc<LocalModel<CpuEngine>>)>,
}

impl<'a> Shelf<'a> {
    /// An empty shelf. `tape_budget` is what the activations of one backward pass may take, in bytes.
    pub(crate) fn new(tape_budget: usize, threads: &'a ThreadFlags, session: &'a Session) -> Shelf<'a> {
        Shelf { tape_budget, threads, session, loaded: Vec::new() }
    }

    /// A model on this machine; one copy of its weights serves all who want it alike.
    pub(crate) fn model(&mut self, name: &str, precision: PrecisionName) -> anyhow::Result<Rc<LocalModel<CpuEngine>>> {
        let known = self.loaded.iter().find(|loaded| loaded.0 == name && loaded.1 == precision);
        if let Some((_, _, model)) = known {
            return Ok(Rc::clone(model));
        }
        let model = self.load(name, precision.into())?;
        self.loaded.push((name.to_owned(), precision, Rc::clone(&model)));
        Ok(model)
    }

    /// Who judges, behind a journal.
    pub(super) fn judge(
        &mut self,
        model: Option<AskedModel<'_>>,
        budget: &BudgetPlan,
        journal: Journal,
    ) -> anyhow::Result<Box<dyn Target>> {
        let target: Box<dyn Target> = match model.ok_or(Failure::NoJudge)? {
            AskedModel::Local(plan) => {
                let model = self.model(&plan.model, plan.precision)?;
                Box::new(LocalTarget::new(model, TargetOptions::from(plan)))
            }
            AskedModel::Openai(plan) => Box::new(endpoint_target(plan, budget, &journal)?),
        };
        Ok(Box::new(Journaled::new(target, journal)))
    }

    fn load(&self, name: &str, precision: Precision) -> anyhow::Result<Rc<LocalModel<CpuEngine>>> {
        let checkpoint = models::open(name, self.session)?;
        let tokenizer = Arc::new(checkpoint.tokenizer()?);
        let template = checkpoint.chat_template()?;
        let options = EngineOptions { threads: self.threads.threads, precision, tape_budget: self.tape_budget };
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
}

/// A model that is asked over HTTP, and whose budget counts what the journal holds already.
pub(super) fn endpoint_target(
    plan: &EndpointTargetPlan,
    budget: &BudgetPlan,
    journal: &Journal,
) -> anyhow::Result<EndpointTarget> {
    let extra = match serde_json::to_value(&plan.extra)? {
        serde_json::Value::Object(extra) => extra,
        _ => serde_json::Map::new(),
    };
    let endpoint = EndpointOptions {
        api_key: plan.api_key_env.as_deref().map(ApiKey::from_env).transpose()?,
        concurrency: plan.concurrency,
        timeout: Duration::try_from_secs_f64(plan.timeout).unwrap_or(Duration::MAX),
        max_retries: plan.max_retries,
        extra,
        ..EndpointOptions::new(&plan.base_url, &plan.model)
    };
    let client = Client::new(endpoint.clone(), Budget::from(budget), journal.spent()?)?;
    Ok(EndpointTarget::new(client, &endpoint, EndpointTargetOptions::from(plan)))
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
