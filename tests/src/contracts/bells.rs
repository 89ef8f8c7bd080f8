//! `Bells`.

use async_trait::async_trait;
use convoke_app::ports::{Bell, Bells, Ring};
use convoke_domain::ids::{GroupId, SlotId};

use crate::fakes::{FakeQueue, Lane};
use crate::samples::job;

/// What the case needs beside the port: to receive, and to let time pass.
#[async_trait]
pub trait Receives {
    /// Up to ten messages; they stay hidden for a while.
    async fn receive(&self, lane: Lane) -> Vec<Bell>;

    /// Lets so many milliseconds pass.
    fn wind(&self, ms: u64);
}

#[async_trait]
impl Receives for FakeQueue {
    async fn receive(&self, lane: Lane) -> Vec<Bell> {
        self.receive(lane, 10, 30_000).into_iter().map(|delivery| delivery.bell).collect()
    }

    fn wind(&self, ms: u64) {
        self.env().wind(ms);
    }
}

fn bell(slot: u16) -> Bell {
    Bell { v: 1, key: job("acme", 1), group: GroupId::Fan { node: 2, part: 1 }, slot: Some(SlotId(slot)) }
}

async fn all(queues: &impl Receives, lane: Lane) -> Vec<Bell> {
    let mut bells = Vec::new();
    loop {
        let some = queues.receive(lane).await;
        if some.is_empty() {
            bells.sort();
            return bells;
        }
        bells.extend(some);
    }
}

/// Each bell reaches its queue, as it was rung, when it is due; and the depth counts those that wait.
pub async fn bells_reach_their_queues(bells: &impl Bells, queues: &impl Receives) {
    bells.ring(&[]).await.expect("up");
    assert_eq!(bells.depth().await.expect("up"), 0);
    let mut rings: Vec<Ring> = (0..25).map(|slot| Ring { bell: bell(slot), delay_s: 0, solo: false }).collect();
    rings[3].solo = true;
    rings[4].delay_s = 60;
    rings[5].bell = Bell { group: GroupId::Root, slot: None, ..bell(0) };
    bells.ring(&rings).await.expect("up");
    assert_eq!(bells.depth().await.expect("up"), 23, "without the solo and the delayed one");
    assert_eq!(all(queues, Lane::Solo).await, [bell(3)]);
    let mut expected: Vec<Bell> = rings.iter().map(|ring| ring.bell.clone()).collect();
    expected.drain(3..5);
    expected.sort();
    assert_eq!(all(queues, Lane::Steps).await, expected);
    queues.wind(29_000);
    assert_eq!(all(queues, Lane::Steps).await, [], "hidden, or not yet due");
    queues.wind(31_000);
    expected.push(bell(4));
    expected.sort();
    assert_eq!(all(queues, Lane::Steps).await, expected, "nobody has deleted the others");
}
