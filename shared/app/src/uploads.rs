//! Files that callers send: announced here, put by a presigned URL, taken over by a submission.
//!
//! Nothing is stored about an announcement: an upload's id says all there is to know of it, and its object stands under
//! the tenant and the whole id, so a changed id leads nowhere.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use convoke_api::artifact::{UploadHeaders, UploadView};
use convoke_api::flow::FlowIssue;
use convoke_api::request::UploadRequest;
use convoke_api::time::Time;
use convoke_domain::ids::TenantId;
use convoke_domain::path::ArtifactPath;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Part, Refused};
use crate::flow::media_type;
use crate::platform::Platform;
use crate::ports::BlobKey;

/// What every upload's id begins with.
pub const UPLOAD_PREFIX: &str = "up_";
/// Largest file, in bytes.
pub const UPLOAD_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// Longest media type, in bytes.
const MEDIA_TYPE_BYTES_MAX: usize = 100;

/// What an upload's id says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// Makes the id unique.
    #[serde(rename = "u")]
    ulid: String,
    /// Its name.
    #[serde(rename = "n")]
    pub name: ArtifactPath,
    /// Its media type.
    #[serde(rename = "m")]
    pub media_type: String,
    /// Its size.
    #[serde(rename = "b")]
    pub bytes: u64,
}

impl Upload {
    /// The upload that was described so in a job's input, its `index`th file; `None` where that describes none.
    pub fn again(described: &Value, index: usize) -> Option<Self> {
        Some(Self {
            ulid: format!("again-{index}"),
            name: ArtifactPath::new(described.get("name")?.as_str()?).ok()?,
            media_type: described.get("media_type")?.as_str()?.to_owned(),
            bytes: described.get("bytes")?.as_u64()?,
        })
    }

    /// Its id.
    pub fn id(&self) -> String {
        // Plain data always has a JSON form.
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{UPLOAD_PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// What the id says; `None` where it is none.
    pub fn parse(id: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(id.strip_prefix(UPLOAD_PREFIX)?).ok()?;
        let upload: Self = serde_json::from_slice(&json).ok()?;
        (upload.id() == id).then_some(upload)
    }
}

impl Platform {
    /// Announces a file: where to put it, until when, and the id for `input.files`. Stores nothing; not idempotent (each
    /// call gives another id). What isn't valid is [`Refused::Invalid`].
    pub async fn create_upload(&self, tenant: &TenantId, body: &Value) -> Result<UploadView, Failure> {
        let request =
            read(body).map_err(|issues| Failure::Refused(Refused::Invalid { what: Part::Request, issues }))?;
        let upload = Upload { ulid: self.ports.env.ulid(), ..request };
        let id = upload.id();
        let key = BlobKey::of_upload(tenant, &id);
        let ttl = self.limits.presign_ttl;
        let url = self.ports.blobs.presign_put(&key, upload.bytes, &upload.media_type, ttl).await?;
        Ok(UploadView {
            id,
            url: url.url,
            headers: UploadHeaders { content_type: upload.media_type, content_length: upload.bytes.to_string() },
            expires_at: Time(url.expires_at_ms),
        })
    }

    /// Keeps a file that came with a message; answers the id for `input.files`. `about` is as [`Platform::create_upload`]
    /// takes it. Idempotent by `mark`: a repeat with the same file has the same id.
    pub async fn keep_upload(
        &self,
        tenant: &TenantId,
        about: &Value,
        content: Bytes,
        mark: &str,
    ) -> Result<String, Failure> {
        let request =
            read(about).map_err(|issues| Failure::Refused(Refused::Invalid { what: Part::Request, issues }))?;
        let unique = hex::encode(&Sha256::digest(mark)[..10]);
        let upload = Upload { ulid: unique, bytes: content.len() as u64, ..request };
        let id = upload.id();
        self.ports.blobs.put(&BlobKey::of_upload(tenant, &id), content, &upload.media_type).await?;
        Ok(id)
    }
}

fn read(body: &Value) -> Result<Upload, Vec<FlowIssue>> {
    let request: UploadRequest = serde_json::from_value(body.clone())
        .map_err(|error| vec![FlowIssue::new("", error.to_string(), "{\"name\": text, \"bytes\": number}")])?;
    let mut issues = Vec::new();
    let name = match ArtifactPath::new(request.name.as_str()) {
        Ok(name) if name.as_str().len() <= NAME_BYTES_MAX => Some(name),
        Ok(_) => {
            issues.push(FlowIssue::new("name", "too long", format!("at most {NAME_BYTES_MAX} bytes")));
            None
        }
        Err(error) => {
            issues.push(FlowIssue::new("name", error.to_string(), "a relative path, e.g. notes.md"));
            None
        }
    };
    if !(1..=UPLOAD_BYTES_MAX).contains(&request.bytes) {
        issues.push(FlowIssue::new("bytes", "out of range", format!("1 to {UPLOAD_BYTES_MAX}")));
    }
    if request.media_type.as_deref().is_some_and(|media_type| !is_media_type(media_type)) {
        issues.push(FlowIssue::new("media_type", "not a media type", "e.g. text/markdown"));
    }
    match name {
        Some(name) if issues.is_empty() => {
            let media_type = request.media_type.unwrap_or_else(|| media_type(&name).to_owned());
            Ok(Upload { ulid: String::new(), name, media_type, bytes: request.bytes })
        }
        _ => Err(issues),
    }
}

/// `type/subtype`, without parameters.
fn is_media_type(text: &str) -> bool {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let parts: Vec<&str> = text.split('/').collect();
    text.len() <= MEDIA_TYPE_BYTES_MAX && parts.len() == 2 && parts.into_iter().all(token)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(body: &Value) -> Vec<String> {
        read(body).expect_err("refused").into_iter().map(|issue| issue.path).collect()
    }

    #[test]
    fn names_sizes_and_media_types_are_checked() {
        let good = json!({"name": "docs/notes.md", "bytes": 12, "media_type": "text/markdown"});
        assert_eq!(read(&good).expect("fine").media_type, "text/markdown");
        assert_eq!(paths(&json!({"name": "../x", "bytes": 0, "media_type": "a"})), ["name", "bytes", "media_type"]);
        assert_eq!(paths(&json!({"name": "x", "bytes": UPLOAD_BYTES_MAX + 1})), ["bytes"]);
        assert_eq!(paths(&json!({"name": "x".repeat(100) + "/" + &"y".repeat(110), "bytes": 1})), ["name"]);
        assert_eq!(paths(&json!({"name": "x"})), [""]);
        assert_eq!(paths(&json!({"name": "x", "bytes": 1, "media_type": "text/html; charset=utf-8"})), ["media_type"]);
    }

    #[test]
    fn an_id_says_what_was_announced_and_nothing_else_is_an_id() {
        let name = ArtifactPath::new("notes.md").expect("a path");
        let upload = Upload { ulid: "01".into(), name, media_type: "text/markdown".into(), bytes: 7 };
        let id = upload.id();
        assert_eq!(Upload::parse(&id), Some(upload));
        for bad in ["", "up_", "up_e30", &id[3..], &format!("{id}A")] {
            assert_eq!(Upload::parse(bad), None, "{bad}");
        }
    }
}
