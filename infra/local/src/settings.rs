//! Settings of this machine: a flag stands over the environment, that over `convoke.toml`, that over the default.
//!
//! The file is the one that `--config` or `CONVOKE_CONFIG` names, else `convoke.toml` in the current folder, else the
//! one in the data folder. To whoever reads settings it looks like more of the environment. Keys have no place in it; it
//! may name files that hold a bot's token.

mod file;

use std::path::{Path, PathBuf};

use convoke_runtime::config::{Mistakes, ProcessEnv, Strings};
use etcetera::{BaseStrategy, HomeDirError, choose_base_strategy};

use file::{DATA_DIR, PORT, SettingsFile};

/// Name of the settings file.
pub const FILE_NAME: &str = "convoke.toml";

/// Names that mean the same: where the second one stands in the environment, the file is silent about the first.
const SYNONYMS: [(&str, &str); 2] =
    [("OLLAMA_BASE_URL", "OLLAMA_HOST"), ("CONVOKE_COMPATIBLE_BASE_URL", "CONVOKE_COMPATIBLE_URL")];

/// Why settings can't be used. Final until somebody changes them.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Nobody knows where the user's files are.
    #[error("there is no home folder: set HOME, or give --data-dir and CONVOKE_CACHE_DIR")]
    Homeless(#[source] HomeDirError),
    /// The file can't be read.
    #[error("the settings file {path} can't be read", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file isn't TOML, or holds a setting that there isn't, or one of the wrong kind.
    #[error("{path}:{line}: {detail}: {hint}", path = path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// What is wrong.
        detail: String,
        /// What to do.
        hint: &'static str,
    },
}

/// Where a user's things are, and what they set.
#[derive(Clone, Debug)]
pub struct Settings<E = ProcessEnv> {
    /// Jobs, artifacts, keys.
    pub data_dir: PathBuf,
    /// What can be fetched again: weights.
    pub cache_dir: PathBuf,
    env: E,
    file: Option<SettingsFile>,
}

/// What the command line says about settings; it has read `CONVOKE_CONFIG` and `CONVOKE_DATA_DIR`, too.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The settings file.
    pub config: Option<PathBuf>,
    /// The data folder.
    pub data_dir: Option<PathBuf>,
}

impl Settings {
    /// The settings of this process.
    pub fn find(told: Told) -> Result<Self, SettingsError> {
        Self::find_in(Path::new(""), told, ProcessEnv)
    }
}

impl<E: Strings> Settings<E> {
    fn find_in(current: &Path, told: Told, env: E) -> Result<Self, SettingsError> {
        let base = choose_base_strategy().map_err(SettingsError::Homeless)?;
        let usual_data = base.data_dir().join("convoke");
        let first = told.data_dir.clone().unwrap_or_else(|| usual_data.clone());
        let usual = [current.join(FILE_NAME), first.join(FILE_NAME)];
        let path = told.config.or_else(|| usual.into_iter().find(|path| path.is_file()));
        let file = path.map(|path| SettingsFile::read(&path)).transpose()?;
        let by_file = file.as_ref().and_then(|file| file.get(DATA_DIR)).map(PathBuf::from);
        let cache_dir = env.get("CONVOKE_CACHE_DIR").map(PathBuf::from);
        Ok(Self {
            data_dir: told.data_dir.or(by_file).unwrap_or(usual_data),
            cache_dir: cache_dir.unwrap_or_else(|| base.cache_dir().join("convoke")),
            env,
            file,
        })
    }

    /// The port that the file names.
    pub fn port(&self) -> Option<u16> {
        self.file.as_ref()?.get(PORT)?.parse().ok()
    }

    /// The file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// Where a setting comes from: its place in the file, else its name, by which the environment has it.
    pub fn origin(&self, name: &str) -> String {
        let in_env = self.env.get(name).is_some();
        let place = self.file.as_ref().filter(|_| !in_env).and_then(|file| file.place(name));
        place.unwrap_or_else(|| name.to_owned())
    }

    /// Mistakes in one line, each with its place.
    pub fn explain(&self, mistakes: &Mistakes) -> String {
        let place = |mistake: &str| {
            let name = mistake.split(' ').next().unwrap_or_default();
            let origin = self.origin(name);
            if origin == name { mistake.to_owned() } else { format!("{origin}: {mistake}") }
        };
        mistakes.iter().map(place).collect::<Vec<_>>().join("; ")
    }
}

impl<E: Strings> Strings for Settings<E> {
    fn get(&self, name: &str) -> Option<String> {
        let silenced = || SYNONYMS.iter().any(|(long, short)| *long == name && self.env.get(short).is_some());
        self.env.get(name).or_else(|| {
            let value = self.file.as_ref()?.get(name)?;
            (!silenced()).then(|| value.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_environment_stands_over_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "model = \"a/b\"\n[budget]\ntokens = 7\n[providers.ollama]\nbase_url = \"http://file:1\"\n";
        fs::write(folder.path().join(FILE_NAME), text).expect("written");
        let env = env(&[("CONVOKE_MODEL", "c/d"), ("OLLAMA_HOST", "box")]);
        let settings = Settings::find_in(folder.path(), Told::default(), env).expect("valid");
        assert_eq!(settings.get("CONVOKE_MODEL").as_deref(), Some("c/d"));
        assert_eq!(settings.origin("CONVOKE_MODEL"), "CONVOKE_MODEL");
        assert_eq!(settings.get("CONVOKE_BUDGET_TOKENS").as_deref(), Some("7"));
        assert!(settings.origin("CONVOKE_BUDGET_TOKENS").ends_with("convoke.toml:3"));
        assert_eq!(settings.get("OLLAMA_BASE_URL"), None, "OLLAMA_HOST says the same, and stands above");
    }

    #[test]
    fn one_file_counts_and_a_flag_names_it_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let (here, data) = (folder.path().join("here"), folder.path().join("data"));
        for (place, model) in [(&here, "here/m"), (&data, "data/m")] {
            fs::create_dir(place).expect("made");
            fs::write(place.join(FILE_NAME), format!("model = {model:?}")).expect("written");
        }
        let model = |current: &Path, config: Option<PathBuf>| {
            let told = Told { config, data_dir: Some(data.clone()) };
            Settings::find_in(current, told, BTreeMap::new()).expect("valid").get("CONVOKE_MODEL").expect("set")
        };
        assert_eq!(model(&here, None), "here/m");
        assert_eq!(model(folder.path(), None), "data/m");
        assert_eq!(model(&here, Some(data.join(FILE_NAME))), "data/m");
        let missing = Told { config: Some(here.join("none.toml")), data_dir: None };
        let error = Settings::find_in(&here, missing, BTreeMap::<String, String>::new()).expect_err("missing");
        assert!(error.to_string().contains("none.toml"), "{error}");
    }

    #[test]
    fn the_file_may_name_the_data_folder_and_a_flag_stands_above() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE_NAME), "data_dir = \"jobs\"").expect("written");
        let find = |data_dir| {
            let told = Told { config: None, data_dir };
            Settings::find_in(folder.path(), told, BTreeMap::<String, String>::new()).expect("valid").data_dir
        };
        assert_eq!(find(None), folder.path().join("jobs"));
        assert_eq!(find(Some("/elsewhere".into())), PathBuf::from("/elsewhere"));
    }
}
