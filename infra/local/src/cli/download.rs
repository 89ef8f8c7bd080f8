//! Copying a job's artifacts to a folder.

use std::path::{Path, PathBuf};

use convoke_api::artifact::{ArtifactList, ArtifactView, DownloadView};
use convoke_domain::path::ArtifactPath;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::api::Api;
use super::failure::Failure;
use super::follow::decode;

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Lists all artifacts of a job.
pub async fn artifacts(api: &Api, job: &str) -> Result<Vec<ArtifactView>, Failure> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = cursor.as_ref().map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let list: ArtifactList = decode(api.get(&format!("/v1/jobs/{job}/artifacts?limit=100{page}")).await?)?;
        all.extend(list.artifacts);
        match list.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(all),
        }
    }
}

/// Copies every artifact below `out`, checking each against its hash; answers them.
pub async fn download(api: &Api, job: &str, out: &Path) -> Result<Vec<ArtifactView>, Failure> {
    let artifacts = artifacts(api, job).await?;
    for artifact in &artifacts {
        let path = place(out, &artifact.path)?;
        let bytes = fetch(api, job, artifact).await?;
        write(&path, &bytes)?;
    }
    Ok(artifacts)
}

async fn fetch(api: &Api, job: &str, artifact: &ArtifactView) -> Result<Vec<u8>, Failure> {
    let path = utf8_percent_encode(&artifact.path, SEGMENT);
    let view: DownloadView = decode(api.get(&format!("/v1/jobs/{job}/artifacts/{path}?redirect=false")).await?)?;
    let bytes = api.download(&view.url).await?;
    if hex::encode(Sha256::digest(&bytes)) != artifact.sha256 {
        return Err(Failure::failed(format!("{} doesn't have the content that was promised", artifact.path)));
    }
    Ok(bytes)
}

/// Where a path lies below the folder: checked again here, whoever sent it.
fn place(out: &Path, path: &str) -> Result<PathBuf, Failure> {
    let path: ArtifactPath =
        path.parse().map_err(|_| Failure::failed(format!("the installation named an unsafe path: {path:?}")))?;
    Ok(path.as_str().split('/').fold(out.to_owned(), |place, part| place.join(part)))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| Failure::caused(&format!("{shown} can't be written"), &error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, bytes).map_err(failed)
}
