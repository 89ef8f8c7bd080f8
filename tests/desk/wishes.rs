//! What is wished for next: once, in whichever way, and with all that came with the first.

use convoke_app::ports::{BlobKey, Env as _, Payload, Reads, Requester, Wish};
use convoke_app::submit::IdempotencyKey;
use convoke_chat::button::{Action, Press};
use convoke_domain::chat::Bot;
use convoke_domain::ids::{JobKey, TargetId};
use futures_util::future::join;
use serde_json::{Value, json};

use crate::rig::{Talk, Who, acme, asking, attached, notify_of, poem_of};

async fn input(talk: &Talk, key: &JobKey) -> Value {
    let reads = Reads { definition: true, ..Reads::default() };
    let definition = talk.platform.ports.steps.fetch(key, &reads).await.expect("up").definition.expect("a definition");
    let Payload::Inline(input) = definition.input else { panic!("it is small") };
    input
}

async fn press(talk: &mut Talk, key: &JobKey, action: Action) {
    let chat = talk.caller(Who::Bob).chat;
    let token = talk.platform.new_button(key, &chat, None).await.expect("a token");
    talk.press_this(Who::Bob, Press { action, token: token.parse().expect("a token") }).await;
}

async fn refusals(talk: &Talk) -> Vec<Option<String>> {
    let schedules = talk.platform.schedules(&acme()).await.expect("schedules").schedules;
    schedules.into_iter().inspect(|one| assert!(one.paused)).map(|one| one.refusal).collect()
}

/// Has a flow take a topic, and no prompt.
fn without_prompt(body: &mut Value) {
    let topic = body["input"]["prompt"].take();
    body["input"] = json!({"topic": topic});
    body["flow"]["input"] =
        json!({"type": "object", "properties": {"topic": {"type": "string"}}, "additionalProperties": false});
    body["flow"]["nodes"][0]["task"]["description"] = json!("Write {{ input.topic }}");
}

#[tokio::test]
async fn what_came_with_a_job_comes_with_it_again() {
    let mut talk = Talk::linked(Bot::Discord).await;
    talk.say_with(Who::Bob, "/run Sum it up", vec![attached("a.csv", "1,2")]).await;
    let first = talk.latest().await;
    let came = input(&talk, &first).await["files"].clone();
    assert_eq!((&came[0]["name"], &came[0]["text"]), (&json!("a.csv"), &json!("1,2")));
    talk.say(Who::Bob, "/followup and briefly").await;
    talk.press(Who::Bob, Action::Restart).await;
    let second = talk.latest().await;
    let again = input(&talk, &second).await;
    assert_eq!((&again["files"], &again["prompt"]), (&came, &json!("Sum it up\n\nand briefly")), "{}", talk.said);
    let own = BlobKey::of_job(&second, "(input)", 0, "files/0");
    assert_eq!(talk.platform.ports.blobs.get(&own).await.expect("up").as_deref(), Some("1,2".as_bytes()));
    talk.work().await;
    assert_eq!(talk.platform.job_view(&first).await.expect("a job").status.as_str(), "cancelled");
    press(&mut talk, &first, Action::Retry).await;
    let retry = talk.latest().await;
    for action in [Action::RunAgain, Action::RunAgain] {
        let (before, of) = (talk.jobs().await.len(), talk.latest().await);
        press(&mut talk, &of, action).await;
        assert_eq!(talk.jobs().await.len(), before + 1, "{}", talk.said);
        assert_eq!(input(&talk, &talk.latest().await).await["files"], came, "also after {retry}");
    }
}

#[tokio::test]
async fn one_wish_makes_one_job() {
    let mut talk = Talk::linked(Bot::Telegram).await;
    talk.poem(Who::Bob, "a poem").await;
    talk.say(Who::Bob, "/followup make it rhyme").await;
    let (queue, restart) = (talk.button(Action::Queue), talk.button(Action::Restart));
    for who in [Who::Ann, Who::Bob] {
        talk.press_this(who, queue.clone()).await;
    }
    let waiting = talk.platform.schedules(&acme()).await.expect("schedules").schedules;
    assert_eq!(waiting.len(), 1, "it waits once");
    for _ in 0..2 {
        talk.press_this(Who::Bob, restart.clone()).await;
    }
    assert_eq!(talk.jobs().await.len(), 2, "{}", talk.said);
    talk.work().await;
    talk.minute().await;
    talk.press_this(Who::Ann, queue).await;
    talk.press_this(Who::Bob, restart.clone()).await;
    assert_eq!(talk.jobs().await.len(), 2, "{}", talk.said);
    assert_eq!(talk.said.matches("Accepted already").count(), 3, "{}", talk.said);
    assert!(talk.platform.schedules(&acme()).await.expect("schedules").schedules.is_empty(), "nothing waits");
    for _ in 0..10 {
        talk.say(Who::Bob, "/run more").await;
    }
    assert!(talk.said.contains("That is enough for this hour"), "{}", talk.said);
    talk.press_this(Who::Bob, restart).await;
    assert_eq!(talk.said.matches("Accepted already").count(), 4, "what is granted isn't counted again: {}", talk.said);
}

#[tokio::test]
async fn a_wish_that_is_granted_twice_at_once_waits_once() {
    let mut talk = Talk::linked(Bot::Discord).await;
    let poem = talk.poem(Who::Bob, "a poem").await;
    let wish = Wish { prompt: "make it rhyme".to_owned(), budget: None };
    let (mark, notify): (IdempotencyKey, Value) = ("wish-1".parse().expect("a key"), json!([]));
    let by = talk.caller(Who::Bob);
    let by = Requester { person: by.person, name: by.name };
    let grant = || talk.platform.queue_follow_up(&poem, (&wish, &notify), (&mark, by.clone()));
    let (one, other) = tokio::join!(grant(), grant());
    assert_eq!(one.expect("waits"), other.expect("waits"));
    assert_eq!(talk.platform.schedules(&acme()).await.expect("schedules").schedules.len(), 1);
}

#[tokio::test]
async fn a_job_that_has_ended_meanwhile_is_gone_on_from() {
    let mut talk = Talk::linked(Bot::Discord).await;
    for (prompt, follows) in [("a poem", true), ("the impossible", false)] {
        let first = talk.poem(Who::Bob, prompt).await;
        talk.say(Who::Bob, "/followup shorter").await;
        let restart = talk.button(Action::Restart);
        talk.work().await;
        talk.press_this(Who::Bob, restart).await;
        let second = talk.latest().await;
        let view = talk.platform.job_view(&second).await.expect("a job");
        assert_eq!(view.follows, follows.then_some(first.job), "{prompt}");
        let prompt = if follows { "shorter".to_owned() } else { format!("{prompt}\n\nshorter") };
        assert_eq!(input(&talk, &second).await["prompt"], prompt);
        talk.work().await;
    }
}

#[tokio::test]
async fn nothing_is_stopped_for_what_cannot_be_started() {
    let mut talk = Talk::linked(Bot::Discord).await;
    let job = talk.poem_with(Who::Bob, "a poem", without_prompt).await;
    talk.say(Who::Bob, "/followup shorter").await;
    talk.press(Who::Bob, Action::Restart).await;
    assert!(talk.said.contains("this flow takes no prompt"), "{}", talk.said);
    talk.work().await;
    assert_eq!(talk.platform.job_view(&job).await.expect("a job").status.as_str(), "completed");
    assert_eq!(talk.jobs().await, [job]);
}

#[tokio::test]
async fn a_waiting_follow_up_that_is_refused_stays_with_the_reason() {
    let mut talk = Talk::linked(Bot::Discord).await;
    // It has made no file to go on from, and can't be run again with words.
    let first = talk.poem_with(Who::Bob, "the impossible", without_prompt).await;
    talk.say(Who::Bob, "/followup shorter").await;
    talk.press(Who::Bob, Action::Queue).await;
    talk.work().await;
    for _ in 0..2 {
        talk.minute().await;
        assert_eq!(refusals(&talk).await, [Some("prompt: this flow takes no prompt".to_owned())]);
    }
    let told = talk.queue.take_runs();
    let chat = TargetId::Chat(talk.caller(Who::Bob).chat);
    assert!(!told.is_empty() && told.iter().all(|bell| bell.target == chat), "the chat is told");
    talk.say(Who::Bob, "/schedule list").await;
    assert!(talk.said.contains("couldn't start: prompt: this flow takes no prompt"), "{}", talk.said);
    let id = talk.platform.schedules(&acme()).await.expect("schedules").schedules.remove(0).id;
    let resumed = talk.platform.resume_schedule(&acme(), &id).await.expect("resumed");
    assert_eq!((resumed.paused, resumed.refusal), (false, None));
    talk.minute().await;
    assert_eq!(refusals(&talk).await.len(), 1, "it was tried again");
    assert_eq!(talk.jobs().await, [first]);
}

#[tokio::test]
async fn a_follow_up_that_is_refused_is_not_paid_for_from_the_start() {
    let mut talk = Talk::linked(Bot::Discord).await;
    // Alone the wish doesn't fit, after the earlier prompt it would.
    let strict = |body: &mut Value| body["flow"]["input"]["properties"]["prompt"]["pattern"] = json!("^a ");
    let first = talk.poem_with(Who::Bob, "a poem", strict).await;
    talk.say(Who::Bob, "/followup shorter").await;
    talk.press(Who::Bob, Action::Queue).await;
    talk.work().await;
    talk.minute().await;
    assert_eq!(talk.jobs().await, [first], "it has made files");
    assert!(refusals(&talk).await[0].as_deref().is_some_and(|why| why.contains("prompt")));
}

#[tokio::test]
async fn a_follow_up_that_is_paused_as_it_is_due_does_not_start() {
    // The tick has read the schedule before it is paused, or it reads it after that, having found it due before.
    for is_read_before in [true, false] {
        let mut talk = Talk::linked(Bot::Discord).await;
        let first = talk.poem(Who::Bob, "a poem").await;
        talk.say(Who::Bob, "/followup shorter").await;
        talk.press(Who::Bob, Action::Queue).await;
        talk.work().await;
        talk.env.wind(61_000);
        let (tenant, now_ms) = (acme(), talk.env.now_ms());
        let id = talk.platform.schedules(&tenant).await.expect("schedules").schedules.remove(0).id;
        let (ticks, pauses) = (talk.platform.tick_schedules(now_ms), talk.platform.pause_schedule(&tenant, &id));
        let (ticked, paused) = if is_read_before {
            join(ticks, pauses).await
        } else {
            let (paused, ticked) = join(pauses, ticks).await;
            (ticked, paused)
        };
        let ticked = ticked.expect("ticked");
        assert_eq!((ticked.due, ticked.failed, paused.expect("paused").paused), (1, 0, true));
        talk.minute().await;
        assert_eq!(talk.jobs().await, [first], "{is_read_before}");
    }
}

#[tokio::test]
async fn whoever_made_a_schedule_decides_what_its_jobs_ask() {
    let mut talk = Talk::linked(Bot::Discord).await;
    talk.say(Who::Bob, "/schedule daily 06:00 a garden").await;
    let made = talk.platform.schedules(&acme()).await.expect("schedules").schedules.remove(0);
    talk.platform.delete_schedule(&acme(), &made.id).await.expect("deleted");
    let mut job = poem_of("a garden", &notify_of(&talk.caller(Who::Bob)));
    asking(&mut job);
    job["labels"] = made.job["labels"].clone();
    let schedule = json!({"cron": made.cron, "job": job});
    talk.platform.create_schedule(&acme(), &schedule).await.expect("made");
    talk.env.wind(86_400_000);
    talk.platform.tick_schedules(talk.env.now_ms()).await.expect("ticked");
    talk.work().await;
    let asked = talk.latest().await;
    let press = talk.buttons_of(&asked, "approve@1").await;
    talk.press_this(Who::Ann, press(Action::Approve)).await;
    assert!(talk.said.contains("You may not decide this one."), "{}", talk.said);
    talk.press_this(Who::Bob, press(Action::Approve)).await;
    talk.work().await;
    assert_eq!(talk.platform.job_view(&asked).await.expect("a job").status.as_str(), "completed", "{}", talk.said);
}
