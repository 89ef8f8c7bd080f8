//! Every button, and what answers whoever presses it.

use std::time::Duration;

use convoke_tests::discord::Clicks;
use convoke_tests::scripted::Gate;
use serde_json::Value;

use crate::play::{WORKING, crew};
use crate::talk::Talk;

/// The longest that a follow-up waits behind its job's end.
const TWO_MINUTES: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_card_stops_its_job_and_its_end_runs_it_again() {
    let gate = Gate::closed();
    let mut talk = Talk::linked(crew(&gate)).await;
    let (bob, cy) = (Clicks::member(), Clicks::guest());
    talk.play(&[(&bob, "/crew run prompt: a glacier")]).await;
    talk.card("{A}", WORKING).await;
    talk.play(&[(&cy, "[Stop] of {A}"), (&cy, "[Details] of {A}"), (&bob, "[Stop] of {A}")]).await;
    gate.open();
    talk.hears("the end", &["Stopped", "{A}"]).await;
    talk.play(&[(&bob, "[Stop] of {A}"), (&cy, "[Retry] of {A}")]).await;
    talk.hears("the end", &["Done", "{B}"]).await;
    talk.play(&[(&cy, "[Run again] of {B}"), (&cy, "[Zip] of {B}")]).await;
    talk.hears("the end", &["Done", "{C}"]).await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_tried_again_and_what_was_too_dear_with_twice_the_budget() {
    let mut talk = Talk::linked(crew(&Gate::closed())).await;
    let bob = Clicks::member();
    talk.play(&[(&bob, "/crew run prompt: a unicorn")]).await;
    talk.hears("the end", &["{A}", "\"Retry\""]).await;
    talk.play(&[(&bob, "[Retry] of {A}")]).await;
    talk.hears("the end", &["{B}", "\"Retry\""]).await;
    talk.play(&[(&bob, "/crew run prompt: a todo API; budget: 0.02")]).await;
    talk.hears("the end", &["{C}", "twice the budget"]).await;
    talk.play(&[(&bob, "[Retry with twice the budget] of {C}")]).await;
    talk.hears("the end", &["{D}", "twice the budget"]).await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_decided_by_whoever_may_once_whatever_was_started_anew() {
    let mut talk = Talk::linked(crew(&Gate::closed())).await;
    let (bob, cy) = (Clicks::member(), Clicks::guest());
    talk.play(&[(&bob, "/crew run prompt: a todo API; input: review_plan=true")]).await;
    talk.asked("{A}").await;
    talk.play(&[
        (&cy, "[Approve] of {A}"),
        (&cy, "[Request changes] of {A}"),
        (&cy, "[Reject] of {A}"),
        (&bob, "[Request changes] of {A}"),
        (&cy, "types: all of it"),
    ])
    .await;
    talk.restart();
    talk.play(&[
        (&bob, "[Reject] of {A}"),
        (&bob, "[Reject] of {A}"),
        (&bob, "[Approve] of {A}"),
        (&bob, "[Request changes] of {A}"),
    ])
    .await;
    talk.hears("the end", &["{A}", "a person rejected it"]).await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_decide_at_once_one_does_and_the_other_is_told() {
    let mut talk = Talk::linked(crew(&Gate::closed())).await;
    let (ada, bob) = (Clicks::owner(), Clicks::member());
    talk.play(&[(&bob, "/crew run prompt: a todo API; input: review_plan=true")]).await;
    talk.asked("{A}").await;
    let pressed = [talk.interaction(&bob, "[Approve] of {A}"), talk.interaction(&ada, "[Reject] of {A}")];
    let (of_bob, of_ada) = tokio::join!(talk.send(&pressed[0]), talk.send(&pressed[1]));
    let answers = [of_bob.1, of_ada.1];
    let (decided, refused): (Vec<&Value>, Vec<&Value>) = answers.iter().partition(|answer| answer["type"] == 7);
    let said = refused[0].to_string();
    assert_eq!((decided.len(), refused.len()), (1, 1), "{answers:#?}");
    assert_eq!((&refused[0]["data"]["flags"], said.contains("Already decided")), (&64.into(), true), "{answers:#?}");
    let by = if answers[0]["type"] == 7 { "Approved by Bob" } else { "Rejected by Ada" };
    assert!(said.contains(by) && decided[0].to_string().contains(by), "{answers:#?}");
    let status = if by.ends_with("Bob") { "completed" } else { "failed" };
    assert_eq!(talk.served.ended(talk.whole("{A}")).await["status"], status);
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_followed_up_and_says_what_changed() {
    let mut talk = Talk::linked(crew(&Gate::closed())).await;
    let bob = Clicks::member();
    talk.play(&[(&bob, "/crew run prompt: a todo API")]).await;
    talk.hears("the end", &["Done", "{A}"]).await;
    talk.play(&[(&bob, "[Follow up] of {A}"), (&bob, "types: Write the README in French")]).await;
    talk.hears("the end", &["Compared with before", "{B}"]).await;
    talk.play(&[
        (&bob, "menu: Follow up of {A}"),
        (&bob, "types: x"),
        (&bob, "/crew follow-up job: {A}; budget: 0.30"),
        (&bob, "types: shorter"),
        (&bob, "/crew follow-up job: {A}; prompt: shorter"),
    ])
    .await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_of_a_job_at_work_waits_or_takes_its_place() {
    let gate = Gate::closed();
    let mut talk = Talk::linked(crew(&gate)).await;
    let (bob, cy) = (Clicks::member(), Clicks::guest());
    talk.play(&[(&bob, "/crew run prompt: a glacier")]).await;
    talk.card("{A}", WORKING).await;
    talk.play(&[
        (&bob, "/crew follow-up prompt: with seals"),
        (&bob, "[When it has ended]"),
        (&bob, "/crew schedule list"),
        (&bob, "menu: Follow up of {A}"),
        (&bob, "types: with whales"),
        (&cy, "[Stop it and start now]"),
        (&bob, "[Stop it and start now]"),
    ])
    .await;
    gate.open();
    talk.hears("the end", &["Stopped", "{A}"]).await;
    talk.hears("the end", &["Done", "{B}"]).await;
    talk.served.rig().time.forward(TWO_MINUTES);
    talk.hears("the end of what waited", &["Done", "with seals"]).await;
    talk.meet().await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}
