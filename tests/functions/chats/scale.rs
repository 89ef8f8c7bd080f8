//! Many at once.

use std::collections::BTreeMap;

use convoke_domain::chat::{Bot, ChatId, RealmId};
use convoke_domain::ids::JobKey;
use convoke_tests::fakes::{Fault, Faults};

use super::rig::{World, chat, ids};

const MINUTE_MS: u64 = 60_000;

/// Jobs, each in the chat of its number, that have a card after some minutes, and end in the same moment.
async fn all_end_at_once(
    world: &mut World,
    (count, minutes): (u64, u64),
    chat: impl Fn(u64) -> (ChatId, RealmId),
) -> Vec<JobKey> {
    let mut keys = Vec::new();
    for n in 0..count {
        let (chat, realm) = chat(n);
        world.link(realm, &chat).await;
        keys.push(world.submit(&chat).await);
    }
    world.pass(minutes * MINUTE_MS).await;
    assert_eq!(world.told().iter().filter(|told| *told == "card").count() as u64, count);
    for key in &keys {
        world.end(key).await;
    }
    for (n, key) in (0..count).zip(&keys) {
        world.ring(key, &chat(n).0).await;
    }
    keys
}

/// No limit was broken, each end is told once, each card shows it, and nothing is left to do.
async fn all_is_told(world: &World, keys: &[JobKey], chat: impl Fn(u64) -> ChatId) {
    assert_eq!(world.chats.broken(), Vec::<String>::new());
    assert_eq!(world.ends(), ids(keys));
    for (n, key) in (0..).zip(keys) {
        let delivery = world.delivery(key, &chat(n)).await;
        assert!(delivery.over.is_some() && delivery.due_ms.is_none(), "{delivery:?}");
        assert!(delivery.shown.and_then(|shown| shown.card).is_some_and(|card| card.is_final));
    }
    let cards = world.chats.messages().into_iter().filter(|(_, body)| body["kind"] == "card");
    assert!(cards.into_iter().all(|(_, body)| body["status"] == "completed"));
}

fn discord(n: u64) -> (ChatId, RealmId) {
    (ChatId::Discord(1_000 + n), RealmId::Guild(7))
}

fn person(n: u64) -> (ChatId, RealmId) {
    let chat = chat(&format!("tg_{}", 1_000 + n));
    (chat, chat.own_realm().expect("a person"))
}

#[tokio::test]
async fn a_thousand_ends_in_a_thousand_channels_are_told_once_each() {
    let mut world = World::new(Bot::Discord);
    let keys = Box::pin(all_end_at_once(&mut world, (1_000, 3), discord)).await;
    let (began_ms, before) = (world.now_ms(), world.chats.calls().len());
    world.pass(30 * MINUTE_MS).await;
    all_is_told(&world, &keys, |n| discord(n).0).await;
    let calls = world.chats.calls();
    assert!(calls[before..].iter().all(|call| call.error.is_none()), "no call was in vain");
    assert_eq!(calls.len() - before, 2_000, "one message and one edit each");
    let ends = calls[before..].iter().filter(|call| call.body["kind"] == "end");
    let last_ms = ends.map(|call| call.at_ms - began_ms).max().expect("ends");
    assert!(last_ms < 90_000, "40 a second, edits among them: {last_ms} ms");
}

#[tokio::test]
async fn a_thousand_ends_in_a_thousand_private_chats_are_told_once_each() {
    let mut world = World::new(Bot::Telegram);
    let keys = Box::pin(all_end_at_once(&mut world, (1_000, 3), person)).await;
    let began_ms = world.now_ms();
    world.pass(30 * MINUTE_MS).await;
    all_is_told(&world, &keys, |n| person(n).0).await;
    let calls = world.chats.calls();
    let last_ms = calls.iter().filter(|call| call.body["kind"] == "end").map(|call| call.at_ms - began_ms).max();
    assert!(last_ms.is_some_and(|last_ms| last_ms < 120_000), "25 a second, edits among them: {last_ms:?} ms");
}

async fn many_in_one(world: &mut World, chat: ChatId, realm: RealmId) {
    let keys = Box::pin(all_end_at_once(world, (200, 60), |_| (chat, realm))).await;
    let began_ms = world.now_ms();
    world.pass(90 * MINUTE_MS).await;
    all_is_told(world, &keys, |_| chat).await;
    let ends: Vec<_> =
        world.chats.calls().into_iter().filter(|call| call.at_ms >= began_ms && call.body["kind"] != "card").collect();
    let sizes = ends.iter().map(|call| (call.at_ms - began_ms, call.body["jobs"].as_array().map_or(1, Vec::len)));
    let sizes: Vec<(u64, usize)> = sizes.collect();
    assert!(ends.len() <= 20, "put together: {} messages, {sizes:?}", ends.len());
    let last_ms = ends.iter().map(|call| call.at_ms - began_ms).max().expect("ends");
    assert!(last_ms < 4 * MINUTE_MS, "the last end was told after {last_ms} ms");
    let names = ends.iter().flat_map(|call| match call.body["kind"].as_str() {
        Some("digest") => call.body["jobs"].as_array().cloned().unwrap_or_default(),
        _ => vec![call.body["job"].clone()],
    });
    let mut named: BTreeMap<String, u32> = BTreeMap::new();
    names.for_each(|job| *named.entry(job.to_string()).or_default() += 1);
    assert!(named.len() == 200 && named.values().all(|times| *times == 1), "each job is named once, by one call");
}

#[tokio::test]
async fn two_hundred_ends_in_one_channel_are_told_together() {
    let mut world = World::new(Bot::Discord);
    Box::pin(many_in_one(&mut world, chat("dc_5"), RealmId::Guild(7))).await;
}

#[tokio::test]
async fn two_hundred_ends_in_one_group_are_told_together() {
    let mut world = World::new(Bot::Telegram);
    Box::pin(many_in_one(&mut world, chat("tg_-5_7"), RealmId::Group(-5))).await;
}

#[tokio::test]
async fn ten_minutes_of_outage_lose_nothing() {
    for bot in [Bot::Discord, Bot::Telegram] {
        let place = |n| if bot == Bot::Discord { discord(n) } else { person(n) };
        let mut world = World::new(bot);
        let keys = Box::pin(all_end_at_once(&mut world, (100, 2), place)).await;
        world.chats.go_down(10 * MINUTE_MS);
        let back_ms = world.now_ms() + 10 * MINUTE_MS;
        world.pass(30 * MINUTE_MS).await;
        all_is_told(&world, &keys, |n| place(n).0).await;
        let ends = world.chats.calls().into_iter().filter(|call| call.body["kind"] == "end" && call.error.is_none());
        let last_ms = ends.map(|call| call.at_ms).max().expect("ends");
        assert!(last_ms < back_ms + 2 * MINUTE_MS, "{bot}: told soon after");
    }
}

#[tokio::test]
async fn an_outage_in_one_busy_group_loses_nothing_and_doubles_nothing() {
    let mut world = World::new(Bot::Telegram);
    // Two topics: they share their group's limits, and each other's work.
    let topic = |n: u64| chat(if n.is_multiple_of(2) { "tg_-5_7" } else { "tg_-5_8" });
    let keys = Box::pin(all_end_at_once(&mut world, (50, 15), |n| (topic(n), RealmId::Group(-5)))).await;
    world.chats.go_down(10 * MINUTE_MS);
    world.pass(90 * MINUTE_MS).await;
    all_is_told(&world, &keys, topic).await;
}

#[tokio::test]
async fn cards_whose_threads_are_calls_of_their_own_keep_the_bots_limit() {
    let mut world = World::new(Bot::Discord);
    world.chats.open_threads();
    let mut keys = Vec::new();
    for n in 0..200 {
        let (chat, realm) = discord(n);
        world.link(realm, &chat).await;
        keys.push(world.submit(&chat).await);
    }
    world.pass(2 * MINUTE_MS).await;
    assert_eq!(world.chats.broken(), Vec::<String>::new());
    assert_eq!(world.told(), vec!["card"; keys.len()]);
}

#[tokio::test]
async fn one_tick_rings_for_all_that_is_due_whatever_becomes_of_jobs() {
    let faults = Faults::by(|what| if what == "due" { Fault::Throttled } else { Fault::None });
    let world = World::with_faults(Bot::Discord, &faults);
    for n in 0..1_200 {
        let (chat, realm) = discord(n);
        world.link(realm, &chat).await;
        world.submit(&chat).await;
    }
    world.queue.take_deliveries();
    world.env.wind(16 * MINUTE_MS);
    world.platform.tick(world.now_ms()).await.expect_err("jobs can't be looked at");
    assert_eq!(world.queue.take_deliveries().len(), 1_200);
}
