//! `Events`: what has happened to a job, numbered without gaps.
//!
//! Events stand in pages, each put once under the number of its first event. A page also tells, per group, the last
//! version whose events are appended up to its end: whoever appends reads the last page, unless this process put it, and
//! puts the next one if there is none. Of two who append at once one finds its page taken and looks again, so that neither two writers nor a repeat
//! number an event twice; that takes neither a counter nor a transaction, which would cost twice the units.

use std::collections::BTreeMap;

use async_trait::async_trait;
use convoke_app::ports::{Event, EventKind, EventPage, Events, PortError};
use convoke_domain::ids::{GroupId, JobKey};
use serde::{Deserialize, Serialize};

use super::DynamoTable;
use super::item::{Fields, Item, document};
use super::requests::PutOnce;
use super::schema::{event_sk, job_pk};
use super::tails::Tail;
use crate::error::{port_error, refused, unavailable};

const APPEND: &str = "the table (appending events)";
const READ: &str = "the table (reading events)";

/// Most events of a page, but for those of one change. Whoever reads on from the middle of a page has to find its
/// beginning, so this bounds what is read in vain.
const PAGE_EVENTS_MAX: usize = 32;

/// How often a page is tried that others keep putting first. One of them gets through each time.
const TRIES: u32 = 32;

/// Highest number.
const SEQ_MAX: u64 = 9_999_999_999;

/// A change of a group and what it amounts to: group, version, time, kinds.
type Happened = (GroupId, u64, u64, Vec<EventKind>);

#[derive(Debug, thiserror::Error)]
#[error("others appended {TRIES} times in between")]
struct Overtaken;

#[derive(Debug, thiserror::Error)]
#[error("one change has {events} events; at most {PAGE_EVENTS_MAX} can be appended at once")]
struct TooMany {
    events: usize,
}

#[async_trait]
impl Events for DynamoTable {
    async fn append(&self, key: &JobKey, changes: &[Happened]) -> Result<(), PortError> {
        if let Some((.., kinds)) = changes.iter().find(|(.., kinds)| kinds.len() > PAGE_EVENTS_MAX) {
            return Err(refused(APPEND, TooMany { events: kinds.len() }));
        }
        if changes.iter().all(|(.., kinds)| kinds.is_empty()) {
            return Ok(());
        }
        let mut tail = match self.tails.take(key) {
            Some(tail) => tail,
            None if is_beginning(changes) => Tail::default(),
            None => self.tail(key).await?,
        };
        let mut overtaken = 0;
        while overtaken < TRIES {
            let page = Page::after(&tail, changes);
            let Some(first) = page.events.first() else {
                self.tails.put(key, tail);
                return Ok(());
            };
            match self.put_once(APPEND, document(job_pk(key), event_sk(first.seq), &page)?).await? {
                PutOnce::Stored => tail = page.into_tail(),
                PutOnce::Found(_) => {
                    self.jitter.pause(overtaken).await;
                    overtaken += 1;
                    tail = self.tail(key).await?;
                }
            }
        }
        Err(unavailable(APPEND, Overtaken))
    }

    async fn events(&self, key: &JobKey, after: u64, limit: u32) -> Result<EventPage, PortError> {
        if after >= SEQ_MAX {
            return Ok(EventPage::default());
        }
        let limit = limit as usize;
        // The page that holds the next event may begin as many events before it as a page can hold.
        let from = (after + 2).saturating_sub(PAGE_EVENTS_MAX as u64).max(1);
        let query = self.query(&job_pk(key), &event_sk(from), &event_sk(SEQ_MAX));
        let mut events: Vec<Event> = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            // Pages of a few events each are the rule.
            let pages = i32::try_from((limit - events.len()) / 4 + 4).unwrap_or(i32::MAX);
            let found = query.clone().limit(pages).set_exclusive_start_key(start.take()).send().await;
            let found = found.map_err(|error| port_error(READ, error))?;
            for item in found.items() {
                let page: Page = Fields::of(item)?.content()?;
                events.extend(page.events.into_iter().filter(|event| event.seq > after));
            }
            start = found.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() || events.len() >= limit {
                events.truncate(limit);
                return Ok(EventPage { events });
            }
        }
    }
}

impl DynamoTable {
    /// Where the job's events end, strongly read.
    async fn tail(&self, key: &JobKey) -> Result<Tail, PortError> {
        let query = self.query(&job_pk(key), &event_sk(1), &event_sk(SEQ_MAX)).scan_index_forward(false).limit(1);
        let last = query.send().await.map_err(|error| port_error(APPEND, error))?;
        match last.items().first() {
            Some(item) => Ok(Fields::of(item)?.content::<Page>()?.into_tail()),
            None => Ok(Tail::default()),
        }
    }
}

/// Whether nothing can have been appended before, unless these changes have.
fn is_beginning(changes: &[Happened]) -> bool {
    changes.iter().any(|(.., kinds)| kinds.contains(&EventKind::Submitted))
}

/// Events that were appended together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Page {
    /// In order; at least one where the page is stored.
    events: Vec<Event>,
    /// Per group the last version whose events are in this page, or in one before it.
    seen: BTreeMap<GroupId, u64>,
}

impl Page {
    /// The page that follows `tail`, with as much of `changes` as fits and isn't appended yet. Whole changes only, so that
    /// a version is either appended or not.
    fn after(tail: &Tail, changes: &[Happened]) -> Self {
        let mut page = Self { events: Vec::new(), seen: tail.seen.clone() };
        let mut seq = tail.seq;
        for (group, ver, at_ms, kinds) in changes {
            if kinds.is_empty() || page.seen.get(group).is_some_and(|seen| seen >= ver) {
                continue;
            }
            if page.events.len() + kinds.len() > PAGE_EVENTS_MAX {
                break;
            }
            for kind in kinds {
                seq += 1;
                page.events.push(Event { seq, group: *group, ver: *ver, at_ms: *at_ms, kind: kind.clone() });
            }
            page.seen.insert(*group, *ver);
        }
        page
    }

    /// Where the events end with this page.
    fn into_tail(self) -> Tail {
        Tail { seq: self.events.last().map_or(0, |event| event.seq), seen: self.seen }
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
        let tail = Tail { seq: 7, seen: BTreeMap::from([(GroupId::Root, 3)]) };
        let changes = [happened(GroupId::Root, 3, 1), happened(GroupId::Root, 4, 2), happened(fan, 1, 1)];
        let page = Page::after(&tail, &changes);
        let numbers: Vec<_> = page.events.iter().map(|event| (event.seq, event.group, event.ver)).collect();
        assert_eq!(numbers, [(8, GroupId::Root, 4), (9, GroupId::Root, 4), (10, fan, 1)]);
        assert!(Page::after(&page.into_tail(), &changes).events.is_empty());
    }

    #[test]
    fn a_change_is_never_split() {
        let changes = [happened(GroupId::Root, 1, 20), happened(GroupId::Root, 2, 13), happened(GroupId::Root, 3, 1)];
        let first = Page::after(&Tail::default(), &changes);
        assert_eq!(first.events.len(), 20);
        let tail = first.into_tail();
        let second = Page::after(&tail, &changes);
        assert_eq!((second.events.len(), tail.seq), (14, 20));
        assert!(Page::after(&second.into_tail(), &changes).events.is_empty());
    }
}
