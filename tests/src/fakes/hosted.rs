//! Objects whose presigned URLs begin as an installation's do.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use convoke_app::ports::{BlobKey, Blobs, PortError, PresignedUrl};

use super::FakeBlobs;

/// Objects that are to be had from an origin.
#[derive(Clone)]
pub struct HostedBlobs {
    inner: FakeBlobs,
    origin: &'static str,
}

impl HostedBlobs {
    /// These objects, from there.
    pub const fn new(inner: FakeBlobs, origin: &'static str) -> Self {
        Self { inner, origin }
    }
}

#[async_trait]
impl Blobs for HostedBlobs {
    async fn put(&self, key: &BlobKey, bytes: Bytes, media_type: &str) -> Result<(), PortError> {
        self.inner.put(key, bytes, media_type).await
    }

    async fn get(&self, key: &BlobKey) -> Result<Option<Bytes>, PortError> {
        self.inner.get(key).await
    }

    async fn copy(&self, from: &BlobKey, to: &BlobKey) -> Result<bool, PortError> {
        self.inner.copy(from, to).await
    }

    async fn presign_get(
        &self,
        key: &BlobKey,
        file_name: &str,
        media_type: &str,
        ttl: Duration,
    ) -> Result<PresignedUrl, PortError> {
        let presigned = self.inner.presign_get(key, file_name, media_type, ttl).await?;
        Ok(PresignedUrl { url: format!("{}/{file_name}?signature=s", self.origin), ..presigned })
    }

    async fn presign_put(
        &self,
        key: &BlobKey,
        bytes: u64,
        media_type: &str,
        ttl: Duration,
    ) -> Result<PresignedUrl, PortError> {
        self.inner.presign_put(key, bytes, media_type, ttl).await
    }
}
