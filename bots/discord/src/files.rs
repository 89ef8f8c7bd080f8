//! Files that people attach to commands: fetched from where Discord keeps them, and from nowhere else.
//!
//! The URL comes with an interaction, which is signed. All the same it is looked at: a place outside of Discord's would
//! be one that somebody else chose, and we might reach what they can't.

use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use convoke_chat::command::Attached;
use convoke_desk::Attachments;
use convoke_runtime::http_client;
use reqwest::{Client, Url};

use crate::rest::failure::RestError;
use crate::settings::Settings;

/// Where Discord keeps files.
const HOSTS: [&str; 2] = ["cdn.discordapp.com", "media.discordapp.net"];
/// Largest file, in bytes; as large as an upload may be.
const BYTES_MAX: u64 = 10 * 1_024 * 1_024;
/// Longest time that a file takes to come.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Fetches what was attached.
#[derive(Clone, Debug)]
pub struct Files {
    http: Client,
    /// Where the API is, where that isn't Discord: a place of the operator's own keeps files, too.
    own: Option<Url>,
}

impl Files {
    /// Fetches from Discord, or from the place that settings name instead of it.
    pub fn new(settings: &Settings) -> Result<Self, RestError> {
        let http = http_client(CONNECT_TIMEOUT, TIMEOUT)
            .build()
            .map_err(|error| RestError::NotSetUp(format!("there is no HTTP client: {error}")))?;
        let own = settings.is_elsewhere().then(|| settings.url.parse().ok()).flatten();
        Ok(Self { http, own })
    }

    fn may(&self, url: &Url) -> bool {
        let is_discords = url.scheme() == "https"
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.host_str().is_some_and(|host| HOSTS.contains(&host));
        is_discords || self.own.as_ref().is_some_and(|own| own.origin() == url.origin())
    }
}

#[async_trait]
impl Attachments for Files {
    async fn fetch(&self, file: &Attached) -> Result<Bytes, String> {
        let url: Url = file.source.parse().map_err(|_| "it has no address".to_owned())?;
        if !self.may(&url) {
            return Err("it doesn't lie with Discord".to_owned());
        }
        let broken = |error: reqwest::Error| format!("it can't be fetched: {}", error.without_url());
        let mut response = self.http.get(url).send().await.map_err(broken)?;
        if !response.status().is_success() {
            return Err(format!("it can't be fetched: Discord answers {}", response.status().as_u16()));
        }
        if response.content_length().is_some_and(|bytes| bytes > BYTES_MAX) {
            return Err("it is larger than 10 MiB".to_owned());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if (bytes.len() + chunk.len()) as u64 > BYTES_MAX {
                return Err("it is larger than 10 MiB".to_owned());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::API_URL;

    fn files(url: &str) -> Files {
        Files::new(&Settings { url: url.into(), token: None, public_key: None }).expect("a client")
    }

    #[test]
    fn files_lie_with_discord_and_nowhere_else() {
        let files = files(API_URL);
        let may = |url: &str| url.parse().is_ok_and(|url| files.may(&url));
        assert!(may("https://cdn.discordapp.com/ephemeral-attachments/1/2/a.txt?ex=1&hm=2"));
        assert!(may("https://media.discordapp.net/attachments/1/2/a.png"));
        for url in [
            "http://cdn.discordapp.com/a",
            "https://cdn.discordapp.com:8443/a",
            "https://cdn.discordapp.com.example.com/a",
            "https://cdn.discordapp.com@169.254.169.254/a",
            "https://user:word@cdn.discordapp.com/a",
            "https://169.254.169.254/latest/meta-data",
            "http://127.0.0.1:7777/health",
            "https://discord.com/api/v10/users/@me",
            "file:///etc/passwd",
            "",
        ] {
            assert!(!may(url), "{url}");
        }
    }

    #[tokio::test]
    async fn what_lies_elsewhere_is_not_asked_for() {
        let attached = Attached { name: "a".into(), media_type: None, bytes: 1, source: "http://127.0.0.1:9/a".into() };
        let told = files(API_URL).fetch(&attached).await.expect_err("refused");
        assert_eq!(told, "it doesn't lie with Discord");
    }
}
