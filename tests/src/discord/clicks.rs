//! What people do on Discord, as Discord sends it: interactions, signed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use super::server::APPLICATION;

/// Seed of the application's key.
const SEED: [u8; 32] = [7; 32];
/// The application's public key, for `DISCORD_PUBLIC_KEY`; a test says so where it isn't.
pub const KEY_HEX: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
/// What a bot that may post has: to see the channel, write in it and in its threads, and embed.
const MAY_POST: u64 = 1 << 10 | 1 << 11 | 1 << 14 | 1 << 35 | 1 << 38;

/// Somebody in a channel of a guild.
pub struct Clicks {
    /// The guild; `None` in direct messages.
    pub guild: Option<u64>,
    /// The channel.
    pub channel: u64,
    /// Who.
    pub user: u64,
    /// What they are called.
    pub name: &'static str,
    /// What they may do in the guild.
    pub permissions: u64,
    /// What the bot may do in the channel.
    pub bot_permissions: u64,
    /// Who has installed the bot: "0" the guild, "1" the person.
    pub installed: &'static str,
    last_id: AtomicU64,
}

impl Clicks {
    /// The guild's owner, in its channel 6.
    pub fn owner() -> Self {
        Self {
            guild: Some(5),
            channel: 6,
            user: 42,
            name: "Ada",
            permissions: 1 << 3,
            bot_permissions: MAY_POST,
            installed: "0",
            last_id: AtomicU64::new(900),
        }
    }

    /// Somebody else there, who may decide nothing.
    pub fn member() -> Self {
        Self { user: 43, name: "Bob", permissions: 1 << 11, last_id: AtomicU64::new(5_900), ..Self::owner() }
    }

    /// A third one there, who may decide nothing either.
    pub fn guest() -> Self {
        Self { user: 44, name: "Cy", last_id: AtomicU64::new(6_900), ..Self::member() }
    }

    /// The member in a channel in which the bot may not post.
    pub fn muted() -> Self {
        Self { channel: 7, bot_permissions: 1 << 10, last_id: AtomicU64::new(9_900), ..Self::member() }
    }

    /// The same person, whose interactions are numbered from another number on.
    #[must_use]
    pub fn numbered_from(self, id: u64) -> Self {
        Self { last_id: AtomicU64::new(id), ..self }
    }

    /// Somebody in direct messages with the bot.
    pub fn direct() -> Self {
        Self { guild: None, channel: 66, last_id: AtomicU64::new(7_900), ..Self::owner() }
    }

    /// The owner, who has the bot for themselves in a guild that never invited it.
    pub fn elsewhere() -> Self {
        Self { installed: "1", last_id: AtomicU64::new(8_900), ..Self::owner() }
    }

    /// An interaction of a type.
    pub fn interaction(&self, kind: u8, data: &Value) -> Value {
        let id = self.last_id.fetch_add(1, Ordering::SeqCst);
        let user = json!({"id": self.user.to_string(), "username": self.name.to_lowercase(), "global_name": self.name,
            "discriminator": "0", "avatar": null});
        let mut value = json!({
            "id": id.to_string(), "application_id": APPLICATION, "type": kind, "token": format!("token-of-{id}"),
            "version": 1, "data": data, "channel_id": self.channel.to_string(),
            "channel": {"id": self.channel.to_string(), "type": u8::from(self.guild.is_none())},
            "app_permissions": self.bot_permissions.to_string(), "locale": "en-US", "entitlements": [],
            "attachment_size_limit": 10_485_760
        });
        let owner = if self.installed == "0" { self.guild.unwrap_or(0) } else { self.user };
        value["authorizing_integration_owners"] = json!({ self.installed: owner.to_string() });
        if let Some(guild) = self.guild {
            value["context"] = 0.into();
            value["guild_id"] = guild.to_string().into();
            value["member"] = json!({
                "user": user, "nick": null, "permissions": self.permissions.to_string(), "roles": [],
                "joined_at": "2026-01-01T00:00:00.000000+00:00", "deaf": false, "mute": false, "flags": 0
            });
        } else {
            value["context"] = 1.into();
            value["user"] = user;
        }
        value
    }

    /// `/crew WORDS`, with options by name.
    pub fn command(&self, words: &[&str], options: &[(&str, Value)]) -> Value {
        self.interaction(2, &crew(words, options, &json!({})))
    }

    /// The same with a file.
    pub fn command_with_file(&self, words: &[&str], options: &[(&str, Value)], (option, file): (&str, Value)) -> Value {
        let mut options = options.to_vec();
        options.push((option, "31".into()));
        let mut data = crew(words, &options, &json!({"attachments": {"31": file}}));
        let mut within = &mut data["options"];
        for _ in 1..words.len() {
            within = &mut within[0]["options"];
        }
        let given = within[0]["options"].as_array_mut().expect("options");
        given.last_mut().expect("one")["type"] = 11.into();
        self.interaction(2, &data)
    }

    /// An option being typed.
    pub fn typing(&self, words: &[&str], (option, text): (&str, &str)) -> Value {
        let mut value = self.interaction(4, &crew(words, &[(option, text.into())], &json!({})));
        let mut within = &mut value["data"]["options"];
        for _ in 0..words.len() {
            within = &mut within[0]["options"];
        }
        within[0]["focused"] = true.into();
        value
    }

    /// A button of a message pressed.
    pub fn press(&self, custom_id: &str) -> Value {
        let mut value = self.interaction(3, &json!({"custom_id": custom_id, "component_type": 2}));
        value["message"] = message(&[]);
        value
    }

    /// A modal sent off; `on_message` where a button opened it.
    pub fn modal(&self, custom_id: &str, text: &str) -> Value {
        let field = json!({"type": 4, "custom_id": "text", "value": text});
        let rows = json!([{"type": 1, "components": [field]}]);
        self.interaction(5, &json!({"custom_id": custom_id, "components": rows}))
    }

    /// The same, of a modal that a button opened.
    pub fn modal_of_button(&self, custom_id: &str, text: &str) -> Value {
        let mut value = self.modal(custom_id, text);
        value["message"] = message(&[]);
        value
    }

    /// The command of a message's menu.
    pub fn on_message(&self, name: &str, buttons: &[&str]) -> Value {
        let resolved = json!({"messages": {"8": message(buttons)}});
        self.interaction(2, &json!({"id": "2", "name": name, "type": 3, "target_id": "8", "resolved": resolved}))
    }
}

fn crew(words: &[&str], options: &[(&str, Value)], resolved: &Value) -> Value {
    let kind = |value: &Value| if value.is_number() { 10 } else { 3 };
    let given: Vec<Value> =
        options.iter().map(|(name, value)| json!({"name": name, "type": kind(value), "value": value})).collect();
    let mut inner = json!(given);
    for (depth, word) in words.iter().enumerate().rev() {
        let kind = if depth + 1 == words.len() { 1 } else { 2 };
        inner = json!([{"name": word, "type": kind, "options": inner}]);
    }
    json!({"id": "1", "name": "crew", "type": 1, "options": inner, "resolved": resolved})
}

fn message(buttons: &[&str]) -> Value {
    let buttons: Vec<Value> =
        buttons.iter().map(|id| json!({"type": 2, "style": 2, "custom_id": id, "label": "x"})).collect();
    let bot = json!({"id": APPLICATION, "username": "convoke", "discriminator": "0", "avatar": null, "bot": true});
    json!({
        "id": "8", "channel_id": "6", "author": bot, "content": "", "type": 0, "timestamp": "2026-11-21T15:00:00.000000+00:00",
        "edited_timestamp": null, "tts": false, "mention_everyone": false, "mentions": [], "mention_roles": [],
        "attachments": [], "embeds": [], "pinned": false, "components": [{"type": 1, "components": buttons}]
    })
}

/// Now, in Unix seconds.
#[expect(clippy::disallowed_methods, reason = "Discord signs by its own clock")]
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The signature of a body that is sent at a time, as Discord makes it.
pub fn signature(timestamp: &str, body: &str) -> String {
    let key = SigningKey::from_bytes(&SEED);
    hex::encode(key.sign(format!("{timestamp}{body}").as_bytes()).to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_key_is_that_of_the_signatures() {
        assert_eq!(hex::encode(SigningKey::from_bytes(&SEED).verifying_key().to_bytes()), KEY_HEX);
    }
}
