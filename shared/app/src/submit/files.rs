//! Uploads that a submission names in `input.files` become the job's own: copied under its prefix, and described in its
//! input so that templates can show them.

use bytes::Bytes;
use convoke_api::flow::FlowIssue;
use convoke_domain::ids::JobKey;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::BlobKey;
use crate::uploads::{UPLOAD_PREFIX, Upload};

/// Most files of a job's input.
pub const FILES_MAX: usize = 20;
/// Largest file whose text stands in the input.
pub(super) const TEXT_BYTES_MAX: u64 = 64 * 1024;
/// Texts of all files together.
pub(super) const TEXTS_BYTES_MAX: u64 = 256 * 1024;

/// The uploads that an input names, with their places in the list; an input without any has none.
pub(super) fn named(input: &Value) -> Result<Vec<(usize, Upload)>, Vec<FlowIssue>> {
    let Some(files) = input.get("files").and_then(Value::as_array) else { return Ok(Vec::new()) };
    let ids = files.iter().enumerate().filter_map(|(index, file)| Some((index, file.as_str()?)));
    let ids: Vec<(usize, &str)> = ids.filter(|(_, id)| id.starts_with(UPLOAD_PREFIX)).collect();
    if ids.len() > FILES_MAX {
        let message = format!("has {} files", ids.len());
        return Err(vec![FlowIssue::new("input.files", message, format!("at most {FILES_MAX}"))]);
    }
    let (mut uploads, mut issues) = (Vec::new(), Vec::new());
    for (index, id) in ids {
        match Upload::parse(id) {
            Some(upload) => uploads.push((index, upload)),
            None => issues.push(missing(index)),
        }
    }
    if issues.is_empty() { Ok(uploads) } else { Err(issues) }
}

fn missing(index: usize) -> FlowIssue {
    let hint = "announce the file by POST /v1/uploads and PUT its content before you submit";
    FlowIssue::new(format!("input.files[{index}]"), "there is no such upload", hint)
}

impl Platform {
    /// Takes over the uploads: copies each under the job and describes it in the input as `{name, media_type, bytes}`,
    /// with its `text` where it is short. A repeat copies the same again.
    pub(super) async fn take_over(
        &self,
        key: &JobKey,
        uploads: &[(usize, Upload)],
        input: &mut Value,
    ) -> Result<Vec<FlowIssue>, Failure> {
        let mut issues = Vec::new();
        let mut texts_left = TEXTS_BYTES_MAX;
        for (index, upload) in uploads {
            let Some(place) = input.pointer_mut(&format!("/files/{index}")) else { continue };
            let from = BlobKey::of_upload(&key.tenant, place.as_str().unwrap_or_default());
            let to = input_file(key, *index);
            let Some(Taken { text }) = self.take(&from, &to, upload, texts_left).await? else {
                issues.push(missing(*index));
                continue;
            };
            texts_left -= text.as_ref().map_or(0, |text| text.len() as u64);
            *place = described(upload, text);
        }
        Ok(issues)
    }

    /// Nothing where there is no such upload.
    async fn take(&self, from: &BlobKey, to: &BlobKey, upload: &Upload, left: u64) -> Result<Option<Taken>, Failure> {
        let blobs = &self.ports.blobs;
        if upload.bytes > TEXT_BYTES_MAX.min(left) {
            return Ok(blobs.copy(from, to).await?.then_some(Taken { text: None }));
        }
        // Read once and stored, so that the text is the file's, whoever puts the upload again meanwhile.
        let Some(bytes) = blobs.get(from).await? else { return Ok(None) };
        blobs.put(to, Bytes::clone(&bytes), &upload.media_type).await?;
        let fits = bytes.len() as u64 <= TEXT_BYTES_MAX.min(left);
        Ok(Some(Taken { text: String::from_utf8(bytes.into()).ok().filter(|_| fits) }))
    }
}

/// An upload that a job has taken over.
struct Taken {
    /// What it says, where it is a short text.
    text: Option<String>,
}

/// Where a job's input file is stored.
fn input_file(key: &JobKey, index: usize) -> BlobKey {
    BlobKey::of_job(key, "(input)", 0, &format!("files/{index}"))
}

fn described(upload: &Upload, text: Option<String>) -> Value {
    let mut file = Map::new();
    file.insert("name".into(), json!(upload.name.as_str()));
    file.insert("media_type".into(), json!(upload.media_type));
    file.insert("bytes".into(), json!(upload.bytes));
    if let Some(text) = text {
        file.insert("text".into(), text.into());
    }
    Value::Object(file)
}
