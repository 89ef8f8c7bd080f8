//! Chats that a submission's `notify` names.

use std::collections::BTreeMap;

use convoke_api::flow::FlowIssue;
use convoke_api::request::NotifyTarget;
use convoke_domain::chat::{ChatId, RealmId};
use convoke_domain::ids::{JobKey, TargetId, TenantId};
use futures_util::future::try_join_all;
use serde_json::Value;

use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::{ALL_EVENTS, PortError, Target, Wanted};
use crate::work::JobOutline;

/// Moves of a chat that are followed; platforms make one in years.
pub(crate) const MOVES_MAX: u32 = 3;
/// Jobs that are looked up side by side.
const SIDE_BY_SIDE: usize = 25;

impl Platform {
    /// Whether the chat is in what is linked to this tenant.
    pub(crate) async fn chat_is_linked(&self, tenant: &TenantId, chat: &ChatId) -> Result<bool, PortError> {
        let Some(realm) = self.realm_of(tenant, chat).await? else { return Ok(false) };
        Ok(self.ports.links.link(&realm).await?.is_some_and(|link| link.tenant == *tenant))
    }

    /// Which of these jobs are told of in a realm, in their order: where they were asked for, or are to be shown. A job
    /// that there isn't is told of nowhere.
    pub async fn told_in(&self, keys: &[JobKey], realm: &RealmId) -> Result<Vec<bool>, Failure> {
        let mut realms: BTreeMap<ChatId, Option<RealmId>> = BTreeMap::new();
        let mut told = Vec::with_capacity(keys.len());
        for page in keys.chunks(SIDE_BY_SIDE) {
            for outline in try_join_all(page.iter().map(|key| self.job_outline(key))).await? {
                let mut is_told = false;
                for (tenant, chat) in outline.iter().flat_map(|outline| chats_of(outline)) {
                    let of_chat = match realms.get(&chat) {
                        Some(known) => *known,
                        None => self.realm_of(tenant, &chat).await?,
                    };
                    realms.insert(chat, of_chat);
                    is_told |= of_chat == Some(*realm);
                }
                told.push(is_told);
            }
        }
        Ok(told)
    }

    /// Whether a submission's body tells a chat of that realm.
    pub async fn tells_in(&self, tenant: &TenantId, body: &Value, realm: &RealmId) -> Result<bool, Failure> {
        let targets = body.get("notify").and_then(Value::as_array);
        for chat in targets.into_iter().flatten().filter_map(chat_of) {
            if self.realm_of(tenant, &chat).await? == Some(*realm) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The realm of a chat as it is called now, as far as the tenant knows it.
    pub(crate) async fn realm_of(&self, tenant: &TenantId, chat: &ChatId) -> Result<Option<RealmId>, PortError> {
        let mut chat = *chat;
        for _ in 0..=MOVES_MAX {
            if let Some(person @ RealmId::Person(_)) = chat.own_realm() {
                return Ok(Some(person));
            }
            let room = self.ports.rooms.standing(tenant, &chat.room()).await?.room;
            match room.as_ref().and_then(|room| room.moved_to) {
                Some(to) => chat = to,
                None => return Ok(chat.own_realm().or(room.map(|room| room.realm))),
            }
        }
        Ok(None)
    }
}

fn chats_of(outline: &JobOutline) -> impl Iterator<Item = (&TenantId, ChatId)> {
    outline.definition.targets.iter().filter_map(|target| match &target.id {
        TargetId::Chat(chat) => Some((&outline.key.tenant, *chat)),
        TargetId::Webhook(_) => None,
    })
}

/// The chat that an entry of `notify` names; `None` where it names something else, or nothing that can be.
pub(crate) fn chat_of(target: &Value) -> Option<ChatId> {
    match serde_json::from_value(target.clone()).ok()? {
        NotifyTarget::Webhook(_) => None,
        NotifyTarget::Discord(discord) => discord.channel.parse().ok().map(ChatId::Discord),
        NotifyTarget::Telegram(telegram) => {
            let thread = telegram.thread.map(i32::try_from).transpose().ok()?;
            (telegram.chat != 0).then_some(ChatId::Telegram { chat: telegram.chat, thread })
        }
    }
}

/// A chat as a target: its card shows whatever happens.
pub(crate) fn chat_target(chat: ChatId) -> Target {
    Target { id: TargetId::Chat(chat), events: Wanted([ALL_EVENTS.to_owned()].into()) }
}

/// What is wrong with a chat that isn't linked.
pub(crate) fn not_linked(index: usize, chat: &ChatId) -> FlowIssue {
    let hint = match chat {
        ChatId::Discord(_) => {
            "link its server: `convoke link` makes a code for /crew link; then use any command of the bot in the channel \
             once, so that it is known to belong there"
        }
        ChatId::Telegram { .. } => "link it: `convoke link` makes a code for /link in that chat",
    };
    FlowIssue::new(format!("notify[{index}]"), "the chat isn't linked to you", hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_name_chats() {
        let named = |target: Value| chat_of(&target).map(|chat| chat.to_string());
        assert_eq!(named(json!({"discord": {"channel": "77"}})).as_deref(), Some("dc_77"));
        assert_eq!(named(json!({"telegram": {"chat": -5, "thread": 2}})).as_deref(), Some("tg_-5_2"));
        for other in [
            json!({"webhook": "w"}),
            json!({"discord": {"channel": "x"}}),
            json!({"telegram": {"chat": 0}}),
            json!({"telegram": {"chat": 1, "thread": 1_u64 << 40}}),
            json!(7),
        ] {
            assert_eq!(named(other.clone()), None, "{other}");
        }
    }
}
