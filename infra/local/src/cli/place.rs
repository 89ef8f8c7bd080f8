//! Where things are on this machine.

use std::path::PathBuf;

use convoke_runtime::config::{ProcessEnv, Strings};
use etcetera::{BaseStrategy, choose_base_strategy};

use super::failure::Failure;

/// Folders of the user.
#[derive(Clone, Debug)]
pub struct Places {
    /// Jobs, artifacts, keys.
    pub data_dir: PathBuf,
    /// What can be fetched again: weights.
    pub cache_dir: PathBuf,
}

impl Places {
    /// The folders: as told (`--data-dir`, `CONVOKE_CACHE_DIR`), else where the system keeps a user's data and cache.
    pub fn find(data_dir: Option<PathBuf>) -> Result<Self, Failure> {
        let base = choose_base_strategy().map_err(|error| Failure::caused("there is no home folder", &error))?;
        let cache = ProcessEnv.get("CONVOKE_CACHE_DIR").map(PathBuf::from);
        Ok(Self {
            data_dir: data_dir.unwrap_or_else(|| base.data_dir().join("convoke")),
            cache_dir: cache.unwrap_or_else(|| base.cache_dir().join("convoke")),
        })
    }
}
