//! How interactions are answered: believed, claimed once, in time, and without losing anything on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use convoke_chat::button::{Action, Ask, Press};
use convoke_chat::command::{Command, Misread};
use convoke_chat::page::{Button, Look, Page, Tone};
use convoke_chat::reply::{Audience, Choice, File, Question, Reply};
use convoke_desk::{Caller, Front};
use convoke_discord::inbound::Inbound;
use convoke_discord::rest::Rest;
use convoke_discord::verify::Requests;
use convoke_discord::{endpoint, settings::Settings};
use convoke_tests::discord::clicks::signature;
use convoke_tests::discord::{Call, Clicks, Description, DiscordServer, Fault};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::host::settings;
use crate::{NOW_MS, told};

const TOKEN: &str = "Ab3_-fGh1JkLmNoPqRsT";
/// The time that the platform has.
const NOW_S: u64 = NOW_MS / 1_000;

/// Somebody at the counter who says the same to everybody, after a while.
struct Says {
    reply: Reply,
    after: Duration,
    asked: AtomicUsize,
    seen: std::sync::Mutex<Vec<Caller>>,
}

impl Says {
    fn at_once(reply: Reply) -> Arc<Self> {
        Self::after(reply, Duration::ZERO)
    }

    fn after(reply: Reply, after: Duration) -> Arc<Self> {
        Arc::new(Self { reply, after, asked: AtomicUsize::new(0), seen: std::sync::Mutex::default() })
    }

    async fn say(&self, caller: &Caller) -> Reply {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.seen.lock().expect("nobody panicked").push(caller.clone());
        tokio::time::sleep(self.after).await;
        self.reply.clone()
    }
}

#[async_trait]
impl Front for Says {
    async fn command(&self, caller: &Caller, _: Result<Command, Misread>) -> Reply {
        self.say(caller).await
    }

    async fn press(&self, caller: &Caller, _: Press) -> Reply {
        self.say(caller).await
    }

    async fn typed(&self, caller: &Caller, _: Ask, _: String) -> Reply {
        self.say(caller).await
    }

    async fn complete(&self, _: &Caller, _: &[&str], _: &str, typed: &str) -> Vec<Choice> {
        tokio::time::sleep(self.after).await;
        vec![Choice { name: format!("what begins with {typed}"), value: "software".into() }]
    }
}

/// The endpoint over the fakes, the counter and a server in Discord's place.
struct Site {
    server: DiscordServer,
    router: Router,
    counter: Arc<Says>,
}

impl Site {
    async fn of(counter: Arc<Says>) -> Self {
        let server = DiscordServer::start().await;
        let settings: Settings = settings(&server);
        let platform = crate::platform();
        let rest = Rest::new(&settings).expect("a client");
        let inbound = Inbound::new(platform.clone(), Arc::clone(&counter) as Arc<dyn Front>, rest);
        let requests = Requests::new(settings.key().expect("a key")).expect("a point of the curve");
        Self { server, router: endpoint::router(inbound, requests, platform), counter }
    }

    async fn send(&self, interaction: &Value) -> (StatusCode, Value) {
        let body = interaction.to_string();
        let timestamp = NOW_S.to_string();
        self.request(&timestamp, &signature(&timestamp, &body), &body).await
    }

    async fn request(&self, timestamp: &str, signature: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::post(endpoint::PATH)
            .header("x-signature-ed25519", signature)
            .header("x-signature-timestamp", timestamp)
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        let is_json = response.headers().get("content-type").is_some_and(|kind| kind == "application/json");
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        let answer = if is_json { serde_json::from_slice(&bytes).expect("JSON") } else { Value::Null };
        if is_json {
            let faults = Description::read().faults("POST", "/interactions/1/t/callback", &answer);
            assert_eq!(faults, Vec::<String>::new(), "{answer:#}");
        }
        (status, answer)
    }

    /// What came of an interaction, as text: the answer, then the calls.
    async fn told(&self, interaction: &Value) -> String {
        let (status, answer) = self.send(interaction).await;
        told::nothing_is_wrong(&self.server);
        let answer = if answer.is_null() { String::new() } else { format!("\n{}", told::indented(&answer)) };
        format!("answer {}{answer}\n{}", status.as_u16(), told::calls(&self.server.take()))
    }
}

fn page() -> Page {
    let press = Press { action: Action::Details, token: TOKEN.parse().expect("a token") };
    Page::new(Tone::Good, "It is so").text("And so on.").row([Button::new(press, Look::Plain)])
}

fn public() -> Reply {
    Reply::public(page())
}

fn with_file() -> Reply {
    let file = File { name: "a.txt".into(), media_type: "text/plain".into(), bytes: b"text".to_vec() };
    Reply::Say { page: page(), audience: Audience::Asker, files: vec![file] }
}

fn question() -> Reply {
    let ask = Ask::Run { flow: None, budget: None };
    Reply::Ask(Question {
        ask, title: "A new job".into(), label: "What do you want?".into(), placeholder: "…".into()
    })
}

fn run(who: &Clicks) -> Value {
    who.command(&["run"], &[("prompt", "a todo API".into())])
}

fn pressed(who: &Clicks) -> Value {
    who.press(&format!("d{TOKEN}"))
}

#[tokio::test]
async fn discord_finds_us_there_and_finds_us_careful() {
    let site = Site::of(Says::at_once(public())).await;
    let ping = json!({"id": "1", "application_id": "77", "type": 1, "token": "t", "version": 1}).to_string();
    let now = NOW_S.to_string();
    let good = signature(&now, &ping);
    assert_eq!(site.request(&now, &good, &ping).await, (StatusCode::OK, json!({"type": 1})));
    let old = (NOW_S - 301).to_string();
    let coming = (NOW_S + 400).to_string();
    for (timestamp, signature, why) in [
        (now.as_str(), "", "none"),
        (&now, "zz", "no digits"),
        (&now, &"0".repeat(128), "zeros"),
        (&now, &good.replace(&good[..2], "00"), "changed"),
        (&old, &good, "of another time"),
        (&old, &signature(&old, &ping), "played again"),
        (&coming, &signature(&coming, &ping), "of a time to come"),
        ("", &signature("", &ping), "of no time"),
        ("now", &signature("now", &ping), "of no number"),
    ] {
        assert_eq!(site.request(timestamp, signature, &ping).await.0, StatusCode::UNAUTHORIZED, "{why}");
    }
    let nonsense = "{\"type\": 2}";
    let signed = signature(&now, nonsense);
    assert_eq!(site.request(&now, &signed, nonsense).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_sent_again_is_done_once() {
    let site = Site::of(Says::at_once(public())).await;
    let interaction = run(&Clicks::owner());
    assert_eq!(site.send(&interaction).await.0, StatusCode::OK);
    for _ in 0..2 {
        assert_eq!(site.send(&interaction).await.0, StatusCode::CONFLICT);
    }
    assert_eq!(site.counter.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn two_at_once_are_one() {
    let site = Site::of(Says::after(public(), Duration::from_millis(50))).await;
    let interaction = pressed(&Clicks::owner());
    let (first, second) = tokio::join!(site.send(&interaction), site.send(&interaction));
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT]);
    assert_eq!(site.counter.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_quick_is_answered_at_once() {
    let mut told = Vec::new();
    let owner = Clicks::owner();
    for (name, reply) in [
        ("public", public()),
        ("private", Reply::private(page())),
        ("file", with_file()),
        ("question", question()),
        ("quiet", Reply::Quiet),
        ("update", Reply::Update { page: page() }),
    ] {
        let site = Site::of(Says::at_once(reply)).await;
        told.push(format!("== {name}, to a command\n{}", site.told(&run(&owner)).await));
        told.push(format!("== {name}, to a button\n{}", site.told(&pressed(&owner)).await));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn what_takes_its_time_is_put_off_and_answered_later() {
    let mut told = Vec::new();
    let owner = Clicks::owner();
    for (name, reply) in [
        ("public", public()),
        ("private", Reply::private(page())),
        ("file", with_file()),
        ("question", question()),
        ("quiet", Reply::Quiet),
        ("update", Reply::Update { page: page() }),
    ] {
        let site = Site::of(Says::after(reply, Duration::from_millis(1_700))).await;
        let (run, pressed) = (run(&owner), pressed(&owner));
        let (command, button) = tokio::join!(site.send(&run), site.send(&pressed));
        assert_eq!((command.0, button.0), (StatusCode::ACCEPTED, StatusCode::ACCEPTED), "{name}");
        told::nothing_is_wrong(&site.server);
        let mut calls = site.server.take();
        let token = |call: &Call| call.path.split('/').find(|part| part.starts_with("token-of")).map(str::to_owned);
        calls.sort_by_key(token);
        told.push(format!("== {name}\n{}", told::calls(&calls)));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn what_is_private_stays_so_however_long_it_takes() {
    let who = Clicks::member();
    let code = [("code", "ABCDEFGHJK".into())];
    for interaction in [
        who.command(&["link"], &code),
        who.command(&["unlink"], &[]),
        who.command(&["schedule", "pause"], &[("schedule", "x".into())]),
        run(&who),
    ] {
        let site = Site::of(Says::after(Reply::private(page()), Duration::from_millis(1_600))).await;
        assert_eq!(site.send(&interaction).await.0, StatusCode::ACCEPTED);
        let calls = site.server.calls();
        let put_off = calls.iter().find(|call| call.path.ends_with("/callback")).expect("it is put off");
        assert_eq!(put_off.body["data"]["flags"], 64, "{calls:#?}");
        let shown = calls.iter().filter(|call| call.body.get("embeds").is_some());
        assert!(shown.map(|call| call.method.as_str()).eq(["PATCH"]), "in the place of what only they see: {calls:#?}");
    }
}

#[tokio::test]
async fn the_time_is_counted_from_when_the_interaction_was_made() {
    let aged = |mut interaction: Value, age_ms: u64| {
        interaction["id"] = ((NOW_MS - age_ms - 1_420_070_400_000) << 22).to_string().into();
        interaction
    };
    let site = Site::of(Says::after(question(), Duration::from_millis(50))).await;
    let (status, answer) = site.send(&aged(Clicks::owner().command(&["run"], &[]), 2_500)).await;
    assert_eq!((status, &answer["type"]), (StatusCode::OK, &json!(9)), "a window comes at once or never");
    for (age_ms, is_put_off) in [(0, false), (1_200, true), (2_900, true), (60_000, false)] {
        let site = Site::of(Says::after(Reply::private(page()), Duration::from_millis(600))).await;
        let interaction = aged(run(&Clicks::owner()), age_ms);
        let status = if is_put_off { StatusCode::ACCEPTED } else { StatusCode::OK };
        assert_eq!(site.send(&interaction).await.0, status, "{age_ms} ms old");
    }
}

#[tokio::test]
async fn files_come_behind_a_word_that_they_do_and_where_they_do_not_that_is_said() {
    let owner = Clicks::owner();
    for interaction in [run(&owner), pressed(&owner)] {
        let site = Site::of(Says::at_once(with_file())).await;
        site.server.next(|call| !call.files.is_empty(), Fault::Refuse(413, 40_005));
        assert_eq!(site.send(&interaction).await.0, StatusCode::ACCEPTED);
        let calls = site.server.calls();
        assert!(calls[0].path.ends_with("/callback") && calls[0].files.is_empty(), "{calls:#?}");
        let last = calls.last().expect("a call");
        let said = last.body["embeds"][0]["title"].as_str();
        assert_eq!((said, last.files.len()), (Some("I couldn't send the files. Please try again."), 0), "{calls:#?}");
        told::nothing_is_wrong(&site.server);
    }
}

#[tokio::test]
async fn a_short_pause_is_waited_for() {
    for (pause, comes) in [("0.2", true), ("60", false)] {
        let site = Site::of(Says::after(Reply::private(page()), Duration::from_millis(1_600))).await;
        site.server.next(|call| call.method == "PATCH", Fault::Throttle(pause));
        assert_eq!(site.send(&run(&Clicks::owner())).await.0, StatusCode::ACCEPTED);
        let tried = site.server.calls().iter().filter(|call| call.method == "PATCH").count();
        assert_eq!(tried, if comes { 2 } else { 1 }, "{pause} s");
    }
}

#[tokio::test]
async fn what_is_linked_is_called_as_its_guild_is() {
    let link = |who: &Clicks, code: &str| who.command(&["link"], &[("code", code.into())]);
    let owner = Clicks::owner();
    let site = Site::of(Says::at_once(public())).await;
    for interaction in [link(&owner, "ABCDEFGHJK"), run(&owner), link(&Clicks::direct(), "ABCDEFGHJK")] {
        assert_eq!(site.send(&interaction).await.0, StatusCode::OK);
    }
    site.server.next(|call| call.path == "/guilds/5", Fault::Trouble);
    assert_eq!(site.send(&link(&owner, "ABCDEFGHJK")).await.0, StatusCode::OK);
    let seen = site.counter.seen.lock().expect("nobody panicked");
    let titles: Vec<&str> = seen.iter().map(|caller| caller.title.as_str()).collect();
    assert_eq!(titles, ["The crew's guild", "", "Ada", ""]);
    told::nothing_is_wrong(&site.server);
}

#[tokio::test]
async fn an_answer_that_is_refused_is_given_plainly() {
    let site = Site::of(Says::after(public(), Duration::from_millis(1_600))).await;
    site.server.next(|call| call.path == "/webhooks/77/token-of-900", Fault::Refuse(400, 50_035));
    assert_eq!(site.send(&run(&Clicks::owner())).await.0, StatusCode::ACCEPTED);
    let last = site.server.calls().pop().expect("a call");
    assert_eq!((last.body["content"].as_str(), &last.body["embeds"]), (Some("It is so"), &json!([])));
}

#[tokio::test]
async fn an_answer_whose_token_has_expired_is_said_to_all_where_all_may_hear_it() {
    let site = Site::of(Says::after(public(), Duration::from_millis(1_600))).await;
    site.server.next(|call| call.method == "PATCH", Fault::Refuse(404, 10_015));
    assert_eq!(site.send(&run(&Clicks::owner())).await.0, StatusCode::ACCEPTED);
    let last = site.server.calls().pop().expect("a call");
    assert_eq!((last.path.as_str(), last.by_bot), ("/channels/6/messages", true));

    let site = Site::of(Says::after(Reply::private(page()), Duration::from_millis(1_600))).await;
    site.server.next(|call| call.method == "PATCH", Fault::Refuse(404, 10_015));
    assert_eq!(site.send(&run(&Clicks::owner())).await.0, StatusCode::ACCEPTED);
    assert!(site.server.calls().iter().all(|call| !call.by_bot), "what was for one is told to nobody");
    told::nothing_is_wrong(&site.server);
}

#[tokio::test]
async fn who_cannot_be_put_off_is_answered_all_the_same() {
    let site = Site::of(Says::after(public(), Duration::from_millis(1_600))).await;
    site.server.next(|call| call.path.ends_with("/callback"), Fault::Trouble);
    let (status, answer) = site.send(&run(&Clicks::owner())).await;
    assert_eq!((status, &answer["type"]), (StatusCode::OK, &json!(4)));
}

#[tokio::test]
async fn choices_come_without_a_claim_or_not_at_all() {
    let site = Site::of(Says::at_once(public())).await;
    let typing = Clicks::owner().typing(&["run"], ("flow", "soft"));
    let choices = json!([{"name": "what begins with soft", "value": "software"}]);
    for _ in 0..2 {
        assert_eq!(site.send(&typing).await, (StatusCode::OK, json!({"type": 8, "data": {"choices": choices}})));
    }
    let slow = Site::of(Says::after(public(), Duration::from_mins(1))).await;
    assert_eq!(slow.send(&typing).await, (StatusCode::OK, json!({"type": 8, "data": {"choices": []}})));
}

#[tokio::test]
async fn a_window_is_waited_for_longer() {
    let site = Site::of(Says::after(question(), Duration::from_millis(1_800))).await;
    let (status, answer) = site.send(&Clicks::owner().command(&["run"], &[])).await;
    assert_eq!((status, &answer["type"]), (StatusCode::OK, &json!(9)));
}

#[tokio::test]
async fn the_menu_of_a_message_finds_its_job() {
    let site = Site::of(Says::at_once(question())).await;
    let owner = Clicks::owner();
    let (_, answer) = site.send(&owner.on_message("Follow up", &[&format!("d{TOKEN}")])).await;
    assert_eq!(answer["type"], 9);
    for foreign in [&[][..], &["some other bot's"]] {
        let (_, answer) = site.send(&owner.on_message("Follow up", foreign)).await;
        assert_eq!((&answer["type"], &answer["data"]["flags"]), (&json!(4), &json!(64)), "{answer:#}");
    }
    assert_eq!(site.counter.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_not_known_is_said_to_whoever_did_it_alone() {
    let site = Site::of(Says::at_once(public())).await;
    let owner = Clicks::owner();
    for interaction in [owner.press("?"), owner.modal("?", "text"), owner.interaction(12, &json!({}))] {
        let (status, answer) = site.send(&interaction).await;
        assert_eq!((status, &answer["data"]["flags"]), (StatusCode::OK, &json!(64)), "{answer:#}");
    }
    assert_eq!(site.counter.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn where_the_bot_was_never_invited_its_person_is_told_directly() {
    let site = Site::of(Says::at_once(public())).await;
    let elsewhere = Clicks::elsewhere();
    assert_eq!(site.send(&run(&elsewhere)).await.0, StatusCode::OK);
    let seen = site.counter.seen.lock().expect("nobody panicked").pop().expect("a caller");
    assert_eq!((seen.chat.to_string().as_str(), seen.realm.to_string().as_str()), ("dc_942", "dcu_42"));

    site.server.next(|call| call.path == "/users/@me/channels", Fault::Refuse(403, 50_007));
    let (status, answer) = site.send(&run(&elsewhere)).await;
    assert_eq!((status, &answer["data"]["flags"]), (StatusCode::OK, &json!(64)));
    told::nothing_is_wrong(&site.server);
}

#[tokio::test]
async fn every_answer_calls_nobody() {
    for reply in [public(), Reply::private(page()), Reply::Update { page: page() }] {
        let site = Site::of(Says::at_once(reply)).await;
        let (_, answer) = site.send(&pressed(&Clicks::owner())).await;
        assert_eq!(answer["data"]["allowed_mentions"], json!({"parse": []}), "{answer:#}");
    }
}
