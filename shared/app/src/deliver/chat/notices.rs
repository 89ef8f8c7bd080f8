//! What notices say: the job as its views have it.

use convoke_api::job::JobView;
use convoke_api::review::ReviewView;
use convoke_domain::delivery::Shown;
use convoke_domain::ids::JobKey;
use serde_json::Value;

use super::{DeliverError, failed};
use crate::artifacts::ARCHIVE;
use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::{Attachment, CardNotice, EndNotice, FileRef, FilesMax, Requester, ReviewNotice};

/// Longest summary, in characters.
const SUMMARY_CHARS_MAX: usize = 1_000;
/// Files that an end names.
const FILES_NAMED: u32 = 100;
/// Fields of an output that hold what a person wants to read.
const SUMMARY_FIELDS: [&str; 5] = ["summary", "message", "answer", "text", "report"];

/// A job that is told of.
pub(super) struct Subject {
    pub job: JobView,
    pub requester: Option<Requester>,
}

impl Subject {
    /// The job as it stands.
    pub(super) async fn load(platform: &Platform, key: &JobKey) -> Result<Self, DeliverError> {
        let job = platform.job_view(key).await.map_err(failed)?;
        let outline = platform.job_outline(key).await.map_err(|error| failed(error.into()))?;
        Ok(Self { job, requester: outline.and_then(|outline| outline.definition.requester.clone()) })
    }

    pub(super) fn card(&self, token: &str, now_ms: u64) -> CardNotice {
        CardNotice { job: self.job.clone(), token: token.to_owned(), requester: self.requester.clone(), now_ms }
    }

    pub(super) fn review(&self, review: ReviewView, token: String) -> ReviewNotice {
        ReviewNotice { job: self.job.clone(), review, token, requester: self.requester.clone() }
    }

    pub(super) async fn end(
        &self,
        platform: &Platform,
        key: &JobKey,
        (shown, files_max): (&Shown, FilesMax),
    ) -> Result<EndNotice, DeliverError> {
        let artifacts = platform.artifacts(key, None, Some(FILES_NAMED)).await.map_err(failed)?;
        Ok(EndNotice {
            job: self.job.clone(),
            token: shown.token.clone().unwrap_or_default(),
            requester: self.requester.clone(),
            summary: summary(platform, key).await.map_err(failed)?,
            artifacts: artifacts.artifacts,
            artifacts_total: artifacts.total,
            files: files(platform, key, files_max).await.map_err(failed)?,
        })
    }
}

/// What came of a job, in its own words.
async fn summary(platform: &Platform, key: &JobKey) -> Result<Option<String>, Failure> {
    let outputs = platform.result(key).await?.outputs;
    Ok(outputs.values().rev().find_map(words).map(shortened))
}

fn words(output: &Value) -> Option<&str> {
    let text = match output {
        Value::String(text) => Some(text.as_str()),
        Value::Object(fields) => SUMMARY_FIELDS.iter().find_map(|name| fields.get(*name)?.as_str()),
        _ => None,
    };
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SUMMARY_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(SUMMARY_CHARS_MAX - 1).chain(['…']).collect()
}

/// The files that go with a job's end.
async fn files(platform: &Platform, key: &JobKey, most: FilesMax) -> Result<Vec<Attachment>, Failure> {
    let (_, root) = platform.known_job(key).await?;
    let manifest = platform.manifest(key, &root).await?.unwrap_or_default();
    let mut files = Vec::new();
    for file in fitting(&manifest.files, most) {
        let Some(bytes) = platform.ports.blobs.get(&file.key).await? else { continue };
        let name = file.path.rsplit('/').next().unwrap_or(&file.path).to_owned();
        files.push(Attachment { name, media_type: file.media_type.clone(), bytes });
    }
    Ok(files)
}

/// All files where they are few and small, else the archive where that is small, else none.
fn fitting(files: &[FileRef], most: FilesMax) -> Vec<&FileRef> {
    let (archives, own): (Vec<&FileRef>, Vec<&FileRef>) = files.iter().partition(|file| file.path == ARCHIVE);
    let fits =
        |some: &[&FileRef]| some.len() <= most.count && some.iter().map(|file| file.bytes).sum::<u64>() <= most.bytes;
    let mut choices = [own, archives].into_iter();
    choices.find(|some| fits(some) && !some.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ports::BlobKey;

    #[test]
    fn words_are_found_where_people_put_them() {
        for (output, expected) in [
            (json!(" Done.\n"), Some("Done.")),
            (json!({"status": "ok", "summary": "All is well"}), Some("All is well")),
            (json!({"summary": 5, "text": "x"}), Some("x")),
            (json!({"other": "x"}), None),
            (json!(""), None),
            (json!([1]), None),
        ] {
            assert_eq!(words(&output), expected, "{output}");
        }
        assert_eq!(shortened(&"é".repeat(1_001)).chars().count(), 1_000);
    }

    #[test]
    fn files_go_along_where_they_are_few_and_small() {
        let key = JobKey {
            tenant: "acme".parse().expect("a tenant"),
            job: "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("a job"),
        };
        let file = |path: &str, bytes| FileRef {
            path: path.into(),
            media_type: String::new(),
            bytes,
            sha256: String::new(),
            key: BlobKey::of_job(&key, "s", 1, path),
            step: String::new(),
        };
        let files = [file("REPORT.md", 10), file("archive.zip", 30), file("src/a.py", 40)];
        let paths = |count, bytes| {
            let some = fitting(&files, FilesMax { count, bytes });
            some.into_iter().map(|file| file.path.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(paths(2, 50), ["REPORT.md", "src/a.py"]);
        assert_eq!(paths(1, 50), ["archive.zip"]);
        assert_eq!(paths(9, 49), ["archive.zip"]);
        assert_eq!(paths(9, 29), Vec::<&str>::new());
        assert_eq!(fitting(&files[..1], FilesMax::default()), Vec::<&FileRef>::new());
    }
}
