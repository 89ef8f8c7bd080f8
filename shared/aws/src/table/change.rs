//! A change as one `UpdateItem`.
//!
//! Settings on the same path are folded first: the service refuses two of them in one expression.

use std::collections::BTreeMap;

use convoke_domain::bits::Bits;
use convoke_domain::change::{Change, Field, Set, When};
use convoke_domain::group::{Balance, Ending, Loan};
use convoke_domain::ids::{GroupId, JobId, SlotId};
use convoke_domain::money::Cost;
use convoke_domain::slot::Slot;
use convoke_domain::status::JobStatus;

use super::expression::Placeholders;
use super::group;
use super::item::{number, text};
use super::schema::{self, GPK2, GSK2, PK, attr};

/// The expressions of one conditional update.
#[derive(Debug)]
pub(crate) struct Update {
    /// What has to hold.
    pub(crate) condition: String,
    /// What is set and removed.
    pub(crate) settings: String,
    /// Names and values of both.
    pub(crate) placeholders: Placeholders,
}

impl Update {
    /// Of a change on one of `job`'s groups. Beside the change's own conditions: the item exists, and its last change
    /// wasn't this very one.
    pub(crate) fn of(job: &JobId, change: &Change) -> Self {
        let mut placeholders = Placeholders::default();
        let condition = condition(&mut placeholders, change);
        let mut clauses = Clauses { placeholders, sets: Vec::new(), removes: Vec::new() };
        clauses.stamp(change);
        let folded = Folded::of(change);
        clauses.threads(&folded);
        clauses.money(&folded);
        clauses.scope(&folded, job);
        let Clauses { placeholders, sets, removes } = clauses;
        let mut settings = format!("SET {}", sets.join(","));
        if !removes.is_empty() {
            settings = format!("{settings} REMOVE {}", removes.join(","));
        }
        Self { condition, settings, placeholders }
    }
}

fn condition(some: &mut Placeholders, change: &Change) -> String {
    let exists = format!("attribute_exists({})", some.name(PK));
    let not_yet = format!("{}<>{}", some.name(attr::LAST), some.value(text(&change.mark)));
    let own = change.when.iter().map(|when| when_holds(some, when));
    [exists, not_yet].into_iter().chain(own.collect::<Vec<_>>()).collect::<Vec<_>>().join(" AND ")
}

fn when_holds(some: &mut Placeholders, when: &When) -> String {
    match when {
        When::Live => format!("attribute_not_exists({})", some.name(attr::END)),
        When::Ver(ver) => format!("{}={}", some.name(attr::VER), some.value(number(ver))),
        When::Slot(id, None) => format!("attribute_not_exists({})", some.path(attr::RUN, &id.to_string())),
        When::Slot(id, Some(slot)) => {
            format!("{}={}", some.path(attr::RUN, &id.to_string()), some.value(text(slot.to_string())))
        }
        When::Word(field, place, value) => word_is(some, (*field, *place), *value),
        When::Covers(Balance { usd, tokens }) => format!(
            "{}>={} AND {}>={}",
            some.name(attr::LEFT_USD),
            some.value(number(usd)),
            some.name(attr::LEFT_TOKENS),
            some.value(number(tokens)),
        ),
        When::Open(id, loan) => {
            format!("{}={}", some.path(attr::GROUPS, &id.to_string()), some.value(group::loan(*loan)))
        }
        When::Drawn(Cost { usd, tokens }) => format!(
            "{}={} AND {}={}",
            some.name(attr::DRAWN_USD),
            some.value(number(usd.0)),
            some.name(attr::DRAWN_TOKENS),
            some.value(number(tokens)),
        ),
        // Only the job's own item has a pause.
        When::Due(None) => {
            format!("attribute_not_exists({}) AND attribute_exists({})", some.name(GSK2), some.name(attr::PAUSE))
        }
        When::Rests(None) => {
            format!("attribute_not_exists({}) AND attribute_exists({})", some.name(attr::RESTS), some.name(attr::PAUSE))
        }
        When::Rests(Some(since_ms)) => format!("{}={}", some.name(attr::RESTS), some.value(number(since_ms))),
        When::Due(Some(due_ms)) => format!("{}={}", some.name(GSK2), some.value(number(due_ms))),
    }
}

/// A word that isn't stored is zero.
fn word_is(some: &mut Placeholders, (field, place): (Field, usize), value: u64) -> String {
    let path = some.path(bits(field), &place.to_string());
    let is = format!("{path}={}", some.value(number(value)));
    if value == 0 { format!("(attribute_not_exists({path}) OR {is})") } else { is }
}

const fn bits(field: Field) -> &'static str {
    match field {
        Field::Done => attr::DONE,
        Field::No => attr::NO,
    }
}

/// A change's settings, one per path.
#[derive(Debug, Default)]
struct Folded<'a> {
    slots: BTreeMap<SlotId, Option<&'a Slot>>,
    done: Bits,
    no: Bits,
    rounds: BTreeMap<SlotId, u32>,
    left: Balance,
    spent: Cost,
    ending: Option<&'a Ending>,
    status: Option<JobStatus>,
    groups: BTreeMap<GroupId, Option<Loan>>,
    clock: Option<(u64, Option<u64>)>,
    drawn: Option<Cost>,
    failed: u32,
    due: Option<Due>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at_ms: Option<u64>,
    swept_ver: u64,
    pause_ms: u64,
}

impl<'a> Folded<'a> {
    /// What is another kind of group's is left out, as [`Change::apply`] does.
    fn of(change: &'a Change) -> Self {
        let mut folded = Self::default();
        for set in &change.set {
            folded.thread(set);
            match change.group {
                GroupId::Root => folded.root(set),
                GroupId::Fan { .. } => folded.fan(set),
            }
        }
        folded
    }

    fn thread(&mut self, set: &'a Set) {
        match set {
            Set::Slot(id, slot) => drop(self.slots.insert(*id, slot.as_ref())),
            Set::Bit(Field::Done, index) => self.done.insert(*index),
            Set::Bit(Field::No, index) => self.no.insert(*index),
            Set::Round(id, round) => drop(self.rounds.insert(*id, *round)),
            Set::Left(delta) => self.left = self.left.plus(*delta),
            Set::Spent(cost) => self.spent += *cost,
            Set::Ending(ending) => self.ending = Some(ending),
            Set::Status(_) | Set::Group(..) | Set::Clock { .. } | Set::Drawn(_) | Set::Failed | Set::Due { .. } => {}
        }
    }

    fn root(&mut self, set: &Set) {
        match set {
            Set::Status(status) => self.status = Some(*status),
            Set::Group(id, loan) => drop(self.groups.insert(*id, *loan)),
            Set::Clock { deadline_ms, rests_since_ms } => self.clock = Some((*deadline_ms, *rests_since_ms)),
            Set::Due { due_ms, swept_ver, pause_ms } => {
                self.due = Some(Due { at_ms: *due_ms, swept_ver: *swept_ver, pause_ms: *pause_ms });
            }
            _ => {}
        }
    }

    fn fan(&mut self, set: &Set) {
        match set {
            Set::Drawn(cost) => self.drawn = Some(*cost),
            Set::Failed => self.failed += 1,
            _ => {}
        }
    }
}

/// An update expression in the making.
struct Clauses {
    placeholders: Placeholders,
    sets: Vec<String>,
    removes: Vec<String>,
}

impl Clauses {
    fn set(&mut self, path: &str, value: aws_sdk_dynamodb::types::AttributeValue) {
        let value = self.placeholders.value(value);
        self.sets.push(format!("{path}={value}"));
    }

    fn add(&mut self, name: &str, delta: impl std::fmt::Display) {
        let (name, delta) = (self.placeholders.name(name), self.placeholders.value(number(delta)));
        self.sets.push(format!("{name}={name}+{delta}"));
    }

    fn stamp(&mut self, change: &Change) {
        self.add(attr::VER, 1);
        let (last, at) = (self.placeholders.name(attr::LAST), self.placeholders.name(attr::AT));
        self.set(&last, text(&change.mark));
        self.set(&at, number(change.now_ms));
    }

    fn threads(&mut self, folded: &Folded<'_>) {
        for (id, slot) in &folded.slots {
            let path = self.placeholders.path(attr::RUN, &id.to_string());
            match slot {
                Some(slot) => self.set(&path, text(slot.to_string())),
                None => self.removes.push(path),
            }
        }
        self.words(attr::DONE, &folded.done);
        self.words(attr::NO, &folded.no);
        for (id, round) in &folded.rounds {
            let path = self.placeholders.path(attr::ROUNDS, &id.to_string());
            self.set(&path, number(round));
        }
        if let Some(ending) = folded.ending {
            let path = self.placeholders.name(attr::END);
            self.set(&path, group::ending(ending));
        }
    }

    /// Bits that aren't set yet are added, so that writers of different bits don't meet.
    fn words(&mut self, name: &str, bits: &Bits) {
        for (place, word) in bits.words().iter().enumerate().filter(|(_, word)| **word != 0) {
            let path = self.placeholders.path(name, &place.to_string());
            let (zero, more) = (self.placeholders.value(number(0)), self.placeholders.value(number(word)));
            self.sets.push(format!("{path}=if_not_exists({path},{zero})+{more}"));
        }
    }

    fn money(&mut self, folded: &Folded<'_>) {
        if folded.left != Balance::default() {
            self.add(attr::LEFT_USD, folded.left.usd);
            self.add(attr::LEFT_TOKENS, folded.left.tokens);
        }
        if !folded.spent.is_zero() {
            self.add(attr::SPENT_USD, folded.spent.usd.0);
            self.add(attr::SPENT_TOKENS, folded.spent.tokens);
        }
    }

    fn scope(&mut self, folded: &Folded<'_>, job: &JobId) {
        if let Some(status) = folded.status {
            self.status(status, folded);
        }
        for (id, loan) in &folded.groups {
            let path = self.placeholders.path(attr::GROUPS, &id.to_string());
            match loan {
                Some(loan) => self.set(&path, group::loan(*loan)),
                None => self.removes.push(path),
            }
        }
        if let Some((deadline_ms, rests_since_ms)) = folded.clock {
            let (deadline, rests) = (self.placeholders.name(attr::DEADLINE), self.placeholders.name(attr::RESTS));
            self.set(&deadline, number(deadline_ms));
            match rests_since_ms {
                Some(since_ms) => self.set(&rests, number(since_ms)),
                None => self.removes.push(rests),
            }
        }
        if let Some(due) = folded.due {
            self.due(due, job);
        }
        if let Some(drawn) = folded.drawn {
            let (usd, tokens) = (self.placeholders.name(attr::DRAWN_USD), self.placeholders.name(attr::DRAWN_TOKENS));
            self.set(&usd, number(drawn.usd.0));
            self.set(&tokens, number(drawn.tokens));
        }
        if folded.failed > 0 {
            self.add(attr::FAILED, folded.failed);
        }
    }

    fn due(&mut self, due: Due, job: &JobId) {
        let (partition, time) = (self.placeholders.name(GPK2), self.placeholders.name(GSK2));
        match due.at_ms {
            Some(at_ms) => {
                self.set(&partition, text(schema::due_pk(schema::due_shard(job))));
                self.set(&time, number(at_ms));
            }
            None => self.removes.extend([partition, time]),
        }
        let (swept, pause) = (self.placeholders.name(attr::SWEPT), self.placeholders.name(attr::PAUSE));
        self.set(&swept, number(due.swept_ver));
        self.set(&pause, number(due.pause_ms));
    }

    /// The terminal state brings the row of the list up to date: cost and reason stand in the item already, and an
    /// expression reads them as they were before this change.
    fn status(&mut self, status: JobStatus, folded: &Folded<'_>) {
        let path = self.placeholders.name(attr::STATUS);
        self.set(&path, text(status.as_str()));
        if !status.is_terminal() {
            return;
        }
        for (row, spent, more) in [
            (attr::COST_USD, attr::SPENT_USD, folded.spent.usd.0),
            (attr::COST_TOKENS, attr::SPENT_TOKENS, folded.spent.tokens),
        ] {
            let (row, spent) = (self.placeholders.name(row), self.placeholders.name(spent));
            let more = self.placeholders.value(number(more));
            self.sets.push(format!("{row}={spent}+{more}"));
        }
        self.stop_reason(status, folded.ending);
    }

    fn stop_reason(&mut self, status: JobStatus, now: Option<&Ending>) {
        let row = self.placeholders.name(attr::STOP_REASON);
        if let Some(ending) = now {
            return self.set(&row, text(ending.reason.as_str()));
        }
        let before = self.placeholders.path(attr::END, attr::REASON);
        let otherwise = match status {
            JobStatus::Completed => "completed",
            JobStatus::Cancelled => "cancelled",
            JobStatus::Failed | JobStatus::Queued | JobStatus::Working | JobStatus::AwaitingReview => "internal",
        };
        let otherwise = self.placeholders.value(text(otherwise));
        self.sets.push(format!("{row}=if_not_exists({before},{otherwise})"));
    }
}
