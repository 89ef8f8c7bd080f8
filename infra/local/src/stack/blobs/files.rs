//! Objects as files. One file per object: its bytes, then its description as JSON, then that one's length and a mark. So
//! one rename puts an object in place whole, and a reader that has it open goes on reading the old one.
//!
//! `BUCKET/HASH(first two segments of the key)/HASH(key)`: names are short and can't escape whatever the key holds, and a
//! listing by a prefix of two segments reads one folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::stack::table::Durability;

/// Ends each file.
const MARK: &[u8; 8] = b"CNVKBLB1";

/// Length of a description, and the mark.
const TAIL_BYTES: u64 = 4 + MARK.len() as u64;

/// Where uploads under way are kept; no bucket can have this name.
const INCOMING: &str = ".incoming";

/// What is known of an object besides its bytes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Description {
    pub key: String,
    pub size: u64,
    pub etag: String,
    pub modified_ms: u64,
    /// Checksums by algorithm (`SHA256`, `CRC32`, ...), in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checksums: BTreeMap<String, String>,
    /// `content-type` and the like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `x-amz-meta-*`, without that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
}

/// What must hold of the object that is there when another is put in its place.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Always,
    Absent,
    Etag(String),
    Present,
}

/// A put that was refused by its condition.
#[derive(Debug)]
pub(super) struct Unmet;

#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    durability: Durability,
    /// Held from looking at a condition to putting in place.
    commits: Mutex<()>,
    uploads: AtomicU64,
}

impl Files {
    /// Makes the folder if there is none, and throws away what an earlier process had not finished.
    pub(super) fn open(root: PathBuf, durability: Durability) -> io::Result<Self> {
        let incoming = root.join(INCOMING);
        match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(incoming)?;
        Ok(Self { root, durability, commits: Mutex::new(()), uploads: AtomicU64::new(0) })
    }

    /// Where a bucket's objects are, or `None` for a name that is none.
    pub(super) fn bucket(&self, name: &str) -> Option<PathBuf> {
        let fits = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
        let ends = name.starts_with(fits) && name.ends_with(fits);
        let all = name.chars().all(|character| fits(character) || matches!(character, '-' | '.'));
        ((3..=63).contains(&name.len()) && ends && all && !name.contains("..")).then(|| self.root.join(name))
    }

    pub(super) fn buckets(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            names.extend(name.to_str().filter(|name| self.bucket(name).is_some()).map(ToOwned::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// A path of its own for an upload.
    pub(super) fn incoming(&self) -> PathBuf {
        self.root.join(INCOMING).join(self.uploads.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Appends the description to an upload and puts it in place. The outer error is the disk's.
    pub(super) fn commit(
        &self,
        (upload, mut file): (&Path, File),
        bucket: &Path,
        description: &Description,
        condition: &Condition,
    ) -> io::Result<Result<(), Unmet>> {
        let text = serde_json::to_vec(description)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        file.write_all(&[&text[..], &length.to_be_bytes()[..], MARK].concat())?;
        if self.durability == Durability::Power {
            file.sync_all()?;
        }
        let target = place(bucket, &description.key);
        if let Some(group) = target.parent() {
            fs::create_dir_all(group)?;
        }
        let committing = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let met = match condition {
            Condition::Always => true,
            Condition::Absent => describe(&target)?.is_none(),
            Condition::Present => describe(&target)?.is_some(),
            Condition::Etag(etag) => describe(&target)?.is_some_and(|(_, found)| found.etag == *etag),
        };
        if met {
            fs::rename(upload, &target)?;
        } else {
            fs::remove_file(upload)?;
        }
        drop(committing);
        Ok(if met { Ok(()) } else { Err(Unmet) })
    }

    /// Opens an object at its first byte.
    pub(super) fn read(bucket: &Path, key: &str) -> io::Result<Option<(File, Description)>> {
        // Another key of the same hash would be another object; it isn't this one.
        Ok(describe(&place(bucket, key))?.filter(|(_, description)| description.key == key))
    }

    /// Removes an object; nothing happens if there is none.
    pub(super) fn remove(bucket: &Path, key: &str) -> io::Result<()> {
        match fs::remove_file(place(bucket, key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The descriptions of all objects whose key starts with `prefix`, in order of their keys.
    pub(super) fn list(bucket: &Path, prefix: &str) -> io::Result<Vec<Description>> {
        let mut found = Vec::new();
        match group_of(prefix) {
            Some(group) => list_group(&bucket.join(short_hash(group)), prefix, &mut found)?,
            None => {
                for entry in fs::read_dir(bucket)? {
                    list_group(&entry?.path(), prefix, &mut found)?;
                }
            }
        }
        found.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(found)
    }

    /// Removes an empty bucket; `false` if something is in it.
    pub(super) fn remove_bucket(bucket: &Path) -> io::Result<bool> {
        for entry in fs::read_dir(bucket)? {
            match fs::remove_dir(entry?.path()) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(false),
                other => other?,
            }
        }
        fs::remove_dir(bucket)?;
        Ok(true)
    }
}

fn list_group(group: &Path, prefix: &str, found: &mut Vec<Description>) -> io::Result<()> {
    let entries = match fs::read_dir(group) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        // What was removed meanwhile isn't listed.
        if let Some((_, description)) = describe(&entry?.path())?
            && description.key.starts_with(prefix)
        {
            found.push(description);
        }
    }
    Ok(())
}

fn place(bucket: &Path, key: &str) -> PathBuf {
    bucket.join(short_hash(group_of(key).unwrap_or_default())).join(short_hash(key))
}

/// The first two segments of a key or prefix that has as many.
fn group_of(key: &str) -> Option<&str> {
    let (second, _) = key.match_indices('/').nth(1)?;
    key.get(..second)
}

fn short_hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..20])
}

/// Opens a file at its first byte and reads its description.
fn describe(path: &Path) -> io::Result<Option<(File, Description)>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let broken = || io::Error::new(io::ErrorKind::InvalidData, format!("{} is no object", path.display()));
    let end = file.seek(SeekFrom::End(0))?;
    let tail_at = end.checked_sub(TAIL_BYTES).ok_or_else(broken)?;
    file.seek(SeekFrom::Start(tail_at))?;
    let (mut length, mut mark) = ([0; 4], [0; MARK.len()]);
    file.read_exact(&mut length)?;
    file.read_exact(&mut mark)?;
    let length = u32::from_be_bytes(length);
    let text_at = tail_at.checked_sub(u64::from(length)).filter(|_| mark == *MARK).ok_or_else(broken)?;
    file.seek(SeekFrom::Start(text_at))?;
    let mut text = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact(&mut text)?;
    file.rewind()?;
    Ok(Some((file, serde_json::from_slice(&text)?)))
}
