//! What a webhook is sent, and how it is signed: Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use convoke_api::event::EventWhat;
use convoke_api::money::Amount;
use convoke_api::schedule::RunView;
use convoke_api::time::Time;
use convoke_domain::ids::{JobKey, TargetId};
use convoke_domain::money::Cost;
use hmac::{Hmac, Mac};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::ports::{Event, Outgoing, RUN_ENDED, RunBell, SigningSecret, Webhook};

/// What every secret begins with.
pub(crate) const SECRET_PREFIX: &str = "whsec_";
/// The type of a message that somebody asked for to see whether messages arrive.
const TEST_TYPE: &str = "webhook.test";

/// What every message about a job says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub flow: String,
    pub title: String,
    pub labels: BTreeMap<String, String>,
    /// What it has cost, for the end.
    pub spent: Cost,
}

/// A message: the same for all tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub id: String,
    pub event_type: &'static str,
    pub body: Bytes,
}

impl Message {
    /// An event as a target is told of it.
    pub(super) fn of_event(key: &JobKey, target: &TargetId, event: &Event, about: &About) -> Self {
        let what = EventWhat::from(event.kind.clone());
        // Both are plain data, which always has a JSON form.
        let mut data = match serde_json::to_value(&what) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        data.remove("type");
        data.insert("job".to_owned(), json!(key.job));
        data.insert("seq".to_owned(), json!(event.seq));
        data.insert("flow".to_owned(), json!(about.flow));
        data.insert("title".to_owned(), json!(about.title));
        data.insert("labels".to_owned(), json!(about.labels));
        if what.is_last() {
            data.insert("cost".to_owned(), json!(Amount::from(about.spent)));
        }
        Self::new(message_id(key, target, event.seq), what.name(), (event.at_ms, data.into()))
    }

    /// That all jobs of a run have ended.
    pub fn of_run(bell: &RunBell, name: &str, (run, ended_ms): (&RunView, u64)) -> Self {
        let mut data = match serde_json::to_value(run) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        // Nothing of it goes on.
        for field in ["running", "waiting"] {
            data.remove(field);
        }
        data.insert("schedule".to_owned(), json!(bell.schedule));
        data.insert("name".to_owned(), json!(name));
        let (tick, target) = (bell.tick_ms.to_string(), bell.target.to_string());
        let id = hashed(&[bell.tenant.as_str(), &bell.schedule, &target, RUN_ENDED, &tick]);
        Self::new(id, RUN_ENDED, (ended_ms, data.into()))
    }

    /// A test of a webhook.
    pub fn of_test(webhook: &Webhook, nonce: &str, now_ms: u64) -> Self {
        Self::new(format!("msg_{nonce}"), TEST_TYPE, (now_ms, json!({ "webhook": webhook.id })))
    }

    fn new(id: String, event_type: &'static str, (at_ms, data): (u64, Value)) -> Self {
        let body = json!({ "type": event_type, "timestamp": Time(at_ms), "data": data });
        Self { id, event_type, body: Bytes::from(body.to_string()) }
    }

    /// The message on its way to a webhook now, signed by all secrets that count now.
    pub fn outgoing(&self, webhook: &Webhook, now_ms: u64) -> Outgoing {
        let now_s = now_ms / 1_000;
        let earlier = webhook.earlier.iter().filter(|earlier| earlier.until_ms > now_ms);
        let secrets = std::iter::once(&webhook.secret).chain(earlier.map(|earlier| &earlier.secret));
        let signatures: Vec<String> = secrets.filter_map(|secret| self.signature(secret, now_s)).collect();
        Outgoing {
            url: webhook.url.clone(),
            headers: vec![
                ("webhook-id", self.id.clone()),
                ("webhook-timestamp", now_s.to_string()),
                ("webhook-signature", signatures.join(" ")),
            ],
            body: self.body.clone(),
        }
    }

    /// `v1,` and base64 of the HMAC-SHA256 of `id.timestamp.body`; nothing is signed by what is no secret.
    fn signature(&self, secret: &SigningSecret, now_s: u64) -> Option<String> {
        let key = STANDARD.decode(secret.expose().strip_prefix(SECRET_PREFIX)?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{}.{now_s}.", self.id).as_bytes());
        mac.update(&self.body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

/// The id of an event's message to a target: the same whoever sends it, whenever.
pub(crate) fn message_id(key: &JobKey, target: &TargetId, seq: u64) -> String {
    hashed(&[key.tenant.as_str(), key.job.as_str(), &target.to_string(), &seq.to_string()])
}

fn hashed(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    format!("msg_{}", hex::encode(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use convoke_domain::ids::GroupId;
    use convoke_domain::money::MicroUsd;
    use convoke_domain::status::{JobStatus, StopReason};

    use super::*;
    use crate::ports::{EarlierSecret, EventKind, Wanted};

    fn key() -> JobKey {
        JobKey { tenant: "acme".parse().expect("a tenant"), job: "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("a job") }
    }

    fn target() -> TargetId {
        "wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("a target")
    }

    fn webhook(secret: &str) -> Webhook {
        Webhook {
            v: 1,
            id: "wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("an id"),
            url: "https://example.com/".into(),
            events: Wanted::default(),
            description: String::new(),
            secret: SigningSecret::new(secret.into()),
            earlier: Vec::new(),
            created_ms: 0,
            disabled: None,
            ver: 1,
            mark: String::new(),
        }
    }

    fn header<'a>(outgoing: &'a Outgoing, name: &str) -> &'a str {
        outgoing.headers.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value)
    }

    /// The example that the reference libraries of Standard Webhooks are tested with.
    #[test]
    fn a_message_is_signed_as_the_standard_has_it() {
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            event_type: TEST_TYPE,
            body: Bytes::from_static(br#"{"test": 2432232314}"#),
        };
        let outgoing = message.outgoing(&webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), 1_614_265_330_999);
        assert_eq!(header(&outgoing, "webhook-id"), "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(header(&outgoing, "webhook-timestamp"), "1614265330");
        assert_eq!(header(&outgoing, "webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_earlier_secret_signs_until_its_time_is_over_and_what_is_no_secret_never() {
        let message = Message::of_test(&webhook("x"), "n", 5_000);
        let (old, new) = ("whsec_b2xk", "whsec_bmV3");
        let until = |until_ms| EarlierSecret { secret: SigningSecret::new(old.into()), until_ms };
        let signed = |webhook: &Webhook| header(&message.outgoing(webhook, 5_000), "webhook-signature").to_owned();
        let (by_old, by_new) = (signed(&webhook(old)), signed(&webhook(new)));
        assert_ne!(by_old, by_new);
        assert_eq!(signed(&Webhook { earlier: vec![until(5_001)], ..webhook(new) }), format!("{by_new} {by_old}"));
        assert_eq!(signed(&Webhook { earlier: vec![until(5_000)], ..webhook(new) }), by_new);
        for bad in ["", "whsec_***", "b2xk"] {
            assert_eq!(signed(&webhook(bad)), "", "{bad}");
        }
    }

    #[test]
    fn a_message_tells_the_event_and_what_its_job_is() {
        let about = About {
            flow: "software".into(),
            title: "A todo API".into(),
            labels: BTreeMap::from([("team".into(), "blue".into())]),
            spent: Cost { usd: MicroUsd(1_500), tokens: 9 },
        };
        let told = |kind| {
            let event = Event { seq: 7, group: GroupId::Root, ver: 3, at_ms: 0, kind };
            let message = Message::of_event(&key(), &target(), &event, &about);
            serde_json::from_slice::<Value>(&message.body).expect("JSON")
        };
        let ended = told(EventKind::Ended { status: JobStatus::Completed, stop_reason: StopReason::Completed });
        let expected = json!({
            "type": "job.ended", "timestamp": "1970-01-01T00:00:00.000Z",
            "data": {
                "status": "completed", "stop_reason": "completed", "job": "01KAJ0X5T3ZQ4V8N2M6R7W9YBC", "seq": 7,
                "flow": "software", "title": "A todo API", "labels": {"team": "blue"},
                "cost": {"usd": "0.0015", "tokens": 9}
            }
        });
        assert_eq!(ended, expected);
        let started = told(EventKind::StepStarted { step: "write".into(), attempt: 2 });
        assert_eq!((&started["data"]["step"], &started["data"]["attempt"]), (&json!("write"), &json!(2)));
        assert_eq!(started["data"].get("cost"), None, "it isn't known yet");
    }

    #[test]
    fn an_events_message_has_one_id_and_no_other_has_it() {
        let id = message_id(&key(), &target(), 1);
        assert_eq!(id, message_id(&key(), &target(), 1));
        let other_job = JobKey { job: "01KAJ0X5T3ZQ4V8N2M6R7W9YBD".parse().expect("a job"), ..key() };
        let other_target: TargetId = "wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBD".parse().expect("a target");
        for other in [
            message_id(&key(), &target(), 2),
            message_id(&other_job, &target(), 1),
            message_id(&key(), &other_target, 1),
        ] {
            assert_ne!(id, other);
        }
    }
}
