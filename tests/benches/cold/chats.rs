//! What people do in chats, for the bots' functions: they list jobs where nobody has linked the chat, which is answered from
//! the table.

use std::collections::BTreeMap;

use convoke_tests::discord::clicks::{now_s, signature};
use convoke_tests::discord::{Clicks, DiscordServer};
use convoke_tests::telegram::{BotApi, Chat, Person, Updates};
use serde_json::{Value, json};

use super::events::sent;

/// Both platforms' stand-ins.
pub struct Chats {
    discord: DiscordServer,
    telegram: BotApi,
    clicks: Clicks,
    updates: Updates,
}

impl Chats {
    pub async fn start() -> Self {
        let (discord, telegram) = (DiscordServer::start().await, BotApi::start().await);
        Self { discord, telegram, clicks: Clicks::owner(), updates: Updates::default() }
    }

    /// What the bots are told.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.discord.settings().into_iter().chain(self.telegram.settings())
    }

    /// `/crew list`, signed just now.
    pub fn interaction(&self) -> Value {
        let body = self.clicks.command(&["list"], &[]).to_string();
        let timestamp = now_s().to_string();
        let headers = json!({
            "content-type": "application/json", "x-signature-timestamp": timestamp,
            "x-signature-ed25519": signature(&timestamp, &body)
        });
        sent("POST", convoke_discord::endpoint::PATH, &headers, &body)
    }

    /// `/jobs` to the bot itself.
    pub fn update(&self) -> Value {
        let settings: BTreeMap<String, String> =
            self.telegram.settings().iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let secret = convoke_telegram::settings::Settings::read(&settings).expect("settings").expect("a token").secret;
        let ada = Person(42, "Ada");
        let body = self.updates.says(Chat::Private(ada), ada, "/jobs").to_string();
        let headers =
            json!({"content-type": "application/json", convoke_telegram::webhook::SECRET_HEADER: secret.expose()});
        sent("POST", convoke_telegram::webhook::PATH, &headers, &body)
    }
}
