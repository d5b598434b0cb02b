//! From what a user types to an opened model.

use std::path::{Path, PathBuf};

use lm::Checkpoint;

use crate::commands::Session;
use crate::failure::Failure;
use crate::pull::{Wanted, pull};

/// Open the model that `name` stands for: a file or folder, or a name that is fetched first if it is not here.
pub(crate) fn open(name: &str, session: &Session) -> anyhow::Result<Checkpoint> {
    Ok(Checkpoint::open(&locate(name, session)?)?)
}

fn locate(name: &str, session: &Session) -> anyhow::Result<PathBuf> {
    match Wanted::by_name(name)? {
        Some(wanted) => Ok(pull(&wanted, name, None, session)?.path),
        None if Path::new(name).exists() => Ok(PathBuf::from(name)),
        None => Err(Failure::UnknownModel { name: name.to_owned() }.into()),
    }
}
