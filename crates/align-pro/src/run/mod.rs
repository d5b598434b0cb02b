//! A run: from a plan to a trained, evaluated prompter in a folder.
//!
//! - `folder`: where everything of a run lies
//! - `prompts`: what is trained on and what is held out
//! - `world`: models, target and reward, loaded; `models`, `reward`: those of it; `journals`: where finished calls are kept
//! - `training`, `evaluation`: the two halves of a run
//! - `estimate`: what a run will take
//! - `table`, `watch`: how it is shown

pub(crate) mod estimate;
pub(crate) mod evaluation;
pub(crate) mod folder;
pub(crate) mod journals;
pub(crate) mod models;
pub(crate) mod prompts;
pub(crate) mod reward;
pub(crate) mod table;
pub(crate) mod training;
pub(crate) mod watch;
pub(crate) mod world;
