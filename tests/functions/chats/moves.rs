//! Groups of Telegram that are called otherwise from one moment on.

use convoke_app::ports::{ChatError, Rooms};
use convoke_domain::chat::{Bot, ChatId, RealmId};
use convoke_domain::delivery::Over;
use convoke_domain::ids::JobKey;
use convoke_domain::room::Room;
use convoke_tests::fakes::Answer;
use serde_json::json;

use super::reviews::{asked, decided};
use super::rig::{World, acme, ada, chat, ids};

const MINUTE_MS: u64 = 60_000;

/// A group, and what it is called later.
fn group() -> (ChatId, ChatId) {
    (chat("tg_-5"), chat("tg_-1005"))
}

/// So many jobs in the group, each with its card.
async fn carded(count: usize) -> (World, Vec<JobKey>) {
    let (mut world, (old, _)) = (World::new(Bot::Telegram), group());
    world.link(RealmId::Group(-5), &old).await;
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(world.submit(&old).await);
    }
    world.pass(MINUTE_MS / 2).await;
    assert_eq!(world.told(), vec!["card"; count]);
    (world, keys)
}

/// All of them end; each is told once, in the new group, and nothing is tried in the old one after `since` calls.
async fn all_end_there(world: &mut World, keys: &[JobKey], since: usize) {
    let (old, new) = group();
    for key in keys {
        world.end(key).await;
        world.ring(key, &old).await;
    }
    world.pass(10 * MINUTE_MS).await;
    assert_eq!(world.ends(), ids(keys), "{:?}", world.told());
    for key in keys {
        assert_eq!(world.delivery(key, &old).await.over, Some(Over::Told));
    }
    let calls = world.chats.calls();
    assert!(calls[since..].iter().all(|call| call.chat == new), "{calls:?}");
    let links = world.platform.links(&acme()).await.expect("read");
    assert_eq!(links.iter().map(|link| link.realm).collect::<Vec<_>>(), [RealmId::Group(-1005)]);
}

#[tokio::test]
async fn a_running_job_follows_its_group_where_the_group_says_so_first() {
    let (mut world, keys) = carded(1).await;
    let (old, new) = group();
    for _ in 0..2 {
        world.platform.chat_moved(&old, &new).await.expect("up");
    }
    world.pass(2 * MINUTE_MS).await;
    let card = world.delivery(&keys[0], &old).await.shown.and_then(|shown| shown.card).expect("another card");
    assert_eq!(card.message.chat, new);
    all_end_there(&mut world, &keys, 1).await;
}

#[tokio::test]
async fn a_move_that_nobody_finished_is_finished_by_the_next_look() {
    let (mut world, keys) = carded(1).await;
    let (old, new) = group();
    let room = world.table.standing(&acme(), &old).await.expect("up").room.expect("a room");
    let led = Room { moved_to: Some(new), ..room.next("died".into()) };
    world.table.save_room(&acme(), &led).await.expect("saved");
    all_end_there(&mut world, &keys, 1).await;
}

#[tokio::test]
async fn several_that_find_their_group_gone_at_once_all_follow_it() {
    let (mut world, keys) = carded(3).await;
    let (_, new) = group();
    world.chats.answer([Answer::Refused(ChatError::Moved { to: new })]);
    all_end_there(&mut world, &keys, 4).await;
}

#[tokio::test]
async fn what_is_open_is_asked_again_where_people_are_now() {
    let (mut world, key, review) = Box::pin(asked(|_| ())).await;
    let (old, new) = group();
    let before = world.chats.calls().len();
    world.platform.chat_moved(&old, &new).await.expect("up");
    world.pass(3 * MINUTE_MS).await;
    let open = world.delivery(&key, &old).await.shown.expect("shown").reviews;
    assert_eq!(open[&review].message.as_ref().map(|message| message.chat), Some(new), "{:?}", world.told());
    decided(&mut world, &key, &review).await;
    assert_eq!(world.ends(), ids(std::slice::from_ref(&key)));
    let calls = world.chats.calls();
    assert!(calls[before..].iter().all(|call| call.chat == new), "{calls:?}");
    let closed = calls.iter().rev().find(|call| call.body["kind"] == "review").expect("closed");
    assert_eq!(closed.body["state"], "approved");
}

#[tokio::test]
async fn older_jobs_and_schedules_are_found_in_the_new_group() {
    let (world, keys) = carded(1).await;
    let (old, new) = group();
    world.platform.chat_moved(&old, &new).await.expect("up");
    let platform = &world.platform;
    assert_eq!(platform.told_in(&keys, &RealmId::Group(-1005)).await.expect("up"), [true]);
    assert_eq!(platform.told_in(&keys, &RealmId::Group(-5)).await.expect("up"), [false]);
    let flow = json!({"name": "f", "nodes": [{"kind": "agent", "id": "a",
        "agent": {"role": "r", "goal": "g", "backstory": "b"}, "task": {"description": "d", "expected_output": "e"}}]});
    let body = json!({"flow": flow, "input": {}, "notify": [{"telegram": {"chat": -5}}]});
    assert!(platform.tells_in(&acme(), &body, &RealmId::Group(-1005)).await.expect("up"));
    platform.submit_from_chat(&acme(), &body, None, ada()).await.expect("whoever was told there is told there");
}
