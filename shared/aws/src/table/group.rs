//! A group as an item, and back.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use convoke_app::ports::{JobHead, PortError};
use convoke_domain::bits::Bits;
use convoke_domain::group::{Balance, Ending, Fan, Group, Loan, Order, Root, Scope};
use convoke_domain::ids::{GroupId, JobKey, SlotId};
use convoke_domain::money::{Cost, MicroUsd};
use convoke_domain::slot::Slot;

use super::item::{self, Fields, Item, Put, number, text};
use super::schema::{self, GPK1, GPK2, GSK1, GSK2, attr};

/// Most words of a bit set: room for 512 nodes and for any group's lanes or items, ten times over.
const WORDS_MAX: usize = 128;

/// The item of a group.
pub(crate) fn encode(key: &JobKey, group: &Group) -> Result<Item, PortError> {
    let mut item = item::item(schema::job_pk(key), group.id.to_string());
    item.put(attr::VER, number(group.ver));
    item.put(attr::LAST, text(&group.last));
    item.put(attr::AT, number(group.at_ms));
    if let Some(end) = &group.ending {
        item.put(attr::END, ending(end));
    }
    item.put(attr::DONE, words(&group.done));
    item.put(attr::NO, words(&group.no));
    item.put(attr::ROUNDS, item::map(group.rounds.iter().map(|(slot, round)| (slot, number(round)))));
    item.put(attr::RUN, item::map(group.run.iter().map(|(id, slot)| (id, text(slot.to_string())))));
    item.put(attr::LEFT_USD, number(group.left.usd));
    item.put(attr::LEFT_TOKENS, number(group.left.tokens));
    item.put(attr::SPENT_USD, number(group.spent.usd.0));
    item.put(attr::SPENT_TOKENS, number(group.spent.tokens));
    match &group.scope {
        Scope::Root(root) => encode_root(&mut item, key, root),
        Scope::Fan(fan) => encode_fan(&mut item, fan)?,
    }
    Ok(item)
}

fn encode_root(item: &mut Item, key: &JobKey, root: &Root) {
    item.put(attr::STATUS, text(root.status.as_str()));
    item.put(attr::GROUPS, item::map(root.groups.iter().map(|(id, lent)| (id, loan(*lent)))));
    item.put(attr::CREATED, number(root.created_ms));
    item.put(attr::DEADLINE, number(root.deadline_ms));
    if let Some(since_ms) = root.rests_since_ms {
        item.put(attr::RESTS, number(since_ms));
    }
    item.put(attr::SWEPT, number(root.swept_ver));
    item.put(attr::PAUSE, number(root.pause_ms));
    if let Some(due_ms) = root.due_ms {
        item.put(GPK2, text(schema::due_pk(schema::due_shard(&key.job))));
        item.put(GSK2, number(due_ms));
    }
}

fn encode_fan(item: &mut Item, fan: &Fan) -> Result<(), PortError> {
    item.put(attr::DRAWN_USD, number(fan.drawn.usd.0));
    item.put(attr::DRAWN_TOKENS, number(fan.drawn.tokens));
    item.put(attr::ITEMS, number(fan.items));
    item.put(attr::CHUNK, number(fan.chunk));
    item.put(attr::FAILED, number(fan.failed));
    let order = match &fan.order {
        Order::Lanes { first, count, stride } => {
            item::map([(attr::FIRST, number(first)), (attr::COUNT, number(count)), (attr::STRIDE, number(stride))])
        }
        Order::After { needs, concurrency } => {
            let json = serde_json::to_string(needs)
                .map_err(|error| PortError::Corrupt { what: "a map's order".into(), detail: error.to_string() })?;
            item::map([(attr::AFTER, text(json)), (attr::COUNT, number(concurrency))])
        }
    };
    item.put(attr::ORDER, order);
    Ok(())
}

/// Adds what lists show of a job, and its place in the list.
pub(crate) fn encode_head(item: &mut Item, key: &JobKey, head: &JobHead) {
    item.put(GPK1, text(schema::tenant_pk(&key.tenant)));
    item.put(GSK1, text(key.job.as_str()));
    item.put(attr::FLOW, text(&head.flow));
    item.put(attr::TITLE, text(&head.title));
    item.put(attr::MODEL, text(&head.model));
    item.put(attr::BUDGET_USD, number(head.budget.usd.0));
    item.put(attr::BUDGET_TOKENS, number(head.budget.tokens));
    if let Some(parent) = &head.parent {
        item.put(attr::PARENT, text(parent.as_str()));
    }
}

/// An ending as it stands in its group.
pub(crate) fn ending(end: &Ending) -> AttributeValue {
    let step = end.step.iter().map(|step| (attr::STEP, text(step)));
    item::map([(attr::REASON, text(end.reason.as_str())), (attr::CAUSE, text(&end.cause))].into_iter().chain(step))
}

/// A loan as it stands in the job's item: `usd/tokens/-`, with `s` for a group that stands still.
pub(crate) fn loan(loan: Loan) -> AttributeValue {
    let mark = if loan.starved { 's' } else { '-' };
    text(format!("{}/{}/{mark}", loan.lent.usd.0, loan.lent.tokens))
}

fn words(bits: &Bits) -> AttributeValue {
    item::map(bits.words().iter().enumerate().map(|(place, word)| (place, number(word))))
}

/// The group that an item holds.
pub(crate) fn decode(item: &Item) -> Result<Group, PortError> {
    let fields = Fields::of(item)?;
    let id: GroupId = fields.parsed(schema::SK)?;
    Ok(Group {
        id,
        ver: fields.number(attr::VER)?,
        last: fields.text(attr::LAST)?.to_owned(),
        at_ms: fields.number(attr::AT)?,
        ending: fields.opt_map(attr::END)?.map(|end| decode_ending(&end)).transpose()?,
        done: decode_words(&fields.map(attr::DONE)?)?,
        no: decode_words(&fields.map(attr::NO)?)?,
        rounds: decode_rounds(&fields.map(attr::ROUNDS)?)?,
        run: decode_run(&fields.map(attr::RUN)?)?,
        left: Balance { usd: fields.number(attr::LEFT_USD)?, tokens: fields.number(attr::LEFT_TOKENS)? },
        spent: cost(&fields, attr::SPENT_USD, attr::SPENT_TOKENS)?,
        scope: match id {
            GroupId::Root => Scope::Root(decode_root(&fields)?),
            GroupId::Fan { .. } => Scope::Fan(decode_fan(&fields)?),
        },
    })
}

/// The constant part of a job's item.
pub(crate) fn decode_head(item: &Item) -> Result<JobHead, PortError> {
    let fields = Fields::of(item)?;
    let parent = fields.opt_text(attr::PARENT)?;
    Ok(JobHead {
        flow: fields.text(attr::FLOW)?.to_owned(),
        title: fields.text(attr::TITLE)?.to_owned(),
        model: fields.text(attr::MODEL)?.to_owned(),
        budget: cost(&fields, attr::BUDGET_USD, attr::BUDGET_TOKENS)?,
        parent: parent.map(str::parse).transpose().map_err(|error| fields.corrupt(attr::PARENT, error))?,
    })
}

/// Money and tokens out of two attributes.
pub(crate) fn cost(fields: &Fields<'_>, usd: &str, tokens: &str) -> Result<Cost, PortError> {
    Ok(Cost { usd: MicroUsd(fields.number(usd)?), tokens: fields.number(tokens)? })
}

fn decode_ending(end: &Fields<'_>) -> Result<Ending, PortError> {
    Ok(Ending {
        reason: end.word(attr::REASON)?,
        step: end.opt_text(attr::STEP)?.map(str::to_owned),
        cause: end.text(attr::CAUSE)?.to_owned(),
    })
}

fn decode_words(stored: &Fields<'_>) -> Result<Bits, PortError> {
    let mut words = Vec::new();
    for entry in stored.keys::<usize>() {
        let (place, name) = entry?;
        if place >= WORDS_MAX {
            return Err(stored.corrupt(name, "more words than a group has"));
        }
        if words.len() <= place {
            words.resize(place + 1, 0);
        }
        words[place] = stored.number(name)?;
    }
    Ok(Bits::from_words(words))
}

fn decode_rounds(stored: &Fields<'_>) -> Result<BTreeMap<SlotId, u32>, PortError> {
    stored.keys::<u16>().map(|entry| entry.and_then(|(slot, name)| Ok((SlotId(slot), stored.number(name)?)))).collect()
}

fn decode_run(stored: &Fields<'_>) -> Result<BTreeMap<SlotId, Slot>, PortError> {
    stored.keys::<u16>().map(|entry| entry.and_then(|(slot, name)| Ok((SlotId(slot), stored.parsed(name)?)))).collect()
}

fn decode_root(fields: &Fields<'_>) -> Result<Root, PortError> {
    Ok(Root {
        status: fields.word(attr::STATUS)?,
        groups: decode_groups(&fields.map(attr::GROUPS)?)?,
        created_ms: fields.number(attr::CREATED)?,
        deadline_ms: fields.number(attr::DEADLINE)?,
        rests_since_ms: fields.opt_number(attr::RESTS)?,
        due_ms: fields.opt_number(GSK2)?,
        swept_ver: fields.number(attr::SWEPT)?,
        pause_ms: fields.number(attr::PAUSE)?,
    })
}

fn decode_groups(stored: &Fields<'_>) -> Result<BTreeMap<GroupId, Loan>, PortError> {
    let loan_of = |(id, name)| match decode_loan(stored.text(name)?) {
        Some(loan) => Ok((id, loan)),
        None => Err(stored.corrupt(name, "no loan such as 1500/900/-")),
    };
    stored.keys::<GroupId>().map(|entry| entry.and_then(loan_of)).collect()
}

fn decode_loan(text: &str) -> Option<Loan> {
    let parts: Vec<&str> = text.split('/').collect();
    let [usd, tokens, mark @ ("-" | "s")] = parts.as_slice() else { return None };
    let lent = Cost { usd: MicroUsd(usd.parse().ok()?), tokens: tokens.parse().ok()? };
    Some(Loan { lent, starved: *mark == "s" })
}

fn decode_fan(fields: &Fields<'_>) -> Result<Fan, PortError> {
    Ok(Fan {
        drawn: cost(fields, attr::DRAWN_USD, attr::DRAWN_TOKENS)?,
        items: fields.number(attr::ITEMS)?,
        chunk: fields.number(attr::CHUNK)?,
        order: decode_order(&fields.map(attr::ORDER)?)?,
        failed: fields.number(attr::FAILED)?,
    })
}

fn decode_order(order: &Fields<'_>) -> Result<Order, PortError> {
    match order.opt_text(attr::AFTER)? {
        Some(json) => Ok(Order::After {
            needs: serde_json::from_str(json).map_err(|error| order.corrupt(attr::AFTER, error))?,
            concurrency: order.number(attr::COUNT)?,
        }),
        None => Ok(Order::Lanes {
            first: order.number(attr::FIRST)?,
            count: order.number(attr::COUNT)?,
            stride: order.number(attr::STRIDE)?,
        }),
    }
}

#[cfg(test)]
mod tests {
    use convoke_domain::slot::{At, Claim};
    use convoke_domain::status::JobStatus;

    use super::*;

    const NOW_MS: u64 = 1_795_219_200_000;

    fn key() -> JobKey {
        JobKey {
            tenant: "a-tenant-of-common-length".parse().expect("a tenant"),
            job: "01M7XPE6000000000000000001".parse().expect("a job"),
        }
    }

    fn busy(id: GroupId, scope: Scope) -> Group {
        let hold = Cost { usd: MicroUsd(15_000), tokens: 12_000 };
        let claim = Claim { nonce: "abcdefghijklm".into(), lease_until_ms: NOW_MS, hold, turn: 2 };
        let slot = Slot { attempt: 1, claim: Some(claim), ..Slot::new(At::start(1_234)) };
        Group {
            id,
            ver: 1_234,
            last: "abcdefghijklm".into(),
            at_ms: NOW_MS,
            ending: None,
            done: Bits::with_room(40),
            no: Bits::with_room(40),
            rounds: BTreeMap::from([(SlotId(3), 2)]),
            run: (0..8).map(|n| (SlotId(n), slot.clone())).collect(),
            left: Balance { usd: 1_000_000, tokens: 500_000 },
            spent: Cost { usd: MicroUsd(200_000), tokens: 100_000 },
            scope,
        }
    }

    /// As the service counts: names and values, a number by pairs of digits, three bytes a map and one an entry.
    fn size(value: &AttributeValue) -> usize {
        match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
            AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| name.len() + size(value) + 1).sum::<usize>(),
            other => panic!("not used in groups: {other:?}"),
        }
    }

    fn item_size(item: &Item) -> usize {
        item.iter().map(|(name, value)| name.len() + size(value)).sum()
    }

    #[test]
    fn a_busy_group_costs_one_write_unit() {
        let order = Order::Lanes { first: 8, count: 8, stride: 50 };
        let drawn = Cost { usd: MicroUsd(100_000), tokens: 50_000 };
        let fan = Scope::Fan(Fan { drawn, items: 10_000, chunk: 100, order, failed: 3 });
        let item = encode(&key(), &busy(GroupId::Fan { node: 3, part: 7 }, fan)).expect("an item");
        assert!(item_size(&item) <= 900, "{} bytes", item_size(&item));
    }

    #[test]
    fn a_busy_job_costs_one_write_unit() {
        let loan = Loan { lent: Cost { usd: MicroUsd(100_000), tokens: 50_000 }, starved: false };
        let root = Root {
            status: JobStatus::Working,
            groups: BTreeMap::from([(GroupId::Fan { node: 3, part: 7 }, loan)]),
            created_ms: NOW_MS,
            deadline_ms: NOW_MS,
            rests_since_ms: None,
            due_ms: Some(NOW_MS),
            swept_ver: 1_234,
            pause_ms: 60_000,
        };
        let mut item = encode(&key(), &busy(GroupId::Root, Scope::Root(root))).expect("an item");
        let title = "Create a REST API for a todo application, with tests".into();
        let budget = Cost { usd: MicroUsd(1_000_000), tokens: 500_000 };
        let head = JobHead { flow: "software".into(), title, model: "openai/gpt-4.1".into(), budget, parent: None };
        encode_head(&mut item, &key(), &head);
        assert!(item_size(&item) <= 1_024, "{} bytes", item_size(&item));
    }
}
