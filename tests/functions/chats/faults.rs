//! What platforms do.

use convoke_app::ports::{ChatError, Deliveries};
use convoke_domain::chat::{Bot, ChatId, RealmId};
use convoke_domain::delivery::Over;
use convoke_domain::ids::{JobKey, TargetId};
use convoke_tests::fakes::{Answer, CallKind};

use super::rig::{World, acme, chat, ids};

const MINUTE_MS: u64 = 60_000;

/// A job in a linked chat, whose bell waits.
async fn submitted(bot: Bot, at: &str) -> (World, ChatId, JobKey) {
    let (world, chat) = (World::new(bot), chat(at));
    world.link(chat.own_realm().unwrap_or(RealmId::Guild(7)), &chat).await;
    let key = world.submit(&chat).await;
    (world, chat, key)
}

/// The same, and its card is there.
async fn carded(bot: Bot, at: &str) -> (World, ChatId, JobKey) {
    let (mut world, chat, key) = submitted(bot, at).await;
    world.pass(MINUTE_MS / 2).await;
    assert_eq!(world.told(), ["card"]);
    (world, chat, key)
}

async fn ended(world: &mut World, chat: &ChatId, key: &JobKey) {
    world.end(key).await;
    world.ring(key, chat).await;
    world.pass(10 * MINUTE_MS).await;
}

fn refused(error: ChatError) -> Answer {
    Answer::Refused(error)
}

#[tokio::test]
async fn a_job_is_a_card_then_an_end_then_its_last_card() {
    for (bot, at) in [(Bot::Discord, "dc_5"), (Bot::Telegram, "tg_5"), (Bot::Telegram, "tg_-5_7")] {
        let (mut world, chat, key) = carded(bot, at).await;
        ended(&mut world, &chat, &key).await;
        assert_eq!(world.told(), ["card", "end", "~card"], "{at}");
        assert_eq!(world.delivery(&key, &chat).await.over, Some(Over::Told));
        let end = world.chats.calls().into_iter().find(|call| call.body["kind"] == "end").expect("an end");
        assert!(end.files.contains(&"REPORT.md".to_owned()), "small files go along: {:?}", end.files);
        let token = end.body["token"].as_str().expect("a token").to_owned();
        let button = world.platform.button(&token).await.expect("up").expect("it stands for the job");
        assert_eq!((button.key, button.chat), (key, chat));
    }
}

#[tokio::test]
async fn bells_for_what_is_shown_send_nothing() {
    let (mut world, chat, key) = carded(Bot::Discord, "dc_5").await;
    for _ in 0..5 {
        world.ring(&key, &chat).await;
        world.pass(3_000).await;
    }
    assert_eq!(world.told(), ["card"]);
    ended(&mut world, &chat, &key).await;
    let told = world.told();
    world.ring(&key, &chat).await;
    world.pass(MINUTE_MS).await;
    assert_eq!(world.told(), told);
}

#[tokio::test]
async fn a_slow_job_is_seen_to_live_in_telegram_without_any_bell() {
    let (mut world, _, _) = carded(Bot::Telegram, "tg_5").await;
    world.pass(10 * MINUTE_MS).await;
    let edits = world.chats.calls().iter().filter(|call| call.kind == CallKind::Edit).count();
    assert!((5..=10).contains(&edits), "about one a minute: {edits}");
    let (mut discord, _, _) = carded(Bot::Discord, "dc_5").await;
    discord.pass(10 * MINUTE_MS).await;
    assert_eq!(discord.told(), ["card"], "Discord counts by itself");
}

#[tokio::test]
async fn a_wish_for_silence_is_kept_to_the_millisecond_and_nobody_sleeps() {
    let (mut world, chat, key) = carded(Bot::Discord, "dc_5").await;
    let throttled = ChatError::Throttled { after_ms: 5 * MINUTE_MS, is_global: false };
    world.chats.answer([refused(throttled)]);
    let asked_ms = world.now_ms();
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.told(), ["card", "end!", "end", "~card"]);
    assert!(world.chats.calls()[2].at_ms >= asked_ms + 5 * MINUTE_MS);
}

#[tokio::test]
async fn a_silence_of_the_whole_bot_holds_in_every_chat() {
    let (mut world, chat, key) = carded(Bot::Discord, "dc_5").await;
    world.link(RealmId::Guild(7), &ChatId::Discord(6)).await;
    world.chats.answer([refused(ChatError::Throttled { after_ms: 3 * MINUTE_MS, is_global: true })]);
    let asked_ms = world.now_ms();
    world.end(&key).await;
    world.ring(&key, &chat).await;
    world.pass(1_000).await;
    world.submit(&ChatId::Discord(6)).await;
    world.pass(10 * MINUTE_MS).await;
    let calls = world.chats.calls();
    assert_eq!(calls.iter().filter(|call| call.error.is_none()).count(), 4, "{:?}", world.told());
    assert!(calls[2..].iter().all(|call| call.at_ms >= asked_ms + 3 * MINUTE_MS));
}

#[tokio::test]
async fn a_chat_that_takes_nothing_is_left_alone_until_somebody_uses_the_bot_there() {
    let (mut world, chat, key) = carded(Bot::Telegram, "tg_-5").await;
    let other = world.submit(&chat).await;
    world.chats.answer([refused(ChatError::Dead { detail: "bot was kicked from the group chat".into() })]);
    world.end(&key).await;
    world.ring(&key, &chat).await;
    world.pass(30 * MINUTE_MS).await;
    assert_eq!(world.chats.calls().iter().filter(|call| call.error.is_some()).count(), 1, "{:?}", world.told());
    let (_, root) = convoke_app::ports::Jobs::job(&world.table, &key).await.expect("read").expect("a job");
    assert_eq!(root.root().map(|root| root.status.as_str()), Some("completed"), "the job doesn't mind");
    let back_ms = world.now_ms();
    world.link(RealmId::Group(-5), &chat).await;
    let again = world.submit(&chat).await;
    world.pass(16 * MINUTE_MS).await;
    assert_eq!(world.ends(), ids(std::slice::from_ref(&key)), "what came to an end meanwhile is told");
    for running in [&other, &again] {
        let card = world.delivery(running, &chat).await.shown.and_then(|shown| shown.card).expect("a card");
        assert!(card.at_ms >= back_ms, "told again");
    }
}

#[tokio::test]
async fn a_chat_that_takes_nothing_for_a_day_is_given_up() {
    let (mut world, chat, key) = carded(Bot::Telegram, "tg_-5").await;
    world.platform.leave_chat(&chat, "kicked").await.expect("up");
    world.end(&key).await;
    world.ring(&key, &chat).await;
    world.pass(23 * 60 * MINUTE_MS).await;
    assert_eq!(world.delivery(&key, &chat).await.over, None);
    world.pass(2 * 60 * MINUTE_MS).await;
    assert_eq!(world.delivery(&key, &chat).await.over, Some(Over::GivenUp));
    assert_eq!(world.told(), ["card"]);
}

#[tokio::test]
async fn a_chat_that_takes_no_files_is_told_by_text() {
    for (bot, at) in [(Bot::Discord, "dc_5"), (Bot::Telegram, "tg_-5")] {
        let (mut world, chat, key) = carded(bot, at).await;
        let other = world.submit(&chat).await;
        let detail = "not enough rights to send documents to the chat".to_owned();
        world.pass(MINUTE_MS).await;
        world.chats.answer([refused(ChatError::Dead { detail })]);
        ended(&mut world, &chat, &key).await;
        let calls = world.chats.calls();
        let ends: Vec<_> = calls.iter().filter(|call| call.body["kind"] == "end").collect();
        assert_eq!((ends.len(), ends[0].files.is_empty(), ends[1].files.is_empty()), (2, false, true), "{at}");
        assert_eq!(ends[1].error, None);
        assert_eq!(world.delivery(&key, &chat).await.over, Some(Over::Told));
        assert_eq!(world.delivery(&other, &chat).await.over, None, "the chat isn't closed");
    }
}

#[tokio::test]
async fn an_upload_that_takes_too_long_isnt_tried_again() {
    let (mut world, chat, key) = carded(Bot::Telegram, "tg_5").await;
    world.chats.answer([refused(ChatError::Unknown { detail: "no answer within 10 s".into() })]);
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.told(), ["card", "end!", "end", "~card"], "as rich as ever");
    let calls = world.chats.calls();
    assert_eq!((calls[1].files.is_empty(), calls[2].files.is_empty()), (false, true));
}

#[tokio::test]
async fn a_card_that_isnt_accepted_keeps_no_end_from_being_told() {
    let rejected = || refused(ChatError::Rejected { detail: "no".into() });
    let (mut world, chat, key) = submitted(Bot::Discord, "dc_5").await;
    world.chats.answer([rejected(), rejected()]);
    world.pass(10 * MINUTE_MS).await;
    assert_eq!(world.told(), ["card!", "card plain!"], "nobody insists");
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.told()[2..], ["end plain"]);
    assert_eq!(world.delivery(&key, &chat).await.over, Some(Over::Told));

    let (mut world, chat, key) = carded(Bot::Telegram, "tg_5").await;
    world.chats.answer([rejected(), rejected()]);
    world.pass(MINUTE_MS + MINUTE_MS / 2).await;
    assert_eq!(world.told(), ["card", "~card!", "~card plain!"]);
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.ends(), ids(std::slice::from_ref(&key)));
}

#[tokio::test]
async fn a_card_that_was_edited_too_often_waits_alone() {
    let (mut world, chat, key) = carded(Bot::Telegram, "tg_5").await;
    world.chats.answer([refused(ChatError::Paused { after_ms: 30 * MINUTE_MS })]);
    world.pass(2 * MINUTE_MS).await;
    assert_eq!(world.told(), ["card", "~card!"]);
    let other = world.submit(&chat).await;
    world.pass(MINUTE_MS / 2).await;
    assert_eq!(world.told()[2..], ["card"], "others are shown");
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.ends(), ids(&[key]), "and so is its end");
    assert_eq!(world.delivery(&other, &chat).await.over, None);
}

#[tokio::test]
async fn a_bot_that_isnt_served_keeps_silent_and_is_tried_for_a_day() {
    let (mut world, chat, key) = carded(Bot::Telegram, "tg_5").await;
    let unknown = || refused(ChatError::Refused { detail: "Unauthorized".into() });
    world.chats.answer(std::iter::repeat_with(unknown).take(400));
    let asked_ms = world.now_ms();
    ended(&mut world, &chat, &key).await;
    let tried = world.chats.calls().len() - 1;
    assert!((2..=4).contains(&tried), "every five minutes: {tried} in ten");
    while world.delivery(&key, &chat).await.over.is_none() {
        assert!(world.now_ms() < asked_ms + 26 * 60 * MINUTE_MS, "it is never given up");
        world.pass(30 * MINUTE_MS).await;
    }
    assert!(world.now_ms() >= asked_ms + 24 * 60 * MINUTE_MS);
}

#[tokio::test]
async fn a_wish_for_silence_for_ever_is_kept_for_half_a_day() {
    let (mut world, chat, key) = carded(Bot::Discord, "dc_5").await;
    world.chats.answer([refused(ChatError::Throttled { after_ms: u64::MAX, is_global: false })]);
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.told(), ["card", "end!"]);
    world.pass(12 * 60 * MINUTE_MS).await;
    assert_eq!(world.ends(), ids(&[key]));
}

#[tokio::test]
async fn a_deleted_card_is_posted_anew_and_a_deleted_last_one_is_let_go() {
    let (mut world, chat, key) = carded(Bot::Telegram, "tg_5").await;
    let card = world.delivery(&key, &chat).await.shown.and_then(|shown| shown.card).expect("a card");
    world.chats.delete(&card.message);
    world.pass(3 * MINUTE_MS).await;
    assert_eq!(world.told()[..3], ["card", "~card!", "card"]);
    let card = world.delivery(&key, &chat).await.shown.and_then(|shown| shown.card).expect("another card");
    world.chats.delete(&card.message);
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.ends(), ids(std::slice::from_ref(&key)));
    assert_eq!(world.delivery(&key, &chat).await.over, Some(Over::Told));
}

#[tokio::test]
async fn a_group_that_moves_takes_its_link_and_its_jobs_along() {
    let (mut world, old, key) = carded(Bot::Telegram, "tg_-5").await;
    let new = chat("tg_-1005");
    world.chats.answer([refused(ChatError::Moved { to: new })]);
    ended(&mut world, &old, &key).await;
    assert_eq!(world.ends(), ids(std::slice::from_ref(&key)));
    let calls = world.chats.calls();
    assert!(calls[2..].iter().all(|call| call.chat == new), "{calls:?}");
    let links = world.platform.links(&acme()).await.expect("read");
    assert_eq!(links.iter().map(|link| link.realm).collect::<Vec<_>>(), [RealmId::Group(-1005)]);
    assert_eq!(world.delivery(&key, &old).await.over, Some(Over::Told));
}

#[tokio::test]
async fn a_topic_that_is_gone_leaves_the_job_to_its_group() {
    let (mut world, topic, key) = carded(Bot::Telegram, "tg_-5_7").await;
    world.chats.answer([refused(ChatError::Moved { to: chat("tg_-5") })]);
    ended(&mut world, &topic, &key).await;
    assert_eq!(world.ends(), ids(std::slice::from_ref(&key)));
    assert_eq!(world.chats.calls().last().map(|call| call.chat), Some(chat("tg_-5")));
    assert_eq!(world.delivery(&key, &topic).await.over, Some(Over::Told));
}

#[tokio::test]
async fn what_isnt_accepted_is_sent_once_more_as_plain_text() {
    let (mut world, chat, key) = carded(Bot::Discord, "dc_5").await;
    world.chats.answer([refused(ChatError::Rejected { detail: "embeds[0].title: too long".into() })]);
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.told(), ["card", "end!", "end plain", "~card plain"]);
}

#[tokio::test]
async fn what_isnt_accepted_as_plain_text_either_is_given_up() {
    let (mut world, chat, key) = carded(Bot::Discord, "dc_5").await;
    let rejected = || refused(ChatError::Rejected { detail: "no".into() });
    world.chats.answer([rejected(), rejected()]);
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.told(), ["card", "end!", "end plain!"]);
    assert_eq!(world.delivery(&key, &chat).await.over, Some(Over::GivenUp));
}

#[tokio::test]
async fn an_end_of_unknown_outcome_is_sent_again_by_the_same_name() {
    for (bot, at, ends) in [(Bot::Discord, "dc_5", 1), (Bot::Telegram, "tg_5", 2)] {
        let (mut world, chat, key) = carded(bot, at).await;
        world.chats.answer([Answer::Lost]);
        ended(&mut world, &chat, &key).await;
        let calls = world.chats.calls();
        let nonces: Vec<&str> =
            calls.iter().filter(|call| call.body["kind"] == "end").map(|call| call.nonce.as_str()).collect();
        assert_eq!((nonces.len(), nonces[0]), (2, nonces[1]));
        assert!(nonces[0].len() <= 25);
        assert_eq!(world.ends().len(), ends, "{bot}: rather twice than never, where the platform can't tell");
    }
}

#[tokio::test]
async fn a_card_of_unknown_outcome_is_not_doubled() {
    let (mut world, chat, key) = submitted(Bot::Telegram, "tg_5").await;
    world.chats.answer([Answer::Lost]);
    world.pass(MINUTE_MS / 2).await;
    assert_eq!(world.told(), ["card!"]);
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.told(), ["card!", "end"], "the end is told all the same");

    let (mut discord, _, _) = submitted(Bot::Discord, "dc_5").await;
    discord.chats.answer([Answer::Lost]);
    discord.pass(MINUTE_MS).await;
    assert_eq!(discord.told(), ["card!", "card"], "Discord recognises it");
    assert_eq!(discord.chats.messages().len(), 1);
}

#[tokio::test]
async fn what_follows_a_card_goes_to_its_thread_while_there_is_one() {
    let (mut world, chat, key) = submitted(Bot::Discord, "dc_5").await;
    world.chats.open_threads();
    world.pass(MINUTE_MS / 2).await;
    let thread = world.delivery(&key, &chat).await.shown.and_then(|shown| shown.talk).expect("a thread");
    let locked = || refused(ChatError::Dead { detail: "the thread is locked".into() });
    world.chats.answer([locked(), locked()]);
    ended(&mut world, &chat, &key).await;
    let calls = world.chats.calls();
    let places: Vec<ChatId> = calls.iter().map(|call| call.chat).collect();
    assert_eq!(world.told(), ["card", "end!", "end plain!", "end plain", "~card plain"]);
    assert_eq!(places, [chat, thread, thread, chat, chat]);
}

#[tokio::test]
async fn a_process_that_dies_with_a_lease_loses_nothing() {
    let (mut world, chat, key) = carded(Bot::Telegram, "tg_-5").await;
    world.end(&key).await;
    let target = TargetId::Chat(chat);
    let found = world.table.delivery(&key, &target).await.expect("read").expect("a delivery");
    let claimed = found.claim(world.now_ms(), "dead").expect("free");
    world.table.save_delivery(&key, &claimed).await.expect("saved");
    world.ring(&key, &chat).await;
    world.pass(3 * MINUTE_MS).await;
    assert_eq!(world.ends(), ids(&[key]));
}

#[tokio::test]
async fn whoever_is_unlinked_is_told_nothing_more() {
    let (mut world, chat, key) = carded(Bot::Telegram, "tg_-5").await;
    assert!(world.platform.unlink(&acme(), &RealmId::Group(-5)).await.expect("up"));
    ended(&mut world, &chat, &key).await;
    assert_eq!(world.told(), ["card"]);
    assert_eq!(world.delivery(&key, &chat).await.over, Some(Over::GivenUp));
}

#[tokio::test]
async fn without_a_host_a_chat_rests_and_is_told_once_there_is_one() {
    let (mut world, chat, key) = submitted(Bot::Discord, "dc_5").await;
    let hosts = std::mem::take(&mut world.platform.ports.chat_hosts);
    world.pass(20 * MINUTE_MS).await;
    assert_eq!(world.told(), Vec::<String>::new());
    world.platform.ports.chat_hosts = hosts;
    ended(&mut world, &chat, &key).await;
    world.pass(20 * MINUTE_MS).await;
    assert_eq!(world.ends(), ids(&[key]));
}
