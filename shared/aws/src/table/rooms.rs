//! `Rooms`: how fast chats are told, and what waits for them.

use async_trait::async_trait;
use convoke_app::ports::{PortError, Rooms, Saved, Standing};
use convoke_domain::chat::{Bot, ChatId};
use convoke_domain::ids::{JobId, TenantId};
use convoke_domain::room::{Ended, Room};

use super::DynamoTable;
use super::expression::Placeholders;
use super::item::{self, Fields, Item, Put, number, text};
use super::schema::{ALONE, PK, SK, TTL_ATTRIBUTE, bot_pk, calls_pk, chat_pk, waiting_sk};
use super::versioned::Version;

const STANDING: &str = "the table (reading a room)";
const SAVE: &str = "the table (storing a room)";
const CALLS: &str = "the table (counting calls)";
const HALT: &str = "the table (halting a bot)";
const WAIT: &str = "the table (noting what waits)";
const WAITING: &str = "the table (reading what waits)";
const TOLD: &str = "the table (deleting what waited)";

/// In a bot: Unix milliseconds before which it sends nothing.
const UNTIL: &str = "until_ms";
/// In an end that waits: its target.
const TARGET: &str = "target";
/// How long a second's calls are known, in seconds.
const CALLS_KEPT_S: u64 = 3_600;

#[async_trait]
impl Rooms for DynamoTable {
    async fn standing(&self, tenant: &TenantId, room: &ChatId) -> Result<Standing, PortError> {
        let keys = vec![item::key(chat_pk(tenant, room), ALONE), item::key(bot_pk(room.bot()), ALONE)];
        let mut standing = Standing::default();
        for item in self.get_batch(STANDING, keys).await? {
            let fields = Fields::of(&item)?;
            match fields.opt_number(UNTIL)? {
                Some(until_ms) => standing.bot_not_before_ms = until_ms,
                None => standing.room = Some(fields.content()?),
            }
        }
        Ok(standing)
    }

    async fn save_room(&self, tenant: &TenantId, room: &Room) -> Result<Saved<Room>, PortError> {
        let version = Version { content: room, ver: room.ver, mark: &room.mark };
        self.save(SAVE, version.item(chat_pk(tenant, &room.chat), ALONE.to_owned())?).await
    }

    async fn count_call(&self, bot: Bot, second: u64) -> Result<u64, PortError> {
        self.count_one(CALLS, item::key(calls_pk(bot, second), ALONE), second + CALLS_KEPT_S).await
    }

    async fn halt_bot(&self, bot: Bot, until_ms: u64) -> Result<(), PortError> {
        let mut some = Placeholders::default();
        let (pk, name, value) = (some.name(PK), some.name(UNTIL), some.value(number(until_ms)));
        let mut item = item::item(bot_pk(bot), ALONE);
        item.put(UNTIL, number(until_ms));
        // One that is there already wants more silence.
        self.put_where(HALT, item, format!("attribute_not_exists({pk}) OR {name}<{value}"), some).await.map(drop)
    }

    async fn put_waiting(
        &self,
        tenant: &TenantId,
        chat: &ChatId,
        ended: &Ended,
        expires_s: u64,
    ) -> Result<(), PortError> {
        let mut item = item::item(chat_pk(tenant, chat), waiting_sk(ended.job.as_str()));
        item.put(TARGET, text(ended.target.to_string()));
        item.put(TTL_ATTRIBUTE, number(expires_s));
        self.put_batch(WAIT, vec![item]).await
    }

    async fn waiting(&self, tenant: &TenantId, chat: &ChatId, limit: u32) -> Result<Vec<Ended>, PortError> {
        let query = self.query(&chat_pk(tenant, chat), &waiting_sk(""), &waiting_sk("~"));
        let items = self.pages(WAITING, query, limit as usize).await?;
        items.iter().map(ended).collect()
    }

    async fn drop_waiting(&self, tenant: &TenantId, chat: &ChatId, jobs: &[JobId]) -> Result<(), PortError> {
        let key = |job: &JobId| item::key(chat_pk(tenant, chat), waiting_sk(job.as_str()));
        self.delete_batch(TOLD, jobs.iter().map(key).collect()).await
    }
}

fn ended(item: &Item) -> Result<Ended, PortError> {
    let fields = Fields::of(item)?;
    let sk = fields.text(SK)?;
    let job = sk.strip_prefix("P#").and_then(|job| job.parse().ok());
    let target = fields.text(TARGET)?.parse();
    Ok(Ended {
        job: job.ok_or_else(|| fields.corrupt(SK, "no job's id"))?,
        target: target.map_err(|_| fields.corrupt(TARGET, "no chat"))?,
    })
}
