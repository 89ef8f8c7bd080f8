//! What can't be done, and how that is said: to whoever asked, alone.

use convoke_app::ports::WhoMay;
use convoke_tests::discord::{Clicks, Fault};
use convoke_tests::scripted::Gate;

use crate::play::{WORKING, crew};
use crate::talk::Talk;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said() {
    let gate = Gate::closed();
    let mut talk = Talk::linked(crew(&gate)).await;
    let (ada, bob, cy) = (Clicks::owner(), Clicks::member(), Clicks::guest());
    talk.play(&[
        (&bob, "/crew run prompt: x; budget: much"),
        (&bob, "/crew run prompt: x; budget: 0"),
        (&bob, "/crew run prompt: x; budget: 5000"),
        (&bob, "/crew run prompt: x; flow: nothing"),
        (&bob, "/crew run prompt: x; input: words"),
        (&bob, "/crew run prompt: x; input: max_tasks=many"),
        (&bob, "/crew cancel"),
        (&bob, "/crew retry"),
        (&bob, "/crew artifacts"),
        (&bob, "/crew follow-up prompt: more"),
        (&bob, "/crew status job: 000000"),
        (&bob, "/crew status job: ?"),
        (&bob, "/crew list status: asleep"),
        (&bob, "/crew schedule pause schedule: 000000"),
        (&bob, "/crew run prompt: a glacier"),
        (&ada, "/crew run prompt: another glacier"),
    ])
    .await;
    talk.at_work("{A}").await;
    talk.at_work("{B}").await;
    talk.play(&[
        (&bob, "/crew cancel"),
        (&bob, "/crew cancel job: {B}"),
        (&bob, "/crew retry job: {A}"),
        (&bob, "/crew artifacts job: {A}"),
    ])
    .await;
    talk.card("{A}", WORKING).await;
    let never = cy.press("sneverGivenOut0123456");
    talk.does("[Stop], of a token that was never given out", &never).await;
    talk.play(&[(&cy, "[Stop] of {A}"), (&ada, "/crew unlink"), (&bob, "[Stop] of {A}")]).await;
    talk.link(WhoMay::Admins).await;
    talk.note("(connected again, for admins alone)");
    talk.play(&[
        (&bob, "/crew run prompt: a glacier"),
        (&bob, "/crew schedule create when: every 6h; prompt: a glacier"),
        (&bob, "[Details] of {A}"),
    ])
    .await;
    insta::assert_snapshot!(talk.said());
    gate.open();
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enough_is_enough() {
    let gate = Gate::closed();
    let settings = [("CONVOKE_CHAT_PERSON_HOURLY_MAX", "1"), ("CONVOKE_CHAT_REALM_HOURLY_MAX", "2")];
    let mut talk = Talk::start_with(crew(&gate), &settings).await;
    talk.link(WhoMay::Everybody).await;
    let (ada, bob, cy) = (Clicks::owner(), Clicks::member(), Clicks::guest());
    talk.play(&[
        (&bob, "/crew run prompt: a glacier"),
        (&bob, "/crew run prompt: a glacier"),
        (&ada, "/crew run prompt: a glacier"),
        (&cy, "/crew run prompt: a glacier"),
    ])
    .await;
    insta::assert_snapshot!(talk.said());
    gate.open();
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_bot_may_not_post_it_tells_people_directly_or_says_that_it_cannot() {
    let gate = Gate::closed();
    let mut talk = Talk::linked(crew(&gate)).await;
    let bob = Clicks::muted();
    talk.server.next(|call| call.path == "/users/@me/channels", Fault::Refuse(403, 50_007));
    talk.play(&[(&bob, "/crew run prompt: a glacier"), (&bob, "/crew run prompt: a glacier")]).await;
    talk.card("{A}", WORKING).await;
    insta::assert_snapshot!(talk.said());
    gate.open();
    talk.stop().await;
}
