//! One queue's messages. Nothing here waits or reads a clock: times come in as arguments.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;

use super::settings::Settings;
use super::wire_types::Attributes;

/// Messages that may be in flight at once; AWS's limit for a standard queue.
const IN_FLIGHT_MAX: usize = 120_000;

/// A message as its queue keeps it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub id: String,
    pub body: String,
    pub md5_of_body: String,
    pub attributes: Attributes,
    pub system_attributes: Attributes,
    /// Whom it is sent for: SQS lets other groups pass one that has many messages.
    pub group: Option<String>,
    pub sent_ms: u64,
    pub first_received_ms: Option<u64>,
    pub receives: u32,
    /// The queue it came from, once it is a dead letter.
    pub dead_from: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Delayed { until_ms: u64 },
    InFlight { until_ms: u64 },
}

#[derive(Debug)]
struct Slot {
    message: Message,
    state: State,
}

/// A received message: its place, which receive it is, and itself.
#[derive(Debug)]
pub(super) struct Delivery {
    pub place: u64,
    pub message: Message,
}

/// What a receive takes out of a queue.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub deliveries: Vec<Delivery>,
    /// Messages that were received too often: the caller moves them on.
    pub dead: Vec<Message>,
}

/// Why a message's visibility can't be changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unchanged {
    /// There is no such message any more.
    Gone,
    /// It isn't in flight, or was received again since.
    NotInFlight,
}

/// Messages counted by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Can be received now.
    pub ready: usize,
    /// Received, neither deleted nor visible again.
    pub in_flight: usize,
    /// Waiting for their delay to end.
    pub delayed: usize,
}

/// A standard queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub settings: Settings,
    pub created_ms: u64,
    pub modified_ms: u64,
    /// Rung when something may have become receivable.
    pub bell: Arc<Notify>,
    slots: HashMap<u64, Slot>,
    ready: VecDeque<u64>,
    delayed: BTreeSet<(u64, u64)>,
    in_flight: BTreeSet<(u64, u64)>,
    next_place: u64,
}

impl Queue {
    pub(super) fn new(settings: Settings, now_ms: u64) -> Self {
        Self {
            settings,
            created_ms: now_ms,
            modified_ms: now_ms,
            bell: Arc::default(),
            slots: HashMap::new(),
            ready: VecDeque::new(),
            delayed: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            next_place: 0,
        }
    }

    pub(super) fn put(&mut self, message: Message, delay_ms: u64, now_ms: u64) {
        let place = self.next_place;
        self.next_place += 1;
        let state = if delay_ms == 0 { State::Ready } else { State::Delayed { until_ms: now_ms + delay_ms } };
        self.slots.insert(place, Slot { message, state });
        self.index(place, state);
    }

    /// Up to `max` messages, hidden for `visibility_ms` from now on.
    pub(super) fn take(&mut self, max: usize, visibility_ms: u64, now_ms: u64) -> Taken {
        self.surface(now_ms);
        let mut taken = Taken::default();
        while taken.deliveries.len() < max && self.in_flight.len() < IN_FLIGHT_MAX {
            let Some(place) = self.ready.pop_front() else { break };
            self.receive(place, visibility_ms, now_ms, &mut taken);
        }
        taken
    }

    fn receive(&mut self, place: u64, visibility_ms: u64, now_ms: u64, taken: &mut Taken) {
        let kept_ms = self.settings.retention_s * 1_000;
        let receives_max = self.settings.redrive.as_ref().map_or(u32::MAX, |redrive| redrive.receives_max);
        let Some(slot) = self.slots.get_mut(&place) else { return };
        let dead = slot.message.receives >= receives_max;
        if dead || now_ms >= slot.message.sent_ms.saturating_add(kept_ms) {
            let message = self.slots.remove(&place).map(|slot| slot.message);
            taken.dead.extend(message.filter(|_| dead));
            return;
        }
        slot.message.receives += 1;
        slot.message.first_received_ms.get_or_insert(now_ms);
        slot.state = State::InFlight { until_ms: now_ms + visibility_ms };
        let (message, state) = (slot.message.clone(), slot.state);
        self.index(place, state);
        taken.deliveries.push(Delivery { place, message });
    }

    /// Deletes a message by its latest receipt. An older receipt, or one of a deleted message, changes nothing.
    pub(super) fn delete(&mut self, place: u64, receive: u32) {
        if self.slots.get(&place).is_some_and(|slot| slot.message.receives == receive)
            && let Some(slot) = self.slots.remove(&place)
        {
            self.unindex(place, slot.state);
        }
    }

    pub(super) fn hide(&mut self, receipt: (u64, u32), visibility_ms: u64, now_ms: u64) -> Result<(), Unchanged> {
        let (place, receive) = receipt;
        self.surface(now_ms);
        let slot = self.slots.get_mut(&place).ok_or(Unchanged::Gone)?;
        let before = slot.state;
        if slot.message.receives != receive || !matches!(before, State::InFlight { .. }) {
            return Err(Unchanged::NotInFlight);
        }
        let after =
            if visibility_ms == 0 { State::Ready } else { State::InFlight { until_ms: now_ms + visibility_ms } };
        slot.state = after;
        self.unindex(place, before);
        self.index(place, after);
        Ok(())
    }

    pub(super) fn purge(&mut self) {
        self.slots.clear();
        self.ready.clear();
        self.delayed.clear();
        self.in_flight.clear();
    }

    /// When the next hidden message becomes receivable.
    pub(super) fn next_change_ms(&self) -> Option<u64> {
        let first = |hidden: &BTreeSet<(u64, u64)>| hidden.first().map(|(until_ms, _)| *until_ms);
        first(&self.delayed).into_iter().chain(first(&self.in_flight)).min()
    }

    pub(super) fn depth(&self) -> Depth {
        Depth { ready: self.ready.len(), in_flight: self.in_flight.len(), delayed: self.delayed.len() }
    }

    /// Makes receivable whatever's time has come.
    pub(super) fn surface(&mut self, now_ms: u64) {
        for hidden in [&mut self.delayed, &mut self.in_flight] {
            while let Some((until_ms, place)) = hidden.first().copied()
                && until_ms <= now_ms
            {
                hidden.pop_first();
                if let Some(slot) = self.slots.get_mut(&place) {
                    slot.state = State::Ready;
                    self.ready.push_back(place);
                }
            }
        }
    }

    fn index(&mut self, place: u64, state: State) {
        match state {
            State::Ready => self.ready.push_back(place),
            State::Delayed { until_ms } => {
                self.delayed.insert((until_ms, place));
            }
            State::InFlight { until_ms } => {
                self.in_flight.insert((until_ms, place));
            }
        }
        // All of them: who waits for the nearest time may have a new one to wait for.
        self.bell.notify_waiters();
    }

    fn unindex(&mut self, place: u64, state: State) {
        match state {
            State::Ready => self.ready.retain(|ready| *ready != place),
            State::Delayed { until_ms } => {
                self.delayed.remove(&(until_ms, place));
            }
            State::InFlight { until_ms } => {
                self.in_flight.remove(&(until_ms, place));
            }
        }
    }
}
