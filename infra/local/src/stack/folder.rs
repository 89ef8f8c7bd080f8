//! The data folder: one process at a time, of a format that this version knows.
//!
//! | entry | holds |
//! |---|---|
//! | `lock` | the process id of whoever holds the folder; the lock itself is the operating system's and ends with the process |
//! | `format` | the format's number |
//! | `keys` | the access key and secret that presigned URLs are signed with, made once |
//! | `table.sqlite` | the tables |
//! | `blobs/` | the objects: `objects.sqlite`, and files of large ones |
//! | `streams/` | how far each consumer has read a table's stream |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The format that this version writes and reads.
const FORMAT: u32 = 2;

/// Why a data folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process holds it; try again once that has ended.
    #[error("the data folder {} is in use by process {holder}", path.display())]
    Held {
        /// The folder.
        path: PathBuf,
        /// The process id it left there, or `?`.
        holder: String,
    },
    /// A newer version made it. Final: nothing was changed.
    #[error(
        "the data folder {} has format {found}, made by a newer version of convoke; this one knows format {FORMAT}",
        path.display()
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A version before the first release made it. Final: nothing was changed.
    #[error(
        "the data folder {} has format {found}, made by an older version of convoke; this one knows format {FORMAT} \
         (that version still reads it)",
        path.display()
    )]
    Older {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Its format file says no number. Final.
    #[error("{} holds no format number; is {} a data folder of convoke?", .0.join("format").display(), .0.display())]
    NotOurs(PathBuf),
    /// The operating system refused.
    #[error("{} can't be used", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The operating system gave no randomness for the keys.
    #[error("no randomness for the keys of {}: {reason}", path.display())]
    Random {
        /// The file that would hold them.
        path: PathBuf,
        /// What it said.
        reason: getrandom::Error,
    },
}

/// A data folder held by this process until dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// The pair that signs requests to the object store.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub access: String,
    pub secret: String,
}

impl Folder {
    /// Makes the folder if there is none, takes its lock, and checks its format.
    pub(super) fn take(path: &Path) -> Result<Self, FolderError> {
        make_private(path)?;
        let lock = lock(path)?;
        check_format(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the keys, making them at the first call.
    pub(super) fn keys(&self) -> Result<Keys, FolderError> {
        let path = self.path.join("keys");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_keys(&path)?,
            Err(source) => return Err(FolderError::Io { path, source }),
        };
        let mut words = text.split_whitespace().map(ToOwned::to_owned);
        match (words.next(), words.next()) {
            (Some(access), Some(secret)) => Ok(Keys { access, secret }),
            _ => Err(FolderError::Io { path, source: io::ErrorKind::InvalidData.into() }),
        }
    }
}

fn make_private(path: &Path) -> Result<(), FolderError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| FolderError::Io { path: path.to_owned(), source })
}

fn lock(folder: &Path) -> Result<File, FolderError> {
    let path = folder.join("lock");
    let failed = |source| FolderError::Io { path: path.clone(), source };
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = file.read_to_string(&mut holder);
            let holder = if read.is_ok() && !holder.is_empty() { holder } else { "?".to_owned() };
            return Err(FolderError::Held { path: folder.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    write!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

fn check_format(folder: &Path) -> Result<(), FolderError> {
    let path = folder.join("format");
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(found) if found > FORMAT => Err(FolderError::Newer { path: folder.to_owned(), found }),
            Ok(found) if found < FORMAT => Err(FolderError::Older { path: folder.to_owned(), found }),
            Ok(_) => Ok(()),
            Err(_) => Err(FolderError::NotOurs(folder.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            replace(&path, format!("{FORMAT}\n").as_bytes()).map_err(|source| FolderError::Io { path, source })
        }
        Err(source) => Err(FolderError::Io { path, source }),
    }
}

fn make_keys(path: &Path) -> Result<String, FolderError> {
    let mut random = [0_u8; 40];
    getrandom::fill(&mut random).map_err(|reason| FolderError::Random { path: path.to_owned(), reason })?;
    let (access, secret) = random.split_at(8);
    let text = format!("CONVOKE{} {}\n", hex::encode_upper(access), hex::encode(secret));
    replace(path, text.as_bytes()).map_err(|source| FolderError::Io { path: path.to_owned(), source })?;
    Ok(text)
}

/// Writes a small private file whole or not at all.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&temporary)?.write_all(content)?;
    fs::rename(&temporary, path)
}
