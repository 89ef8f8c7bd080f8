//! Uploads that a submission names in `input.files` become the job's own: copied under its prefix, and described in its
//! input so that templates can show them. Those of an earlier job are named again, and copied from there.

use std::collections::BTreeMap;

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

/// Files that came with an earlier job, by the upload's id that names them now: where they are, and how they are described.
pub(super) type Kept = BTreeMap<String, (BlobKey, Value)>;

/// Names the files again that came with an earlier job, in its input: as they were named when it was submitted, so that the
/// input is checked as it was then. Those that it went on from go; what never was an upload stays as it is.
pub(super) fn name_again(earlier: &JobKey, input: &mut Map<String, Value>) -> Kept {
    let mut kept = Kept::new();
    let Some(Value::Array(files)) = input.get_mut("files") else { return kept };
    let count = files.len();
    files.retain(|file| file.get("earlier") != Some(&json!(true)));
    for (index, file) in files.iter_mut().enumerate() {
        let Some(upload) = Upload::again(file, index).filter(|_| kept.len() < FILES_MAX) else { continue };
        let id = upload.id();
        kept.insert(id.clone(), (input_file(earlier, index), std::mem::replace(file, id.into())));
    }
    if files.is_empty() && count > 0 {
        // There were none before the earlier job's own were described there.
        input.remove("files");
    }
    kept
}

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
    /// with its `text` where it is short. One that is `kept` is copied from where it is, and described as it was. A repeat
    /// copies the same again.
    pub(super) async fn take_over(
        &self,
        key: &JobKey,
        (uploads, kept): (&[(usize, Upload)], &Kept),
        input: &mut Value,
    ) -> Result<Vec<FlowIssue>, Failure> {
        let mut issues = Vec::new();
        let mut texts_left = TEXTS_BYTES_MAX;
        for (index, upload) in uploads {
            let Some(place) = input.pointer_mut(&format!("/files/{index}")) else { continue };
            let (id, to) = (place.as_str().unwrap_or_default(), input_file(key, *index));
            if let Some((from, described)) = kept.get(id) {
                // Steps see what the description says: one whose object is gone is as good to them.
                self.ports.blobs.copy(from, &to).await?;
                *place = described.clone();
                continue;
            }
            let from = BlobKey::of_upload(&key.tenant, id);
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
