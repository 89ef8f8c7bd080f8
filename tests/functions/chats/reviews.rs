//! People are asked, reminded, and told how it was decided.

use convoke_api::review::DecisionRequest;
use convoke_app::ports::ChatError;
use convoke_app::reviews::Decider;
use convoke_domain::chat::{Bot, RealmId};
use convoke_domain::ids::JobKey;
use convoke_domain::review::Decision;
use convoke_tests::engine::shapes::Shape;
use convoke_tests::fakes::Answer;

use super::rig::{World, chat, ids};

const MINUTE_MS: u64 = 60_000;

/// A job in a group whose review is open.
pub async fn asked(before: impl FnOnce(&World)) -> (World, JobKey, String) {
    let (mut world, group) = (World::of(Bot::Telegram, Shape::Reviewed { rounds: 1, is_left: false }), chat("tg_-5"));
    world.link(RealmId::Group(-5), &group).await;
    let key = world.submit(&group).await;
    world.pass(1_000).await;
    world.work(&key).await;
    before(&world);
    world.ring(&key, &group).await;
    world.pass(MINUTE_MS).await;
    let open = world.platform.reviews(&key).await.expect("up").reviews;
    let [review] = open.as_slice() else { panic!("one review: {open:?}") };
    (world, key, review.id.clone())
}

pub async fn decided(world: &mut World, key: &JobKey, review: &str) {
    let approve = DecisionRequest { decision: Decision::Approve, comment: None };
    world.platform.decide_review(key, review, &approve, &Decider::of_key("office")).await.expect("open");
    world.end(key).await;
    world.ring(key, &chat("tg_-5")).await;
    world.pass(10 * MINUTE_MS).await;
}

fn count(world: &World, kind: &str) -> usize {
    world.told().iter().filter(|told| *told == kind).count()
}

#[tokio::test]
async fn a_review_is_one_message_that_says_in_the_end_how_it_was_decided() {
    let (mut world, key, review) = Box::pin(asked(|_| ())).await;
    let asked = world.chats.calls().into_iter().find(|call| call.body["kind"] == "review").expect("asked");
    let token = asked.body["token"].as_str().expect("a token");
    let button = world.platform.button(token).await.expect("up").expect("it stands for the review");
    assert_eq!((button.key, button.review), (key.clone(), Some(review.clone())));
    world.pass(30 * MINUTE_MS).await;
    assert_eq!((count(&world, "review"), count(&world, "reminder")), (1, 1), "{:?}", world.told());
    decided(&mut world, &key, &review).await;
    assert_eq!((count(&world, "~review"), count(&world, "end"), count(&world, "reminder")), (2, 1, 1));
    let messages = world.chats.messages();
    let states: Vec<_> =
        messages.iter().filter(|(_, body)| body["kind"] == "review").map(|(_, body)| &body["state"]).collect();
    assert_eq!(states, ["approved", "approved"], "the reminder says so, too");
    assert_eq!(world.ends(), ids(std::slice::from_ref(&key)));
}

#[tokio::test]
async fn a_review_of_unknown_outcome_is_asked_again_and_a_deleted_one_is_let_go() {
    let (mut world, key, review) = Box::pin(asked(|world| {
        let unknown = ChatError::Unknown { detail: "no answer".into() };
        world.chats.answer([Answer::Refused(unknown)]);
    }))
    .await;
    assert_eq!((count(&world, "review!"), count(&world, "review")), (1, 1), "{:?}", world.told());
    let shown = world.delivery(&key, &chat("tg_-5")).await.shown.expect("shown");
    world.chats.delete(shown.reviews[&review].message.as_ref().expect("asked"));
    decided(&mut world, &key, &review).await;
    assert_eq!(world.ends(), ids(std::slice::from_ref(&key)));
    assert!(world.delivery(&key, &chat("tg_-5")).await.over.is_some());
}

#[tokio::test]
async fn a_review_that_isnt_accepted_keeps_no_end_from_being_told() {
    let rejected = || Answer::Refused(ChatError::Rejected { detail: "no".into() });
    let (mut world, key, review) = Box::pin(asked(|world| world.chats.answer([rejected(), rejected()]))).await;
    assert_eq!((count(&world, "review!"), count(&world, "review plain!")), (1, 1), "{:?}", world.told());
    world.pass(30 * MINUTE_MS).await;
    decided(&mut world, &key, &review).await;
    assert_eq!(
        (count(&world, "review plain"), count(&world, "reminder plain"), count(&world, "~review plain")),
        (0, 0, 0)
    );
    assert_eq!(world.ends(), ids(std::slice::from_ref(&key)));
}
