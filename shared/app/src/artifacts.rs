//! Files of jobs: listed and handed out from the committed manifest alone.

use bytes::Bytes;
use convoke_api::artifact::{ArtifactList, ArtifactView, DownloadView};
use convoke_api::cursor;
use convoke_api::job::Links;
use convoke_api::time::Time;
use convoke_domain::ids::JobKey;
use convoke_domain::path::ArtifactPath;
use convoke_domain::status::JobStatus;

use crate::failure::{Failure, Refused};
use crate::platform::Platform;
use crate::ports::{FileRef, Manifest};
use crate::read::page_limit;
use crate::work::WorkError;

/// The file that holds all others.
pub const ARCHIVE: &str = "archive.zip";

impl Platform {
    /// A page of a job's files, sorted by path; there are none before it has ended.
    pub async fn artifacts(
        &self,
        key: &JobKey,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<ArtifactList, Failure> {
        let limit = page_limit(limit)? as usize;
        let after: Option<String> =
            cursor.map(|text| cursor::decode("artifacts", text)).transpose().map_err(Refused::Cursor)?;
        let (_, root) = self.known_job(key).await?;
        let manifest = self.manifest(key, &root).await?;
        let is_final = manifest.is_some();
        let files = manifest.unwrap_or_default().files;
        let rest = files.iter().filter(|file| after.as_ref().is_none_or(|after| file.path > *after));
        let mut page: Vec<&FileRef> = rest.take(limit + 1).collect();
        let has_more = page.len() > limit;
        page.truncate(limit);
        let next_cursor = page.last().filter(|_| has_more).map(|file| cursor::encode("artifacts", &file.path));
        Ok(ArtifactList {
            artifacts: page.into_iter().map(|file| view(key, file)).collect(),
            total: u32::try_from(files.len()).unwrap_or(u32::MAX),
            is_final,
            next_cursor,
        })
    }

    /// A URL to download a file of a job that has ended. [`Refused::Path`] for what is no path at all,
    /// [`Refused::ArtifactNotFound`] for what isn't in the manifest, [`Refused::JobNotEnded`] while there is none.
    pub async fn download(&self, key: &JobKey, path: &str) -> Result<DownloadView, Failure> {
        let path = ArtifactPath::new(path).map_err(Refused::Path)?;
        let manifest = self.delivered(key).await?;
        let file = manifest.files.into_iter().find(|file| file.path == path.as_str());
        let file = file.ok_or_else(|| Refused::ArtifactNotFound { path: path.to_string() })?;
        let ttl = self.limits.presign_ttl;
        let url = self.ports.blobs.presign_get(&file.key, path.file_name(), &file.media_type, ttl).await?;
        Ok(DownloadView {
            url: url.url,
            expires_at: Time(url.expires_at_ms),
            path: file.path,
            media_type: file.media_type,
            bytes: file.bytes,
            sha256: file.sha256,
        })
    }

    /// The content of a file of a job that has ended; as [`Platform::download`] otherwise.
    pub async fn artifact_bytes(&self, key: &JobKey, path: &str) -> Result<Bytes, Failure> {
        let manifest = self.delivered(key).await?;
        let file = manifest.files.into_iter().find(|file| file.path == path);
        let file = file.ok_or_else(|| Refused::ArtifactNotFound { path: path.to_owned() })?;
        let bytes = self.ports.blobs.get(&file.key).await?;
        let missing = || WorkError::Corrupt { job: key.to_string(), detail: format!("object {} is missing", file.key) };
        Ok(bytes.ok_or_else(missing)?)
    }

    async fn delivered(&self, key: &JobKey) -> Result<Manifest, Failure> {
        let (_, root) = self.known_job(key).await?;
        let status = root.root().map_or(JobStatus::Queued, |job| job.status);
        let manifest = self.manifest(key, &root).await?;
        Ok(manifest.ok_or(Refused::JobNotEnded { status })?)
    }
}

fn view(key: &JobKey, file: &FileRef) -> ArtifactView {
    ArtifactView {
        href: format!("{}/{}", Links::of(&key.job).artifacts, escaped(&file.path)),
        path: file.path.clone(),
        media_type: file.media_type.clone(),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
        step: file.step.clone(),
    }
}

/// A path as it stands in a URL: everything but unreserved characters and slashes is percent-encoded.
fn escaped(path: &str) -> String {
    path.bytes().fold(String::with_capacity(path.len()), |mut url, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.extend(['%', hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
        url
    })
}

fn hex_digit(value: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(value & 15)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_for_urls() {
        assert_eq!(escaped("src/a b/é#?.py"), "src/a%20b/%C3%A9%23%3F.py");
        assert_eq!(escaped("a-_.~/b"), "a-_.~/b");
    }
}
