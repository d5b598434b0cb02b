//! Checkpoints: everything from which a run goes on as if it had never stopped.
//!
//! A checkpoint is a folder `step-000040` that appears whole, by renaming: the adapter as a PEFT folder, the optimiser's
//! state, and `state.json`.

use std::fs;
use std::path::{Path, PathBuf};

use lm::{AdamW, AdamWSettings, Architecture, Lora, PeftDetails};
use serde::{Deserialize, Serialize};

use crate::Error;

const VERSION: u32 = 1;
const STATE: &str = "state.json";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Where a run's checkpoints are.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    base_model: String,
}

/// What a step leaves behind besides the adapter and the optimiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateFile {
    pub(crate) version: u32,
    /// Steps made.
    pub(crate) step: u64,
    /// Bytes of `events.jsonl` that belong to it.
    pub(crate) events_length: u64,
    /// The best trial on the validation prompts so far.
    pub(crate) best: Option<Best>,
    /// Trials since.
    pub(crate) stale_trials: u64,
    /// What the reward has learned.
    #[serde(default)]
    pub(crate) reward: Vec<f64>,
}

/// A trial on the validation prompts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps made before it.
    pub step: u64,
    /// Its mean reward.
    pub reward: f64,
}

/// A checkpoint that was read.
pub(crate) struct Restored {
    pub(crate) state: StateFile,
    pub(crate) adapter: Lora,
    pub(crate) optimizer: AdamW,
}

impl Checkpoints {
    /// The checkpoints in `folder`, of adapters for `base_model`.
    pub fn new(folder: &Path, base_model: &str) -> Checkpoints {
        Checkpoints { folder: folder.to_owned(), base_model: base_model.to_owned() }
    }

    /// The folder of the checkpoint after `step` steps, which is a PEFT folder.
    pub fn of_step(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:06}"))
    }

    /// The steps of which there is a checkpoint, ascending.
    pub fn steps(&self) -> Result<Vec<u64>, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::Checkpoint { path: self.folder.clone(), source }),
        };
        let step = |entry: std::io::Result<fs::DirEntry>| -> Option<u64> {
            entry.ok()?.file_name().to_str()?.strip_prefix("step-")?.parse().ok()
        };
        let mut steps: Vec<u64> = entries.filter_map(step).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Bytes of the events that belong to the newest checkpoint; 0 without one.
    pub fn events_length(&self) -> Result<u64, Error> {
        match self.steps()?.pop() {
            Some(step) => Ok(read_state(&self.of_step(step))?.events_length),
            None => Ok(0),
        }
    }

    /// What the reward had learned at the newest checkpoint.
    pub fn reward_state(&self) -> Result<Vec<f64>, Error> {
        match self.steps()?.pop() {
            Some(step) => Ok(read_state(&self.of_step(step))?.reward),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn save(
        &self,
        state: &mut StateFile,
        adapter: &Lora,
        optimizer: &AdamW,
        architecture: &Architecture,
    ) -> Result<(), Error> {
        state.version = VERSION;
        let folder = self.of_step(state.step);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Checkpoint { path, source }
        };
        let temporary = self.folder.join(format!(".step-{:06}.tmp", state.step));
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(failed(&temporary))?;
        }
        fs::create_dir_all(&temporary).map_err(failed(&temporary))?;
        let details = PeftDetails { base_model: Some(self.base_model.clone()), ..PeftDetails::default() };
        adapter.save_peft(&temporary, architecture, &details)?;
        optimizer.save(&temporary.join(OPTIMIZER))?;
        let json =
            serde_json::to_vec_pretty(state).map_err(|source| Error::State { path: temporary.join(STATE), source })?;
        lm::write_atomically(&temporary.join(STATE), &json)?;
        if folder.exists() {
            // A checkpoint of the same step was written before a kill; what replaces it is equal to it.
            fs::remove_dir_all(&folder).map_err(failed(&folder))?;
        }
        fs::rename(&temporary, &folder).map_err(failed(&folder))?;
        fs::File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed(&self.folder))?;
        self.forget_old(state)
    }

    /// Remove all but the two newest checkpoints and the best: the newest may have been the last thing before a crash of
    /// the disk.
    fn forget_old(&self, state: &StateFile) -> Result<(), Error> {
        let steps = self.steps()?;
        let old = steps.iter().rev().skip(2).filter(|&&step| state.best.is_none_or(|best| best.step != step));
        for &step in old {
            let folder = self.of_step(step);
            fs::remove_dir_all(&folder).map_err(|source| Error::Checkpoint { path: folder, source })?;
        }
        Ok(())
    }

    /// The newest checkpoint, if there is one.
    pub(crate) fn newest(
        &self,
        settings: AdamWSettings,
        like: &Lora,
        architecture: &Architecture,
    ) -> Result<Option<Restored>, Error> {
        let Some(step) = self.steps()?.pop() else { return Ok(None) };
        let folder = self.of_step(step);
        let state = read_state(&folder)?;
        let (adapter, _) = Lora::load_peft(&folder, architecture)?;
        if adapter.shape != like.shape {
            return Err(Error::OtherAdapter { path: folder });
        }
        let optimizer = AdamW::load(&folder.join(OPTIMIZER), settings, adapter.parameters.len())?;
        Ok(Some(Restored { state, adapter, optimizer }))
    }
}

fn read_state(folder: &Path) -> Result<StateFile, Error> {
    let path = folder.join(STATE);
    let json = fs::read(&path).map_err(|source| Error::Checkpoint { path: path.clone(), source })?;
    let state: StateFile =
        serde_json::from_slice(&json).map_err(|source| Error::State { path: path.clone(), source })?;
    if state.version != VERSION {
        return Err(Error::StateVersion { path, found: state.version, known: VERSION });
    }
    Ok(state)
}
