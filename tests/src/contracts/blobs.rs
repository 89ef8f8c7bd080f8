//! `Blobs`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use convoke_app::ports::{BlobKey, Blobs, PresignedUrl};

use crate::fakes::FakeBlobs;
use crate::samples::job;

/// What the case needs beside the port: to follow a URL.
#[async_trait]
pub trait Opens {
    /// The bytes and their media type, where the URL is good.
    async fn open(&self, url: &PresignedUrl) -> Option<(Bytes, String)>;
}

#[async_trait]
impl Opens for FakeBlobs {
    async fn open(&self, url: &PresignedUrl) -> Option<(Bytes, String)> {
        self.open(url)
    }
}

fn key(path: &str) -> BlobKey {
    BlobKey::of_job(&job("acme", 1), "write[3]@2", 1, path)
}

/// Objects come back as they were put, a repeat replaces, a copy is an object of its own.
pub async fn objects_are_kept(blobs: &impl Blobs) {
    let (first, second, missing) = (key("a b/ü.md"), key("other"), key("missing"));
    assert_eq!(blobs.get(&first).await.expect("up"), None);
    let large = Bytes::from((0..300_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    for bytes in [Bytes::from_static(b"old"), large.clone()] {
        blobs.put(&first, bytes, "text/markdown").await.expect("put");
    }
    assert_eq!(blobs.get(&first).await.expect("up"), Some(large.clone()));
    assert!(blobs.copy(&first, &second).await.expect("up"));
    blobs.put(&first, Bytes::new(), "text/plain").await.expect("put");
    assert_eq!(blobs.get(&first).await.expect("up"), Some(Bytes::new()));
    assert_eq!(blobs.get(&second).await.expect("up"), Some(large));
    assert!(!blobs.copy(&missing, &second).await.expect("up"));
    let upload = BlobKey::of_upload(&job("acme", 1).tenant, "01M7XPE6000000000000000009");
    blobs.put(&upload, Bytes::from_static(b"{}"), "application/json").await.expect("put");
    assert!(blobs.copy(&upload, &first).await.expect("up"));
    assert_eq!(blobs.get(&first).await.expect("up").as_deref(), Some(b"{}".as_slice()));
}

/// A URL brings the object without credentials, and nothing where there is none; no URL lives for more than 7 days.
pub async fn presigned_urls_are_followed(blobs: &impl Blobs, client: &impl Opens) {
    let (stored, missing) = (key("report.md"), key("missing"));
    blobs.put(&stored, Bytes::from_static(b"# Report"), "text/markdown").await.expect("put");
    let hour = Duration::from_hours(1);
    let url = blobs.presign_get(&stored, "REPORT.md", "text/markdown", hour).await.expect("presigned");
    let (bytes, media_type) = client.open(&url).await.expect("good");
    assert_eq!((bytes.as_ref(), media_type.as_str()), (b"# Report".as_slice(), "text/markdown"));
    let url = blobs.presign_get(&missing, "x", "text/plain", hour).await.expect("presigned");
    assert_eq!(client.open(&url).await, None);
    let week = Duration::from_hours(7 * 24);
    let error = blobs.presign_get(&stored, "x", "text/plain", week + hour).await.expect_err("too long");
    assert!(!error.is_retryable(), "{error:?}");
    let error = blobs.presign_put(&stored, 1, "text/plain", week + hour).await.expect_err("too long");
    assert!(!error.is_retryable(), "{error:?}");
}
