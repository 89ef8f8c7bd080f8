//! Where files are laid down that are too large for a message, on a machine that nobody outside can reach.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use convoke_domain::ids::JobKey;

/// A place for files on the machine that serves.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// Lays down a job's file, and says where: the path that somebody at the machine opens. A repeat replaces it by the
    /// same.
    async fn lay(&self, key: &JobKey, path: &str, bytes: Bytes) -> io::Result<String>;
}
