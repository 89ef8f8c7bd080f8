//! What is kept of chats: whose they are, how fast they are told, what waits for them, what came in from them.

use async_trait::async_trait;
use convoke_domain::chat::{Bot, ChatId, PersonId, RealmId};
use convoke_domain::ids::{JobId, JobKey, TenantId};
use convoke_domain::money::MicroUsd;
use convoke_domain::room::{Ended, Room};
use serde::{Deserialize, Serialize};

use super::{PortError, Saved};

/// Who asked for something in a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// Who.
    pub person: PersonId,
    /// As the chat showed their name then.
    pub name: String,
}

/// Who may submit in what is linked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhoMay {
    /// Everybody there.
    #[default]
    Everybody,
    /// Its admins.
    Admins,
}

/// What a one-time code opens. The code itself isn't kept, its hash is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCode {
    /// Version of the shape: 1.
    pub v: u8,
    /// Who pays.
    pub tenant: TenantId,
    /// Who may submit then.
    pub who_may: WhoMay,
    /// Unix seconds after which it opens nothing.
    pub expires_s: u64,
}

/// What a guild, a group or a person's direct messages are linked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Version of the shape: 1.
    pub v: u8,
    /// What is linked.
    pub realm: RealmId,
    /// Who pays.
    pub tenant: TenantId,
    /// As the platform called it then; may be empty.
    pub title: String,
    /// Who may submit.
    pub who_may: WhoMay,
    /// Who linked it.
    pub by: Requester,
    /// When (Unix milliseconds).
    pub created_ms: u64,
    /// Hash of the code that did it: whoever doesn't know whether it was taken finds it here.
    pub code: String,
}

/// What came of using a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// It is linked, now or by an earlier try whose answer was lost.
    Done,
    /// It is linked to another tenant; nothing has changed, and the code is still good.
    Foreign,
    /// There is no such code (any more).
    NoCode,
}

/// Realms and their tenants. A realm tells its tenant, and a code too: they are how a tenant is found in the first place.
#[async_trait]
pub trait Links: Send + Sync {
    /// Keeps a code by its hash until it expires.
    async fn put_link_code(&self, hash: &str, code: &LinkCode) -> Result<(), PortError>;

    /// A code that was put and not used up, expired or not; strongly read.
    async fn link_code(&self, hash: &str) -> Result<Option<LinkCode>, PortError>;

    /// Uses up a code that hasn't expired at `now_s` and links a realm, in one transaction. A link of the same tenant is
    /// replaced, one of another isn't. Idempotent by [`Link::code`].
    async fn use_link_code(&self, link: &Link, now_s: u64) -> Result<Linked, PortError>;

    /// Forgets a code, whoever's it is. Idempotent.
    async fn drop_link_code(&self, hash: &str) -> Result<(), PortError>;

    /// The link of a realm, strongly read.
    async fn link(&self, realm: &RealmId) -> Result<Option<Link>, PortError>;

    /// All links of a tenant, by realm.
    async fn links(&self, tenant: &TenantId) -> Result<Vec<Link>, PortError>;

    /// Takes a link away; `false` where the tenant has none to that realm.
    async fn unlink(&self, tenant: &TenantId, realm: &RealmId) -> Result<bool, PortError>;

    /// Puts `link` in the place of the same tenant's link of `from`, in one transaction: the platform calls a group
    /// otherwise. A repeat changes nothing; `false` where `from` isn't the tenant's, or the new realm is another's.
    async fn move_link(&self, link: &Link, from: &RealmId) -> Result<bool, PortError>;
}

/// What somebody wants done next, while a job still runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// In their words.
    pub prompt: String,
    /// The cap, where they named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<MicroUsd>,
}

/// What the token of a button stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// Version of the shape: 1.
    pub v: u8,
    /// About which job.
    #[serde(flatten)]
    pub key: JobKey,
    /// Where it was shown.
    pub chat: ChatId,
    /// The review that it decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
    /// What is wanted of a job that is to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
    /// Unix seconds after which it stands for nothing.
    pub expires_s: u64,
}

/// Something that came in, as its platform numbers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpdateId {
    /// From where.
    pub bot: Bot,
    /// Its id there.
    pub id: String,
}

/// Who is at an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The caller, alone, until the lease runs out.
    Mine,
    /// Somebody else, whose lease runs: have it sent again later.
    Taken,
    /// Nobody: it is done.
    Done,
}

/// What comes in from chats.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Keeps what a token stands for by its hash. Idempotent.
    async fn put_button(&self, hash: &str, button: &Button) -> Result<(), PortError>;

    /// What a token stands for, expired or not.
    async fn button(&self, hash: &str) -> Result<Option<Button>, PortError>;

    /// Claims an update until `lease_until_ms`, in one conditional write: it is nobody's yet, or the lease of whoever
    /// claimed it has run out at `now_ms`. `nonce` names the claim: whoever doesn't know whether it was applied gets
    /// [`Claimed::Mine`] again.
    async fn claim_update(
        &self,
        update: &UpdateId,
        nonce: &str,
        (now_ms, lease_until_ms): (u64, u64),
    ) -> Result<Claimed, PortError>;

    /// The update is done: nobody claims it again. Kept for two days after `now_ms`. Idempotent.
    async fn end_update(&self, update: &UpdateId, now_ms: u64) -> Result<(), PortError>;

    /// Counts one more of something of a tenant's; answers how many there are with it. Forgotten after `expires_s`. Not
    /// idempotent: where the answer is lost, one too many is counted.
    async fn count(&self, tenant: &TenantId, what: &str, expires_s: u64) -> Result<u64, PortError>;
}

/// What has to be known before something is sent to a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The chat's room; `None` before the first message.
    pub room: Option<Room>,
    /// Unix milliseconds before which the platform wants no call of the bot at all.
    pub bot_not_before_ms: u64,
}

/// What goes out to chats.
#[async_trait]
pub trait Rooms: Send + Sync {
    /// A room of a tenant's and its bot, strongly read.
    async fn standing(&self, tenant: &TenantId, room: &ChatId) -> Result<Standing, PortError>;

    /// Stores the next version of a room in one conditional write: version 1 where there is none, a later one over the
    /// one before it. Idempotent by its mark.
    async fn save_room(&self, tenant: &TenantId, room: &Room) -> Result<Saved<Room>, PortError>;

    /// Counts one more call of a bot in that second; answers which it is, from 1. Not idempotent: where the answer is
    /// lost, one too many is counted.
    async fn count_call(&self, bot: Bot, second: u64) -> Result<u64, PortError>;

    /// The platform wants no call of the bot before then; an earlier wish for later stands.
    async fn halt_bot(&self, bot: Bot, until_ms: u64) -> Result<(), PortError>;

    /// Notes that a job's end waits to be told in a chat together with others; a repeat changes nothing. One target of a
    /// job waits in a chat at a time, the one that was put last.
    async fn put_waiting(
        &self,
        tenant: &TenantId,
        chat: &ChatId,
        ended: &Ended,
        expires_s: u64,
    ) -> Result<(), PortError>;

    /// The jobs whose ends wait so, oldest first.
    async fn waiting(&self, tenant: &TenantId, chat: &ChatId, limit: u32) -> Result<Vec<Ended>, PortError>;

    /// They don't wait any more; those that didn't are passed over. Not one transaction: try again after an error.
    async fn drop_waiting(&self, tenant: &TenantId, chat: &ChatId, jobs: &[JobId]) -> Result<(), PortError>;
}
