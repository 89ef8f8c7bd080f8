//! `Blobs` over S3.

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use convoke_app::ports::{BlobKey, Blobs, PortError, PresignedUrl};
use sha2::{Digest, Sha256};

use crate::error::{port_error, refused, unavailable};

const PUT: &str = "the bucket (putting an object)";
const GET: &str = "the bucket (getting an object)";
const COPY: &str = "the bucket (copying an object)";
const PRESIGN: &str = "the bucket (presigning)";

/// Longest file name that a URL carries.
const NAME_BYTES_MAX: usize = 150;

/// A bucket.
#[derive(Debug)]
pub struct S3Blobs {
    client: Client,
    presign_client: Client,
    bucket: String,
}

impl S3Blobs {
    /// `presign_client` has the endpoint under which callers reach the bucket, and the clock that URLs are signed by; on
    /// AWS both clients are one.
    pub fn new(client: Client, presign_client: Client, bucket: impl Into<String>) -> Self {
        Self { client, presign_client, bucket: bucket.into() }
    }

    /// A life of `ttl` from now on, by the client's clock.
    fn signing(&self, ttl: Duration) -> Result<PresigningConfig, PortError> {
        let mut signing = PresigningConfig::builder().expires_in(ttl);
        if let Some(clock) = self.presign_client.config().time_source() {
            signing = signing.start_time(clock.now());
        }
        signing.build().map_err(|error| refused(PRESIGN, error))
    }
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn put(&self, key: &BlobKey, bytes: Bytes, media_type: &str) -> Result<(), PortError> {
        let sha256 = aws_smithy_types::base64::encode(Sha256::digest(&bytes));
        let put = self.client.put_object().bucket(&self.bucket).key(key.as_str()).content_type(media_type);
        let put = put.checksum_sha256(sha256).body(ByteStream::from(bytes));
        put.send().await.map(drop).map_err(|error| port_error(PUT, error))
    }

    async fn get(&self, key: &BlobKey) -> Result<Option<Bytes>, PortError> {
        let answer = match self.client.get_object().bucket(&self.bucket).key(key.as_str()).send().await {
            Ok(answer) => answer,
            Err(error) if is_no_such_key(error.code()) => return Ok(None),
            Err(error) => return Err(port_error(GET, error)),
        };
        let body = answer.body.collect().await.map_err(|error| unavailable(GET, error))?;
        Ok(Some(body.into_bytes()))
    }

    async fn copy(&self, from: &BlobKey, to: &BlobKey) -> Result<bool, PortError> {
        // Keys are made of characters that need no escaping.
        let source = format!("{}/{from}", self.bucket);
        match self.client.copy_object().bucket(&self.bucket).key(to.as_str()).copy_source(source).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_no_such_key(error.code()) => Ok(false),
            Err(error) => Err(port_error(COPY, error)),
        }
    }

    async fn presign_get(
        &self,
        key: &BlobKey,
        file_name: &str,
        media_type: &str,
        ttl: Duration,
    ) -> Result<PresignedUrl, PortError> {
        let config = self.signing(ttl)?;
        let expires_at_ms = expires_at_ms(&config);
        let get = self.presign_client.get_object().bucket(&self.bucket).key(key.as_str());
        let get = get.response_content_type(media_type).response_content_disposition(disposition(file_name));
        let signed = get.presigned(config).await.map_err(|error| port_error(PRESIGN, error))?;
        Ok(PresignedUrl { url: signed.uri().to_owned(), expires_at_ms })
    }

    async fn presign_put(
        &self,
        key: &BlobKey,
        bytes: u64,
        media_type: &str,
        ttl: Duration,
    ) -> Result<PresignedUrl, PortError> {
        let config = self.signing(ttl)?;
        let expires_at_ms = expires_at_ms(&config);
        let length = i64::try_from(bytes).map_err(|error| refused(PRESIGN, error))?;
        let put = self.presign_client.put_object().bucket(&self.bucket).key(key.as_str());
        let put = put.content_length(length).content_type(media_type);
        let signed = put.presigned(config).await.map_err(|error| port_error(PRESIGN, error))?;
        Ok(PresignedUrl { url: signed.uri().to_owned(), expires_at_ms })
    }
}

fn is_no_such_key(code: Option<&str>) -> bool {
    matches!(code, Some("NoSuchKey" | "NotFound"))
}

/// `attachment`, with a name that any browser and shell takes.
fn disposition(file_name: &str) -> String {
    let last = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._- ()+@".contains(c);
    let plain: String = last.chars().map(|c| if is_plain(c) { c } else { '_' }).take(NAME_BYTES_MAX).collect();
    let name = if plain.trim_matches(['.', ' ']).is_empty() { "download" } else { plain.trim() };
    format!("attachment; filename=\"{name}\"")
}

/// A signature counts whole seconds.
fn expires_at_ms(signing: &PresigningConfig) -> u64 {
    let signed_s = signing.start_time().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    signed_s.saturating_add(signing.expires().as_secs()).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_made_plain() {
        for (name, expected) in [
            ("parts/3.md", "3.md"),
            ("a\"b\r\nc.txt", "a_b__c.txt"),
            ("prüfung.md", "pr_fung.md"),
            ("", "download"),
            ("..", "download"),
            ("a\\b", "b"),
        ] {
            assert_eq!(disposition(name), format!("attachment; filename=\"{expected}\""), "{name:?}");
        }
        assert!(disposition(&"x".repeat(1_000)).len() < 200);
    }
}
