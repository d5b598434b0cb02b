//! Where models are kept: one folder, shared by all runs.

use std::env;
use std::path::{Path, PathBuf};

/// The folder for models and caches.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

/// The folder that was asked for, or the platform's cache folder.
pub(crate) fn resolve(asked: Option<PathBuf>) -> Home {
    Home(asked.unwrap_or_else(|| cache_folder().join("align-pro")))
}

impl Home {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The folder that holds one folder a model.
    pub(crate) fn models(&self) -> PathBuf {
        lm::models_folder(&self.0)
    }
}

fn cache_folder() -> PathBuf {
    let from = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let user = || env::home_dir().unwrap_or_else(env::temp_dir);
    if cfg!(windows) {
        from("LOCALAPPDATA").unwrap_or_else(|| user().join("AppData").join("Local"))
    } else if cfg!(target_os = "macos") {
        user().join("Library").join("Caches")
    } else {
        from("XDG_CACHE_HOME").unwrap_or_else(|| user().join(".cache"))
    }
}
