//! A bucket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use convoke_app::ports::{BlobKey, Blobs, Env, PortError, PresignedUrl};

use super::env::FakeEnv;
use super::faults::Faults;

type Objects = BTreeMap<String, (Bytes, String)>;

/// Longest life of a URL.
const TTL_MAX: Duration = Duration::from_hours(7 * 24);

/// A bucket in memory. Clones are the same bucket.
#[derive(Clone, Debug)]
pub struct FakeBlobs {
    objects: Arc<Mutex<Objects>>,
    env: FakeEnv,
    faults: Faults,
}

impl FakeBlobs {
    /// An empty bucket, by that clock.
    pub fn new(env: FakeEnv, faults: Faults) -> Self {
        Self { objects: Arc::default(), env, faults }
    }

    /// What a URL of [`Blobs::presign_get`] brings: the bytes and their media type, as long as it is good.
    pub fn open(&self, url: &PresignedUrl) -> Option<(Bytes, String)> {
        let key = url.url.strip_prefix("fake://get/")?.split('?').next()?;
        let is_good = self.env.now_ms() < url.expires_at_ms;
        self.lock().get(key).filter(|_| is_good).cloned()
    }

    /// An object's bytes, without faults.
    pub fn bytes(&self, key: &BlobKey) -> Option<Bytes> {
        self.lock().get(key.as_str()).map(|(bytes, _)| bytes.clone())
    }

    /// The keys of all objects.
    pub fn keys(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn presign(&self, what: &'static str, url: String, ttl: Duration) -> Result<PresignedUrl, PortError> {
        if ttl > TTL_MAX {
            return Err(PortError::Refused { what, source: "a URL lives for at most 7 days".into() });
        }
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Ok(PresignedUrl { url, expires_at_ms: self.env.now_ms().saturating_add(ttl_ms) })
    }
}

#[async_trait]
impl Blobs for FakeBlobs {
    async fn put(&self, key: &BlobKey, bytes: Bytes, media_type: &str) -> Result<(), PortError> {
        self.faults
            .call("put", || {
                self.lock().insert(key.to_string(), (bytes, media_type.to_owned()));
                Ok(())
            })
            .await
    }

    async fn get(&self, key: &BlobKey) -> Result<Option<Bytes>, PortError> {
        self.faults.call("get", || Ok(self.lock().get(key.as_str()).map(|(bytes, _)| bytes.clone()))).await
    }

    async fn copy(&self, from: &BlobKey, to: &BlobKey) -> Result<bool, PortError> {
        self.faults
            .call("copy", || {
                let mut objects = self.lock();
                let Some(object) = objects.get(from.as_str()).cloned() else { return Ok(false) };
                objects.insert(to.to_string(), object);
                Ok(true)
            })
            .await
    }

    async fn presign_get(
        &self,
        key: &BlobKey,
        file_name: &str,
        _media_type: &str,
        ttl: Duration,
    ) -> Result<PresignedUrl, PortError> {
        self.presign("presign_get", format!("fake://get/{key}?name={file_name}"), ttl)
    }

    async fn presign_put(
        &self,
        key: &BlobKey,
        bytes: u64,
        media_type: &str,
        ttl: Duration,
    ) -> Result<PresignedUrl, PortError> {
        self.presign("presign_put", format!("fake://put/{key}?bytes={bytes}&type={media_type}"), ttl)
    }
}
