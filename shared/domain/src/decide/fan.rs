//! Fan-outs: opening groups, lending them money, lending more.

use std::collections::BTreeMap;

use crate::bits::Bits;
use crate::change::{Change, Set, When};
use crate::graph::Map;
use crate::group::{Balance, Fan, Group, LANES_PER_GROUP, Loan, Order, Scope};
use crate::ids::{GroupId, SlotId};
use crate::money::Cost;
use crate::slot::{At, Slot};

use super::{Refusal, View};

/// The groups that a map opens, with what each is lent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Empty for an empty list.
    pub loans: Vec<(GroupId, Loan)>,
}

impl Expansion {
    /// All that is lent.
    pub fn total(&self) -> Cost {
        self.loans.iter().fold(Cost::ZERO, |sum, (_, loan)| sum + loan.lent)
    }
}

/// Plans the groups of a map of `items` items, lending them what is left in proportion to the threads that share it.
pub fn expand(view: &View<'_>, node: u16, map: &Map, items: u32, refund: Cost) -> Expansion {
    let lanes = lanes(map, items);
    let parts = if map.ordered { lanes.min(1) } else { lanes.div_ceil(LANES_PER_GROUP) };
    let others = u32::try_from(view.group.run.len()).unwrap_or(u32::MAX).saturating_sub(1);
    let left = view.group.left.available() + refund;
    let share = left.share(u64::from(lanes.saturating_add(others)));
    let loans = (0..parts).map(|part| {
        let lanes = if map.ordered { lanes } else { LANES_PER_GROUP.min(lanes - part * LANES_PER_GROUP) };
        let times = |n: u64| n.saturating_mul(u64::from(lanes));
        let lent = Cost { usd: crate::money::MicroUsd(times(share.usd.0)), tokens: times(share.tokens) };
        (fan_id(node, part), Loan { lent, starved: false })
    });
    Expansion { loans: loans.collect() }
}

fn fan_id(node: u16, part: u32) -> GroupId {
    GroupId::Fan { node, part: u16::try_from(part).unwrap_or(u16::MAX) }
}

fn lanes(map: &Map, items: u32) -> u32 {
    map.concurrency.clamp(1, crate::graph::LANES_MAX).min(items)
}

/// A map's list, as its step's result tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<'a> {
    /// How many items.
    pub items: u32,
    /// How many a stored chunk holds.
    pub chunk: u32,
    /// Which items each waits for, where the map is ordered.
    pub needs: Option<&'a [Vec<u8>]>,
}

/// The group `id` as it begins. Always the same for the same arguments, so that whoever misses it may put it.
pub fn new_fan(map: &Map, id: GroupId, list: List<'_>, lent: Cost, now_ms: u64) -> Group {
    let part = match id {
        GroupId::Root => 0,
        GroupId::Fan { part, .. } => u32::from(part),
    };
    let stride = lanes(map, list.items);
    let (order, room, run) = if let Some(needs) = list.needs {
        (Order::After { needs: needs.to_vec(), concurrency: stride }, needs.len(), BTreeMap::new())
    } else {
        let first = part * LANES_PER_GROUP;
        let count = LANES_PER_GROUP.min(stride.saturating_sub(first));
        let lane = |lane: u32| Some((SlotId(u16::try_from(lane).ok()?), Slot::new(At::start(lane))));
        let run = (first..first + count).filter_map(lane).collect();
        (Order::Lanes { first, count, stride }, count as usize, run)
    };
    Group {
        id,
        ver: 1,
        last: String::from("new"),
        at_ms: now_ms,
        ending: None,
        done: Bits::with_room(room),
        no: Bits::default(),
        rounds: BTreeMap::new(),
        run,
        left: Balance::of(lent),
        spent: Cost::ZERO,
        scope: Scope::Fan(Fan { drawn: lent, items: list.items, chunk: list.chunk, order, failed: 0 }),
    }
}

/// Lends `group` more of the job's money: at least `need`, and as much as its share would be.
pub fn draw(root: &View<'_>, group: GroupId, need: Cost, mark: String) -> Result<Change, Refusal> {
    let job = root.group.root().ok_or(Refusal::Impossible)?;
    let loan = job.groups.get(&group).copied().ok_or(Refusal::Stale)?;
    if root.group.ending.is_some() {
        return Err(Refusal::Ending);
    }
    let left = root.group.left;
    if !left.covers(Balance::of(need)) {
        return Err(Refusal::Unaffordable);
    }
    let more = left.available().share(job.groups.len() as u64 + 1).max(need);
    let loan_after = Loan { lent: loan.lent + more, starved: false };
    Ok(Change::new(GroupId::Root, mark, root.now_ms)
        .when(When::Live)
        .when(When::Open(group, loan))
        .when(When::Covers(Balance::of(more)))
        .set(Set::Group(group, Some(loan_after)))
        .money(Cost::ZERO, more, Cost::ZERO))
}

/// Whether the job has lent more than the group has drawn.
///
/// A loan only grows. A smaller one was read before the group drew a larger: taking it in would take money away that may
/// be held already.
pub fn is_owed(group: &Group, lent: Cost) -> bool {
    let grows = |drawn: Cost| lent != drawn && lent.usd >= drawn.usd && lent.tokens >= drawn.tokens;
    group.fan().is_some_and(|fan| grows(fan.drawn))
}

/// Takes into the group what the job has lent it; `None` where nothing is owed.
pub fn drawn(group: &Group, lent: Cost, mark: String, now_ms: u64) -> Option<Change> {
    let before = group.fan()?.drawn;
    is_owed(group, lent).then(|| {
        Change::new(group.id, mark, now_ms)
            .when(When::Drawn(before))
            .set(Set::Drawn(lent))
            .set(Set::Left(Balance::between(lent, before)))
    })
}

/// Notes in the job that a group stands still for want of money.
pub fn starve(root: &View<'_>, group: GroupId, mark: String) -> Result<Change, Refusal> {
    let job = root.group.root().ok_or(Refusal::Impossible)?;
    let loan = job.groups.get(&group).copied().ok_or(Refusal::Stale)?;
    if loan.starved {
        return Err(Refusal::Stale);
    }
    Ok(Change::new(GroupId::Root, mark, root.now_ms)
        .when(When::Open(group, loan))
        .set(Set::Group(group, Some(Loan { starved: true, ..loan }))))
}
