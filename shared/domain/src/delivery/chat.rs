//! What a chat shows of a job.
//!
//! | what | as | sent again where nobody knows whether it was taken |
//! |---|---|---|
//! | the card | one message, edited; the newest state alone | the edit yes; the first post by a platform's nonce, else seldom |
//! | a review | a message of its own, edited once it is closed | yes |
//! | the end | one new message, or a line of one that tells several | yes |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Delivery, NotNow};
use crate::chat::{Bot, ChatId, MessageRef};

/// Most cards that are posted of a job where it isn't known whether one is there.
pub const CARDS_MAX: u32 = 3;
/// First pause after a try that failed, in milliseconds; each further one is twice as long.
const FIRST_PAUSE_MS: u64 = 2_000;
/// Longest of those pauses, in milliseconds.
const PAUSE_MS_MAX: u64 = 60_000;
/// How long a chat is tried that takes nothing, in milliseconds.
const GIVE_UP_MS: u64 = 24 * 3_600_000;
/// How often a card is edited that shows for how long its job has run, in milliseconds; seldom once that is long.
const REFRESH_MS: [(u64, u64); 2] = [(30 * 60_000, 60_000), (u64::MAX, 5 * 60_000)];

/// How far the telling of a job's end is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndTold {
    /// Nothing is told, or nobody knows it.
    #[default]
    Open,
    /// It waits to be told together with others: from now on whoever tells has the room's digest.
    Waits,
    /// It is told.
    Told,
}

/// A job's card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its message.
    pub message: MessageRef,
    /// Hash of the state that it shows.
    pub hash: String,
    /// Since when it does (Unix milliseconds).
    pub at_ms: u64,
    /// Whether it shows the job's end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_final: bool,
}

/// An open review that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownReview {
    /// Token of its buttons.
    pub token: String,
    /// Its message; none where the platform took none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRef>,
    /// The message that reminded people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder: Option<MessageRef>,
    /// Whether people were reminded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminded: bool,
}

/// What a chat shows of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Token of the card's and the end's buttons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Card>,
    /// Cards that were posted, or may have been.
    #[serde(default)]
    pub cards: u32,
    /// Where the talk about the job goes on, where that isn't the target itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talk: Option<ChatId>,
    /// Whether the platform didn't accept a message: from then on they are plain text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_plain: bool,
    /// Unix milliseconds before which there is no room for progress.
    #[serde(default)]
    pub paced_until_ms: u64,
    /// How often there was no room since there last was.
    #[serde(default)]
    pub waits: u32,
    /// Reviews that are open as far as the chat shows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reviews: BTreeMap<String, ShownReview>,
    /// The end.
    #[serde(default)]
    pub end: EndTold,
}

impl Shown {
    /// The chat is another by now: the card and open reviews are to be shown there.
    pub fn left_behind(&mut self) {
        self.card = None;
        self.talk = None;
        self.reviews.clear();
    }
}

/// The pause after a try has failed, in milliseconds: 2 s, doubled up to a minute, each up to half longer; `None` where a
/// chat has taken nothing for a day. `failed` counts the tries before this one, `chance` is any number.
pub fn chat_pause_ms(failed: u32, failing_ms: u64, chance: u64) -> Option<u64> {
    let usual_ms = FIRST_PAUSE_MS.checked_shl(failed.min(16)).unwrap_or(PAUSE_MS_MAX).min(PAUSE_MS_MAX);
    (failing_ms < GIVE_UP_MS).then_some(usual_ms + chance % (usual_ms / 2 + 1))
}

/// How long to wait where there is no room for `wait_ms`: those who find none again and again come back less and less
/// often, up to a minute later, each at another time. `slot_ms` is how long the room takes for one message.
pub fn crowded_ms(wait_ms: u64, waits: u32, slot_ms: u64, chance: u64) -> u64 {
    let spread_ms = if waits == 0 { 0 } else { (slot_ms << waits.min(16)).min(PAUSE_MS_MAX) };
    wait_ms + chance % (spread_ms + 1)
}

/// How long a card stays as it is, in milliseconds, where it shows for how long its job has run; Discord counts the time
/// by itself.
pub fn refresh_ms(bot: Bot, running_ms: u64) -> Option<u64> {
    match bot {
        Bot::Discord => None,
        Bot::Telegram => REFRESH_MS.iter().find(|(below_ms, _)| running_ms < *below_ms).map(|(_, every_ms)| *every_ms),
    }
}

impl Delivery {
    /// Something was shown, as `change` notes.
    pub fn showing(
        &self,
        nonce: &str,
        (mark, now_ms): (String, u64),
        change: impl FnOnce(&mut Shown),
    ) -> Result<Self, NotNow> {
        let mut next = self.succeeded(nonce, mark, now_ms)?;
        let shown = next.shown.get_or_insert_default();
        shown.waits = 0;
        change(shown);
        Ok(next)
    }

    /// There is no room before `until_ms`: nobody is at it until then.
    pub fn waiting(
        &self,
        nonce: &str,
        (mark, until_ms): (String, u64),
        change: impl FnOnce(&mut Shown),
    ) -> Result<Self, NotNow> {
        self.leased(nonce)?;
        let mut next = Self { lease: None, due_ms: Some(until_ms), ..self.next(mark) };
        let shown = next.shown.get_or_insert_default();
        shown.paced_until_ms = until_ms;
        shown.waits = shown.waits.saturating_add(1);
        change(shown);
        Ok(next)
    }

    /// All is shown as it is; to be looked at at `due_ms` at the latest.
    pub fn resting(&self, nonce: &str, mark: String, due_ms: u64) -> Result<Self, NotNow> {
        self.leased(nonce)?;
        Ok(Self { lease: None, due_ms: Some(due_ms), ..self.next(mark) })
    }

    /// The end is told by whoever has told several together; whoever is at this delivery keeps it.
    #[must_use]
    pub fn end_told(&self, mark: String) -> Self {
        let mut next = self.next(mark);
        next.shown.get_or_insert_default().end = EndTold::Told;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::LEASE_MS;

    const NOW_MS: u64 = 1_000_000;

    fn claimed() -> Delivery {
        Delivery::new("tg_-5".parse().expect("a target"), NOW_MS).claim(NOW_MS, "mine").expect("free")
    }

    #[test]
    fn what_has_no_room_waits_unleased_and_is_due_then() {
        let waiting = claimed().waiting("mine", ("m".into(), NOW_MS + 3_000), |shown| shown.end = EndTold::Waits);
        let waiting = waiting.expect("mine");
        let shown = waiting.shown.clone().expect("shown");
        assert_eq!((shown.paced_until_ms, shown.waits, shown.end), (NOW_MS + 3_000, 1, EndTold::Waits));
        assert_eq!((waiting.due_ms, waiting.failed), (Some(NOW_MS + 3_000), 0), "that is no failure");
        let again = waiting.claim(NOW_MS, "again").expect("what is urgent may look before");
        let again = again.showing("again", ("n".into(), NOW_MS), |_| ()).expect("mine");
        assert_eq!(again.shown.expect("shown").waits, 0);
    }

    #[test]
    fn whoever_is_at_it_keeps_it_where_another_tells_the_end() {
        let told = claimed().end_told("other".into());
        assert_eq!((told.ver, told.due_ms), (3, Some(NOW_MS + LEASE_MS)));
        let mine = told.showing("mine", ("m".into(), NOW_MS), |shown| shown.cards += 1).expect("still mine");
        let shown = mine.shown.expect("shown");
        assert_eq!((shown.end, shown.cards), (EndTold::Told, 1));
    }

    #[test]
    fn a_lost_lease_shows_nothing() {
        let theirs = claimed().claim(NOW_MS + LEASE_MS, "theirs").expect("it ran out");
        assert_eq!(theirs.showing("mine", ("m".into(), NOW_MS), |_| ()), Err(NotNow::Lost));
        assert_eq!(theirs.waiting("mine", ("m".into(), NOW_MS), |_| ()), Err(NotNow::Lost));
        assert_eq!(theirs.resting("mine", "m".into(), NOW_MS), Err(NotNow::Lost));
    }

    #[test]
    fn pauses_grow_to_a_minute_and_end_after_a_day() {
        let pauses: Vec<u64> = (0..8).filter_map(|failed| chat_pause_ms(failed, 0, 0)).collect();
        assert_eq!(pauses, [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
        assert!(chat_pause_ms(u32::MAX, GIVE_UP_MS - 1, u64::MAX).is_some_and(|pause_ms| pause_ms <= 90_000));
        assert_eq!(chat_pause_ms(0, GIVE_UP_MS, 0), None);
    }

    #[test]
    fn a_crowd_spreads_more_and_more() {
        assert_eq!(crowded_ms(700, 0, 1_000, u64::MAX), 700, "the first time as it is asked for");
        let most = |waits| (0..5_000_u64).map(|n| crowded_ms(0, waits, 1_000, n * 7_919)).max().expect("some");
        assert!(most(1) <= 2_000 && most(3) > 4_000 && most(3) <= 8_000);
        assert!(most(40) > 40_000 && most(40) <= 60_000);
    }

    #[test]
    fn a_slow_job_is_seen_to_live() {
        for (minutes, every_ms) in [(0, 60_000), (29, 60_000), (30, 300_000)] {
            assert_eq!(refresh_ms(Bot::Telegram, minutes * 60_000), Some(every_ms));
            assert_eq!(refresh_ms(Bot::Discord, minutes * 60_000), None);
        }
    }
}
