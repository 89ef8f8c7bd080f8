//! Links, what comes in from chats and what goes out to them, in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use convoke_app::ports::{
    Button, Claimed, Inbox, Link, LinkCode, Linked, Links, PortError, Rooms, Saved, Standing, UpdateId,
};
use convoke_domain::chat::{Bot, ChatId, RealmId};
use convoke_domain::ids::{JobId, TenantId};
use convoke_domain::room::{Ended, Room};

use super::hooks::save;
use super::table::FakeTable;

/// What is stored of them.
#[derive(Debug, Default)]
pub(super) struct Stored {
    codes: BTreeMap<String, LinkCode>,
    links: BTreeMap<RealmId, Link>,
    buttons: BTreeMap<String, Button>,
    /// Who is at an update, and until when; nobody once it is done.
    updates: BTreeMap<UpdateId, Option<(String, u64)>>,
    counts: BTreeMap<(TenantId, String), u64>,
    rooms: BTreeMap<(TenantId, ChatId), Room>,
    calls: BTreeMap<(Bot, u64), u64>,
    halted: BTreeMap<Bot, u64>,
    waiting: BTreeMap<(TenantId, ChatId, JobId), ChatId>,
}

impl Stored {
    fn use_link_code(&mut self, link: &Link, now_s: u64) -> Linked {
        let is_good =
            self.codes.get(&link.code).is_some_and(|code| code.tenant == link.tenant && code.expires_s >= now_s);
        match self.links.get(&link.realm) {
            Some(found) if !is_good && found.tenant == link.tenant && found.code == link.code => Linked::Done,
            _ if !is_good => Linked::NoCode,
            Some(found) if found.tenant != link.tenant => Linked::Foreign,
            _ => {
                self.codes.remove(&link.code);
                self.links.insert(link.realm, link.clone());
                Linked::Done
            }
        }
    }

    fn move_link(&mut self, link: &Link, from: &RealmId) -> bool {
        let is_own = |realm: &RealmId| self.links.get(realm).is_some_and(|found| found.tenant == link.tenant);
        if !is_own(from) {
            return self.links.get(&link.realm) == Some(link) && !self.links.contains_key(from);
        }
        if self.links.contains_key(&link.realm) && !is_own(&link.realm) {
            return false;
        }
        self.links.remove(from);
        self.links.insert(link.realm, link.clone());
        true
    }

    fn claim_update(&mut self, update: &UpdateId, nonce: &str, (now_ms, until_ms): (u64, u64)) -> Claimed {
        match self.updates.get(update) {
            Some(None) => Claimed::Done,
            Some(Some((by, _))) if by == nonce => Claimed::Mine,
            Some(Some((_, until_ms))) if *until_ms > now_ms => Claimed::Taken,
            _ => {
                self.updates.insert(update.clone(), Some((nonce.to_owned(), until_ms)));
                Claimed::Mine
            }
        }
    }

    fn save_room(&mut self, tenant: &TenantId, room: &Room) -> Saved<Room> {
        let place = (tenant.clone(), room.chat);
        let saved = save(self.rooms.get(&place), room, |room| (room.ver, &room.mark));
        if saved == Saved::Done && self.rooms.get(&place).is_none_or(|stored| stored.mark != room.mark) {
            self.rooms.insert(place, room.clone());
        }
        saved
    }
}

impl FakeTable {
    async fn chats<T: Send>(
        &self,
        what: &'static str,
        call: impl FnOnce(&mut Stored) -> T + Send,
    ) -> Result<T, PortError> {
        self.call(what, |state| call(&mut state.chats)).await
    }
}

#[async_trait]
impl Links for FakeTable {
    async fn put_link_code(&self, hash: &str, code: &LinkCode) -> Result<(), PortError> {
        self.chats("put_link_code", |chats| drop(chats.codes.insert(hash.to_owned(), code.clone()))).await
    }

    async fn link_code(&self, hash: &str) -> Result<Option<LinkCode>, PortError> {
        self.chats("link_code", |chats| chats.codes.get(hash).cloned()).await
    }

    async fn use_link_code(&self, link: &Link, now_s: u64) -> Result<Linked, PortError> {
        self.chats("use_link_code", |chats| chats.use_link_code(link, now_s)).await
    }

    async fn drop_link_code(&self, hash: &str) -> Result<(), PortError> {
        self.chats("drop_link_code", |chats| drop(chats.codes.remove(hash))).await
    }

    async fn link(&self, realm: &RealmId) -> Result<Option<Link>, PortError> {
        self.chats("link", |chats| chats.links.get(realm).cloned()).await
    }

    async fn links(&self, tenant: &TenantId) -> Result<Vec<Link>, PortError> {
        self.chats("links", |chats| {
            let mut own: Vec<Link> = chats.links.values().filter(|link| link.tenant == *tenant).cloned().collect();
            own.sort_by_key(|link| link.realm.to_string());
            own
        })
        .await
    }

    async fn unlink(&self, tenant: &TenantId, realm: &RealmId) -> Result<bool, PortError> {
        self.chats("unlink", |chats| {
            let is_own = chats.links.get(realm).is_some_and(|link| link.tenant == *tenant);
            is_own && chats.links.remove(realm).is_some()
        })
        .await
    }

    async fn move_link(&self, link: &Link, from: &RealmId) -> Result<bool, PortError> {
        self.chats("move_link", |chats| chats.move_link(link, from)).await
    }
}

#[async_trait]
impl Inbox for FakeTable {
    async fn put_button(&self, hash: &str, button: &Button) -> Result<(), PortError> {
        self.chats("put_button", |chats| {
            chats.buttons.entry(hash.to_owned()).or_insert_with(|| button.clone());
        })
        .await
    }

    async fn button(&self, hash: &str) -> Result<Option<Button>, PortError> {
        self.chats("button", |chats| chats.buttons.get(hash).cloned()).await
    }

    async fn claim_update(&self, update: &UpdateId, nonce: &str, times: (u64, u64)) -> Result<Claimed, PortError> {
        self.chats("claim_update", |chats| chats.claim_update(update, nonce, times)).await
    }

    async fn end_update(&self, update: &UpdateId, _: u64) -> Result<(), PortError> {
        self.chats("end_update", |chats| drop(chats.updates.insert(update.clone(), None))).await
    }

    async fn count(&self, tenant: &TenantId, what: &str, _: u64) -> Result<u64, PortError> {
        self.chats("count", |chats| {
            let count = chats.counts.entry((tenant.clone(), what.to_owned())).or_default();
            *count += 1;
            *count
        })
        .await
    }
}

#[async_trait]
impl Rooms for FakeTable {
    async fn standing(&self, tenant: &TenantId, room: &ChatId) -> Result<Standing, PortError> {
        self.chats("standing", |chats| Standing {
            room: chats.rooms.get(&(tenant.clone(), *room)).cloned(),
            bot_not_before_ms: chats.halted.get(&room.bot()).copied().unwrap_or(0),
        })
        .await
    }

    async fn save_room(&self, tenant: &TenantId, room: &Room) -> Result<Saved<Room>, PortError> {
        self.chats("save_room", |chats| chats.save_room(tenant, room)).await
    }

    async fn count_call(&self, bot: Bot, second: u64) -> Result<u64, PortError> {
        self.chats("count_call", |chats| {
            let count = chats.calls.entry((bot, second)).or_default();
            *count += 1;
            *count
        })
        .await
    }

    async fn halt_bot(&self, bot: Bot, until_ms: u64) -> Result<(), PortError> {
        self.chats("halt_bot", |chats| {
            let halted = chats.halted.entry(bot).or_default();
            *halted = until_ms.max(*halted);
        })
        .await
    }

    async fn put_waiting(&self, tenant: &TenantId, chat: &ChatId, ended: &Ended, _: u64) -> Result<(), PortError> {
        let place = (tenant.clone(), *chat, ended.job.clone());
        self.chats("put_waiting", |chats| {
            chats.waiting.insert(place, ended.target);
        })
        .await
    }

    async fn waiting(&self, tenant: &TenantId, chat: &ChatId, limit: u32) -> Result<Vec<Ended>, PortError> {
        self.chats("waiting", |chats| {
            let own = chats.waiting.iter().filter(|((of, at, _), _)| of == tenant && at == chat);
            own.take(limit as usize).map(|((.., job), target)| Ended { job: job.clone(), target: *target }).collect()
        })
        .await
    }

    async fn drop_waiting(&self, tenant: &TenantId, chat: &ChatId, jobs: &[JobId]) -> Result<(), PortError> {
        self.chats("drop_waiting", |chats| {
            chats.waiting.retain(|(of, at, job), _| of != tenant || at != chat || !jobs.contains(job));
        })
        .await
    }
}
