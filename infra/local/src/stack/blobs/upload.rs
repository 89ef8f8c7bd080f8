//! Taking in an object's bytes: hashed as they come; those of large ones go to the disk in large pieces.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use futures_util::StreamExt;
use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::dto::{Checksum, StreamingBlob};
use s3s::{S3Result, s3_error};

use super::disk;
use super::store::{INLINE_BYTES, Taken};

/// Bytes gathered before they go to the disk.
const SPILL_BYTES: usize = 512 * 1_024;

/// An object's bytes on their way.
pub(super) struct Upload {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
}

/// What came in.
pub(super) struct Arrived {
    pub upload: Upload,
    pub size: u64,
    pub md5: [u8; 16],
    pub checksum: Checksum,
}

impl Upload {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, buffer: Vec::new() }
    }

    /// Reads a body to its end.
    pub(super) async fn take_in(mut self, mut body: StreamingBlob, mut hasher: ChecksumHasher) -> S3Result<Arrived> {
        let (mut md5, mut size) = (Md5::new(), 0_u64);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| s3_error!(IncompleteBody, "{error}"))?;
            md5.update(&piece);
            hasher.update(&piece);
            size += piece.len() as u64;
            self.buffer.extend_from_slice(&piece);
            if self.buffer.len() >= SPILL_BYTES {
                self = disk(move || {
                    self.spill()?;
                    Ok(self)
                })
                .await?;
            }
        }
        Ok(Arrived { upload: self, size, md5: md5.finalize().into(), checksum: hasher.finalize() })
    }

    /// All bytes: in memory if they are few, else in a file.
    pub(super) fn finish(mut self) -> io::Result<Taken> {
        if self.file.is_none() && self.buffer.len() <= INLINE_BYTES {
            return Ok(Taken::Inline(std::mem::take(&mut self.buffer)));
        }
        self.spill()?;
        let file = self.file.take().ok_or(io::ErrorKind::NotFound)?;
        Ok(Taken::Large(std::mem::take(&mut self.path), file))
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::create(&self.path)?),
        };
        file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for Upload {
    /// An upload that wasn't finished leaves nothing behind.
    fn drop(&mut self) {
        if self.file.is_some()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, "an unfinished upload stays until the next start");
        }
    }
}
