//! Files that people send, fetched from where Telegram keeps them.

use async_trait::async_trait;
use bytes::Bytes;
use convoke_chat::command::Attached;
use convoke_desk::Attachments;
use serde::Deserialize;
use teloxide::payloads::GetFile;
use teloxide::types::FileId;

use crate::api::{Api, DOWNLOAD_BYTES_MAX};

/// Fetches what was sent.
#[derive(Clone, Debug)]
pub struct Files {
    api: Api,
}

#[derive(Deserialize)]
struct Found {
    file_path: Option<String>,
}

impl Files {
    /// As this bot.
    pub const fn new(api: Api) -> Self {
        Self { api }
    }
}

#[async_trait]
impl Attachments for Files {
    async fn fetch(&self, file: &Attached) -> Result<Bytes, String> {
        if file.bytes > DOWNLOAD_BYTES_MAX {
            return Err("it is larger than 20 MB, which is all that Telegram hands to bots".to_owned());
        }
        let found = self.api.call(&GetFile { file_id: FileId(file.source.clone()) }).await;
        let Found { file_path } = found.map_err(|error| error.to_string())?;
        let path = file_path.ok_or_else(|| "Telegram doesn't say where it is".to_owned())?;
        Ok(self.api.download(&path).await.map_err(|error| error.to_string())?.into())
    }
}
