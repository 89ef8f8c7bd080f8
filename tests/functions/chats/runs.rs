//! A chat is told once that what a schedule started has ended.

use convoke_app::ports::ChatError;
use convoke_app::ports::{RunRecord, RunTarget, ScheduleRecord, Timing};
use convoke_domain::chat::{Bot, RealmId};
use convoke_domain::ids::TargetId;
use convoke_domain::schedule::Tally;
use convoke_tests::fakes::Answer;
use serde_json::{Value, json};

use super::rig::{World, acme, chat};

const SCHEDULE: &str = "01KAJ0X5T3ZQ4V8N2M6R7W9YBC";

/// A batch of two that has ended, and tells that chat.
async fn ended_batch(world: &World, told: &str) {
    let now_ms = world.now_ms();
    let named = (SCHEDULE.to_owned(), "nightly".to_owned());
    let schedule = ScheduleRecord::new(named, Timing::Every { seconds: 3_600 }, json!({}), now_ms);
    assert!(world.platform.ports.schedules.put_schedule(&acme(), &schedule).await.expect("up"));
    let run = RunRecord {
        next: 2,
        tally: Tally { completed: 1, refused: 1, ..Tally::default() },
        refusal: Some("no such flow".into()),
        ended_ms: Some(now_ms),
        tell: vec![RunTarget::new(TargetId::Chat(chat(told)))],
        due_ms: Some(now_ms),
        ..RunRecord::new((now_ms, 2), now_ms)
    };
    assert!(world.platform.ports.schedules.put_run(&acme(), SCHEDULE, &run, None).await.expect("up"));
}

/// Ticks for so many minutes, answering each bell twice at once; what was posted of runs, also in vain.
async fn pass(world: &World, minutes: usize) -> Vec<Value> {
    for _ in 0..minutes {
        world.platform.tick_schedules(world.now_ms()).await.expect("ticked");
        for bell in world.queue.take_runs() {
            let (one, other) = tokio::join!(world.platform.deliver_run(&bell), world.platform.deliver_run(&bell));
            assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
        }
        world.env.wind(60_000);
    }
    assert_eq!(world.chats.broken(), [""; 0]);
    let calls = world.chats.calls().into_iter();
    calls.filter(|call| call.body["kind"] == "run").map(|call| call.body).collect()
}

#[tokio::test]
async fn a_chat_is_told_once_that_a_batch_has_ended() {
    for (bot, realm, told) in [(Bot::Discord, RealmId::Guild(5), "dc_55"), (Bot::Telegram, RealmId::Group(-5), "tg_-5")]
    {
        let world = World::new(bot);
        world.link(realm, &chat(told)).await;
        ended_batch(&world, told).await;
        let posted = pass(&world, 3).await;
        let expected = json!({"kind": "run", "name": "nightly", "after": null, "refusal": "no such flow",
            "completed": 1, "total": 2});
        assert_eq!(posted, [expected]);
    }
}

#[tokio::test]
async fn what_a_platform_does_not_take_is_told_later_as_text_or_where_the_chat_is() {
    let silence = ChatError::Throttled { after_ms: 90_000, is_global: false };
    let rejected = ChatError::Rejected { detail: "bad".into() };
    let unsent = ChatError::Unsent { detail: "down".into() };
    let moved = ChatError::Moved { to: chat("tg_-5") };
    for (error, is_plain) in [(silence, false), (rejected, true), (unsent, false), (moved, false)] {
        let world = World::new(Bot::Telegram);
        world.link(RealmId::Group(-5), &chat("tg_-5")).await;
        ended_batch(&world, "tg_-5_7").await;
        world.chats.answer([Answer::Refused(error.clone())]);
        assert_eq!(pass(&world, 1).await.len(), 1, "{error}");
        let posted = pass(&world, 4).await;
        assert_eq!(posted.len(), 2, "{error}");
        assert_eq!(posted[1]["plain"] == true, is_plain, "{error}");
        let place = world.chats.messages().pop().expect("a message").0.chat;
        let is_moved = matches!(error, ChatError::Moved { .. });
        assert_eq!(place, chat(if is_moved { "tg_-5" } else { "tg_-5_7" }), "{error}");
    }
}

#[tokio::test]
async fn a_chat_that_takes_nothing_or_is_not_linked_is_not_told_of_runs() {
    let world = World::new(Bot::Discord);
    world.link(RealmId::Guild(5), &chat("dc_55")).await;
    ended_batch(&world, "dc_55").await;
    world.chats.answer([Answer::Refused(ChatError::Dead { detail: "missing access".into() })]);
    assert_eq!(pass(&world, 4).await.len(), 1, "it isn't called while it is dead");
    world.link(RealmId::Guild(5), &chat("dc_55")).await;
    assert_eq!(pass(&world, 60).await.len(), 2, "somebody uses the bot there again");
    let strange = World::new(Bot::Discord);
    ended_batch(&strange, "dc_55").await;
    assert_eq!(pass(&strange, 2).await.len(), 0);
}
