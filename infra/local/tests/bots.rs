//! Both bots in one process, and the links that say who may use them: `serve --discord --telegram`, `link`, `links`,
//! `unlink`.

use std::path::Path;
use std::time::Duration;

use convoke_tests::discord::{Clicks, DiscordServer, Gateway};
use convoke_tests::kills::Blow;
use convoke_tests::serving::{Serving, command};
use convoke_tests::telegram::{BOT_NAME, BotApi, Chat, Person, Updates};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

const ANN: Person = Person(5, "Ann");
/// Long enough for a debug build on a busy machine; nothing waits for it where all is well.
const LONG: Duration = Duration::from_mins(1);

/// A data folder, and both platforms.
struct Rig {
    folder: TempDir,
    gateway: Gateway,
    discord: DiscordServer,
    telegram: BotApi,
}

impl Rig {
    async fn start() -> Self {
        let gateway = Gateway::start().await;
        let discord = DiscordServer::with_gateway(Some(gateway.url.clone())).await;
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, gateway, discord, telegram: BotApi::start().await }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_convoke"));
        let mut command = command(binary, self.folder.path(), "http://127.0.0.1:9");
        command.envs(self.discord.settings()).envs(self.telegram.settings()).args(arguments).kill_on_drop(true);
        command
    }

    /// How a command ends, and what it says.
    async fn convoke(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output();
        let output = tokio::time::timeout(LONG, output).await.expect("it ends").expect("it starts");
        let said = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code(), String::from_utf8(said).expect("text"))
    }

    async fn done(&self, arguments: &[&str]) -> String {
        let (code, said) = self.convoke(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    }

    async fn done_json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(arguments).await).expect("JSON")
    }

    /// Waits until the bot on Discord says something with these words.
    async fn discord_hears(&self, words: &str) {
        self.discord.wait_for(words, |call| call.body.to_string().contains(words)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_bots_listen_in_one_process_and_whom_links_name_may_use_them() {
    let rig = Rig::start().await;
    let serve = rig.command(&["serve", "--port", "0", "--discord", "--telegram"]);
    let (serving, told) = Serving::telling(serve, rig.folder.path(), "for a group").await;
    let told = told.join("\n");
    assert!(told.contains("discord   convoke") && told.contains(&format!("telegram  @{BOT_NAME}")), "{told}");
    let (_, code) = told.split_once("/crew link ").expect("a code");
    let code = code.lines().next().expect("a code");
    assert_eq!(rig.done(&["links"]).await, "", "nobody may use them yet");

    let ada = Clicks::owner();
    rig.gateway.hand(ada.command(&["link"], &[("code", code.into())]));
    rig.discord_hears("Connected. Jobs").await;
    let made = rig.done_json(&["link", "--admins", "--json"]).await;
    assert_eq!(made["who_may"], "admins", "{made}");
    let updates = Updates::default();
    rig.telegram.queue(updates.says(Chat::Private(ANN), ANN, made["telegram"].as_str().expect("what to type")));
    rig.telegram.wait_for(|calls| calls.iter().any(|call| call.text().contains("Connected. Jobs"))).await;

    let listed = rig.done(&["links"]).await;
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(lines[0].starts_with("dcg_5  ") && lines[0].ends_with("by Ada"), "{listed}");
    assert!(lines[1].starts_with("tgu_5  ") && lines[1].ends_with("by Ann  admins only"), "{listed}");
    let listed = rig.done_json(&["links", "--json"]).await;
    assert_eq!((&listed["links"][0]["realm"], &listed["links"][1]["realm"]), (&"dcg_5".into(), &"tgu_5".into()));

    assert!(rig.done(&["unlink", "dcg_5"]).await.starts_with("dcg_5  unlinked"));
    rig.gateway.hand(ada.command(&["list"], &[]));
    rig.discord_hears("isn't connected to Convoke").await;
    assert!(rig.done(&["links"]).await.starts_with("tgu_5  "));
    let (code, said) = rig.convoke(&["unlink", "dcg_5"]).await;
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert_eq!((rig.discord.wrong(), rig.telegram.calls().is_empty()), (Vec::new(), false));
    serving.end(Blow::Terminate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_made_where_nobody_serves_and_says_so() {
    let rig = Rig::start().await;
    let said = rig.done(&["link"]).await;
    let typed: Vec<&str> = said.lines().collect();
    let [discord, telegram] = typed.as_slice() else { panic!("{said}") };
    let code = discord.strip_prefix("Discord   /crew link ").expect("what to type in Discord");
    assert_eq!(*telegram, format!("Telegram  /link {code}"));
    assert_eq!(rig.done(&["links"]).await, "", "nobody has typed it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_on_discord_that_lives_elsewhere_is_taken_over_only_by_whoever_says_so() {
    let rig = Rig::start().await;
    let elsewhere = "https://elsewhere.example/discord/interactions";
    rig.discord.set_endpoint(elsewhere);
    let (code, said) = rig.convoke(&["serve", "--port", "0", "--discord"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(elsewhere) && said.contains("--take-over"), "{said}");
    assert_eq!(rig.discord.endpoint().as_deref(), Some(elsewhere), "it is left alone");
    let serve = rig.command(&["serve", "--port", "0", "--discord", "--take-over"]);
    let serving = Serving::of(serve, rig.folder.path()).await;
    assert_eq!(rig.discord.endpoint(), None);
    serving.end(Blow::Terminate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discord_is_told_the_commands_and_the_operator_what_comes_next() {
    let rig = Rig::start().await;
    let told = rig.done(&["bots", "register"]).await;
    assert!(told.starts_with("convoke knows /crew") && told.contains("over the gateway"), "{told}");
    let calls = rig.discord.calls();
    let put = calls.iter().find(|call| call.method == "PUT").expect("a call");
    assert_eq!((put.path.as_str(), put.by_bot), ("/applications/77/commands", true));
    assert!(
        put.body.as_array().is_some_and(|commands| commands.iter().any(|one| one["name"] == "crew")),
        "{}",
        put.body
    );
    assert_eq!(rig.discord.wrong(), Vec::<String>::new());
}
