//! The single table.
//!
//! | pk | sk | holds |
//! |---|---|---|
//! | `T#tenant#J#job` | `J` | the job: its group, its head, its row (`GSI1`), when it is due (`GSI2`) |
//! | | `D` | the definition |
//! | | `G#nnn#nn` | a group of a map |
//! | | `S#task#item#round` | a result |
//! | | `T#task#item#round#turn` | a turn |
//! | | `M#nnn#nnnnn` | a chunk of a map's list |
//! | | `V#task#item#round` | what people are asked in a review |
//! | | `V#task#item#round#mark` | a decision on it; which one counts, the job says |
//! | | `E#nnnnnnnnnn` | a page of events, by the number of its first one; with the versions seen so far, per group |
//! | | `N#target` | a delivery: what a target has been told, when it is due (`GSI2`) |
//! | `T#tenant` | `I#hash`, `K#hash`, `W#id` | a caller's idempotency key (expires), an API key of the tenant, a webhook |
//! | | `C#schedule` | a schedule |
//! | `T#tenant#C#schedule` | `R#tick` | what a tick started (expires) |
//! | `T#tenant#W#id` | `L#ulid` | a try at a webhook (expires) |
//! | | `L#realm` | a link: a guild, a group, a person's direct messages |
//! | | `U#what` | a count of an hour's submissions (expires) |
//! | `T#tenant#H#chat` | `-`, `P#job` | a room: how fast it may be told; an end that waits for others (expires) |
//! | `KEY#hash` | `-` | an API key |
//! | `LNK#realm`, `COD#hash` | `-` | a link, a one-time code that makes one (expires) |
//! | `TOK#hash`, `UPD#bot#id` | `-` | what a button's token stands for, an inbound update (both expire) |
//! | `BOT#bot`, `BOT#bot#second` | `-` | when a bot may send again, its calls in a second (expires) |
//!
//! Every item carries `v`, the version of its shape. Items that are put once hold one JSON text in `b`; groups, which
//! are rewritten, have attributes with short names (see `schema::attr`), about 1 KiB in all.
//!
//! Units below are per request, for items of up to 1 KB written and 4 KB read (wu, ru; larger ones in proportion):
//!
//! | what | request | units |
//! |---|---|---|
//! | claim, journal, commit, any change | `UpdateItem`, condition, all new values; all old ones on a failed condition | 1 wu; +1 where the row changes (status: three times a job), +2 where the due time moves |
//! | put a group, a result, a turn, a question, a decision | `PutItem` if absent; the stored one on a failed condition | 1 wu |
//! | load for a step | `BatchGetItem`, consistent, up to 100 keys | 1 ru per item |
//! | load groups | the same | 1 ru per group |
//! | put a list's chunks | `BatchWriteItem` by 25 | 1 wu per KB |
//! | results, turns, events, reviews in order | `Query` on the partition, consistent | 1 ru per 4 KB |
//! | submit | `TransactWriteItems`: `J`, `D`, `I#hash`, `N#target` | 2 wu per item, +2 for the indexes; a repeat also reads `I#hash`: 1 ru |
//! | one job | `GetItem`, consistent | 1 ru |
//! | list jobs | `Query` on `GSI1`, backwards | 0.5 ru per 4 KB of rows |
//! | jobs, deliveries that are due | `Query` on `GSI2`, by shard and time | 0.5 ru per 4 KB of keys |
//! | store a schedule or a run | `PutItem` over the version before | 1 wu per KB, +2 for the index |
//! | schedules and runs that are due | `Query` on `GSI2`, by time | 0.5 ru per 4 KB of keys |
//! | whose key | `GetItem`, consistent | 1 ru |
//! | put, delete a key | `TransactWriteItems`: both items | 4 wu |
//! | append events | `Query` of the last page (unless this process put it, or there is none), `PutItem` of the next if absent, up to 32 events each | 1 ru, 1 wu per KB: about 8 events |
//! | a delivery: claim, end of a round | `PutItem` over the version before | 1 wu, +2 where the due time moves |
//! | note a try | `PutItem` | 1 wu |
//! | one webhook, one delivery | `GetItem`, consistent | 1 ru |
//! | one message to a chat | `BatchGetItem` of room and bot, `UpdateItem` of the second, `PutItem` of the room | 2 ru, 2 wu |
//! | claim an update, end it | `PutItem` each | 2 wu |

mod change;
mod deliveries;
mod events;
mod expression;
mod group;
mod groups;
mod inbox;
mod item;
mod jobs;
mod keys;
mod links;
mod requests;
mod reviews;
mod rooms;
mod schedules;
mod schema;
mod steps;
mod stream;
mod sweeps;
mod tails;
mod versioned;
mod webhooks;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;

use tails::Tails;

use crate::jitter::Jitter;
pub use schema::{DUE_SHARDS, TTL_ATTRIBUTE, due_shard, table_definition};
pub use stream::group_from_stream_image;

/// The table of an installation: implements `Groups`, `Steps`, `Jobs`, `Sweeps`, `Keys`, `Schedules`, `Events`,
/// `Webhooks`, `Deliveries`, `Links`, `Inbox`, `Rooms` and `Reviews`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DynamoTable {
    client: Client,
    table: String,
    jitter: Arc<Jitter>,
    tails: Arc<Tails>,
}

impl DynamoTable {
    /// The table of that name (see [`table_definition`]); `seed` draws the pauses between tries.
    pub fn new(client: Client, table: impl Into<String>, seed: u64) -> Self {
        Self { client, table: table.into(), jitter: Arc::new(Jitter::new(seed)), tails: Arc::default() }
    }
}
