//! `Events`: what has happened to a job, numbered without gaps.
//!
//! A counter per job holds the last number and, per group, the last version whose events are appended. Counter and
//! events are written in one transaction on the counter's number, so that neither two writers nor a repeat number an
//! event twice.

use std::collections::BTreeMap;

use async_trait::async_trait;
use convoke_app::ports::{Event, EventKind, EventPage, Events, PortError};
use convoke_domain::ids::{GroupId, JobKey};

use super::DynamoTable;
use super::expression::Placeholders;
use super::item::{self, Fields, Item, Put, document, number};
use super::schema::{EVENTS, PK, event_sk, job_pk};
use crate::error::{refused, unavailable};

const APPEND: &str = "the table (appending events)";
const READ: &str = "the table (reading events)";

/// In the counter: the last number.
const SEQ: &str = "seq";
/// In the counter: the last version per group.
const SEEN: &str = "seen";

/// Most events of a transaction (the service takes 100 items, the counter is one).
const EVENTS_MAX: usize = 90;

/// How often a transaction is tried that others keep overtaking. One of them gets through each time.
const TRIES: u32 = 32;

/// Highest number.
const SEQ_MAX: u64 = 9_999_999_999;

/// A change of a group and what it amounts to: group, version, time, kinds.
type Happened = (GroupId, u64, u64, Vec<EventKind>);

#[derive(Debug, thiserror::Error)]
#[error("others appended {TRIES} times in between")]
struct Overtaken;

#[derive(Debug, thiserror::Error)]
#[error("one change has {events} events; at most {EVENTS_MAX} can be appended at once")]
struct TooMany {
    events: usize,
}

#[async_trait]
impl Events for DynamoTable {
    async fn append(&self, key: &JobKey, changes: &[Happened]) -> Result<(), PortError> {
        if let Some((.., kinds)) = changes.iter().find(|(.., kinds)| kinds.len() > EVENTS_MAX) {
            return Err(refused(APPEND, TooMany { events: kinds.len() }));
        }
        let mut overtaken = 0;
        while overtaken < TRIES {
            let counter = self.counter(key).await?;
            let step = Step::of(counter, changes);
            if step.events.is_empty() {
                return Ok(());
            }
            if self.transact(APPEND, self.writes_of(key, &step)?).await?.contains(&true) {
                self.jitter.pause(overtaken).await;
                overtaken += 1;
            } else if step.is_last {
                return Ok(());
            }
        }
        Err(unavailable(APPEND, Overtaken))
    }

    async fn events(&self, key: &JobKey, after: u64, limit: u32) -> Result<EventPage, PortError> {
        if after >= SEQ_MAX {
            return Ok(EventPage::default());
        }
        let query = self.query(&job_pk(key), &event_sk(after + 1), &event_sk(SEQ_MAX));
        let items = self.pages(READ, query, limit as usize).await?;
        let events = items.iter().map(|item| Fields::of(item)?.content());
        Ok(EventPage { events: events.collect::<Result<_, _>>()? })
    }
}

impl DynamoTable {
    async fn counter(&self, key: &JobKey) -> Result<Counter, PortError> {
        match self.get(APPEND, item::key(job_pk(key), EVENTS)).await? {
            Some(item) => Counter::decode(&item),
            None => Ok(Counter::default()),
        }
    }

    fn writes_of(
        &self,
        key: &JobKey,
        step: &Step,
    ) -> Result<Vec<aws_sdk_dynamodb::types::TransactWriteItem>, PortError> {
        let mut some = Placeholders::default();
        let condition = match step.before {
            0 => format!("attribute_not_exists({})", some.name(PK)),
            before => format!("{}={}", some.name(SEQ), some.value(number(before))),
        };
        let mut writes = vec![self.put_if(APPEND, step.after.encode(key), condition, some)?];
        for event in &step.events {
            let mut some = Placeholders::default();
            let absent = format!("attribute_not_exists({})", some.name(PK));
            writes.push(self.put_if(APPEND, document(job_pk(key), event_sk(event.seq), event)?, absent, some)?);
        }
        Ok(writes)
    }
}

/// The counter of a job's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counter {
    seq: u64,
    seen: BTreeMap<GroupId, u64>,
}

impl Counter {
    fn encode(&self, key: &JobKey) -> Item {
        let mut item = item::item(job_pk(key), EVENTS);
        item.put(SEQ, number(self.seq));
        item.put(SEEN, item::map(self.seen.iter().map(|(group, ver)| (group, number(ver)))));
        item
    }

    fn decode(item: &Item) -> Result<Self, PortError> {
        let fields = Fields::of(item)?;
        let seen = fields.map(SEEN)?;
        let versions = seen.keys::<GroupId>().map(|entry| {
            let (group, name) = entry?;
            Ok((group, seen.number(name)?))
        });
        Ok(Self { seq: fields.number(SEQ)?, seen: versions.collect::<Result<_, PortError>>()? })
    }

    fn knows(&self, group: GroupId, ver: u64) -> bool {
        self.seen.get(&group).is_some_and(|seen| *seen >= ver)
    }
}

/// One transaction's worth of what is to be appended.
#[derive(Debug)]
struct Step {
    before: u64,
    after: Counter,
    events: Vec<Event>,
    is_last: bool,
}

impl Step {
    /// Whole changes only, so that a version is either appended or not.
    fn of(counter: Counter, changes: &[Happened]) -> Self {
        let mut step = Self { before: counter.seq, after: counter, events: Vec::new(), is_last: true };
        for (group, ver, at_ms, kinds) in changes {
            if kinds.is_empty() || step.after.knows(*group, *ver) {
                continue;
            }
            if step.events.len() + kinds.len() > EVENTS_MAX {
                step.is_last = false;
                break;
            }
            for kind in kinds {
                step.after.seq += 1;
                let (seq, kind) = (step.after.seq, kind.clone());
                step.events.push(Event { seq, group: *group, ver: *ver, at_ms: *at_ms, kind });
            }
            step.after.seen.insert(*group, *ver);
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(group: GroupId, ver: u64, events: usize) -> Happened {
        (group, ver, 5, vec![EventKind::Working; events])
    }

    #[test]
    fn what_was_appended_is_left_out() {
        let fan = GroupId::Fan { node: 1, part: 0 };
        let counter = Counter { seq: 7, seen: BTreeMap::from([(GroupId::Root, 3)]) };
        let changes = [happened(GroupId::Root, 3, 1), happened(GroupId::Root, 4, 2), happened(fan, 1, 1)];
        let step = Step::of(counter, &changes);
        let numbers: Vec<_> = step.events.iter().map(|event| (event.seq, event.group, event.ver)).collect();
        assert_eq!(numbers, [(8, GroupId::Root, 4), (9, GroupId::Root, 4), (10, fan, 1)]);
        assert!(step.is_last);
        assert!(Step::of(step.after, &changes).events.is_empty());
    }

    #[test]
    fn a_change_is_never_split() {
        let changes = [happened(GroupId::Root, 1, 60), happened(GroupId::Root, 2, 31), happened(GroupId::Root, 3, 1)];
        let first = Step::of(Counter::default(), &changes);
        assert_eq!((first.events.len(), first.is_last), (60, false));
        let second = Step::of(first.after, &changes);
        assert_eq!((second.events.len(), second.is_last, second.before), (32, true, 60));
    }
}
