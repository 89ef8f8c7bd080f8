//! Ends that are told together while others come and go.

use std::pin::pin;

use convoke_app::ports::{DeliveryBell, Rooms};
use convoke_app::work::Until;
use convoke_domain::chat::{Bot, RealmId};
use convoke_domain::delivery::EndTold;
use convoke_domain::ids::{JobKey, TargetId};
use convoke_domain::room::Room;
use futures_util::poll;

use super::rig::{World, acme, chat, ids};

const MINUTE_MS: u64 = 60_000;
/// More turns than a look takes.
const TURNS: u32 = 90;

/// Two ends that wait in a channel, and one more that nobody has told yet; there is room now.
async fn waiting() -> (World, [JobKey; 3]) {
    let (mut world, chat) = (World::new(Bot::Discord), chat("dc_5"));
    world.link(RealmId::Guild(7), &chat).await;
    let keys = [world.submit(&chat).await, world.submit(&chat).await, world.submit(&chat).await];
    world.pass(MINUTE_MS).await;
    let room = world.table.standing(&acme(), &chat).await.expect("up").room.expect("a room");
    let silent = Room { not_before_ms: world.now_ms() + 5_000, ..room.next("silent".into()) };
    world.table.save_room(&acme(), &silent).await.expect("saved");
    for (n, key) in keys.iter().enumerate() {
        world.end(key).await;
        if n < 2 {
            world.ring(key, &chat).await;
        }
    }
    world.pass(1_000).await;
    for key in &keys[..2] {
        assert_eq!(world.delivery(key, &chat).await.shown.map(|shown| shown.end), Some(EndTold::Waits));
    }
    world.env.wind(10_000);
    world.queue.take_deliveries();
    (world, keys)
}

#[tokio::test]
async fn each_end_is_told_once_wherever_another_comes_in_between() {
    let chat = chat("dc_5");
    for (first, second) in [(2, 0), (0, 2), (0, 1)] {
        for turns in 0..TURNS {
            let (mut world, keys) = Box::pin(waiting()).await;
            let bell = |n: usize| DeliveryBell { v: 1, key: keys[n].clone(), target: TargetId::Chat(chat) };
            let until = Until { deadline_ms: world.now_ms() + MINUTE_MS };
            let (one, other) = (bell(first), bell(second));
            {
                let mut begun = pin!(world.platform.deliver(&one, until));
                let mut is_done = false;
                for _ in 0..turns {
                    is_done = is_done || poll!(begun.as_mut()).is_ready();
                }
                world.platform.deliver(&other, until).await.expect("told");
                if !is_done {
                    begun.await.expect("told");
                }
            }
            for key in &keys {
                world.ring(key, &chat).await;
            }
            world.pass(5 * MINUTE_MS).await;
            assert_eq!(world.ends(), ids(&keys), "{first} is met after {turns} turns: {:?}", world.told());
        }
    }
}
