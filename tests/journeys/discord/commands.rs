//! Every command, and what answers it.

use convoke_app::ports::WhoMay;
use convoke_tests::discord::Clicks;
use convoke_tests::scripted::Gate;

use crate::play::{WORKING, crew};
use crate::talk::Talk;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_watched_stopped_and_tried_again() {
    let gate = Gate::closed();
    let mut talk = Talk::linked(crew(&gate)).await;
    let bob = Clicks::member();
    talk.play(&[
        (&bob, "/crew help"),
        (&bob, "/crew list"),
        (&bob, "/crew status"),
        (&bob, "/crew run prompt: a glacier; budget: 0.50"),
    ])
    .await;
    talk.at_work("{A}").await;
    talk.play(&[
        (&bob, "/crew status"),
        (&bob, "/crew list status: working"),
        (&bob, "/crew list status: failed"),
        (&bob, "completes: status job: glac"),
        (&bob, "completes: retry job:"),
        (&bob, "completes: list status: a"),
        (&bob, "completes: run flow:"),
        (&bob, "completes: schedule create zone: tok"),
        (&bob, "/crew artifacts job: {A}"),
        (&bob, "/crew cost"),
        (&bob, "/crew cost job: {A}"),
        (&bob, "/crew retry job: {A}"),
        (&bob, "/crew cancel"),
    ])
    .await;
    gate.open();
    talk.hears("the end", &["Stopped", "{A}"]).await;
    talk.play(&[
        (&bob, "/crew cancel job: {A}"),
        (&bob, "/crew list status: cancelled"),
        (&bob, "/crew retry job: {A}; budget: 0.70"),
    ])
    .await;
    talk.hears("the end", &["Done", "{B}"]).await;
    talk.play(&[
        (&bob, "/crew artifacts job: {B}; path: README.md"),
        (&bob, "/crew artifacts job: {B}; path: nothing.md"),
        (&bob, "/crew cost job: {B}"),
        (&bob, "/crew list"),
    ])
    .await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_with_a_command() {
    let gate = Gate::closed();
    let mut talk = Talk::linked(crew(&gate)).await;
    let bob = Clicks::member();
    talk.lays("notes.md", b"Glaciers are slow.", 18);
    talk.lays("wish.md", b"Write what a glacier is", 23);
    talk.lays("film.mov", b"", 11 * 1_024 * 1_024);
    talk.play(&[
        (&bob, "/crew run prompt: a glacier, as it says; file: @notes.md"),
        (&bob, "/crew run file: @wish.md"),
        (&bob, "/crew run prompt: a glacier, as it says; file: @film.mov"),
    ])
    .await;
    talk.served.models.asked(2).await;
    let asked = talk.served.models.bodies();
    let says = |text: &str| asked.iter().filter(|body| body.to_string().contains(text)).count();
    assert_eq!((says("notes.md"), says("Write what a glacier is")), (1, 1), "{asked:#?}");
    insta::assert_snapshot!(talk.said());
    gate.open();
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_messages_are_a_persons_own() {
    let gate = Gate::closed();
    let mut talk = Talk::linked(crew(&gate)).await;
    let (alone, ada, bob) = (Clicks::direct(), Clicks::owner(), Clicks::member());
    talk.play(&[(&alone, "/crew run prompt: a glacier")]).await;
    let code = talk.code().await;
    talk.play(&[
        (&alone, &format!("/crew link code: {code}")),
        (&alone, "/crew run prompt: a glacier of her own"),
        (&bob, "/crew list"),
        (&ada, "/crew run prompt: a glacier for all"),
    ])
    .await;
    talk.at_work("{A}").await;
    talk.at_work("{B}").await;
    talk.play(&[(&alone, "/crew list"), (&bob, "/crew list"), (&bob, "/crew status job: {A}")]).await;
    talk.card("{A}", WORKING).await;
    let elsewhere = Clicks::elsewhere();
    talk.play(&[(&elsewhere, "/crew run prompt: a glacier from anywhere")]).await;
    talk.card("{C}", WORKING).await;
    insta::assert_snapshot!(talk.said());
    gate.open();
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_scheduled() {
    let mut talk = Talk::linked(crew(&Gate::closed())).await;
    let (ada, bob) = (Clicks::owner(), Clicks::member());
    talk.play(&[
        (&bob, "/crew schedule list"),
        (&bob, "/crew schedule create when: weekdays 06:00; zone: Europe/Berlin; budget: 0.20; prompt: Report news"),
        (&ada, "/crew schedule create when: every 6h; prompt: Look after the plants"),
        (&bob, "/crew schedule create when: daily 25:00; prompt: x"),
        (&bob, "/crew schedule create when: daily 05:00; zone: Mars/Base; prompt: x"),
        (&bob, "/crew schedule list"),
        (&bob, "/crew schedule pause schedule: {S1}"),
        (&bob, "/crew schedule pause schedule: {S2}"),
        (&bob, "/crew schedule list"),
        (&bob, "/crew schedule resume schedule: {S1}"),
        (&ada, "/crew schedule delete schedule: {S1}"),
        (&bob, "/crew schedule delete schedule: {S1}"),
    ])
    .await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_connected_and_disconnected() {
    let mut talk = Talk::start(crew(&Gate::closed())).await;
    let (ada, bob) = (Clicks::owner(), Clicks::member());
    talk.play(&[(&bob, "/crew link"), (&bob, "/crew list"), (&ada, "/crew link code: ABCDEFGHJK")]).await;
    let code = talk.code().await;
    talk.play(&[(&ada, &format!("/crew link code: {code}")), (&bob, "/crew link")]).await;
    let links = talk.served.platform().links(&convoke::local::TENANT.parse().expect("a tenant")).await.expect("links");
    assert_eq!(links.iter().map(|link| link.title.as_str()).collect::<Vec<_>>(), ["The crew's guild"]);
    let foreign = talk.code_of("globex", WhoMay::Everybody).await;
    talk.play(&[
        (&ada, &format!("/crew link code: {foreign}")),
        (&bob, "/crew unlink"),
        (&ada, "/crew unlink"),
        (&ada, &format!("/crew link code: {foreign}")),
        (&ada, "/crew unlink"),
    ])
    .await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}
