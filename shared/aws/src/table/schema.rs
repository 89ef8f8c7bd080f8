//! Keys, attribute names and the table's definition.

use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType,
};
use convoke_app::ports::UpdateId;
use convoke_domain::chat::{Bot, ChatId, RealmId};
use convoke_domain::ids::{GroupId, JobId, JobKey, StepId, TargetId, TenantId, WebhookId};
use sha2::{Digest, Sha256};

/// Partition key.
pub(crate) const PK: &str = "pk";
/// Sort key.
pub(crate) const SK: &str = "sk";
/// Version of the item's shape.
pub(crate) const V: &str = "v";
/// JSON text of an item that is put once.
pub(crate) const BODY: &str = "b";
/// The attribute that the table's time-to-live has to be switched on for: Unix seconds.
pub const TTL_ATTRIBUTE: &str = "ttl";

/// Jobs of a tenant.
pub(crate) const GSI1: &str = "GSI1";
/// Partition key of [`GSI1`]: `T#tenant`.
pub(crate) const GPK1: &str = "gpk1";
/// Sort key of [`GSI1`]: the job's id.
pub(crate) const GSK1: &str = "gsk1";
/// Jobs and deliveries that are due.
pub(crate) const GSI2: &str = "GSI2";
/// Partition key of [`GSI2`]: `DUE#nn` for jobs, `DUEN#nn` for deliveries.
pub(crate) const GPK2: &str = "gpk2";
/// Sort key of [`GSI2`]: Unix milliseconds.
pub(crate) const GSK2: &str = "gsk2";

/// Shards of jobs in [`GSI2`].
pub const DUE_SHARDS: u8 = 16;
/// Shards of deliveries in [`GSI2`]. Each is a query a minute, also where nobody is told anything.
const DELIVERY_SHARDS: u8 = 4;

/// Attributes of groups. Whole items are billed and rewritten, so the names are short.
pub(crate) mod attr {
    /// Version of the group, +1 with each change.
    pub(crate) const VER: &str = "ver";
    /// Mark of the last change.
    pub(crate) const LAST: &str = "last";
    /// Time of the last change.
    pub(crate) const AT: &str = "at";
    /// `{r: reason, s: step, c: cause}`; absent while the group lives.
    pub(crate) const END: &str = "end";
    /// In `end`: the reason.
    pub(crate) const REASON: &str = "r";
    /// In `end`: the step.
    pub(crate) const STEP: &str = "s";
    /// In `end`: the cause.
    pub(crate) const CAUSE: &str = "c";
    /// Words of ended threads: `{"0": N, "1": N}`.
    pub(crate) const DONE: &str = "done";
    /// Words of conditions that came out false.
    pub(crate) const NO: &str = "no";
    /// Last rounds of loops: `{slot: N}`.
    pub(crate) const ROUNDS: &str = "rnd";
    /// Threads that run: `{slot: "item.round.task/attempt/.."}`.
    pub(crate) const RUN: &str = "run";
    /// Micro-dollars left.
    pub(crate) const LEFT_USD: &str = "lu";
    /// Tokens left.
    pub(crate) const LEFT_TOKENS: &str = "lt";
    /// Micro-dollars spent.
    pub(crate) const SPENT_USD: &str = "su";
    /// Tokens spent.
    pub(crate) const SPENT_TOKENS: &str = "st";

    /// Root: state of the job.
    pub(crate) const STATUS: &str = "status";
    /// Root: open groups: `{"G#003#00": "usd/tokens/-"}`, `s` for one that stands still.
    pub(crate) const GROUPS: &str = "g";
    /// Root: submitted at.
    pub(crate) const CREATED: &str = "created_ms";
    /// Root: deadline.
    pub(crate) const DEADLINE: &str = "dl";
    /// Root: since when the job rests; absent while its clock runs.
    pub(crate) const RESTS: &str = "rs";
    /// Root: sum of versions that the sweep saw.
    pub(crate) const SWEPT: &str = "sv";
    /// Root: pause of the sweep.
    pub(crate) const PAUSE: &str = "pm";

    /// Fan: micro-dollars drawn.
    pub(crate) const DRAWN_USD: &str = "du";
    /// Fan: tokens drawn.
    pub(crate) const DRAWN_TOKENS: &str = "dt";
    /// Fan: items of the map.
    pub(crate) const ITEMS: &str = "items";
    /// Fan: items of a chunk.
    pub(crate) const CHUNK: &str = "chunk";
    /// Fan: failed items.
    pub(crate) const FAILED: &str = "fl";
    /// Fan: `{f: first, n: count, w: stride}` or `{a: needs as JSON, n: concurrency}`.
    pub(crate) const ORDER: &str = "ord";
    /// In `ord`: first lane.
    pub(crate) const FIRST: &str = "f";
    /// In `ord`: lanes of the group, or items at once.
    pub(crate) const COUNT: &str = "n";
    /// In `ord`: lanes of the map.
    pub(crate) const STRIDE: &str = "w";
    /// In `ord`: for each item what it waits for.
    pub(crate) const AFTER: &str = "a";

    /// Head: the flow's name.
    pub(crate) const FLOW: &str = "flow";
    /// Head: title.
    pub(crate) const TITLE: &str = "title";
    /// Head: model.
    pub(crate) const MODEL: &str = "model";
    /// Head: cap in micro-dollars.
    pub(crate) const BUDGET_USD: &str = "bu";
    /// Head: cap in tokens.
    pub(crate) const BUDGET_TOKENS: &str = "bt";
    /// Head: the job that this one retries or forks.
    pub(crate) const PARENT: &str = "par";

    /// Row: why the job ended; written with the terminal state.
    pub(crate) const STOP_REASON: &str = "stop_reason";
    /// Row: micro-dollars; written with the terminal state, so that a commit doesn't rewrite the index.
    pub(crate) const COST_USD: &str = "cost_usd";
    /// Row: tokens; written with the terminal state.
    pub(crate) const COST_TOKENS: &str = "cost_tokens";
}

/// What [`GSI1`] projects: a row of the list.
const ROW: [&str; 7] =
    [attr::STATUS, attr::STOP_REASON, attr::FLOW, attr::TITLE, attr::COST_USD, attr::COST_TOKENS, attr::CREATED];

/// Sort key of the definition.
pub(crate) const DEFINITION: &str = "D";
/// Sort key of a partition's only item.
pub(crate) const ALONE: &str = "-";

/// Partition of a tenant.
pub(crate) fn tenant_pk(tenant: &TenantId) -> String {
    format!("T#{tenant}")
}

/// Partition of a job.
pub(crate) fn job_pk(key: &JobKey) -> String {
    format!("T#{}#J#{}", key.tenant, key.job)
}

/// Partition of [`GSI2`] of schedules and runs that are due.
pub(crate) const SCHEDULES_DUE: &str = "DUEC";

/// Sort key of a schedule.
pub(crate) fn schedule_sk(id: &str) -> String {
    format!("C#{id}")
}

/// Partition of a schedule's runs.
pub(crate) fn schedule_pk(tenant: &TenantId, id: &str) -> String {
    format!("T#{tenant}#C#{id}")
}

/// Sort key of a run.
pub(crate) fn run_sk(tick_ms: u64) -> String {
    format!("R#{tick_ms:020}")
}

/// The tenant whose partition it is.
pub(crate) fn tenant_of_pk(pk: &str) -> Option<TenantId> {
    pk.strip_prefix("T#")?.parse().ok()
}

/// The schedule whose sort key it is.
pub(crate) fn schedule_of_sk(sk: &str) -> Option<String> {
    sk.strip_prefix("C#").map(ToOwned::to_owned)
}

/// The schedule whose runs' partition it is.
pub(crate) fn schedule_of_pk(pk: &str) -> Option<(TenantId, String)> {
    let (tenant, schedule) = pk.strip_prefix("T#")?.split_once("#C#")?;
    Some((tenant.parse().ok()?, schedule.to_owned()))
}

/// The tick whose run's sort key it is.
pub(crate) fn tick_of_sk(sk: &str) -> Option<u64> {
    sk.strip_prefix("R#")?.parse().ok()
}

/// The job whose partition it is.
pub(crate) fn job_of_pk(pk: &str) -> Option<JobKey> {
    let (tenant, job) = pk.strip_prefix("T#")?.split_once("#J#")?;
    Some(JobKey { tenant: tenant.parse().ok()?, job: job.parse().ok()? })
}

/// Partition of the list of tenants.
pub(crate) const TENANTS: &str = "TENANTS";

/// Partition of an API key.
pub(crate) fn key_pk(hash: &str) -> String {
    format!("KEY#{hash}")
}

/// Sort key of a tenant's API key.
pub(crate) fn key_sk(hash: &str) -> String {
    format!("K#{hash}")
}

/// Sort key of a tenant's webhook.
pub(crate) fn webhook_sk(id: &str) -> String {
    format!("W#{id}")
}

/// Partition of the link of a realm.
pub(crate) fn link_pk(realm: &RealmId) -> String {
    format!("LNK#{realm}")
}

/// Sort key of a tenant's link.
pub(crate) fn link_sk(realm: &str) -> String {
    format!("L#{realm}")
}

/// Partition of a code that links.
pub(crate) fn link_code_pk(hash: &str) -> String {
    format!("COD#{hash}")
}

/// Partition of what a button's token stands for.
pub(crate) fn button_pk(hash: &str) -> String {
    format!("TOK#{hash}")
}

/// Partition of an inbound update.
pub(crate) fn update_pk(update: &UpdateId) -> String {
    format!("UPD#{}#{}", update.bot, update.id)
}

/// Sort key of a count of a tenant's.
pub(crate) fn count_sk(what: &str) -> String {
    format!("U#{what}")
}

/// Partition of a bot.
pub(crate) fn bot_pk(bot: Bot) -> String {
    format!("BOT#{bot}")
}

/// Partition of a bot's calls in a second.
pub(crate) fn calls_pk(bot: Bot, second: u64) -> String {
    format!("BOT#{bot}#{second}")
}

/// Partition of a chat of a tenant: its room, and the ends that wait for it.
pub(crate) fn chat_pk(tenant: &TenantId, chat: &ChatId) -> String {
    format!("T#{tenant}#H#{chat}")
}

/// Sort key of an end that waits.
pub(crate) fn waiting_sk(job: &str) -> String {
    format!("P#{job}")
}

/// Partition of the tries at a webhook.
pub(crate) fn attempts_pk(tenant: &TenantId, webhook: &WebhookId) -> String {
    format!("T#{tenant}#W#{webhook}")
}

/// Sort key of a try.
pub(crate) fn attempt_sk(id: &str) -> String {
    format!("L#{id}")
}

/// Sort key of a delivery.
pub(crate) fn delivery_sk(target: &TargetId) -> String {
    format!("N#{target}")
}

/// The target whose delivery's sort key it is.
pub(crate) fn target_of_sk(sk: &str) -> Option<TargetId> {
    sk.strip_prefix("N#")?.parse().ok()
}

/// Sort key of a caller's idempotency key.
pub(crate) fn idempotency_sk(hash: &str) -> String {
    format!("I#{hash}")
}

/// Sort key of a result.
pub(crate) fn result_sk(step: &StepId) -> String {
    format!("S#{}", step.sort_key())
}

/// Sort key of what a review asks.
pub(crate) fn review_sk(step: &StepId) -> String {
    format!("V#{}", step.sort_key())
}

/// Sort key of a decision on a review.
pub(crate) fn decision_sk(step: &StepId, mark: &str) -> String {
    format!("{}#{mark}", review_sk(step))
}

/// Sort key of a turn.
pub(crate) fn turn_sk(step: &StepId, turn: u32) -> String {
    format!("{}{turn:05}", turns_prefix(step))
}

/// What the sort keys of a step's turns begin with.
pub(crate) fn turns_prefix(step: &StepId) -> String {
    format!("T#{}#", step.sort_key())
}

/// Sort key of a chunk of a map's list.
pub(crate) fn chunk_sk(node: u16, chunk: u32) -> String {
    format!("M#{node:03}#{chunk:05}")
}

/// Sort key of an event.
pub(crate) fn event_sk(seq: u64) -> String {
    format!("E#{seq:010}")
}

/// The group whose sort key it is.
pub(crate) fn group_of_sk(sk: &str) -> Option<GroupId> {
    sk.parse().ok()
}

/// The shard of the due index that a job is in.
pub fn due_shard(job: &JobId) -> u8 {
    // Never to be changed: what is stored would be looked for in another shard.
    Sha256::digest(job.as_str())[0] % DUE_SHARDS
}

/// Partition of a shard of the due index.
pub(crate) fn due_pk(shard: u8) -> String {
    format!("DUE#{shard:02}")
}

/// The shard of the due index that a job's deliveries are in.
pub(crate) fn delivery_shard(job: &JobId) -> u8 {
    // Never to be changed either.
    Sha256::digest(job.as_str())[0] % DELIVERY_SHARDS
}

/// Partition of a shard of the deliveries in the due index.
pub(crate) fn delivery_due_pk(shard: u8) -> String {
    format!("DUEN#{shard:02}")
}

/// The table, as `CreateTable` takes it: on demand, with both indexes and a stream of old and new images. (The time to
/// live on [`TTL_ATTRIBUTE`] is a setting of its own; in AWS the template does both.)
pub fn table_definition(table: &str) -> CreateTableInputBuilder {
    let row = Projection::builder()
        .projection_type(ProjectionType::Include)
        .set_non_key_attributes(Some(ROW.map(str::to_owned).to_vec()))
        .build();
    let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    CreateTableInputBuilder::default()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(PK, SK)))
        .set_attribute_definitions(Some(vec![
            attribute(PK, ScalarAttributeType::S),
            attribute(SK, ScalarAttributeType::S),
            attribute(GPK1, ScalarAttributeType::S),
            attribute(GSK1, ScalarAttributeType::S),
            attribute(GPK2, ScalarAttributeType::S),
            attribute(GSK2, ScalarAttributeType::N),
        ]))
        .global_secondary_indexes(index(GSI1, key_schema(GPK1, GSK1), row))
        .global_secondary_indexes(index(GSI2, key_schema(GPK2, GSK2), keys_only))
        .stream_specification(
            StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::NewAndOldImages)
                .build()
                .expect("enabled is set"),
        )
}

fn key_schema(partition: &str, sort: &str) -> Vec<KeySchemaElement> {
    [(partition, KeyType::Hash), (sort, KeyType::Range)]
        .map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("both parts are set")
        })
        .to_vec()
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().expect("both parts are set")
}

fn index(name: &str, keys: Vec<KeySchemaElement>, projection: Projection) -> GlobalSecondaryIndex {
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .set_key_schema(Some(keys))
        .projection(projection)
        .build()
        .expect("name and keys are set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back() {
        let key = JobKey {
            tenant: "acme-1".parse().expect("a tenant"),
            job: "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("a job"),
        };
        assert_eq!(job_pk(&key), "T#acme-1#J#01KAJ0X5T3ZQ4V8N2M6R7W9YBC");
        assert_eq!(job_of_pk(&job_pk(&key)), Some(key));
        for other in ["T#acme-1", "T#acme-1#W#wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC"] {
            assert_eq!(job_of_pk(other), None);
        }
        let target: TargetId = "wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("a target");
        assert_eq!(target_of_sk(&delivery_sk(&target)), Some(target.clone()));
        assert_eq!((target_of_sk("J"), group_of_sk(&delivery_sk(&target))), (None, None));
    }

    #[test]
    fn jobs_spread_over_all_shards() {
        let mut seen = [0_u32; DUE_SHARDS as usize];
        for n in 0..1_600 {
            let job = format!("01KAJ0X5T3ZQ4V8N2M6R7W{n:04}").parse().expect("a job");
            seen[usize::from(due_shard(&job))] += 1;
        }
        assert!(seen.iter().all(|count| (50..200).contains(count)), "{seen:?}");
    }
}
