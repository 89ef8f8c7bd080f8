//! Dialogues with the bot: every command, every button, every way to be refused, as what people do and the calls that come
//! of it.

use convoke_tests::telegram::{Chat, Fault};

use super::rig::{ALONE, BOB, GROUP, TOPIC};
use super::world::World;

/// Plays scripts one after the other, each in its chat; all that was said.
async fn played(mut world: World, scripts: &[(Chat, &str)]) -> String {
    for (chat, script) in scripts {
        world.play(*chat, script).await;
    }
    world.end()
}

#[tokio::test]
async fn chats_are_connected_by_admins_with_codes_that_count_once() {
    let scripts = [
        (
            GROUP,
            "Bob: /help\nBob: /start\nAnn: /link\nAnn: /link NOSUCHCODE\nBob: /link {code}\nAnn: /link {again}\nAnn: /link {code}",
        ),
        (
            GROUP,
            "Bob: /link\nBob: /start\nAnn: /link {code}\nAnn: /link {foreign}\nBob: /unlink\nAnn: /unlink\nAnn: /unlink",
        ),
        (GROUP, "Ann: /link@crew_bot {foreign}\nAnn: /link {code}"),
        (ALONE, "Ann: /start {code}\nAnn: /start {again}\nAnn: /unlink\nAnn: /link {again}"),
    ];
    insta::assert_snapshot!(played(World::new().await, &scripts).await);
}

#[tokio::test]
async fn work_is_scheduled_paused_and_taken_away() {
    let script = "
        Bob: /schedule list
        Bob: /schedule create daily 06:00 Build a todo API
        Bob: /schedule every 6h --budget 0.20 Look after the plants
        Bob: /schedule daily 25:00 Build a todo API
        Bob: /schedule daily 05:00 --zone Mars/Base Build a todo API
        Bob: + notes.md: /schedule weekdays 06:00 Sort these
        Bob: /schedule
        Cat: /schedule list
        Cat: /schedule pause {schedule1}
        Bob: /schedule pause {schedule1}
        Bob: /schedule pause {schedule1}
        Ann: /schedule resume {schedule1}
        Bob: /schedule delete {schedule1}
        Bob: /schedule delete NOSUCH
        Bob: /schedule pause
        Bob: /schedule list
        - pass 6 h
        Bob: /schedule list";
    let world = World::linked().await;
    world.telegram.keep_file("notes.md", b"todo");
    insta::assert_snapshot!(played(world, &[(GROUP, script)]).await);
}

#[tokio::test]
async fn jobs_are_listed_looked_at_and_ended() {
    let script = "
        * Bob: poem a poem
        * Ann: poem another poem
        Bob: /jobs
        Bob: /jobs failed
        Bob: /jobs lost
        Bob: /status
        Bob: /status {job1}
        Bob: /status 0000
        Bob: /status ?
        Bob: /cancel
        Bob: /cancel {job2}
        Bob: /cancel {job1}
        - work
        Bob: /cancel {job1}
        Bob: /cancel
        Bob: /jobs cancelled
        Bob: /cost
        Bob: /cost {job2}
        Bob: /artifacts {job2}
        Bob: /artifacts {job2} poem.md
        Bob: /artifacts {job2} no/such.md
        Bob: /retry {job2}
        Bob: /retry
        Bob: /retry {job1} --budget 2
        Bob: /retry {job1} --budget 2000
        Bob: /dance
        Bob: /dance@crew_bot
        Bob: /dance@other_bot";
    insta::assert_snapshot!(played(World::linked().await, &[(GROUP, script)]).await);
}

#[tokio::test]
async fn work_is_asked_for_with_words_and_files() {
    let world = World::linked().await;
    for name in ["wish.md", "data.csv"] {
        world.telegram.keep_file(name, b"what is in it");
    }
    world.telegram.fail("getFile", Fault::Said(400, "Bad Request: file is temporarily unavailable"));
    let script = "
        Ann: + data.csv: /run Sum it up
        Ann: + data.csv: /run Sum it up
        Ann: + wish.md: /run
        Ann: + huge.bin: /run Sum it up
        Ann: + wish.md: Sort them by date
        Ann: + wish.md:
        Ann: + wish.md: /status
        Ann: /run --budget 0.50 --input review_plan=true Build a todo API
        Ann: /run --budget much Build a todo API
        Ann: /run --budget 5000 Build a todo API
        Ann: /run --flow nothing Build a todo API
        Ann: /run
        Ann: > Build a todo API
        Ann: /run --budget 0.25
        Ann: > + data.csv: Sum it up
        Ann: /jobs";
    insta::assert_snapshot!(played(world, &[(ALONE, script)]).await);
}

#[tokio::test]
async fn buttons_do_what_they_say() {
    let script = "
        * Bob: poem a poem
        - tell
        Bob: [Details]
        Cat: [Stop]
        Bob: [Stop]
        - work
        Bob: [Retry]
        - work
        Cat: [Zip]
        Bob: [Run again]
        * Bob: poem the impossible
        - work
        Bob: [Retry]
        * Bob: poor a poem
        - work
        Bob: [Retry with twice the budget]
        Bob: /jobs";
    insta::assert_snapshot!(played(World::linked().await, &[(GROUP, script)]).await);
}

#[tokio::test]
async fn a_review_in_a_group_is_decided_by_whoever_may() {
    let script = "
        * Bob: review a garden
        - work
        Cat: [Approve]
        Ann: [Reject]
        Cat: [Request changes]
        Bob: [Request changes]
        Cat: > More roses
        Bob: > + roses.md: like these
        Bob: [Request changes]
        Bob: > More roses, fewer weeds
        - work
        Bob: [Approve]
        Bob: /status
        - work";
    insta::assert_snapshot!(played(World::linked().await, &[(GROUP, script)]).await);
}

#[tokio::test]
async fn a_review_in_a_topic_is_decided_by_an_admin_and_once() {
    let mut world = World::linked().await;
    world.play(TOPIC, "* Bob: admins a garden\n- work").await;
    let stale = ["Approve", "Request changes", "Reject"].map(|label| world.update(TOPIC, BOB, &format!("[{label}]")));
    world.play(TOPIC, "Bob: [Approve]\nAnn: [Reject]").await;
    for update in stale {
        world.comes("Bob: (a button that has gone meanwhile)", &update).await;
    }
    world.play(TOPIC, "- work\nBob: /status").await;
    insta::assert_snapshot!(world.end());
}

#[tokio::test]
async fn people_are_reminded_of_a_review_until_its_time_is_over() {
    let script = "* Bob: admins a garden\n- work\n- pass 2 h\n- pass 2 d\nAnn: /status";
    insta::assert_snapshot!(played(World::linked().await, &[(GROUP, script)]).await);
}

#[tokio::test]
async fn buttons_outlive_processes_and_weeks() {
    let mut world = World::linked().await;
    world.play(GROUP, "* Bob: review a garden\n* Bob: poem a poem\n- tell").await;
    world.restart();
    world.play(GROUP, "Bob: [Stop]\n- work\n- pass 6 d").await;
    world.restart();
    world.play(GROUP, "Bob: [Approve]\n- work\nBob: [Details]").await;
    insta::assert_snapshot!(world.end());
}

#[tokio::test]
async fn what_is_gone_is_said_to_be_gone() {
    let mut world = World::linked().await;
    world.play(GROUP, "* Bob: poem a poem\n- tell").await;
    let stop = world.update(GROUP, BOB, "[Stop]");
    world.play(GROUP, "- work").await;
    world.comes("Bob: (the button Stop, a moment too late)", &stop).await;
    world.play(GROUP, "Ann: /unlink\nBob: [Details]\nAnn: /link {foreign}\nBob: [Run again]").await;
    let mut press = world.update(GROUP, BOB, "[Run again]");
    for data in ["sNeverGivenOut0123456789", "?what"] {
        press["callback_query"]["data"] = data.into();
        press["update_id"] = (9_000 + data.len()).into();
        world.comes(&format!("Bob: (a button that says {data})"), &press).await;
    }
    world.play(GROUP, "Bob: /jobs").await;
    insta::assert_snapshot!(world.end());
}

#[tokio::test]
async fn enough_is_enough_for_an_hour_but_a_repeat_is_no_more_than_it_was() {
    let mut world = World::linked().await;
    world.play(GROUP, &"Bob: /run Build a todo API\n".repeat(9)).await;
    // Its answer can't be given, so that Telegram sends it again.
    world.telegram.fail("sendMessage", Fault::Throttled(5));
    let tenth = world.update(GROUP, BOB, "/run Build the tenth");
    world.comes("Bob: /run Build the tenth", &tenth).await;
    world.play(GROUP, "- wait 2 min").await;
    world.comes("(Telegram sends it again)", &tenth).await;
    let script = "
        Bob: /run Build the eleventh
        Cat: /run Build it
        - wait 1 h
        Bob: /run Build the eleventh";
    world.play(GROUP, script).await;
    insta::assert_snapshot!(world.end());
}

#[tokio::test]
async fn a_job_is_followed_up_from_its_files() {
    let script = "
        * Ann: poem a poem
        - work
        Ann: /followup make it rhyme
        - work
        Ann: > [Follow up] and in French
        - work
        Ann: [Follow up]
        Ann: > shorter
        - work
        Ann: /followup {job1}
        Ann: > longer
        Ann: /followup --budget 0.30 shorter still
        Ann: > + roses.md: with these
        Ann: /followup 0000";
    insta::assert_snapshot!(played(World::linked().await, &[(ALONE, script)]).await);
}

#[tokio::test]
async fn a_job_that_runs_is_followed_up_later_or_started_again() {
    let script = "
        * Bob: poem a poem
        - tell
        Bob: > [Stop] make it rhyme
        Bob: [When it has ended]
        Bob: /schedule list
        Bob: > [Stop] in French
        Cat: [Stop it and start now]
        Bob: [Stop it and start now]
        - work
        - pass 3 min
        Bob: /jobs";
    insta::assert_snapshot!(played(World::linked().await, &[(GROUP, script)]).await);
}
