//! Files as callers see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// A file of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactView {
    /// Its path in the job's tree.
    #[schema(example = "src/main.py")]
    pub path: String,
    /// Its media type.
    pub media_type: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// The step that made it.
    pub step: String,
    /// Its URL, which redirects to a presigned one.
    pub href: String,
}

/// A page of a job's files, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactList {
    /// The files; none before the job has ended.
    pub artifacts: Vec<ArtifactView>,
    /// How many there are in all.
    pub total: u32,
    /// Whether the job has ended, so that this is all there will be.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// For `?cursor=`; missing at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A file's presigned URL: the answer with `?redirect=false`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownloadView {
    /// Works without a key.
    pub url: String,
    /// Until then.
    pub expires_at: Time,
    /// The file's path.
    pub path: String,
    /// Its media type.
    pub media_type: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// Where to upload a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadView {
    /// For `input.files` of a submission.
    pub id: String,
    /// `PUT` the content here, with the headers below; works without a key.
    pub url: String,
    /// Headers that the `PUT` has to send.
    pub headers: UploadHeaders,
    /// Until then.
    pub expires_at: Time,
}

/// Headers of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadHeaders {
    /// The media type that was announced.
    #[serde(rename = "content-type")]
    pub content_type: String,
    /// The size that was announced.
    #[serde(rename = "content-length")]
    pub content_length: String,
}

/// The answer of `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Version of the software.
    pub version: String,
}
