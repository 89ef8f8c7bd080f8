//! Files in object storage.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use convoke_domain::ids::{JobKey, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::PortError;

/// Key of an object: `jobs/tenant/job/hash`, `schedules/tenant/id` or `uploads/tenant/id`. Neither length nor characters of a path matter; what
/// is kept and what goes after days stand apart, so that permissions and lifecycle rules tell them apart by prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobKey(String);

impl BlobKey {
    /// The key of what `step` wrote under `path` in `attempt`: a loser's object never replaces a winner's.
    pub fn of_job(key: &JobKey, step: &str, attempt: u32, path: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [step, &attempt.to_string(), path] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self(format!("jobs/{}/{}/{}", key.tenant, key.job, hex::encode(&hash.finalize()[..20])))
    }

    /// The key of an upload.
    pub fn of_upload(tenant: &TenantId, upload: &str) -> Self {
        Self(format!("uploads/{tenant}/{upload}"))
    }

    /// The key of a schedule's inputs.
    pub fn of_schedule(tenant: &TenantId, schedule: &str) -> Self {
        Self(format!("schedules/{tenant}/{schedule}"))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A URL that works for a while, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignedUrl {
    /// The URL.
    pub url: String,
    /// Unix milliseconds after which it answers 403.
    pub expires_at_ms: u64,
}

/// Object storage.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Stores an object, whole or not at all; a repeat replaces it by the same.
    async fn put(&self, key: &BlobKey, bytes: Bytes, media_type: &str) -> Result<(), PortError>;

    /// The object, or `None` where there is none.
    async fn get(&self, key: &BlobKey) -> Result<Option<Bytes>, PortError>;

    /// Copies an object within the bucket; a repeat replaces it by the same. `false` where there is no source.
    async fn copy(&self, from: &BlobKey, to: &BlobKey) -> Result<bool, PortError>;

    /// A URL to download the object as `file_name` (ASCII-cleaned by the adapter), good for `ttl` (at most 7 days).
    async fn presign_get(
        &self,
        key: &BlobKey,
        file_name: &str,
        media_type: &str,
        ttl: Duration,
    ) -> Result<PresignedUrl, PortError>;

    /// A URL to upload just `bytes` bytes of that media type, good for `ttl`.
    async fn presign_put(
        &self,
        key: &BlobKey,
        bytes: u64,
        media_type: &str,
        ttl: Duration,
    ) -> Result<PresignedUrl, PortError>;
}
