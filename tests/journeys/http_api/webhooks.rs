//! Webhooks as their owner meets them.

use convoke_app::webhooks::WEBHOOKS_MAX;
use convoke_domain::chat::RealmId;
use convoke_tests::fakes::Lane;
use serde_json::{Value, json};

use super::api::{Answer, Api, one_step};

const URL: &str = "https://hooks.example.com/convoke?token=t0k3n";

async fn create(api: &Api, body: &Value) -> Answer {
    api.post("/v1/webhooks", body).await
}

async fn made(api: &Api) -> (String, String) {
    let made = create(api, &json!({"url": URL})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let text = |name: &str| made.json()[name].as_str().expect("text").to_owned();
    (text("id"), text("secret"))
}

async fn of_other(api: &Api, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let bearer = format!("Bearer {}", api.other_key);
    api.send(api.request(method, path, &[("authorization", &bearer)], body)).await
}

#[tokio::test]
async fn a_webhook_is_made_shown_listed_and_deleted_and_its_secret_is_shown_once() {
    let api = Api::new().await;
    let body = json!({"url": URL, "events": ["job.ended", "step.failed"], "description": "CI"});
    let answer = create(&api, &body).await;
    assert_eq!(answer.status, 201);
    let made = answer.json();
    let (id, secret) = (made["id"].as_str().expect("an id"), made["secret"].as_str().expect("a secret"));
    assert_eq!(answer.header("location"), format!("/v1/webhooks/{id}"));
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    assert_eq!(made["events"], json!(["job.ended", "step.failed"]));

    let shown = api.get(&format!("/v1/webhooks/{id}")).await;
    let listed = api.get("/v1/webhooks").await;
    assert_eq!(listed.json(), json!({"webhooks": [shown.json()]}));
    assert_eq!((&shown.json()["url"], &shown.json()["description"]), (&json!(URL), &json!("CI")));
    for answer in [&shown, &listed] {
        assert!(!answer.text().contains("whsec_"), "{}", answer.text());
    }
    let delete = || api.send(api.request("DELETE", &format!("/v1/webhooks/{id}"), &[], None));
    assert_eq!(delete().await.status, 204);
    delete().await.problem(404, "webhook_not_found");
    assert_eq!(api.get("/v1/webhooks").await.json(), json!({"webhooks": []}));
}

#[tokio::test]
async fn what_is_wrong_with_a_webhook_is_told_at_once() {
    let api = Api::new().await;
    let wrong = async |body: Value| create(&api, &body).await.wrong("invalid_request");
    assert_eq!(wrong(json!({})).await, ["url"]);
    assert_eq!(wrong(json!({"url": "http://hooks.example.com/"})).await, ["url"]);
    let all = json!({"url": "ftp://x", "events": ["job.over"], "description": 1, "secret": "mine"});
    assert_eq!(wrong(all).await, ["url", "secret", "events[0]", "description"]);
    assert_eq!(api.get("/v1/webhooks").await.json()["webhooks"], json!([]), "nothing was made");
}

#[tokio::test]
async fn a_tenant_has_so_many_webhooks_and_no_more() {
    let api = Api::new().await;
    for _ in 0..WEBHOOKS_MAX {
        made(&api).await;
    }
    create(&api, &json!({"url": URL})).await.problem(409, "limit_reached");
    assert_eq!(of_other(&api, "POST", "/v1/webhooks", Some(&json!({"url": URL}))).await.status, 201);
}

#[tokio::test]
async fn a_new_secret_replaces_the_old_one_which_signs_for_a_day() {
    let api = Api::new().await;
    let (id, first) = made(&api).await;
    let rotated = api.post(&format!("/v1/webhooks/{id}/rotate"), &json!({})).await.json();
    let second = rotated["secret"].as_str().expect("a secret");
    assert_ne!(first, second);
    assert!(rotated["earlier_secret_until"].is_string(), "{rotated}");
    let signatures = async || {
        api.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await;
        let sent = api.outbound.sent().pop().expect("sent");
        let header = |name: &str| {
            let found = sent.headers.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| value.clone()).expect("a header")
        };
        let at: i64 = header("webhook-timestamp").parse().expect("a number");
        let by = |secret: &str| {
            let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
            verifier.sign(&header("webhook-id"), at, &sent.body).expect("signed")
        };
        (header("webhook-signature"), by(second), by(&first))
    };
    let (signature, by_second, by_first) = signatures().await;
    assert_eq!(signature, format!("{by_second} {by_first}"));
    api.env.wind(24 * 3_600_000);
    let (signature, by_second, _) = signatures().await;
    assert_eq!(signature, by_second);
    let shown = api.get(&format!("/v1/webhooks/{id}")).await.json();
    assert_eq!(shown.get("earlier_secret_until"), None);
}

#[tokio::test]
async fn a_test_tells_what_came_back_and_stands_in_the_log() {
    let api = Api::new().await;
    let (id, _) = made(&api).await;
    let test = async || api.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await.json();
    let good = test().await;
    assert_eq!(
        (&good["delivered"], &good["status"], &good["type"]),
        (&json!(true), &json!(200), &json!("webhook.test"))
    );
    assert_eq!(api.outbound.bodies()[0]["data"], json!({"webhook": id}));
    api.outbound.answer(&[503]);
    let bad = test().await;
    assert_eq!((&bad["delivered"], &bad["error"]), (&json!(false), &json!("it answered with 503")));
    let log = api.get(&format!("/v1/webhooks/{id}/deliveries")).await.json();
    assert_eq!(log["deliveries"].as_array().expect("a list").len(), 2);
    let path = format!("/v1/webhooks/{id}/deliveries/{}/redeliver", good["id"].as_str().expect("an id"));
    api.post(&path, &json!({})).await.problem(409, "delivery_not_repeatable");
}

#[tokio::test]
async fn the_log_is_paged_newest_first_and_forgets() {
    let api = Api::new().await;
    let (id, _) = made(&api).await;
    for _ in 0..5 {
        api.env.wind(1_000);
        api.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await;
    }
    let mut seen: Vec<String> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/v1/webhooks/{id}/deliveries?limit=2{cursor}")).await.json();
        seen.extend(page["deliveries"].as_array().expect("a list").iter().map(|row| row["at"].to_string()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.reverse();
    assert_eq!((seen.len(), &seen), (5, &sorted));
    api.get(&format!("/v1/webhooks/{id}/deliveries?cursor=x")).await.problem(400, "invalid_cursor");
    api.get(&format!("/v1/webhooks/{id}/deliveries?limit=0")).await.problem(400, "malformed_request");
    api.env.wind(31 * 86_400_000);
    let old = api.get(&format!("/v1/webhooks/{id}/deliveries")).await.json();
    assert_eq!(old["deliveries"], json!([]), "the table forgets late, the answer doesn't wait for it");
}

#[tokio::test]
async fn a_job_tells_webhooks_that_its_caller_has() {
    let api = Api::new().await;
    let (id, _) = made(&api).await;
    let theirs = of_other(&api, "POST", "/v1/webhooks", Some(&json!({"url": URL}))).await.json();
    let submit = async |notify: Value| {
        let mut body = one_step("rivers");
        body["notify"] = notify;
        api.post("/v1/jobs", &body).await
    };
    let unknown = submit(json!([{"webhook": id}, {"webhook": theirs["id"]}, {"webhook": "nope"}, {"mail": "x"}])).await;
    let wrong = unknown.wrong("invalid_request");
    assert_eq!(wrong, ["notify[3]", "notify[1].webhook", "notify[2].webhook"]);
    assert!(api.table.jobs().is_empty());

    let stranger = submit(json!([{"webhook": id}, {"telegram": {"chat": -7}}])).await;
    assert_eq!(stranger.wrong("invalid_request"), ["notify[1]"], "a chat that isn't linked");
    api.link(RealmId::Group(-7)).await;
    let accepted = submit(json!([{"webhook": id}, {"telegram": {"chat": -7}}, {"webhook": id}])).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let key = api.table.jobs().remove(0);
    let reads = convoke_app::ports::Reads { definition: true, ..Default::default() };
    let fetched = api.platform.ports.steps.fetch(&key, &reads).await.expect("read");
    let targets = fetched.definition.expect("a definition").targets;
    assert_eq!(targets.len(), 2, "each once: {targets:?}");
    assert!(api.platform.ports.deliveries.delivery(&key, &targets[0].id).await.expect("read").is_some());
    assert_eq!(api.queue.receive(Lane::Steps, 10, 1).len(), 1);
}

#[tokio::test]
async fn a_retry_tells_the_webhooks_that_there_still_are() {
    let api = Api::new().await;
    let ((kept, _), (gone, _)) = (made(&api).await, made(&api).await);
    let mut body = one_step("rivers");
    body["notify"] = json!([{"webhook": kept}, {"webhook": gone}]);
    let parent = api.submitted(&body).await;
    api.post(&format!("/v1/jobs/{}/cancel", parent.job), &json!({})).await;
    api.work().await;
    api.send(api.request("DELETE", &format!("/v1/webhooks/{gone}"), &[], None)).await;
    let retried = api.post(&format!("/v1/jobs/{}/retry", parent.job), &json!({})).await.json();
    let id = retried["id"].as_str().expect("an id");
    let key = convoke_domain::ids::JobKey { job: id.parse().expect("an id"), ..parent };
    let delivery = async |webhook: &str| {
        let target = webhook.parse().expect("a target");
        api.platform.ports.deliveries.delivery(&key, &target).await.expect("read")
    };
    assert!(delivery(&kept).await.is_some() && delivery(&gone).await.is_none());
}
