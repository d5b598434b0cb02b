//! A run: from a plan to a trained, evaluated prompter in a folder.
//!
//! - `folder`: where everything of a run lies
//! - `prompts`: what is trained on and what is held out
//! - `world`: models, target and reward, loaded; `shelf`: the models of it, `reward`: its rewards
//! - `inputs`: the files that a run reads, which must stay what they are; `journals`: where finished calls are kept
//! - `judging`: judges, tested before they are trusted
//! - `training`, `evaluation`: the two halves of a run
//! - `estimate`: what a run will take
//! - `table`, `watch`: how it is shown

pub(crate) mod estimate;
pub(crate) mod evaluation;
pub(crate) mod folder;
pub(crate) mod inputs;
pub(crate) mod journals;
pub(crate) mod judging;
pub(crate) mod prompts;
pub(crate) mod reward;
pub(crate) mod shelf;
pub(crate) mod table;
pub(crate) mod training;
pub(crate) mod watch;
pub(crate) mod world;
