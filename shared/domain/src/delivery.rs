//! Telling one target of one job's events: what it has acknowledged, who is at it, when it is tried again.
//!
//! A delivery is a small state that is replaced as a whole, version by version; whoever finds another version than the one
//! it decided upon decides again. Events are told in order: the one after the last that was acknowledged, then the next.
//!
//! | in | what | comes to |
//! |---|---|---|
//! | nobody at it | [`Delivery::claim`] | a lease; due when that runs out |
//! | leased by me | [`Delivery::acked`], [`Delivery::resent`] | one event less; the lease is renewed where little of it is left |
//! | leased by me | [`Delivery::failed`] with a pause | nobody at it until the pause is over; due then |
//! | leased by me | [`Delivery::failed`] without, [`Delivery::given_up`] | over: given up |
//! | leased by me | [`Delivery::released`] | nobody at it; due after a quarter of an hour, should a bell get lost |
//! | leased by me | [`Delivery::told`] | over: the job has ended, and everything is told |
//! | any | [`Delivery::send_again`] | an event that was told is told again; what was given up goes on |
//! | due | [`Delivery::looked_at`] | due again, after pauses that grow from 1 to 15 minutes |

mod chat;
mod schedule;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::TargetId;
pub use chat::{CARDS_MAX, Card, EndTold, Shown, ShownReview, chat_pause_ms, crowded_ms, refresh_ms};
pub use schedule::{ASKED_MS_MAX, ASKED_MS_MIN, TRIES_MAX, pause_ms};

/// How long whoever is at a delivery has it for itself, in milliseconds: a try and some.
pub const LEASE_MS: u64 = 30_000;
/// A lease is renewed once less than this is left of it, in milliseconds.
const RENEW_BELOW_MS: u64 = 18_000;
/// When a delivery that nobody is at is looked at at the latest, in milliseconds.
pub const QUIET_MS: u64 = 15 * 60_000;
/// First pause between two looks at a delivery that stays due, in milliseconds; each further one is twice as long.
const FIRST_PAUSE_MS: u64 = 60_000;
/// Most events that wait to be told again.
pub const AGAIN_MAX: usize = 50;

/// Who is at a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The claim.
    pub nonce: String,
    /// Unix milliseconds after which others may take it over.
    pub until_ms: u64,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// The job has ended, and all that was wanted of it is acknowledged.
    Told,
    /// The target didn't acknowledge in all its tries, or takes nothing any more.
    GivenUp,
}

/// Why a change doesn't apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// Somebody else is at it.
    #[error("somebody else is at it")]
    Taken,
    /// It failed, and is left alone for a while.
    #[error("it is left alone for a while")]
    Early,
    /// There is nothing more to tell.
    #[error("it is over")]
    Over,
    /// The lease is another's by now.
    #[error("the lease is lost")]
    Lost,
    /// As many events as can be wait to be told again.
    #[error("{AGAIN_MAX} events wait to be told again")]
    Full,
}

/// A job's events on their way to a target. Never a secret, never a text of the job's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Whom.
    pub target: TargetId,
    /// Version, +1 with each change.
    pub ver: u64,
    /// Mark of the last change: whoever doesn't know whether its change was applied finds it here.
    pub mark: String,
    /// Number of the last event that needs no telling any more; 0 before the first.
    pub acked: u64,
    /// Tries that have failed since the last success.
    pub failed: u32,
    /// Unix milliseconds of the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since_ms: Option<u64>,
    /// Unix milliseconds before which nothing is tried.
    pub not_before_ms: u64,
    /// Who is at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Events at or before `acked` that are to be told again; they come first.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub again: BTreeSet<u64>,
    /// Whether nothing more is told by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// Unix milliseconds at which the sweep looks at it; never where it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
    /// Pause of the sweep after its next look, in milliseconds.
    pub pause_ms: u64,
    /// Of a chat: what it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
}

impl Delivery {
    /// The delivery of a job that is submitted now.
    pub fn new(target: TargetId, now_ms: u64) -> Self {
        Self {
            target,
            ver: 1,
            mark: String::from("submit"),
            acked: 0,
            failed: 0,
            failing_since_ms: None,
            not_before_ms: 0,
            lease: None,
            again: BTreeSet::new(),
            over: None,
            due_ms: Some(now_ms + QUIET_MS),
            pause_ms: FIRST_PAUSE_MS,
            shown: None,
        }
    }

    /// The next version.
    fn next(&self, mark: String) -> Self {
        Self { ver: self.ver + 1, mark, ..self.clone() }
    }

    /// Whether anything may be told now, by somebody who isn't at it yet.
    pub fn open(&self, now_ms: u64) -> Result<(), NotNow> {
        match &self.lease {
            _ if self.over.is_some() && self.again.is_empty() => Err(NotNow::Over),
            Some(lease) if lease.until_ms > now_ms => Err(NotNow::Taken),
            _ if self.not_before_ms > now_ms => Err(NotNow::Early),
            _ => Ok(()),
        }
    }

    /// Takes the delivery, for [`LEASE_MS`]; also from whoever had it and is late. The nonce names the claim.
    pub fn claim(&self, now_ms: u64, nonce: &str) -> Result<Self, NotNow> {
        self.open(now_ms)?;
        let until_ms = now_ms + LEASE_MS;
        let lease = Lease { nonce: nonce.to_owned(), until_ms };
        Ok(Self { lease: Some(lease), due_ms: Some(until_ms), pause_ms: FIRST_PAUSE_MS, ..self.next(nonce.to_owned()) })
    }

    /// The lease of that claim.
    fn leased(&self, nonce: &str) -> Result<&Lease, NotNow> {
        self.lease.as_ref().filter(|lease| lease.nonce == nonce).ok_or(NotNow::Lost)
    }

    fn succeeded(&self, nonce: &str, mark: String, now_ms: u64) -> Result<Self, NotNow> {
        let lease = self.leased(nonce)?;
        let mut next = Self { failed: 0, failing_since_ms: None, not_before_ms: 0, ..self.next(mark) };
        if lease.until_ms < now_ms + RENEW_BELOW_MS {
            let until_ms = now_ms + LEASE_MS;
            next.lease = Some(Lease { until_ms, ..lease.clone() });
            next.due_ms = Some(until_ms);
        }
        Ok(next)
    }

    /// Everything up to event `seq` is acknowledged or wasn't wanted.
    pub fn acked(&self, nonce: &str, mark: String, (seq, now_ms): (u64, u64)) -> Result<Self, NotNow> {
        let next = self.succeeded(nonce, mark, now_ms)?;
        Ok(Self { acked: self.acked.max(seq), ..next })
    }

    /// Event `seq` was told again.
    pub fn resent(&self, nonce: &str, mark: String, (seq, now_ms): (u64, u64)) -> Result<Self, NotNow> {
        let mut next = self.succeeded(nonce, mark, now_ms)?;
        next.again.remove(&seq);
        Ok(next)
    }

    /// A try failed; the next comes after `pause_ms` (see [`pause_ms`]), and where that is `None` no more.
    pub fn failed(&self, nonce: &str, mark: String, (pause_ms, now_ms): (Option<u64>, u64)) -> Result<Self, NotNow> {
        let Some(pause_ms) = pause_ms else { return self.given_up(nonce, mark) };
        self.leased(nonce)?;
        let not_before_ms = now_ms + pause_ms;
        Ok(Self {
            failed: self.failed + 1,
            failing_since_ms: self.failing_since_ms.or(Some(now_ms)),
            not_before_ms,
            lease: None,
            due_ms: Some(not_before_ms),
            ..self.next(mark)
        })
    }

    /// Nothing more is told, whatever comes.
    pub fn given_up(&self, nonce: &str, mark: String) -> Result<Self, NotNow> {
        self.leased(nonce)?;
        Ok(Self { lease: None, again: BTreeSet::new(), over: Some(Over::GivenUp), due_ms: None, ..self.next(mark) })
    }

    /// Everything up to event `seq` is acknowledged or wasn't wanted, and there is no more so far, or somebody else goes on.
    pub fn released(&self, nonce: &str, mark: String, (seq, now_ms): (u64, u64)) -> Result<Self, NotNow> {
        self.leased(nonce)?;
        let over = self.over.is_some() && self.again.is_empty();
        Ok(Self {
            acked: self.acked.max(seq),
            lease: None,
            due_ms: (!over).then_some(now_ms + QUIET_MS),
            ..self.next(mark)
        })
    }

    /// The same, and the job has ended with event `seq`: but for what waits to be told again, there is nothing to come.
    pub fn told(&self, nonce: &str, mark: String, (seq, now_ms): (u64, u64)) -> Result<Self, NotNow> {
        let over = Some(Over::Told);
        Self { over, failed: 0, failing_since_ms: None, ..self.clone() }.released(nonce, mark, (seq, now_ms))
    }

    /// Event `seq` is to be told again. One that was never acknowledged is still to come: then the delivery goes on with
    /// it at once, also where it was given up or is left alone for a while. A repeat changes nothing but the version.
    pub fn send_again(&self, mark: String, (seq, now_ms): (u64, u64)) -> Result<Self, NotNow> {
        let mut next = Self { not_before_ms: 0, failed: 0, failing_since_ms: None, ..self.next(mark) };
        if seq > self.acked {
            next.over = None;
        } else if self.again.len() >= AGAIN_MAX && !self.again.contains(&seq) {
            return Err(NotNow::Full);
        } else {
            next.again.insert(seq);
        }
        if self.lease.is_none() {
            next.due_ms = Some(now_ms);
            next.pause_ms = FIRST_PAUSE_MS;
        }
        Ok(next)
    }

    /// The sweep has looked, and rings now.
    #[must_use]
    pub fn looked_at(&self, mark: String, now_ms: u64) -> Self {
        let pause_ms = self.pause_ms.clamp(FIRST_PAUSE_MS, QUIET_MS);
        Self { due_ms: Some(now_ms + pause_ms), pause_ms: (pause_ms * 2).min(QUIET_MS), ..self.next(mark) }
    }

    /// Whoever was at it is dead for certain: its lease ends now.
    #[must_use]
    pub fn lapsed(&self, mark: String, now_ms: u64) -> Self {
        Self { lease: None, due_ms: Some(now_ms.max(self.not_before_ms)), ..self.next(mark) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_000_000;

    fn new() -> Delivery {
        Delivery::new("wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("a target"), NOW_MS)
    }

    fn claimed() -> Delivery {
        new().claim(NOW_MS, "mine").expect("free")
    }

    fn mark() -> String {
        String::from("m")
    }

    #[test]
    fn one_at_a_time_until_the_lease_runs_out() {
        let mine = claimed();
        assert_eq!((mine.ver, mine.due_ms), (2, Some(NOW_MS + LEASE_MS)), "due when the lease runs out");
        assert_eq!(mine.claim(NOW_MS + LEASE_MS - 1, "other"), Err(NotNow::Taken));
        let theirs = mine.claim(NOW_MS + LEASE_MS, "other").expect("it ran out");
        for late in [
            theirs.acked("mine", mark(), (1, NOW_MS)),
            theirs.resent("mine", mark(), (1, NOW_MS)),
            theirs.failed("mine", mark(), (Some(1), NOW_MS)),
            theirs.failed("mine", mark(), (None, NOW_MS)),
            theirs.released("mine", mark(), (0, NOW_MS)),
            theirs.told("mine", mark(), (0, NOW_MS)),
        ] {
            assert_eq!(late, Err(NotNow::Lost));
        }
    }

    #[test]
    fn each_change_is_one_version_and_bears_its_mark() {
        let mine = claimed();
        let changes = [
            mine.acked("mine", mark(), (4, NOW_MS)).expect("mine"),
            mine.failed("mine", mark(), (Some(5), NOW_MS)).expect("mine"),
            mine.given_up("mine", mark()).expect("mine"),
            mine.released("mine", mark(), (0, NOW_MS)).expect("mine"),
            mine.told("mine", mark(), (0, NOW_MS)).expect("mine"),
            mine.send_again(mark(), (1, NOW_MS)).expect("room"),
            mine.looked_at(mark(), NOW_MS),
            mine.lapsed(mark(), NOW_MS),
        ];
        assert!(changes.iter().all(|next| next.ver == mine.ver + 1 && next.mark == "m"), "{changes:?}");
    }

    #[test]
    fn a_failure_is_left_alone_for_its_pause_and_a_success_forgets_it() {
        let failed = claimed().failed("mine", mark(), (Some(5_000), NOW_MS + 10)).expect("mine");
        assert_eq!((failed.failed, failed.failing_since_ms), (1, Some(NOW_MS + 10)));
        assert_eq!(failed.due_ms, Some(NOW_MS + 5_010), "the clock looks then");
        assert_eq!(failed.claim(NOW_MS + 5_009, "n"), Err(NotNow::Early));
        let again = failed.claim(NOW_MS + 5_010, "n").expect("the pause is over");
        let again = again.failed("n", mark(), (Some(9), NOW_MS + 9_000)).expect("mine");
        assert_eq!((again.failed, again.failing_since_ms), (2, Some(NOW_MS + 10)), "since the first");
        let back = again.claim(NOW_MS + 10_000, "o").expect("free");
        let back = back.acked("o", mark(), (1, NOW_MS + 10_000)).expect("mine");
        assert_eq!((back.failed, back.failing_since_ms, back.acked), (0, None, 1));
    }

    #[test]
    fn what_was_acknowledged_never_comes_back() {
        let acked = claimed().acked("mine", mark(), (7, NOW_MS)).expect("mine");
        assert_eq!(acked.acked("mine", mark(), (3, NOW_MS)).expect("mine").acked, 7);
    }

    #[test]
    fn a_lease_is_renewed_only_when_little_of_it_is_left() {
        let acked = |at_ms| claimed().acked("mine", mark(), (1, at_ms)).expect("mine");
        assert_eq!(acked(NOW_MS + 5_000).due_ms, Some(NOW_MS + LEASE_MS), "the index stays as it is");
        let renewed = acked(NOW_MS + 20_000);
        assert_eq!(renewed.due_ms, Some(NOW_MS + 20_000 + LEASE_MS));
        assert_eq!(renewed.lease.map(|lease| lease.until_ms), renewed.due_ms);
    }

    #[test]
    fn what_is_over_is_never_due_and_takes_nobody() {
        for over in [
            claimed().told("mine", mark(), (0, NOW_MS)).expect("mine"),
            claimed().failed("mine", mark(), (None, NOW_MS)).expect("mine"),
        ] {
            assert_eq!((over.due_ms, over.lease.is_none()), (None, true));
            assert_eq!(over.claim(NOW_MS * 2, "n"), Err(NotNow::Over));
        }
    }

    #[test]
    fn a_person_may_have_an_event_told_again_and_what_was_given_up_goes_on() {
        let told = claimed()
            .acked("mine", mark(), (4, NOW_MS))
            .expect("mine")
            .told("mine", mark(), (0, NOW_MS))
            .expect("mine");
        let asked = told.send_again(mark(), (2, NOW_MS)).expect("room");
        assert_eq!((asked.over, asked.due_ms), (Some(Over::Told), Some(NOW_MS)));
        let mine = asked.claim(NOW_MS, "n").expect("there is something to tell");
        let sent =
            mine.resent("n", mark(), (2, NOW_MS)).expect("mine").released("n", mark(), (0, NOW_MS)).expect("mine");
        assert_eq!((sent.again.len(), sent.due_ms, sent.over), (0, None, Some(Over::Told)), "and it is over again");

        let given_up = claimed().failed("mine", mark(), (None, NOW_MS)).expect("mine");
        let goes_on = given_up.send_again(mark(), (1, NOW_MS)).expect("room");
        assert_eq!((goes_on.over, goes_on.again.len(), goes_on.due_ms), (None, 0, Some(NOW_MS)));
        assert!(goes_on.claim(NOW_MS, "n").is_ok());
    }

    #[test]
    fn whoever_asks_again_waits_for_no_pause_and_takes_no_lease_away() {
        let failed = claimed().failed("mine", mark(), (Some(50_000), NOW_MS)).expect("mine");
        assert!(failed.send_again(mark(), (1, NOW_MS)).expect("room").claim(NOW_MS, "n").is_ok());
        let asked = claimed().send_again(mark(), (0, NOW_MS)).expect("room");
        assert_eq!(asked.claim(NOW_MS, "n"), Err(NotNow::Taken));
        assert_eq!(asked.due_ms, Some(NOW_MS + LEASE_MS));
    }

    #[test]
    fn so_many_events_wait_and_no_more() {
        let acked = claimed().acked("mine", mark(), (100, NOW_MS)).expect("mine");
        let full = (1..=AGAIN_MAX as u64).fold(acked, |now, seq| now.send_again(mark(), (seq, NOW_MS)).expect("room"));
        assert_eq!(full.send_again(mark(), (90, NOW_MS)), Err(NotNow::Full));
        assert!(full.send_again(mark(), (1, NOW_MS)).is_ok(), "it waits already");
    }

    #[test]
    fn looks_back_off_to_a_quarter_of_an_hour() {
        let mut delivery = new();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            delivery = delivery.looked_at(mark(), NOW_MS);
            pauses.push((delivery.due_ms.expect("due") - NOW_MS) / 60_000);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
        let claimed = delivery.claim(NOW_MS, "n").expect("free");
        assert_eq!(claimed.looked_at(mark(), NOW_MS).due_ms, Some(NOW_MS + 60_000), "a claim begins anew");
    }

    #[test]
    fn a_dead_workers_lease_ends_and_its_pause_stays() {
        let lapsed = claimed().lapsed(mark(), NOW_MS);
        assert!(lapsed.claim(NOW_MS, "n").is_ok());
        let failed = claimed().failed("mine", mark(), (Some(5_000), NOW_MS)).expect("mine").lapsed(mark(), NOW_MS);
        assert_eq!((failed.due_ms, failed.claim(NOW_MS, "n")), (Some(NOW_MS + 5_000), Err(NotNow::Early)));
    }
}
