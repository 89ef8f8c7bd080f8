//! What a decision wants committed: conditions and settings on one group, as data.
//!
//! A storage adapter turns a change into one conditional write; a fake applies it with [`Change::apply`]. Both must agree:
//! the contract suite holds them to it. Settings commute wherever two writers may meet (bits and money are added, slots
//! are set one by one), so that many ends in one millisecond don't conflict.

use crate::bits::Bits;
use crate::group::{Balance, Ending, Group, Loan, Scope};
use crate::ids::{GroupId, SlotId};
use crate::money::Cost;
use crate::slot::Slot;
use crate::status::JobStatus;

/// Which bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// [`Group::done`].
    Done,
    /// [`Group::no`].
    No,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// The group isn't ending.
    Live,
    /// The version is just this: nothing has changed since it was read.
    Ver(u64),
    /// The slot is exactly this, or absent.
    Slot(SlotId, Option<Slot>),
    /// A word of a bit set is just this.
    Word(Field, usize, u64),
    /// What is left covers this.
    Covers(Balance),
    /// A group is open with just this loan.
    Open(GroupId, Loan),
    /// The group has drawn just this.
    Drawn(Cost),
    /// The sweep looks at the job just then (root only).
    Due(Option<u64>),
    /// The job rests since just then, or doesn't (root only).
    Rests(Option<u64>),
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    /// Puts or removes a slot.
    Slot(SlotId, Option<Slot>),
    /// Adds one bit that isn't set yet (the conditions see to that).
    Bit(Field, usize),
    /// Notes the last round of a loop.
    Round(SlotId, u32),
    /// Adds to what is left.
    Left(Balance),
    /// Adds to what is spent.
    Spent(Cost),
    /// Ends the group.
    Ending(Ending),
    /// State of the job (root only).
    Status(JobStatus),
    /// Opens a group, changes its loan, or closes it (root only).
    Group(GroupId, Option<Loan>),
    /// The job's clock (root only).
    Clock {
        /// When its time is over.
        deadline_ms: u64,
        /// Since when it stands still; `None` where it runs.
        rests_since_ms: Option<u64>,
    },
    /// What the group has drawn (fan only).
    Drawn(Cost),
    /// Counts a failed item (fan only).
    Failed,
    /// When the sweep looks again, and what it remembers (root only).
    Due {
        /// Unix milliseconds; `None` for never.
        due_ms: Option<u64>,
        /// Sum of versions that the sweep saw.
        swept_ver: u64,
        /// Length of its pause.
        pause_ms: u64,
    },
}

/// One conditional write on one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// On which group.
    pub group: GroupId,
    /// Unique: who finds it on the item knows that this change was applied.
    pub mark: String,
    /// Time of the writer.
    pub now_ms: u64,
    /// All must hold.
    pub when: Vec<When>,
    /// All are applied, or none.
    pub set: Vec<Set>,
}

impl Change {
    /// A change without conditions and settings.
    pub const fn new(group: GroupId, mark: String, now_ms: u64) -> Self {
        Self { group, mark, now_ms, when: Vec::new(), set: Vec::new() }
    }

    /// With one more condition.
    #[must_use]
    pub fn when(mut self, when: When) -> Self {
        self.when.push(when);
        self
    }

    /// With one more setting.
    #[must_use]
    pub fn set(mut self, set: Set) -> Self {
        self.set.push(set);
        self
    }

    /// With `credit` given back to and `debit` taken from what is left, and `spent` settled.
    #[must_use]
    pub fn money(mut self, credit: Cost, debit: Cost, spent: Cost) -> Self {
        let delta = Balance::between(credit, debit);
        if delta != Balance::default() {
            self.set.push(Set::Left(delta));
        }
        if !spent.is_zero() {
            self.set.push(Set::Spent(spent));
        }
        self
    }

    /// The group after this change, or `None` where a condition fails.
    pub fn apply(&self, group: &Group) -> Option<Group> {
        if !self.when.iter().all(|when| when.holds(group)) {
            return None;
        }
        let mut after = group.clone();
        for set in &self.set {
            set.apply(&mut after);
        }
        after.ver += 1;
        after.last.clone_from(&self.mark);
        after.at_ms = self.now_ms;
        Some(after)
    }
}

impl When {
    fn holds(&self, group: &Group) -> bool {
        match self {
            Self::Live => group.ending.is_none(),
            Self::Ver(ver) => group.ver == *ver,
            Self::Slot(id, expected) => group.run.get(id) == expected.as_ref(),
            Self::Word(field, number, value) => bits(group, *field).word(*number) == *value,
            Self::Covers(need) => group.left.covers(*need),
            Self::Open(id, loan) => group.root().is_some_and(|root| root.groups.get(id) == Some(loan)),
            Self::Drawn(cost) => group.fan().is_some_and(|fan| fan.drawn == *cost),
            Self::Due(due_ms) => group.root().is_some_and(|root| root.due_ms == *due_ms),
            Self::Rests(since_ms) => group.root().is_some_and(|root| root.rests_since_ms == *since_ms),
        }
    }
}

const fn bits(group: &Group, field: Field) -> &Bits {
    match field {
        Field::Done => &group.done,
        Field::No => &group.no,
    }
}

impl Set {
    fn apply(&self, group: &mut Group) {
        match self {
            Self::Slot(id, Some(slot)) => drop(group.run.insert(*id, slot.clone())),
            Self::Slot(id, None) => drop(group.run.remove(id)),
            Self::Bit(Field::Done, index) => group.done.insert(*index),
            Self::Bit(Field::No, index) => group.no.insert(*index),
            Self::Round(id, round) => drop(group.rounds.insert(*id, *round)),
            Self::Left(delta) => group.left = group.left.plus(*delta),
            Self::Spent(cost) => group.spent += *cost,
            Self::Ending(ending) => group.ending = Some(ending.clone()),
            Self::Status(_)
            | Self::Group(..)
            | Self::Clock { .. }
            | Self::Drawn(_)
            | Self::Failed
            | Self::Due { .. } => self.apply_to_scope(&mut group.scope),
        }
    }

    fn apply_to_scope(&self, scope: &mut Scope) {
        match (scope, self) {
            (Scope::Root(root), Self::Status(status)) => root.status = *status,
            (Scope::Root(root), Self::Group(id, Some(loan))) => drop(root.groups.insert(*id, *loan)),
            (Scope::Root(root), Self::Group(id, None)) => drop(root.groups.remove(id)),
            (Scope::Root(root), Self::Due { due_ms, swept_ver, pause_ms }) => {
                root.due_ms = *due_ms;
                root.swept_ver = *swept_ver;
                root.pause_ms = *pause_ms;
            }
            (Scope::Root(root), Self::Clock { deadline_ms, rests_since_ms }) => {
                root.deadline_ms = *deadline_ms;
                root.rests_since_ms = *rests_since_ms;
            }
            (Scope::Fan(fan), Self::Drawn(cost)) => fan.drawn = *cost,
            (Scope::Fan(fan), Self::Failed) => fan.failed += 1,
            // Decisions never mix them; a change that did would set nothing.
            _ => {}
        }
    }
}
