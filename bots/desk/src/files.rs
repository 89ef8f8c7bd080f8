//! What a job has made, handed over: as links where they lead anywhere from outside, otherwise with the message.
//!
//! Links are made when they are asked for, and said to whoever asked alone. A link to this machine is never said.

use std::net::IpAddr;

use convoke_api::artifact::DownloadView;
use convoke_app::artifacts::ARCHIVE;
use convoke_app::failure::{Failure, Refused};
use convoke_chat::answer;
use convoke_chat::command::{JobName, Verb};
use convoke_chat::page::Page;
use convoke_chat::reply::{Audience, File, Reply};
use convoke_chat::words;
use convoke_domain::ids::JobKey;
use convoke_domain::status::JobStatus;

use crate::Desk;
use crate::here::Here;
use crate::trouble::Answer;

/// Largest file that goes with a message: Discord takes 10 MiB with all around it.
pub const ATTACHED_BYTES_MAX: u64 = 8 * 1_024 * 1_024;
/// Files that are asked for to be shown.
const LISTED: u32 = 20;

impl Desk {
    pub(crate) async fn artifacts(&self, here: &Here<'_>, job: Option<&JobName>, path: Option<&str>) -> Answer {
        let key = self.find(here, (Verb::Artifacts, job), JobStatus::is_terminal).await?;
        match path {
            Some(path) => self.file(&key, path).await,
            None => self.files(here, &key).await,
        }
    }

    pub(crate) async fn files(&self, here: &Here<'_>, key: &JobKey) -> Answer {
        let files = self.platform.artifacts(key, None, Some(LISTED)).await?;
        let shown = self.shown(here, key).await?;
        Ok(Reply::private(answer::files(&shown.job, &files, &shown.token)))
    }

    /// All files in one.
    pub(crate) async fn zip(&self, key: &JobKey) -> Answer {
        match self.platform.download(key, ARCHIVE).await {
            Err(Failure::Refused(Refused::ArtifactNotFound { .. })) => {
                Ok(Reply::private(answer::short(words::NO_ZIP, "")))
            }
            found => self.hand_over(key, found?).await,
        }
    }

    async fn file(&self, key: &JobKey, path: &str) -> Answer {
        let path = path.trim().trim_start_matches('/');
        match self.platform.download(key, path).await {
            Err(Failure::Refused(Refused::ArtifactNotFound { .. } | Refused::Path(_))) => {
                Ok(Reply::private(answer::no_file(path)))
            }
            found => self.hand_over(key, found?).await,
        }
    }

    async fn hand_over(&self, key: &JobKey, found: DownloadView) -> Answer {
        if leads_outside(&found.url) {
            return Ok(Reply::secret(answer::file_link(&found.path, &found.url, found.bytes)));
        }
        if found.bytes > ATTACHED_BYTES_MAX {
            let place = self.place(key, &found.path).await?;
            return Ok(Reply::private(answer::file_on_host(&found.path, found.bytes, &place)));
        }
        let bytes = self.platform.artifact_bytes(key, &found.path).await?.to_vec();
        let name = found.path.rsplit('/').next().unwrap_or(&found.path).to_owned();
        let page: Page = answer::file_attached(&found.path, found.bytes);
        let file = File { name, media_type: found.media_type, bytes };
        Ok(Reply::Say { page, audience: Audience::Asker, files: vec![file] })
    }

    /// Where a file is on this machine: laid down there where the desk has a shelf, otherwise how to get it.
    async fn place(&self, key: &JobKey, path: &str) -> Result<String, Failure> {
        let Some(shelf) = &self.shelf else { return Ok(format!("convoke jobs download {}", key.job)) };
        let bytes = self.platform.artifact_bytes(key, path).await?;
        match shelf.lay(key, path, bytes).await {
            Ok(place) => Ok(place),
            Err(error) => {
                tracing::warn!(job = %key, error = &error as &dyn std::error::Error, "a file can't be laid down");
                Ok(format!("convoke jobs download {}", key.job))
            }
        }
    }
}

/// Whether a link means the same on another machine.
fn leads_outside(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_here = match host.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => host.is_empty() || host == "localhost" || host.ends_with(".localhost"),
    };
    !is_here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_this_machine_are_known() {
        for here in [
            "http://127.0.0.1:8787/b/k?x=1",
            "http://127.3.2.1/",
            "https://localhost:1/",
            "http://s3.localhost/k",
            "http://[::1]:80/k",
            "http://0.0.0.0/k",
            "",
        ] {
            assert!(!leads_outside(here), "{here}");
        }
        for outside in
            ["https://b.s3.eu-central-1.amazonaws.com/k?X-Amz=1", "http://192.168.1.5:8787/k", "https://x@h.example/k"]
        {
            assert!(leads_outside(outside), "{outside}");
        }
    }
}
