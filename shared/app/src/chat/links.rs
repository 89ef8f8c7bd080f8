//! Linking a guild, a group or a person to a tenant, by a one-time code that only the tenant can make.

use convoke_domain::chat::{ChatId, RealmId};
use convoke_domain::ids::TenantId;
use convoke_domain::room::Room;

use super::{corrupt, hashed};
use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::{Link, LinkCode, Linked, Requester, WhoMay};

/// How long a code is good, in seconds.
pub const CODE_TTL_S: u64 = 15 * 60;
/// Characters of a code: 50 bits, which nobody guesses within [`CODE_TTL_S`] by typing into a chat.
const CODE_CHARS: usize = 10;
/// What codes and ids are made of: no character is taken for another.
pub(crate) const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Longest title that is kept, in characters.
const TITLE_CHARS_MAX: usize = 100;

/// What came of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// It is linked.
    Linked(Link),
    /// It is linked to somebody else, who has to unlink it first; the code is used up all the same, because others have
    /// seen it there.
    Foreign,
    /// The code was never given out, was used, or is too old.
    NoCode,
}

impl Platform {
    /// A code that links whatever it is typed into first to this tenant, within [`CODE_TTL_S`]: 10 characters. Not
    /// idempotent.
    pub async fn new_link_code(&self, tenant: &TenantId, who_may: WhoMay) -> Result<String, Failure> {
        let secret = self.ports.env.secret();
        let letters = secret.iter().take(CODE_CHARS).map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        let code: String = letters.collect();
        let expires_s = self.ports.env.now_ms() / 1_000 + CODE_TTL_S;
        let record = LinkCode { v: 1, tenant: tenant.clone(), who_may, expires_s };
        self.ports.links.put_link_code(&hashed(&code), &record).await?;
        Ok(code)
    }

    /// Links a realm to the tenant of a code, which is used up by it; in any case, with or without hyphens. That whoever
    /// typed it is one of the realm's admins is the caller's to see to. A repeat with the same code and realm is the same
    /// again.
    pub async fn redeem_link_code(
        &self,
        code: &str,
        realm: RealmId,
        title: &str,
        by: Requester,
    ) -> Result<Redeemed, Failure> {
        let hash = hash_of(code);
        let now_ms = self.ports.env.now_ms();
        let Some(found) = self.ports.links.link_code(&hash).await? else {
            let link = self.ports.links.link(&realm).await?.filter(|link| link.code == hash);
            return Ok(link.map_or(Redeemed::NoCode, Redeemed::Linked));
        };
        let link = Link {
            v: 1,
            realm,
            tenant: found.tenant,
            title: title.chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX).collect(),
            who_may: found.who_may,
            by,
            created_ms: now_ms,
            code: hash,
        };
        Ok(match self.ports.links.use_link_code(&link, now_ms / 1_000).await? {
            Linked::Done => {
                tracing::info!(tenant = %link.tenant, %realm, "linked");
                Redeemed::Linked(link)
            }
            Linked::Foreign => {
                self.ports.links.drop_link_code(&link.code).await?;
                Redeemed::Foreign
            }
            Linked::NoCode => Redeemed::NoCode,
        })
    }

    /// Has a code link nothing any more: it was typed where others may have seen it, and by somebody who can't use it
    /// there. Idempotent; a text that is no code changes nothing.
    pub async fn burn_link_code(&self, code: &str) -> Result<(), Failure> {
        Ok(self.ports.links.drop_link_code(&hash_of(code)).await?)
    }

    /// The link of a realm.
    pub async fn link_of(&self, realm: &RealmId) -> Result<Option<Link>, Failure> {
        Ok(self.ports.links.link(realm).await?)
    }

    /// All links of a tenant, by realm.
    pub async fn links(&self, tenant: &TenantId) -> Result<Vec<Link>, Failure> {
        Ok(self.ports.links.links(tenant).await?)
    }

    /// Takes a link away: what runs goes on, and is told there no more. `false` where the tenant has none to that realm.
    pub async fn unlink(&self, tenant: &TenantId, realm: &RealmId) -> Result<bool, Failure> {
        let was_there = self.ports.links.unlink(tenant, realm).await?;
        if was_there {
            tracing::info!(%tenant, %realm, "unlinked");
        }
        Ok(was_there)
    }

    /// A group is called otherwise now: whoever looks for its room is led to the new one, then its link moves along. Two
    /// writes, in this order, so that what is to be told there finds its way at any time; a repeat does what is missing.
    /// A group that isn't linked changes nothing.
    pub async fn chat_moved(&self, from: &ChatId, to: &ChatId) -> Result<(), Failure> {
        let (Some(old), Some(new)) = (from.own_realm(), to.own_realm()) else {
            return Err(corrupt("a chat", "only groups of Telegram move"));
        };
        let Some(link) = self.ports.links.link(&old).await?.filter(|_| old != new) else { return Ok(()) };
        let moved = Link { realm: new, ..link };
        let led = |room: &Room| (room.moved_to != Some(*to)).then(|| Room { moved_to: Some(*to), ..room.clone() });
        self.change_room(&moved.tenant, (from, old), led).await?;
        if self.ports.links.move_link(&moved, &old).await? {
            tracing::info!(tenant = %moved.tenant, from = %old, to = %new, "a linked group moved");
        }
        Ok(())
    }
}

fn hash_of(code: &str) -> String {
    hashed(&code.trim().replace('-', "").to_ascii_uppercase())
}
