//! The bot on Telegram from the command line: `serve --telegram`, `bots webhook`, `doctor`.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use convoke_tests::kills::Blow;
use convoke_tests::scripted::{Reply, ScriptedServer};
use convoke_tests::serving::{Serving, command};
use convoke_tests::telegram::{BOT_NAME, BotApi, Call, Chat, Person, TOKEN, Updates};
use tokio::process::Command;

const ANN: Person = Person(5, "Ann");
/// Long enough for a debug build on a busy machine; nothing waits for it where all is well.
const LONG: Duration = Duration::from_mins(1);

fn convoke(data: &Path, telegram: &BotApi, token: &str) -> Command {
    let mut command = command(&PathBuf::from(env!("CARGO_BIN_EXE_convoke")), data, "http://127.0.0.1:9");
    command.env("TELEGRAM_TOKEN", token).env("CONVOKE_TELEGRAM_URL", &telegram.url).kill_on_drop(true);
    command
}

async fn done(mut command: Command) -> Output {
    tokio::time::timeout(LONG, command.output()).await.expect("it ends").expect("it starts")
}

/// What it says, and that it doesn't say the token.
fn told(output: &Output) -> String {
    let told = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    assert!(!told.contains(TOKEN.split_once(':').expect("a token").1), "{told}");
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_opens_the_link_that_serve_prints_may_use_the_bot() {
    let (folder, telegram) = (tempfile::tempdir().expect("a folder"), BotApi::start().await);
    let model = ScriptedServer::start(|_: &_| Reply::text("Oolong")).await;
    let mut serve = convoke(folder.path(), &telegram, TOKEN);
    serve.env("CONVOKE_COMPATIBLE_BASE_URL", model.base_url()).args(["serve", "--port", "0", "--telegram"]);
    let (serving, told) = Serving::telling(serve, folder.path(), "for a group").await;
    let told = told.join("\n");
    assert!(told.contains(&format!("@{BOT_NAME}")) && !told.contains(TOKEN), "{told}");
    let (_, code) = told.split_once(&format!("https://t.me/{BOT_NAME}?start=")).expect("a link");
    let code = code.lines().next().expect("a code");

    let (updates, alone) = (Updates::default(), Chat::Private(ANN));
    for text in ["/jobs".to_owned(), format!("/start {code}"), "/jobs".to_owned()] {
        telegram.queue(updates.says(alone, ANN, &text));
    }
    let calls = telegram.wait_for(|calls| calls.iter().filter(|call| call.method == "sendMessage").count() == 3).await;
    let said: Vec<&str> = calls.iter().filter(|call| call.method == "sendMessage").map(Call::text).collect();
    assert!(said[0].contains("/link") || said[0].contains("convoke link"), "nobody may yet: {said:?}");
    assert_ne!(said[0], said[2], "{said:?}");
    let offered = calls.iter().filter(|call| call.method == "setMyCommands").count();
    assert_eq!(offered, 1, "the commands are offered");
    serving.end(Blow::Terminate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_stands_is_taken_over_only_by_whoever_says_so() {
    const ELSEWHERE: &str = "https://elsewhere.example/telegram/updates";
    let (folder, telegram) = (tempfile::tempdir().expect("a folder"), BotApi::start().await);
    telegram.set_webhook(ELSEWHERE);
    let mut refused = convoke(folder.path(), &telegram, TOKEN);
    refused.args(["serve", "--port", "0", "--telegram"]);
    let refused = done(refused).await;
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    assert!(told(&refused).contains(ELSEWHERE) && told(&refused).contains("--take-over"), "{}", told(&refused));
    assert!(telegram.webhook().is_some(), "it is left alone");
    let mut serve = convoke(folder.path(), &telegram, TOKEN);
    serve.args(["serve", "--port", "0", "--telegram", "--take-over"]);
    let serving = Serving::of(serve, folder.path()).await;
    assert_eq!(telegram.webhook(), None);
    serving.end(Blow::Terminate).await;
}

#[tokio::test]
async fn a_webhook_is_set_shown_and_deleted() {
    let (folder, telegram) = (tempfile::tempdir().expect("a folder"), BotApi::start().await);
    let say = async |arguments: &[&str], token: &str| {
        let mut command = convoke(folder.path(), &telegram, token);
        command.args(["bots", "webhook"]).args(arguments);
        let output = done(command).await;
        (output.status.code(), told(&output))
    };
    let (exit, set) = say(&["set", "--url", "https://abc.example/"], TOKEN).await;
    assert_eq!(exit, Some(0), "{set}");
    let url = "https://abc.example/telegram/updates";
    assert!(set.contains(&format!("@{BOT_NAME} go to {url}")) && set.contains("?startgroup="), "{set}");
    let webhook = telegram.webhook().expect("it stands");
    assert_eq!(webhook["url"], url);
    assert_eq!(webhook["secret_token"].as_str().map(str::len), Some(64), "a secret that nobody had to think of");
    let (_, again) = say(&["set", "--url", "https://other.example"], TOKEN).await;
    assert!(again.contains("before") && again.contains(url), "{again}");
    let (_, shown) = say(&["show"], TOKEN).await;
    assert!(shown.contains("https://other.example/telegram/updates") && shown.contains("waiting  0"), "{shown}");
    let (exit, _) = say(&["delete"], TOKEN).await;
    assert_eq!((exit, telegram.webhook()), (Some(0), None));
    let (_, shown) = say(&["show"], TOKEN).await;
    assert!(shown.contains("until they are asked for"), "{shown}");
    for (arguments, token, part) in [
        (&["set"][..], TOKEN, "--stack"),
        (&["set", "--url", "http://127.0.0.1:7777"], TOKEN, "https"),
        (&["show"], "4242:AAH-a_token_of_nobody", "TELEGRAM_TOKEN"),
        (&["show"], "4242", "TELEGRAM_TOKEN"),
    ] {
        let (exit, line) = say(arguments, token).await;
        assert!(exit != Some(0) && line.contains(part) && line.lines().count() == 1, "{arguments:?}: {line}");
    }
    telegram.calls();
}

#[tokio::test]
async fn the_doctor_says_whether_there_is_a_bot_and_calls_nobody() {
    let (folder, telegram) = (tempfile::tempdir().expect("a folder"), BotApi::start().await);
    for (token, part) in [(TOKEN, "bot 4242"), ("", "TELEGRAM_TOKEN isn't set")] {
        let mut command = convoke(folder.path(), &telegram, token);
        command.arg("doctor");
        let output = done(command).await;
        assert!(output.status.success() && told(&output).contains(part), "{}", told(&output));
    }
    assert_eq!(telegram.calls().len(), 0);
}
