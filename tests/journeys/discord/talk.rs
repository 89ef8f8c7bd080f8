//! Dialogues over a whole installation: what somebody does in Discord, and what they and all others see of it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use convoke_app::platform::Platform;
use convoke_app::ports::{ChatHosts, WhoMay};
use convoke_desk::Desk;
use convoke_discord::host::DiscordHost;
use convoke_discord::rest::Rest;
use convoke_discord::{attachments, endpoint, router};
use convoke_tests::discord::clicks::{now_s, signature};
use convoke_tests::discord::{Call, Clicks, Description, DiscordServer};
use convoke_tests::scripted::Script;
use convoke_tests::served::{Rigging, Served};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::host::settings;
use crate::play::Kind;
use crate::told;

/// Somebody in Discord, an installation, and what was said so far.
pub struct Talk {
    pub served: Served,
    pub server: DiscordServer,
    router: Router,
    said: String,
    /// What is different each time, with what stands for it.
    pub(crate) names: BTreeMap<String, String>,
    /// The messages that were seen, oldest first.
    pub(crate) shown: Vec<Value>,
    /// The window that was opened last, and whether on a message.
    pub(crate) window: Option<(String, bool)>,
    /// The jobs and schedules that have a name.
    pub(crate) met: Vec<(String, Kind)>,
    /// Files that can be attached.
    pub(crate) files: BTreeMap<String, Value>,
}

/// The function of the interactions endpoint, as it is started: over the same table, remembering nothing.
fn endpoint_over(served: &Served, server: &DiscordServer) -> Router {
    let (settings, served) = (settings(server), served.platform());
    let platform = Platform::new(served.ports.clone(), served.limits.clone(), convoke_tools::compiler());
    let desk = Arc::new(Desk::new(platform.clone(), attachments(&settings).expect("a client")));
    router(platform, desk, &settings).expect("settings")
}

impl Talk {
    pub async fn start(script: impl Script) -> Self {
        Self::start_with(script, &[]).await
    }

    /// The same with settings beside those that there are always.
    pub async fn start_with(script: impl Script, more: &[(&str, &str)]) -> Self {
        let server = DiscordServer::start().await;
        let settings = settings(&server);
        let host = DiscordHost::new(Rest::new(&settings).expect("a client"));
        let chat_hosts = ChatHosts { discord: Some(Arc::new(host)), ..ChatHosts::default() };
        let served = Served::rigged(script, more, Rigging { chat_hosts, ..Rigging::default() }).await;
        let router = endpoint_over(&served, &server);
        Self {
            served,
            server,
            router,
            said: String::new(),
            names: BTreeMap::new(),
            shown: Vec::new(),
            window: None,
            met: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    /// The same in a guild that its owner has linked.
    pub async fn linked(script: impl Script) -> Self {
        let mut talk = Self::start(script).await;
        talk.link(WhoMay::Everybody).await;
        talk
    }

    /// The guild's owner links it, which isn't noted.
    pub async fn link(&mut self, who_may: WhoMay) {
        let code = self.code_of(convoke::local::TENANT, who_may).await;
        let owner = Clicks::owner().numbered_from(100 + 10 * u64::from(who_may == WhoMay::Admins));
        let so_far = std::mem::take(&mut self.said);
        let answer = self.does("link", &owner.command(&["link"], &[("code", code.into())])).await;
        assert!(answer.to_string().contains("Connected"), "{answer:#}");
        self.said = so_far;
    }

    /// A code that links.
    pub async fn code(&mut self) -> String {
        self.code_of(convoke::local::TENANT, WhoMay::Everybody).await
    }

    /// A code that links to somebody.
    pub async fn code_of(&mut self, tenant: &str, who_may: WhoMay) -> String {
        let tenant = tenant.parse().expect("a tenant");
        let code = self.served.platform().new_link_code(&tenant, who_may).await.expect("a code");
        self.names.insert(code.clone(), "CODE".to_owned());
        code
    }

    /// The endpoint's function is started anew, over the same table.
    pub fn restart(&mut self) {
        self.router = endpoint_over(&self.served, &self.server);
        self.note("(the endpoint was started anew)");
    }

    /// Somebody does something; what answers it, which is noted with all that is called because of it.
    pub async fn does(&mut self, what: &str, interaction: &Value) -> Value {
        let name = interaction["member"]["user"]["global_name"].as_str();
        let name = name.or(interaction["user"]["global_name"].as_str()).unwrap_or("Discord").to_owned();
        let (status, answer) = self.send(interaction).await;
        told::nothing_is_wrong(&self.server);
        self.note(&format!("> {name}: {what}"));
        let token = interaction["token"].as_str().expect("a token").to_owned();
        match status {
            StatusCode::OK => self.note(&answered(&answer)),
            status => self.note(&format!("{} ", status.as_u16())),
        }
        if let Some(window) = answer["data"]["custom_id"].as_str() {
            self.window = Some((window.to_owned(), interaction.get("message").is_some()));
        }
        self.shown.push(answer["data"].clone());
        let by_calls: Vec<Call> = self.server.calls().into_iter().filter(|call| call.path.contains(&token)).collect();
        for call in by_calls {
            self.note(&called(&call));
            self.shown.push(call.body);
        }
        answer
    }

    /// Sends an interaction as Discord does.
    pub async fn send(&self, interaction: &Value) -> (StatusCode, Value) {
        let (body, timestamp) = (interaction.to_string(), now_s().to_string());
        let request = Request::post(endpoint::PATH)
            .header("x-signature-ed25519", signature(&timestamp, &body))
            .header("x-signature-timestamp", timestamp)
            .header("content-type", "application/json")
            .body(Body::from(body))
            .expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        let answer = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status == StatusCode::OK {
            let faults = Description::read().faults("POST", "/interactions/1/t/callback", &answer);
            assert_eq!(faults, Vec::<String>::new(), "{answer:#}");
        }
        (status, answer)
    }

    /// Waits for a call, and notes it.
    pub async fn sees(&mut self, what: &str, matching: impl Fn(&Call) -> bool) -> Call {
        let call = self.server.wait_for(what, matching).await;
        told::nothing_is_wrong(&self.server);
        self.note(&format!("< {what}"));
        self.note(&called(&call));
        self.shown.push(call.body.clone());
        call
    }

    /// Notes a message that was seen, not where: an end that comes faster than its card is in no thread.
    pub fn keep(&mut self, what: &str, call: Call) {
        self.note(&format!("< {what}"));
        self.note(&message(&call.body));
        for (name, _) in &call.files {
            self.note(&format!("  file {name}"));
        }
        self.shown.push(call.body);
    }

    /// The same with a text in the place of another one, wherever it stands from now on.
    pub fn name(&mut self, text: &str, name: &str) {
        self.names.insert(text.to_owned(), name.to_owned());
    }

    /// Notes something.
    pub fn note(&mut self, text: &str) {
        self.said.push_str(text);
        self.said.push('\n');
    }

    /// What was said, without what is different each time.
    pub fn said(&self) -> String {
        let mut said = self.said.clone();
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(text, _)| Reverse(text.len()));
        for (text, name) in names {
            said = said.replace(text, name);
        }
        said.lines().map(|line| same_each_time(&without_times(line))).collect::<Vec<_>>().join("\n")
    }

    /// Ends it; nothing that was called in all that time was wrong.
    pub async fn stop(self) {
        told::nothing_is_wrong(&self.server);
        self.served.stop().await;
    }
}

/// How long it took, and how large files are that say so.
fn same_each_time(line: &str) -> String {
    let until = |from: &str, to: &str| {
        let start = line.find(from)? + from.len();
        let end = line[start..].find(to)? + start;
        Some(format!("{}…{}", &line[..start], &line[end..]))
    };
    if line.contains("Try again in ") {
        return until("Try again in ", ".").unwrap_or_else(|| line.to_owned());
    }
    if line.contains("Took ") {
        return until("Took ", " ·").unwrap_or_else(|| line.to_owned());
    }
    if line.contains(" files, ") {
        return until(" files, ", ": ").unwrap_or_else(|| line.to_owned());
    }
    match line.rsplit_once("` · ") {
        Some((file, _)) if line.contains("📄") => format!("{file}`"),
        _ => line.to_owned(),
    }
}

/// Discord's times (`<t:1795273200:R>`) are of each run's own.
fn without_times(text: &str) -> String {
    let mut parts = text.split("<t:");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        told.push_str("<t:TIME");
        told.push_str(rest);
    }
    told
}

/// An answer, as it looks.
fn answered(answer: &Value) -> String {
    let data = &answer["data"];
    match answer["type"].as_u64() {
        Some(4) => message(data),
        Some(6) => "  (heard)".to_owned(),
        Some(7) => format!("  (instead of the message)\n{}", message(data)),
        Some(8) => format!("  choices: {}", data["choices"]),
        Some(9) => {
            let field = &data["components"][0]["components"][0];
            format!("  window {} | {}", data["title"], field["label"])
        }
        other => panic!("an answer of type {other:?}: {answer:#}"),
    }
}

/// A call, as what it does looks.
fn called(call: &Call) -> String {
    let Call { method, path, body, files, .. } = call;
    let files: Vec<String> = files.iter().map(|(name, _)| format!("  file {name}")).collect();
    let shown = if body.get("embeds").is_some() { message(body) } else { format!("  {body}") };
    [vec![format!("{method} {path}"), shown], files].concat().join("\n")
}

/// A message, as it looks: who sees it, its texts, its buttons.
fn message(body: &Value) -> String {
    let mut lines = Vec::new();
    if body["flags"] == 64 {
        lines.push("(only you see this)".to_owned());
    }
    let embed = &body["embeds"][0];
    let texts = [&body["content"], &embed["title"], &embed["description"]];
    lines.extend(texts.into_iter().filter_map(Value::as_str).flat_map(str::lines).map(str::to_owned));
    for row in body["components"].as_array().into_iter().flatten() {
        let labels = row["components"].as_array().expect("buttons").iter().map(|button| format!("[{}]", label(button)));
        lines.push(labels.collect::<Vec<_>>().join(" "));
    }
    lines.iter().map(|line| format!("  {line}").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// What is written on a button.
pub fn label(button: &Value) -> &str {
    button["label"].as_str().expect("a label")
}

/// The id of a message's button.
pub fn button(message: &Value, wanted: &str) -> String {
    let rows = message["components"].as_array().expect("rows").iter();
    let mut buttons = rows.flat_map(|row| row["components"].as_array().expect("buttons"));
    let found = buttons.find(|button| label(button) == wanted);
    let found = found.unwrap_or_else(|| panic!("there is no button {wanted:?}: {message:#}"));
    found["custom_id"].as_str().expect("an id").to_owned()
}

/// Whether a call posts a message to a channel, or edits one, with this in it.
pub fn tells(call: &Call, method: &str, text: &str) -> bool {
    call.method == method && call.path.starts_with("/channels/") && call.body.to_string().contains(text)
}

/// A prompt as `/crew run` takes it.
pub fn prompt(text: &str) -> [(&'static str, Value); 1] {
    [("prompt", json!(text))]
}
