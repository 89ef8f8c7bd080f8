//! The webhook of a bot over a whole installation, with a desk that says what it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use convoke_chat::button::{Ask, Press};
use convoke_chat::command::{Command, Misread};
use convoke_chat::reply::{Choice, Reply};
use convoke_desk::{Caller, Front};
use convoke_runtime::Secret;
use convoke_telegram::api::Api;
use convoke_telegram::inbound::Inbound;
use convoke_telegram::webhook::{PATH, SECRET_HEADER, router};
use convoke_tests::scripted::ByRole;
use convoke_tests::served::Served;
use convoke_tests::telegram::{BotApi, Chat, Person, TOKEN, Updates};
use serde_json::Value;
use tower::ServiceExt;

/// What Telegram shows.
pub const SECRET: &str = "a-secret-of-the-webhook";
/// Somebody.
pub const ANN: Person = Person(5, "Ann");
/// Somebody else.
pub const BOB: Person = Person(6, "Bob");
/// A topic of a group.
pub const TOPIC: Chat = Chat::Topic(-1_001, 7);
/// A group.
pub const GROUP: Chat = Chat::Group(-1_001);
/// A talk with the bot alone.
pub const ALONE: Chat = Chat::Private(ANN);

/// A desk that notes what it hears and says what it was told to; nothing where it wasn't.
#[derive(Default)]
pub struct Script {
    heard: Mutex<Vec<String>>,
    replies: Mutex<VecDeque<Reply>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Script {
    /// Says this next.
    pub fn say(&self, reply: Reply) {
        lock(&self.replies).push_back(reply);
    }

    /// What it has heard since it was last asked.
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.heard))
    }

    fn hear(&self, caller: &Caller, what: &str) -> Reply {
        let Caller { person, name, chat, realm, title, is_admin, .. } = caller;
        let rank = if *is_admin { "admin" } else { "member" };
        lock(&self.heard).push(format!("{person} {name} ({rank}) in {chat} of {realm} {title:?}: {what}"));
        lock(&self.replies).pop_front().unwrap_or(Reply::Quiet)
    }
}

#[async_trait]
impl Front for Script {
    async fn command(&self, caller: &Caller, command: Result<Command, Misread>) -> Reply {
        match command {
            Ok(command) => self.hear(caller, &format!("{command:?}")),
            Err(misread) => self.hear(caller, &format!("{misread:?}")),
        }
    }

    async fn press(&self, caller: &Caller, press: Press) -> Reply {
        self.hear(caller, &format!("presses {press}"))
    }

    async fn typed(&self, caller: &Caller, ask: Ask, text: String) -> Reply {
        self.hear(caller, &format!("types to {ask}: {text}"))
    }

    async fn complete(&self, _caller: &Caller, _path: &[&str], _option: &str, _typed: &str) -> Vec<Choice> {
        Vec::new()
    }
}

/// All of it.
pub struct Rig {
    pub served: Served,
    pub telegram: BotApi,
    pub desk: Arc<Script>,
    pub updates: Updates,
    pub inbound: Inbound,
    webhook: Router,
}

impl Rig {
    pub async fn start() -> Self {
        let (served, telegram) = (Served::start(ByRole::new()).await, BotApi::start().await);
        let desk = Arc::new(Script::default());
        let inbound = Inbound::new(served.platform().clone(), Arc::clone(&desk) as _, api(&telegram));
        Self::over((served, telegram), desk, inbound)
    }

    /// The same with the desk that there is.
    pub async fn with_desk(model: impl convoke_tests::scripted::Script) -> Self {
        let (served, telegram) = (Served::start(model).await, BotApi::start().await);
        let (platform, api) = (served.platform().clone(), api(&telegram));
        let inbound = convoke_telegram::inbound(platform.clone(), convoke_telegram::desk(platform, &api), &api);
        Self::over((served, telegram), Arc::default(), inbound)
    }

    fn over((served, telegram): (Served, BotApi), desk: Arc<Script>, inbound: Inbound) -> Self {
        let platform = served.platform().clone();
        let webhook = router(inbound.clone(), Secret::new(SECRET), platform);
        Self { served, telegram, desk, updates: Updates::default(), inbound, webhook }
    }

    /// Telegram sends an update; the status that it gets.
    pub async fn tell(&self, update: &Value) -> u16 {
        self.send(&update.to_string(), Some(SECRET)).await
    }

    /// Somebody sends something to the webhook.
    pub async fn send(&self, body: &str, secret: Option<&str>) -> u16 {
        let request = Request::post(PATH).header("content-type", "application/json");
        let request = secret.into_iter().fold(request, |request, secret| request.header(SECRET_HEADER, secret));
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        self.webhook.clone().oneshot(request).await.expect("an answer").status().as_u16()
    }

    /// Telegram sends an update that is done; what the desk has heard of it.
    #[track_caller]
    pub fn heard(&self) -> String {
        self.desk.heard().join("\n")
    }

    pub async fn stop(self) {
        self.telegram.calls();
        self.served.stop().await;
    }
}

/// A client of this Telegram.
pub fn api(telegram: &BotApi) -> Api {
    Api::new(TOKEN.parse().expect("a token"), &telegram.url).expect("a client")
}
