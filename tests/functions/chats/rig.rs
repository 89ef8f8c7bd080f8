//! Jobs that tell chats, over fakes: their ends are made by the engine, their bells answered side by side.

use std::sync::Arc;

use convoke_app::chat::Redeemed;
use convoke_app::platform::{Limits, Platform, Ports};
use convoke_app::ports::{
    Bell, Bells, ChatHosts, Deliveries, DeliveryBell, DeliveryBells, DeliveryRing, Env, Jobs, Requester, Ring, Target,
    Wanted, WhoMay,
};
use convoke_app::script::Script;
use convoke_app::work::Until;
use convoke_domain::chat::{Bot, ChatId, RealmId};
use convoke_domain::decide::{View, ready_slots};
use convoke_domain::delivery::Delivery;
use convoke_domain::ids::{GroupId, JobKey, TargetId, TenantId};
use convoke_domain::money::{Cost, MicroUsd};
use convoke_tests::engine::meter::Meter;
use convoke_tests::engine::shapes::{Shape, Simple};
use convoke_tests::engine::submission;
use convoke_tests::fakes::{Call, CallKind, FakeChats, FakeEnv, FakeQueue, FakeTable, Faults, Lane, ports};
use futures_util::future::join_all;
use serde_json::Value;

use crate::rig::One;

const NOW_MS: u64 = 1_700_000_000_000;

pub fn acme() -> TenantId {
    "acme".parse().expect("a tenant")
}

pub fn chat(text: &str) -> ChatId {
    text.parse().expect("a chat")
}

pub fn ada() -> Requester {
    Requester { person: "dcu_5".parse().expect("a person"), name: "Ada".into() }
}

pub struct World {
    pub env: FakeEnv,
    pub table: FakeTable,
    pub queue: FakeQueue,
    pub chats: FakeChats,
    pub platform: Platform,
    shape: Shape,
    ticked_ms: u64,
}

impl World {
    pub fn new(bot: Bot) -> Self {
        Self::of(bot, Shape::One)
    }

    /// Of jobs of this shape.
    pub fn of(bot: Bot, shape: Shape) -> Self {
        Self::over(FakeTable::default(), (bot, shape))
    }

    /// Its table fails so.
    pub fn with_faults(bot: Bot, faults: &Faults) -> Self {
        Self::over(FakeTable::new(faults.clone()), (bot, Shape::One))
    }

    fn over(table: FakeTable, (bot, shape): (Bot, Shape)) -> Self {
        let env = FakeEnv::new(NOW_MS, 11);
        let queue = FakeQueue::new(env.clone(), Faults::default());
        let chats = FakeChats::new(bot, env.clone());
        let host = Some(Arc::new(chats.clone()) as _);
        let chat_hosts = match bot {
            Bot::Discord => ChatHosts { discord: host, telegram: None },
            Bot::Telegram => ChatHosts { discord: None, telegram: host },
        };
        let models = One(Arc::new(Meter::default()));
        let ports = Ports { chat_hosts, ..ports(&table, &queue, models, &env) };
        let compile = Arc::new(move |_: &Value, _: &Value, _| Ok(Box::new(Simple::new(shape)) as _));
        let platform = Platform::new(ports, Limits::default(), compile);
        Self { env, table, queue, chats, platform, shape, ticked_ms: NOW_MS }
    }

    pub fn now_ms(&self) -> u64 {
        self.env.now_ms()
    }

    /// Links a realm to the tenant, and notes a chat in it.
    pub async fn link(&self, realm: RealmId, chat: &ChatId) {
        if self.platform.link_of(&realm).await.expect("read").is_none() {
            let code = self.platform.new_link_code(&acme(), WhoMay::Everybody).await.expect("a code");
            let redeemed = self.platform.redeem_link_code(&code, realm, "Office", ada()).await.expect("up");
            assert!(matches!(redeemed, Redeemed::Linked(_)), "{redeemed:?}");
        }
        self.platform.enter_chat(chat, &realm).await.expect("up").expect("linked");
    }

    /// Submits a job that tells a chat, and rings for its card.
    pub async fn submit(&self, chat: &ChatId) -> JobKey {
        let budget = Cost { usd: MicroUsd::from_usd(10), tokens: 10_000_000 };
        let mut submission = submission(self.shape, budget, &self.env);
        let id = TargetId::Chat(*chat);
        submission.deliveries.push(Delivery::new(id.clone(), self.now_ms()));
        submission.definition.targets.push(Target { id, events: Wanted(["*".to_owned()].into()) });
        submission.definition.requester = Some(ada());
        self.platform.ports.jobs.submit(&submission).await.expect("submitted");
        self.ring(&submission.key, chat).await;
        submission.key
    }

    /// Works a job to its end; nobody is rung for.
    pub async fn end(&self, key: &JobKey) {
        self.work(key).await;
        let (_, root) = self.table.job(key).await.expect("read").expect("a job");
        assert!(root.root().is_some_and(|root| root.status.is_terminal()), "{root:?}");
    }

    /// Works a job as far as it goes.
    pub async fn work(&self, key: &JobKey) {
        let (_, root) = self.table.job(key).await.expect("read").expect("a job");
        let simple = Simple::new(self.shape);
        for slot in ready_slots(&View { graph: simple.graph(), group: &root, now_ms: self.now_ms() }) {
            let bell = Bell { v: 1, key: key.clone(), group: GroupId::Root, slot: Some(slot) };
            self.queue.ring(&[Ring { bell, delay_s: 0, solo: false }]).await.expect("rung");
        }
        loop {
            let messages = self.queue.receive(Lane::Steps, usize::MAX, 60_000);
            if messages.is_empty() {
                return;
            }
            for message in messages {
                let until = Until { deadline_ms: self.now_ms() + 900_000 };
                self.platform.answer(&message.bell, until).await.expect("answered");
                self.queue.delete(message.id);
            }
        }
    }

    pub async fn ring(&self, key: &JobKey, chat: &ChatId) {
        let bell = DeliveryBell { v: 1, key: key.clone(), target: TargetId::Chat(*chat) };
        self.queue.ring_deliveries(&[DeliveryRing { bell, delay_s: 0 }]).await.expect("rung");
    }

    /// Lets time pass, answering all bells as they are heard, side by side, and ticking each minute.
    pub async fn pass(&mut self, for_ms: u64) {
        let end_ms = self.now_ms() + for_ms;
        loop {
            let bells = self.queue.take_deliveries();
            let until = Until { deadline_ms: self.now_ms() + 60_000 };
            for answered in join_all(bells.iter().map(|bell| self.platform.deliver(bell, until))).await {
                answered.expect("a delivery never fails here");
            }
            let now_ms = self.now_ms();
            let tick_ms = self.ticked_ms + 60_000;
            let next_ms = self.queue.next_delivery_ms().unwrap_or(u64::MAX).min(tick_ms).max(now_ms);
            if next_ms > end_ms {
                self.env.wind(end_ms - now_ms);
                return;
            }
            self.env.wind(next_ms - now_ms);
            if self.now_ms() >= tick_ms {
                self.ticked_ms = self.now_ms();
                self.platform.tick(self.now_ms()).await.expect("a tick");
                // Jobs are worked at when a test wants it.
                for message in self.queue.receive(Lane::Steps, usize::MAX, 1) {
                    self.queue.delete(message.id);
                }
            }
        }
    }

    pub async fn delivery(&self, key: &JobKey, chat: &ChatId) -> Delivery {
        self.table.delivery(key, &TargetId::Chat(*chat)).await.expect("read").expect("a delivery")
    }

    /// The ends that were told, by job, each as often as a message that stands names it.
    pub fn ends(&self) -> Vec<String> {
        let messages = self.chats.messages();
        let named = messages.iter().flat_map(|(_, body)| match body["kind"].as_str() {
            Some("end") => vec![body["job"].clone()],
            Some("digest") => body["jobs"].as_array().cloned().unwrap_or_default(),
            _ => Vec::new(),
        });
        let mut ends: Vec<String> = named.filter_map(|job| job.as_str().map(ToOwned::to_owned)).collect();
        ends.sort();
        ends
    }

    /// The kinds of messages that were posted and edited, in order; edits with `~` before them, failures with `!` behind.
    pub fn told(&self) -> Vec<String> {
        let told = |call: &Call| {
            let edit = if call.kind == CallKind::Edit { "~" } else { "" };
            let error = if call.error.is_some() { "!" } else { "" };
            let kind = call.body["kind"].as_str().unwrap_or("?");
            let plain = if call.body["plain"] == true { " plain" } else { "" };
            format!("{edit}{kind}{plain}{error}")
        };
        self.chats.calls().iter().map(told).collect()
    }
}

/// The ids of jobs as [`World::ends`] has them.
pub fn ids(keys: &[JobKey]) -> Vec<String> {
    let mut ids: Vec<String> = keys.iter().map(|key| key.job.to_string()).collect();
    ids.sort();
    ids
}
