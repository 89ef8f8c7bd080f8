//! Submissions: what is stored, what is rung, and what a repeat gets.

use convoke_app::ports::Jobs;
use convoke_domain::chat::RealmId;
use convoke_domain::money::{Cost, MicroUsd};
use convoke_domain::status::JobStatus;
use convoke_tests::fakes::{Fault, Faults};
use serde_json::{Value, json};

use super::api::{Answer, Api, NOW_MS, one_step};

async fn repeat(api: &Api, key: &str, body: &Value) -> Answer {
    api.send(api.request("POST", "/v1/jobs", &[("idempotency-key", key)], Some(body))).await
}

#[tokio::test]
async fn a_job_is_accepted_with_all_that_was_asked() {
    let api = Api::new().await;
    api.link(RealmId::Group(-100)).await;
    let mut body = one_step("rivers");
    body["input"]["prompt"] = json!("Rivers of Europe\nand their fish");
    body["model"] = json!("test/meter");
    body["budget"] = json!({"usd": "0.25", "tokens": 9_000});
    body["deadline_s"] = json!(600);
    body["labels"] = json!({"team": "blue"});
    body["notify"] = json!([{"telegram": {"chat": -100}}]);
    let answer = api.post("/v1/jobs", &body).await;
    assert_eq!(answer.status, 202);
    let accepted = answer.json();
    let id = accepted["id"].as_str().expect("an id");
    assert_eq!((&accepted["status"], answer.header("location")), (&json!("queued"), format!("/v1/jobs/{id}").as_str()));
    assert_eq!(accepted["links"]["events"], format!("/v1/jobs/{id}/events"));
    assert_eq!(answer.header("idempotency-replayed"), "");

    let key = api.table.jobs().remove(0);
    let (head, root) = api.table.job(&key).await.expect("read").expect("there");
    assert_eq!((head.title.as_str(), head.flow.as_str()), ("Rivers of Europe", "one"));
    assert_eq!(head.budget, Cost { usd: MicroUsd(250_000), tokens: 9_000 });
    assert_eq!(root.left.available(), head.budget);
    let job = root.root().expect("a root");
    assert_eq!((job.status, job.deadline_ms, job.due_ms), (JobStatus::Queued, NOW_MS + 600_000, Some(NOW_MS + 60_000)));
    assert_eq!(api.queue.len(), 1, "the first step is rung");

    let view = api.get(&format!("/v1/jobs/{id}")).await.json();
    assert_eq!(view["labels"], json!({"team": "blue"}));
    assert_eq!(view["budget"], json!({"usd": "0.25", "tokens": 9_000}));
}

#[tokio::test]
async fn the_same_key_and_body_make_one_job() {
    let api = Api::new().await;
    let first = repeat(&api, "k-1", &one_step("rivers")).await;
    let mut same = one_step("rivers");
    let input = same["input"].take();
    same = json!({"input": input, "flow": same["flow"]});
    let second = repeat(&api, "k-1", &same).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 202));
    assert_eq!((first.json(), first.header("location")), (second.json(), second.header("location")));
    assert_eq!((first.header("idempotency-replayed"), second.header("idempotency-replayed")), ("", "true"));
    assert_eq!((api.table.jobs().len(), api.queue.len()), (1, 1));
    repeat(&api, "k-1", &one_step("lakes")).await.problem(422, "idempotency_key_reused");
    assert_eq!(repeat(&api, "k-2", &one_step("rivers")).await.header("idempotency-replayed"), "");
    assert_eq!(api.table.jobs().len(), 2);
}

#[tokio::test]
async fn a_key_is_the_tenants_own_and_kept_for_a_day() {
    let api = Api::new().await;
    repeat(&api, "k", &one_step("rivers")).await;
    let other = format!("Bearer {}", api.other_key);
    let headers = [("idempotency-key", "k"), ("authorization", other.as_str())];
    let request = api.request("POST", "/v1/jobs", &headers, Some(&one_step("lakes")));
    assert_eq!(api.send(request).await.status, 202);
    api.env.wind(86_399_000);
    assert_eq!(repeat(&api, "k", &one_step("rivers")).await.header("idempotency-replayed"), "true");
    api.env.wind(2_000);
    let later = repeat(&api, "k", &one_step("lakes")).await;
    assert_eq!((later.status.as_u16(), later.header("idempotency-replayed")), (202, ""));
    assert_eq!(api.table.jobs().len(), 3);
}

#[tokio::test]
async fn a_job_whose_bell_is_lost_is_accepted_and_found_by_the_sweep() {
    let api = Api::with(Faults::by(|call| if call == "ring" { Fault::Throttled } else { Fault::None })).await;
    let answer = api.post("/v1/jobs", &one_step("rivers")).await;
    assert_eq!((answer.status.as_u16(), api.queue.len()), (202, 0));
    let job = api.table.jobs().remove(0);
    let (_, root) = api.table.job(&job).await.expect("read").expect("there");
    assert_eq!(root.root().and_then(|root| root.due_ms), Some(NOW_MS + 60_000));
}

#[tokio::test]
async fn uploads_become_the_jobs_own() {
    let api = Api::new().await;
    let announced = api.post("/v1/uploads", &json!({"name": "notes.md", "bytes": 11})).await;
    assert_eq!(announced.status, 201);
    let upload = announced.json();
    let id = upload["id"].as_str().expect("an id").to_owned();
    assert!(upload["url"].as_str().is_some_and(|url| url.contains("/uploads/")), "{upload}");
    assert_eq!(upload["headers"]["content-length"], "11");
    let mut body = one_step("rivers");
    body["flow"]["nodes"][0]["task"]["description"] =
        json!("About {{ input.topic }}: {{ input.files[1].name }} says {{ input.files[1].text }}");
    body["input"]["files"] = json!(["kept", id]);
    assert_eq!(api.post("/v1/jobs", &body).await.wrong("invalid_input"), ["input.files[1]"], "it isn't there yet");
    api.upload(&id, "the Danube\n").await;
    let job = api.submitted(&body).await;
    api.work().await;
    let step = api.get(&format!("/v1/jobs/{}/steps/write", job.job)).await.json();
    assert_eq!(step["state"], "completed", "{step}");
    body["input"]["files"] = json!(["up_nope"]);
    assert_eq!(api.post("/v1/jobs", &body).await.wrong("invalid_input"), ["input.files[0]"]);
    let other = format!("Bearer {}", api.other_key);
    body["input"]["files"] = json!([id]);
    let request = api.request("POST", "/v1/jobs", &[("authorization", other.as_str())], Some(&body));
    assert_eq!(api.send(request).await.wrong("invalid_input"), ["input.files[0]"], "another tenant's");
    let bad = api.post("/v1/uploads", &json!({"name": "../x", "bytes": 10_485_761})).await;
    assert_eq!(bad.wrong("invalid_request"), ["name", "bytes"]);
}
