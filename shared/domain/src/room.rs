//! Rooms: how fast a chat may be told anything.
//!
//! | | between progress | between anything | at most, and of that progress |
//! |---|---|---|---|
//! | a channel of Discord | 2 s | - | 4 in 5 s, 3 |
//! | a person in Telegram | 1 s | 1 s | - |
//! | a group of Telegram | 3 s | 1 s | 18 in 60 s, 12 |
//!
//! The platforms' own limits are a little wider (5 in 5 s, 20 in 60 s): calls take time to get there. What a person has
//! to see soon passes the pacing of progress, and never the platform's limits.
//!
//! A room is replaced as a whole, version by version; whoever finds another version decides again.

use serde::{Deserialize, Serialize};

use crate::chat::{ChatId, RealmId};
use crate::ids::JobId;

/// How soon something has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// When there is room: the newest state counts, and there will be a newer one.
    Progress,
    /// As soon as the platform takes it: a person is waited for, or waits.
    Soon,
}

/// How fast a kind of chat is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    progress_gap_ms: u64,
    gap_ms: u64,
    window_ms: u64,
    /// In a window: most calls, and most after which progress still goes.
    most: usize,
    most_progress: usize,
}

impl Pace {
    const fn of(chat: &ChatId) -> Self {
        match chat {
            ChatId::Discord(_) => {
                Self { progress_gap_ms: 2_000, gap_ms: 0, window_ms: 5_000, most: 4, most_progress: 3 }
            }
            ChatId::Telegram { chat: 0.., .. } => {
                Self { progress_gap_ms: 1_000, gap_ms: 1_000, window_ms: 1_000, most: 1, most_progress: 1 }
            }
            ChatId::Telegram { .. } => {
                Self { progress_gap_ms: 3_000, gap_ms: 1_000, window_ms: 60_000, most: 18, most_progress: 12 }
            }
        }
    }
}

/// How long a chat takes for one message where there are many, in milliseconds.
pub const fn slot_ms(chat: &ChatId) -> u64 {
    let pace = Pace::of(chat);
    pace.window_ms.div_ceil(pace.most as u64)
}

/// Calls of a bot in a second, over all chats; the platforms take 50 and about 30.
pub const fn calls_a_second(chat: &ChatId) -> u64 {
    match chat {
        ChatId::Discord(_) => 40,
        ChatId::Telegram { .. } => 25,
    }
}

/// How long to wait before a call that is the `nth` (from 1) of its second, where `most` are made; 0 to go ahead.
/// Whoever comes too late comes back in the second that it would have had in line.
pub const fn wait_in_line_ms(nth: u64, most: u64, now_ms: u64) -> u64 {
    if nth <= most {
        return 0;
    }
    (nth - 1) / most * 1_000 - now_ms % 1_000
}

/// Why a chat takes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dead {
    /// Since when (Unix milliseconds).
    pub at_ms: u64,
    /// What its platform said.
    pub why: String,
}

/// A job whose end is told in a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which.
    pub job: JobId,
    /// By which of its targets: the chat may have been called otherwise when it was submitted.
    pub target: ChatId,
}

/// Ends that are being told together, as decided before they were sent: a repeat sends the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Names the message.
    pub nonce: String,
    /// Whom: the chat within the room.
    pub chat: ChatId,
    /// Which jobs.
    pub jobs: Vec<Ended>,
    /// Unix milliseconds before which nobody else sends it.
    pub until_ms: u64,
    /// Whether its platform didn't accept it otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_plain: bool,
}

/// A chat as those who send to it see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Which chat, without a topic.
    pub chat: ChatId,
    /// Whose it is.
    pub realm: RealmId,
    /// Version, +1 with each change.
    pub ver: u64,
    /// Mark of the last change.
    pub mark: String,
    /// When something was sent lately (Unix milliseconds), oldest first; as many as the limits count.
    #[serde(default)]
    pub sent_ms: Vec<u64>,
    /// Unix milliseconds before which the platform wants nothing there.
    #[serde(default)]
    pub not_before_ms: u64,
    /// Whether it takes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<Dead>,
    /// What it is called now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<ChatId>,
    /// Ends that are being told together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// How often ends were told together: whoever has read what waits knows by it whether that is told meanwhile.
    #[serde(default)]
    pub told: u64,
}

impl Room {
    /// A room that nothing was sent to yet.
    pub const fn new(chat: ChatId, realm: RealmId, mark: String) -> Self {
        Self {
            chat: chat.room(),
            realm,
            ver: 1,
            mark,
            sent_ms: Vec::new(),
            not_before_ms: 0,
            dead: None,
            moved_to: None,
            digest: None,
            told: 0,
        }
    }

    /// The next version.
    #[must_use]
    pub fn next(&self, mark: String) -> Self {
        Self { ver: self.ver + 1, mark, ..self.clone() }
    }

    /// How long to wait before something may be sent, in milliseconds; 0 to go ahead.
    pub fn wait_ms(&self, urgency: Urgency, now_ms: u64) -> u64 {
        let pace = Pace::of(&self.chat);
        let (gap_ms, most) = match urgency {
            Urgency::Progress => (pace.progress_gap_ms, pace.most_progress),
            Urgency::Soon => (pace.gap_ms, pace.most),
        };
        let after_gap_ms = self.sent_ms.last().map_or(0, |last_ms| last_ms + gap_ms);
        // The call that has to be out of the window before there is room in it.
        let blocking = self.sent_ms.len().checked_sub(most).and_then(|index| self.sent_ms.get(index));
        let after_window_ms = blocking.map_or(0, |sent_ms| sent_ms + pace.window_ms);
        self.not_before_ms.max(after_gap_ms).max(after_window_ms).saturating_sub(now_ms)
    }

    /// Something is sent now.
    #[must_use]
    pub fn sending(&self, mark: String, now_ms: u64) -> Self {
        let pace = Pace::of(&self.chat);
        let mut next = self.next(mark);
        next.sent_ms.retain(|sent_ms| sent_ms + pace.window_ms > now_ms);
        // Another's clock may be ahead.
        let now_ms = now_ms.max(next.sent_ms.last().copied().unwrap_or(0));
        next.sent_ms.push(now_ms);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_000_500;

    fn room(chat: &str) -> Room {
        Room::new(chat.parse().expect("a chat"), RealmId::Group(-5), String::new())
    }

    /// Sends as fast as it may for a while; the times of it.
    fn sent(chat: &str, urgency: Urgency, for_ms: u64) -> Vec<u64> {
        let (mut room, mut now_ms, mut times) = (room(chat), NOW_MS, Vec::new());
        while now_ms < NOW_MS + for_ms {
            match room.wait_ms(urgency, now_ms) {
                0 => {
                    room = room.sending(String::new(), now_ms);
                    times.push(now_ms);
                }
                wait_ms => now_ms += wait_ms,
            }
        }
        times
    }

    fn most_within(times: &[u64], window_ms: u64) -> usize {
        let within = |from: &u64| times.iter().filter(|time| (*from..from + window_ms).contains(time)).count();
        times.iter().map(within).max().unwrap_or(0)
    }

    #[test]
    fn the_platforms_limits_hold_however_much_there_is() {
        let discord = sent("dc_5", Urgency::Soon, 60_000);
        assert_eq!((most_within(&discord, 5_000), discord.len()), (4, 48));
        let person = sent("tg_5", Urgency::Soon, 60_000);
        assert_eq!((most_within(&person, 1_000), person.len()), (1, 60));
        let group = sent("tg_-5_7", Urgency::Soon, 600_000);
        assert_eq!((most_within(&group, 60_000), most_within(&group, 1_000)), (18, 1));
        assert_eq!(group.len(), 180);
    }

    #[test]
    fn progress_is_paced_and_leaves_room_for_what_is_urgent() {
        for (chat, gap_ms) in [("dc_5", 2_000), ("tg_5", 1_000), ("tg_-5", 3_000)] {
            let times = sent(chat, Urgency::Progress, 30_000);
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= gap_ms), "{chat}: {times:?}");
            assert!(times.len() > 9, "{chat}: {times:?}");
        }
        let mut group = room("tg_-5");
        let mut now_ms = NOW_MS;
        while group.wait_ms(Urgency::Progress, now_ms) <= 3_000 {
            now_ms += group.wait_ms(Urgency::Progress, now_ms);
            group = group.sending(String::new(), now_ms);
        }
        assert_eq!(group.sent_ms.len(), 12);
        assert_eq!(group.wait_ms(Urgency::Soon, now_ms), 1_000);
    }

    #[test]
    fn a_platforms_wish_for_silence_holds_for_all() {
        let room = Room { not_before_ms: NOW_MS + 70_000, ..room("dc_5") };
        assert_eq!(room.wait_ms(Urgency::Soon, NOW_MS), 70_000);
        assert_eq!(room.wait_ms(Urgency::Soon, NOW_MS + 70_000), 0);
    }

    #[test]
    fn a_clock_that_is_behind_finds_no_room_before_its_time() {
        let ahead = room("tg_5").sending(String::new(), NOW_MS + 4_000);
        assert_eq!(ahead.wait_ms(Urgency::Soon, NOW_MS), 5_000);
        let behind = ahead.sending(String::new(), NOW_MS);
        assert_eq!(behind.sent_ms.last(), Some(&(NOW_MS + 4_000)), "times never go back");
    }

    #[test]
    fn those_in_line_come_back_in_their_second() {
        assert_eq!(wait_in_line_ms(25, 25, 10_400), 0);
        assert_eq!(wait_in_line_ms(26, 25, 10_400), 600);
        assert_eq!(wait_in_line_ms(50, 25, 10_400), 600);
        assert_eq!(wait_in_line_ms(51, 25, 10_999), 1_001);
        assert_eq!(wait_in_line_ms(1_000, 25, 10_000), 39_000);
    }
}
