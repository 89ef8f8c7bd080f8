//! Cancelling and trying again.

use convoke_app::ports::Steps;
use convoke_domain::ids::JobKey;
use serde_json::{Value, json};

use super::api::{Answer, Api, one_step, tenant};

async fn post(api: &Api, key: &JobKey, what: &str) -> Answer {
    api.send(api.request("POST", &format!("/v1/jobs/{}/{what}", key.job), &[], None)).await
}

async fn view(api: &Api, key: &JobKey) -> Value {
    api.get(&format!("/v1/jobs/{}", key.job)).await.json()
}

#[tokio::test]
async fn a_cancelled_job_ends_with_what_it_has() {
    let api = Api::new().await;
    let key = api.submit_one().await;
    let answer = post(&api, &key, "cancel").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("queued")));
    let ending = view(&api, &key).await;
    assert_eq!((&ending["ending"], &ending["stop_reason"]), (&json!(true), &json!("cancelled")));
    assert_eq!(post(&api, &key, "cancel").await.status, 202, "a repeat changes nothing");
    api.work().await;
    let ended = view(&api, &key).await;
    assert_eq!((&ended["status"], &ended["ending"]), (&json!("cancelled"), &json!(false)));
    assert_eq!(ended["progress"]["nodes"][0]["state"], "stopped");
    assert_eq!(ended["cost"]["tokens"], 0, "nothing was asked of a model");
    post(&api, &key, "cancel").await.problem(409, "job_already_ended");
    let files = api.get(&format!("/v1/jobs/{}/artifacts", key.job)).await.json();
    assert_eq!(files["artifacts"].as_array().map(Vec::len), Some(3), "report, tree and archive all the same");
}

#[tokio::test]
async fn only_what_failed_or_was_cancelled_is_retried() {
    let api = Api::new().await;
    let key = api.submit_one().await;
    post(&api, &key, "retry").await.problem(409, "job_not_ended");
    api.work().await;
    post(&api, &key, "retry").await.problem(409, "job_not_retryable");
    post(&api, &key, "cancel").await.problem(409, "job_already_ended");
    assert_eq!(api.table.jobs().len(), 1);
}

#[tokio::test]
async fn a_retry_is_a_new_job_that_names_its_parent() {
    let api = Api::new().await;
    let mut body = one_step("rivers");
    body["budget"] = json!({"tokens": 1});
    body["labels"] = json!({"team": "blue"});
    let parent = api.submitted(&body).await;
    api.work().await;
    assert_eq!(view(&api, &parent).await["stop_reason"], "budget_exhausted");
    let url = format!("/v1/jobs/{}/retry", parent.job);
    let bad = api.post(&url, &json!({"budget": {"tokens": 0}, "usd": 1})).await;
    assert_eq!(bad.wrong("invalid_request"), ["usd", "budget.tokens"]);
    let retry = async |key: &str, tokens: u64| {
        let body = json!({"budget": {"tokens": tokens}});
        api.send(api.request("POST", &url, &[("idempotency-key", key)], Some(&body))).await
    };
    let first = retry("r", 50_000).await;
    let again = retry("r", 50_000).await;
    assert_eq!((first.status.as_u16(), again.header("idempotency-replayed")), (202, "true"));
    assert_eq!(first.json(), again.json());
    retry("r", 60_000).await.problem(422, "idempotency_key_reused");
    let id = first.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(first.header("location"), format!("/v1/jobs/{id}"));
    let key = api.platform.job_key(&tenant("acme"), &id).expect("a job");
    api.work().await;
    let retried = view(&api, &key).await;
    assert_eq!((&retried["status"], &retried["parent"]), (&json!("completed"), &json!(parent.job)), "{retried}");
    assert_eq!((&retried["budget"]["tokens"], &retried["labels"]), (&json!(50_000), &json!({"team": "blue"})));
    assert_eq!(api.table.jobs().len(), 2);
}

#[tokio::test]
async fn large_definitions_are_objects_and_a_retry_has_its_own() {
    let api = Api::new().await;
    let mut body = one_step("rivers");
    body["flow"]["nodes"][0]["task"]["description"] = json!("About {{ input.topic }}");
    body["input"]["notes"] = json!("n".repeat(70_000));
    let parent = api.submitted(&body).await;
    let before = api.blobs.keys().len();
    assert_eq!(before, 1, "the input");
    post(&api, &parent, "cancel").await;
    api.work().await;
    let answer = post(&api, &parent, "retry").await;
    assert_eq!(answer.status, 202);
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    assert!(api.blobs.keys().iter().any(|key| key.contains(&id)), "{:?}", api.blobs.keys());
    api.work().await;
    let key = api.platform.job_key(&tenant("acme"), &id).expect("a job");
    assert_eq!(view(&api, &key).await["status"], "completed");
    assert_eq!(api.table.results(&key, None, None, 10).await.expect("results").len(), 2);
}
