//! Webhooks from outside: a real place that answers as it likes, and what it has got in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use convoke_tests::scripted::{ByRole, Reply as Said};
use convoke_tests::served::{Answer, Served};
use convoke_tests::sink::{Received, Reply, Sink};
use reqwest::Method;
use serde_json::{Value, json};

/// Longest time until something shows in the log.
const PATIENCE: Duration = Duration::from_secs(30);

fn script() -> ByRole {
    ByRole::new()
        .say("Draft a text", [Said::text("Oolong stands between green and black tea.")])
        .say("Shorten the draft", [Said::text("Oolong: between green and black.")])
}

fn flow() -> Value {
    let task = |description: &str| json!({"description": description, "expected_output": "A text."});
    json!({
        "name": "article",
        "agents": {"writer": {"role": "Writer", "goal": "Short texts", "backstory": "You wrote for newspapers."}},
        "nodes": [
            {"kind": "agent", "id": "draft", "agent": "writer", "task": task("Draft a text.")},
            {"kind": "agent", "id": "polish", "needs": ["draft"], "agent": "writer", "task": task("Shorten the draft.")}
        ]
    })
}

/// An installation that may speak to a place on this machine.
async fn served(sink: &Sink) -> Served {
    Served::with(script(), &[("CONVOKE_OUTBOUND_ALLOW", &sink.place())]).await
}

struct Hook {
    id: String,
    secret: String,
}

async fn hook(served: &Served, url: &str, events: &Value) -> Hook {
    let made = served.post("/v1/webhooks", &json!({"url": url, "events": events})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let text = |name: &str| made.json()[name].as_str().expect("text").to_owned();
    Hook { id: text("id"), secret: text("secret") }
}

async fn submit(served: &Served, hook: &Hook) -> String {
    let body = json!({"flow": flow(), "input": {}, "labels": {"team": "tea"}, "notify": [{"webhook": hook.id}]});
    served.submit(&body).await
}

async fn log(served: &Served, hook: &Hook) -> Vec<Value> {
    let log = served.get(&format!("/v1/webhooks/{}/deliveries?limit=100", hook.id)).await.json();
    let mut rows = log["deliveries"].as_array().expect("a list").clone();
    rows.reverse();
    rows
}

/// Waits until the log shows what is asked for.
async fn logged(served: &Served, hook: &Hook, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let mut last = Vec::new();
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            last = log(served, hook).await;
            if fits(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(waited.await.is_ok(), "{last:#?}");
    last
}

/// Checks a message as its receiver does, with a library that isn't ours.
fn verify(received: &Received, secret: &str) {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, received.header(name).parse().expect("a value"));
    }
    let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
    verifier.verify(received.body.as_bytes(), &headers).expect("a signature that fits");
    let other = standardwebhooks::Webhook::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
    assert!(other.verify(received.body.as_bytes(), &headers).is_err());
}

/// Checks what a place has got of a job: every event, each acknowledged once, in order, the repeats with the same id.
async fn check_all(served: &Served, received: &[Received], job: &str) {
    let events = served.get(&format!("/v1/jobs/{job}/events?limit=500")).await.json();
    let events = events["events"].as_array().expect("a list").clone();
    let of_job: Vec<&Received> = received.iter().filter(|one| one.json()["data"]["job"] == job).collect();
    let acknowledged: Vec<u64> = of_job.iter().filter(|one| one.is_acknowledged()).map(|one| one.seq()).collect();
    assert_eq!(acknowledged, (1..=events.len() as u64).collect::<Vec<_>>());
    let mut ids: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for one in &of_job {
        ids.entry(one.seq()).or_default().insert(one.header("webhook-id"));
        let told = one.json();
        let event = &events[usize::try_from(one.seq()).expect("small") - 1];
        assert_eq!((&told["type"], &told["timestamp"]), (&event["type"], &event["at"]), "{told}");
        assert_eq!((&told["data"]["flow"], &told["data"]["labels"]), (&json!("article"), &json!({"team": "tea"})));
        assert_eq!(told["data"]["step"], event["step"]);
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    let all: BTreeSet<_> = ids.values().flatten().collect();
    assert_eq!(all.len(), events.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_told_in_order_signed_and_with_what_it_cost() {
    let sink = Sink::kind().await;
    let served = served(&sink).await;
    let (all, end) = (hook(&served, &sink.url(), &json!(["*"])).await, hook(&served, &sink.url(), &Value::Null).await);
    let body = json!({
        "flow": flow(), "input": {}, "labels": {"team": "tea"}, "notify": [{"webhook": all.id}, {"webhook": end.id}]
    });
    let job = served.submit(&body).await;
    served.ended(&job).await;
    let events = served.get(&format!("/v1/jobs/{job}/events?limit=500")).await.json();
    let count = events["events"].as_array().expect("a list").len();
    let received = sink.wait_for(count + 1).await;
    assert_eq!(received.len(), count + 1);
    let by = |secret: &str| {
        let is_by = |one: &&Received| {
            let at = one.header("webhook-timestamp").parse().expect("a number");
            let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
            let signed = verifier.sign(one.header("webhook-id"), at, one.body.as_bytes()).expect("signed");
            signed == one.header("webhook-signature")
        };
        received.iter().filter(is_by).cloned().collect::<Vec<_>>()
    };
    let (of_all, of_end) = (by(&all.secret), by(&end.secret));
    check_all(&served, &of_all, &job).await;
    for one in &of_all {
        verify(one, &all.secret);
    }
    assert_eq!(of_end.len(), 1);
    verify(&of_end[0], &end.secret);
    let told = of_end[0].json();
    assert_eq!((&told["type"], &told["data"]["cost"]), (&json!("job.ended"), &served.billed()), "{told}");
    assert_eq!(of_end[0].header("content-type"), "application/json");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_or_is_lost_comes_again_with_the_same_id_and_everything_arrives_once() {
    // Each event is refused or lost once, and left alone as asked.
    let seen = std::sync::Mutex::new(BTreeSet::new());
    let sink = Sink::start(move |one| {
        let is_new = seen.lock().expect("no panic").insert(one.header("webhook-id").to_owned());
        match one.seq() % 5 {
            0 if is_new => Reply::Later(503, 1),
            1 if is_new => Reply::Later(429, 1),
            _ => Reply::Status(200),
        }
    })
    .await;
    let served = served(&sink).await;
    let hook = hook(&served, &sink.url(), &json!(["*"])).await;
    let job = submit(&served, &hook).await;
    served.ended(&job).await;
    let is_end = |rows: &[Value]| rows.iter().any(|row| row["type"] == "job.ended" && row["delivered"] == true);
    let rows = logged(&served, &hook, is_end).await;
    let received = sink.received();
    check_all(&served, &received, &job).await;
    assert!(received.iter().any(|one| !one.is_acknowledged()));
    assert_eq!(rows.len(), received.len(), "each try stands in the log");
    for pair in received.windows(2).filter(|pair| !pair[0].is_acknowledged()) {
        assert_eq!(pair[0].seq(), pair[1].seq(), "nothing overtakes what waits");
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(990), "it was to be left alone for a second");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_and_a_redirect_are_tried_again() {
    let elsewhere = Sink::kind().await;
    let to = elsewhere.url();
    let sink = Sink::start(move |one| match one.index {
        0 => Reply::Lost,
        1 => Reply::Redirect(to.clone()),
        _ => Reply::Status(204),
    })
    .await;
    let allow = format!("{},{}", sink.place(), elsewhere.place());
    let served = Served::with(script(), &[("CONVOKE_OUTBOUND_ALLOW", &allow)]).await;
    let hook = hook(&served, &sink.url(), &json!(["job.ended"])).await;
    let job = submit(&served, &hook).await;
    served.ended(&job).await;
    let received = sink.wait_for(2).await;
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    assert_eq!(received[0].body, received[1].body);
    assert!(received[1].at - received[0].at >= Duration::from_secs(3), "about 5 s later");
    let rows = logged(&served, &hook, |rows| rows.len() >= 2).await;
    assert_eq!((&rows[0]["delivered"], rows[0].get("status")), (&json!(false), None), "{rows:#?}");
    assert_eq!((&rows[1]["status"], &rows[1]["delivered"]), (&json!(307), &json!(false)));
    // By hand, without waiting for the next try.
    let id = rows[1]["id"].as_str().expect("an id");
    let asked = served.post(&format!("/v1/webhooks/{}/deliveries/{id}/redeliver", hook.id), &json!({})).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let received = sink.wait_for(3).await;
    assert_eq!(received[2].header("webhook-id"), received[0].header("webhook-id"));
    verify(&received[2], &hook.secret);
    assert!(elsewhere.received().is_empty(), "no redirect is followed");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_down_for_a_while_gets_everything_once_it_is_back() {
    let port = Sink::kind().await.port;
    let allow = format!("127.0.0.1:{port}");
    let served = Served::with(script(), &[("CONVOKE_OUTBOUND_ALLOW", &allow)]).await;
    let hook = hook(&served, &format!("http://{allow}/"), &json!(["*"])).await;
    let job = submit(&served, &hook).await;
    let done = served.ended(&job).await;
    assert_eq!(done["status"], "completed", "a delivery that fails is no matter of the job's");
    let rows = logged(&served, &hook, |rows| !rows.is_empty()).await;
    assert!(rows[0]["error"].as_str().is_some_and(|error| error.starts_with("can't be reached")), "{rows:#?}");
    let sink = Sink::at(port, |_| Reply::Status(200)).await;
    logged(&served, &hook, |rows| rows.iter().any(|row| row["type"] == "job.ended" && row["delivered"] == true)).await;
    check_all(&served, &sink.received(), &job).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_gone_is_disabled_until_a_test_arrives() {
    let is_back = Arc::new(AtomicBool::new(false));
    let back = Arc::clone(&is_back);
    let sink = Sink::start(move |_| Reply::Status(if back.load(Ordering::SeqCst) { 200 } else { 410 })).await;
    let served = served(&sink).await;
    let hook = hook(&served, &sink.url(), &json!(["*"])).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let first = submit(&served, &hook).await;
    served.ended(&first).await;
    let rows = logged(&served, &hook, |rows| !rows.is_empty()).await;
    assert_eq!((&rows[0]["status"], &rows[0]["gave_up"]), (&json!(410), &json!(true)));
    assert!(served.get(&path).await.json()["disabled_at"].is_string());
    let second = submit(&served, &hook).await;
    served.ended(&second).await;
    let rows = logged(&served, &hook, |rows| rows.iter().any(|row| row["job"] == json!(second))).await;
    assert_eq!(sink.received().len(), 1, "nothing more is sent");
    let turned_away = rows.iter().find(|row| row["job"] == json!(second)).expect("logged").clone();
    let again = format!("{path}/deliveries/{}/redeliver", turned_away["id"].as_str().expect("an id"));
    assert_eq!(served.post(&again, &json!({})).await.problem(409), "webhook_disabled");

    is_back.store(true, Ordering::SeqCst);
    let test = served.post(&format!("{path}/test"), &json!({})).await.json();
    assert_eq!((&test["delivered"], &test["type"]), (&json!(true), &json!("webhook.test")), "{test}");
    verify(&sink.received()[1], &hook.secret);
    assert_eq!(served.get(&path).await.json().get("disabled_at"), None);
    assert_eq!(served.post(&again, &json!({})).await.status, 202);
    logged(&served, &hook, |rows| rows.iter().any(|row| row["type"] == "job.ended" && row["delivered"] == true)).await;
    check_all(&served, &sink.received(), &second).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_shown_once_and_replaced_without_a_gap() {
    let sink = Sink::kind().await;
    let served = served(&sink).await;
    let hook = hook(&served, &sink.url(), &json!(["job.ended"])).await;
    let rotated = served.post(&format!("/v1/webhooks/{}/rotate", hook.id), &json!({})).await.json();
    let second = rotated["secret"].as_str().expect("a secret");
    let job = submit(&served, &hook).await;
    served.ended(&job).await;
    let received = sink.wait_for(1).await;
    for secret in [&hook.secret, second] {
        verify(&received[0], secret);
    }
    logged(&served, &hook, |rows| !rows.is_empty()).await;
    let other = served.key_of("zen").await;
    for path in [
        "/v1/webhooks".to_owned(),
        format!("/v1/webhooks/{}", hook.id),
        format!("/v1/webhooks/{}/deliveries", hook.id),
        format!("/v1/jobs/{job}"),
        format!("/v1/jobs/{job}/events"),
        format!("/v1/jobs/{job}/result"),
        "/metrics".to_owned(),
    ] {
        let shown = served.get(&path).await.text();
        for secret in [&hook.secret, second] {
            assert!(!shown.contains(secret.trim_start_matches("whsec_")), "{path}: {shown}");
        }
        if path.contains(&hook.id) {
            let theirs = Answer::of(served.anonymous(Method::GET, &path).bearer_auth(&other)).await;
            assert_eq!(theirs.problem(404), "webhook_not_found");
        }
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leads_to_addresses_that_are_not_public() {
    let sink = Sink::kind().await;
    let served = Served::start(script()).await;
    for url in [
        sink.url(),
        format!("https://127.0.0.1:{}/", sink.port),
        format!("https://2130706433:{}/", sink.port),
        format!("https://localhost:{}/", sink.port),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://[::ffff:169.254.169.254]/".to_owned(),
        "https://user:pw@example.com/".to_owned(),
    ] {
        let refused = served.post("/v1/webhooks", &json!({"url": url})).await;
        assert_eq!((refused.problem(422), refused.places()), ("invalid_request".to_owned(), vec!["url".to_owned()]));
    }
    assert!(sink.received().is_empty());
    served.stop().await;
}
