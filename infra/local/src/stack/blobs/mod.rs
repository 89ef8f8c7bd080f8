//! Objects: S3's API by the `s3s` library, over one `SQLite` file and files of the data folder.
//!
//! Put (also only if absent, or if the present one has an `ETag`: both atomic), get (also ranges), head, delete, copy, list.
//! A put is in place whole or not at all. Checksums and MD5 are verified, SHA-256 is always taken. Signatures and the
//! expiry of presigned URLs are checked by `s3s`, against the machine's own clock. Not here: multipart uploads, versions,
//! access lists, encryption.

mod download;
mod listing;
mod objects;
mod store;
mod upload;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::header::{HOST, HeaderValue};
use s3s::auth::SimpleAuth;
use s3s::dto::Timestamp;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3Result, s3_error};

use super::clock::Clock;
use super::folder::Keys;
use super::table::Durability;
use store::Store;

/// The object store.
#[derive(Clone, Debug)]
struct Blobs {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

/// The object store behind S3's protocol: checks signatures, then hands on.
#[derive(Clone)]
pub(super) struct BlobService {
    service: S3Service,
}

impl std::fmt::Debug for BlobService {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BlobService").finish_non_exhaustive()
    }
}

impl BlobService {
    /// Opens the folder, making it if there is none. Whoever signs with `keys` may do everything, nobody else anything.
    pub(super) fn open(root: &Path, keys: &Keys, clock: Arc<dyn Clock>, durability: Durability) -> io::Result<Self> {
        let store = Arc::new(Store::open(root, durability)?);
        let mut builder = S3ServiceBuilder::new(Blobs { store, clock });
        builder.set_auth(SimpleAuth::from_single(keys.access.clone(), keys.secret.clone()));
        Ok(Self { service: builder.build() })
    }
}

impl HttpConnector for BlobService {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = self.service.clone();
        HttpConnectorFuture::new(async move {
            // What answers a HEAD has no body, which an HTTP server would see to.
            let bodiless = request.method() == "HEAD";
            let request = with_host(request.try_into_http1x().map_err(|error| failed(Box::new(error)))?);
            let answer = service.call(request.map(s3s::Body::http_body_unsync)).await;
            let answer = answer.map_err(|error| failed(error.into()))?.map(SdkBody::from_body_1_x);
            let answer = if bodiless { answer.map(|_| SdkBody::empty()) } else { answer };
            HttpResponse::try_from(answer).map_err(|error| failed(Box::new(error)))
        })
    }
}

/// A signature covers the host, which an HTTP client would add last.
fn with_host(mut request: http::Request<SdkBody>) -> http::Request<SdkBody> {
    let host = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let Some(host) = host
        && !request.headers().contains_key(HOST)
    {
        request.headers_mut().insert(HOST, host);
    }
    request
}

fn failed(error: crate::loopback::BoxError) -> ConnectorError {
    ConnectorError::other(error, None)
}

/// Does disk work on a thread that may block. What the disk refuses is an internal error, and logged.
async fn disk<T, F>(work: F) -> S3Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(disk_failed(error)),
        Err(error) => Err(s3_error!(error, InternalError)),
    }
}

fn disk_failed(error: io::Error) -> S3Error {
    tracing::error!(%error, "the object store's disk failed");
    s3_error!(error, InternalError)
}

fn timestamp(unix_ms: u64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_millis(unix_ms))
}
