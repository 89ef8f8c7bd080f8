//! Chats: what comes in is claimed once, people may do what their guild or group is linked for, buttons stand for jobs.
//!
//! What goes out is [`crate::deliver`]'s.

mod left;
mod links;
mod targets;
mod views;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use convoke_domain::chat::{ChatId, PersonId, RealmId};
use convoke_domain::ids::JobKey;
use convoke_domain::room::Room;
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::{Button, Claimed, Link, Saved, UpdateId, WhoMay, Wish};
use crate::webhooks::RACES_MAX;
use crate::work::WorkError;

pub(crate) use links::ALPHABET;
pub use links::{CODE_TTL_S, Redeemed};
pub(crate) use targets::{MOVES_MAX, chat_of, chat_target, not_linked};

/// How long a button's token stands for something, in seconds.
pub const BUTTON_TTL_S: u64 = 180 * 86_400;
/// How long whoever claims an update has it alone, in milliseconds. A host whose handler takes longer is taken for dead.
pub const UPDATE_LEASE_MS: u64 = 60_000;
/// Random bytes of a token: 20 characters.
const TOKEN_BYTES: usize = 15;
const HOUR_MS: u64 = 3_600_000;

/// Whether somebody in a chat may submit now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Yes; it is counted.
    Granted,
    /// Only admins may there.
    AdminsOnly,
    /// There were too many within this hour.
    TooMany {
        /// Whose.
        whose: Whose,
        /// How many may be.
        most: u64,
        /// When the hour is over, in seconds from now.
        retry_after_s: u64,
    },
}

/// Whose submissions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// One person's, within one realm.
    Person,
    /// All people's of a realm.
    Realm,
}

impl Platform {
    /// The link of the realm that a chat is in, noting that it is there: to be asked before anything that comes in from a
    /// chat is acted on. A chat that took nothing is told again from now on. `None`: the realm isn't linked, and nothing is
    /// noted. Idempotent.
    pub async fn enter_chat(&self, chat: &ChatId, realm: &RealmId) -> Result<Option<Link>, Failure> {
        let Some(link) = self.link_of(realm).await? else { return Ok(None) };
        let mut stored = self.ports.rooms.standing(&link.tenant, &chat.room()).await?.room;
        for _ in 0..RACES_MAX {
            let mark = self.ports.env.nonce();
            let realm = self.realm_to_note(&link, stored.as_ref()).await?;
            let next = match &stored {
                None => Room::new(*chat, realm, mark),
                Some(room) if room.realm == realm && room.dead.is_none() && room.moved_to.is_none() => break,
                Some(room) => Room { realm, dead: None, moved_to: None, ..room.next(mark) },
            };
            match self.ports.rooms.save_room(&link.tenant, &next).await? {
                Saved::Done => break,
                Saved::Conflict(room) => stored = Some(room),
                Saved::Missing => stored = None,
            }
        }
        Ok(Some(link))
    }

    /// Whose a room is from now on: the realm's that it was entered from. Direct messages of somebody who is linked to the
    /// same tenant stay theirs, although a guild in which the bot can't post is answered there: what was asked for there is
    /// none of the guild's.
    async fn realm_to_note(&self, link: &Link, room: Option<&Room>) -> Result<RealmId, Failure> {
        let Some(room) = room else { return Ok(link.realm) };
        if !matches!((&room.realm, &link.realm), (RealmId::Person(_), RealmId::Guild(_))) {
            return Ok(link.realm);
        }
        let own = self.link_of(&room.realm).await?;
        Ok(own.filter(|own| own.tenant == link.tenant).map_or(link.realm, |own| own.realm))
    }

    /// Whether somebody may submit where this link holds, and counts it: at most
    /// [`person_hourly_max`](crate::platform::Limits::person_hourly_max) an hour a person and
    /// [`realm_hourly_max`](crate::platform::Limits::realm_hourly_max) a realm, by the hours of the clock. What is turned
    /// away counts as well. Not idempotent: to be asked once for each update, and not again where that has
    /// [submitted](Platform::is_repeat).
    pub async fn may_submit(&self, link: &Link, person: PersonId, rank: Rank) -> Result<Leave, Failure> {
        if link.who_may == WhoMay::Admins && rank != Rank::Admin {
            return Ok(Leave::AdminsOnly);
        }
        let now_ms = self.ports.env.now_ms();
        let hour = now_ms / HOUR_MS;
        let retry_after_s = ((hour + 1) * HOUR_MS - now_ms).div_ceil(1_000);
        let expires_s = (hour + 2) * HOUR_MS / 1_000;
        let of_person = (Whose::Person, format!("{}#{person}", link.realm), self.limits.person_hourly_max);
        let of_realm = (Whose::Realm, link.realm.to_string(), self.limits.realm_hourly_max);
        for (whose, what, most) in [of_person, of_realm] {
            let count = self.ports.inbox.count(&link.tenant, &format!("{what}#{hour}"), expires_s).await?;
            if count > most {
                return Ok(Leave::TooMany { whose, most, retry_after_s });
            }
        }
        Ok(Leave::Granted)
    }

    /// Claims an update before it has any effect. [`Claimed::Mine`] goes to one caller, until it says
    /// [`Platform::end_update`] or its [lease](UPDATE_LEASE_MS) runs out; whoever gets [`Claimed::Taken`] answers so that the
    /// platform sends the update again later, so that one whose handler died isn't lost. Effects carry the update's id as
    /// their idempotency key, because a handler may die between them and the end.
    pub async fn claim_update(&self, update: &UpdateId) -> Result<Claimed, Failure> {
        let now_ms = self.ports.env.now_ms();
        let nonce = self.ports.env.nonce();
        Ok(self.ports.inbox.claim_update(update, &nonce, (now_ms, now_ms + UPDATE_LEASE_MS)).await?)
    }

    /// The update is done, whatever came of it. Idempotent.
    pub async fn end_update(&self, update: &UpdateId) -> Result<(), Failure> {
        Ok(self.ports.inbox.end_update(update, self.ports.env.now_ms()).await?)
    }

    /// A token for a button: 20 characters of base64url that stand for a job, or a review of it, for [`BUTTON_TTL_S`]. Who
    /// may press it is asked when it is pressed.
    pub async fn new_button(&self, key: &JobKey, chat: &ChatId, review: Option<&str>) -> Result<String, Failure> {
        self.keep_button((key, chat), review.map(ToOwned::to_owned), None).await
    }

    /// The same for buttons that ask what to do with a wish while the job still runs.
    pub async fn new_wish(&self, key: &JobKey, chat: &ChatId, wish: Wish) -> Result<String, Failure> {
        self.keep_button((key, chat), None, Some(wish)).await
    }

    async fn keep_button(
        &self,
        (key, chat): (&JobKey, &ChatId),
        review: Option<String>,
        wish: Option<Wish>,
    ) -> Result<String, Failure> {
        let token = URL_SAFE_NO_PAD.encode(&self.ports.env.secret()[..TOKEN_BYTES]);
        let expires_s = self.ports.env.now_ms() / 1_000 + BUTTON_TTL_S;
        let button = Button { v: 1, key: key.clone(), chat: *chat, review, wish, expires_s };
        self.ports.inbox.put_button(&hashed(&token), &button).await?;
        Ok(token)
    }

    /// What a token stands for; `None` where that is nothing (any more).
    pub async fn button(&self, token: &str) -> Result<Option<Button>, Failure> {
        let now_s = self.ports.env.now_ms() / 1_000;
        let button = self.ports.inbox.button(&hashed(token)).await?;
        Ok(button.filter(|button| button.expires_s > now_s))
    }
}

/// What somebody is in a guild or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// One of its admins; in direct messages everybody is.
    Admin,
    /// Anybody.
    Member,
}

/// What is stored of a token or a code.
fn hashed(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn corrupt(what: &str, detail: &str) -> Failure {
    WorkError::Corrupt { job: what.to_owned(), detail: detail.to_owned() }.into()
}
