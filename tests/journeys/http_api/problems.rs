//! Every way to be refused, and what is told then.

use axum::body::Body;
use axum::http::Request;
use convoke_tests::fakes::{Fault, Faults};
use serde_json::{Value, json};

use super::api::{Api, one_step};

fn raw(api: &Api, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method("POST")
        .uri("/v1/jobs")
        .header("authorization", format!("Bearer {}", api.key))
        .header("content-type", content_type)
        .body(body.into())
        .expect("a request")
}

#[tokio::test]
async fn without_a_valid_key_nothing_opens() {
    let api = Api::new().await;
    let almost = format!("Bearer {}x", &api.key[..api.key.len() - 1]);
    let basic = format!("Basic {}", api.key);
    for authorization in ["", "Bearer", "Bearer ", "Bearer cvk_", almost.as_str(), basic.as_str(), api.key.as_str()] {
        let request = api.request("GET", "/v1/jobs", &[("authorization", authorization)], None);
        let answer = api.send(request).await;
        answer.problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{authorization}");
    }
    let lower = format!("bearer {}", api.key);
    let answer = api.send(api.request("GET", "/v1/jobs", &[("authorization", lower.as_str())], None)).await;
    assert_eq!(answer.status, 200, "schemes have no case");
}

#[tokio::test]
async fn a_key_that_was_deleted_opens_nothing() {
    let api = Api::new().await;
    let made = api.platform.keys(&super::api::tenant("acme")).await.expect("keys").remove(0);
    assert_eq!(api.platform.delete_key(&super::api::tenant("globex"), &made.prefix).await.expect("none of its"), 0);
    assert_eq!(api.get("/v1/jobs").await.status, 200);
    assert_eq!(api.platform.delete_key(&super::api::tenant("acme"), &made.prefix).await.expect("deleted"), 1);
    api.get("/v1/jobs").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn unknown_urls_and_methods_are_problems_on_every_function() {
    let api = Api::new().await;
    for function in ["submit", "status", "artifacts", "control"] {
        api.send_to(function, api.request("GET", "/v2", &[], None)).await.problem(404, "route_not_found");
    }
    for (function, path) in [
        ("submit", "/v1/jobs"),
        ("status", "/v1/jobs"),
        ("artifacts", "/v1/uploads"),
        ("control", "/v1/jobs/01KAJ0X5T3ZQ4V8N2M6R7W9YBC/cancel"),
    ] {
        let answer = api.send_to(function, api.request("DELETE", path, &[], None)).await;
        answer.problem(405, "method_not_allowed");
        assert!(!answer.header("allow").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn bodies_are_json_announced_as_json_and_bounded() {
    let api = Api::new().await;
    for text in ["", "{", "nope", "{\"flow\": }", "[1,]"] {
        api.send(raw(&api, "application/json", text)).await.problem(400, "malformed_json");
    }
    api.send(raw(&api, "application/json", vec![0xFF, 0xFE])).await.problem(400, "malformed_json");
    let deep = "[".repeat(10_000);
    api.send(raw(&api, "application/json", deep)).await.problem(400, "malformed_json");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/yaml"] {
        api.send(raw(&api, content_type, "{}")).await.problem(415, "unsupported_media_type");
    }
    let large = |bytes: usize| format!("{{\"x\": \"{}\"}}", "x".repeat(bytes - 9));
    api.send(raw(&api, "application/json", large(1_048_577))).await.problem(413, "body_too_large");
    let mut announced = raw(&api, "application/json", "{}");
    announced.headers_mut().insert("content-length", "9999999".parse().expect("a header"));
    api.send(announced).await.problem(413, "body_too_large");
    assert_eq!(api.send(raw(&api, "application/json", large(1_048_576))).await.wrong("invalid_request")[0], "x");
}

#[tokio::test]
async fn what_is_wrong_with_a_submission_is_told_place_by_place() {
    let api = Api::new().await;
    let with = |name: &str, value: Value| {
        let mut body = one_step("rivers");
        body[name] = value;
        body
    };
    let unknown = api.post("/v1/jobs", &with("flow", json!("nope"))).await;
    assert_eq!(unknown.wrong("unknown_flow"), ["flow"]);
    // The shape comes first: without it there is no telling what a node may read.
    let mut broken = one_step("rivers");
    broken["flow"]["nodes"][0]["needs"] = json!(["nobody", "write"]);
    let answer = api.post("/v1/jobs", &broken).await;
    assert_eq!(answer.wrong("invalid_flow"), ["flow.nodes[0].needs[0]", "flow.nodes[0].needs"], "nobody, and itself");
    let mut broken = one_step("rivers");
    broken["flow"]["nodes"][0]["task"]["description"] = json!("About {{ input.topic");
    broken["flow"]["nodes"][0]["task"]["expected_output"] = json!("{{ nobody.output }}");
    let answer = api.post("/v1/jobs", &broken).await;
    let task = ["description", "expected_output"].map(|text| format!("flow.nodes[0].task.{text}"));
    assert_eq!(answer.wrong("invalid_flow"), task);
    let hints: Vec<Value> =
        answer.json()["errors"].as_array().expect("errors").iter().map(|e| e["hint"].clone()).collect();
    assert!(hints.iter().any(Value::is_string), "{hints:?}");
    let answer = api.post("/v1/jobs", &with("input", json!({"topic": 5}))).await;
    assert_eq!(answer.wrong("invalid_input"), ["input.topic"]);
    let answer = api.post("/v1/jobs", &json!({"flow": "nope", "input": 1, "budget": {"usd": "0"}, "x": 1})).await;
    assert_eq!(answer.wrong("invalid_request"), ["x", "input", "budget.usd", "flow"]);
    for model in ["test/nope", "test/locked"] {
        assert_eq!(api.post("/v1/jobs", &with("model", json!(model))).await.wrong("invalid_request"), ["model"]);
    }
    assert!(api.table.jobs().is_empty() && api.blobs.keys().is_empty(), "nothing was stored");
}

#[tokio::test]
async fn headers_and_parameters_that_cant_be_read_are_named() {
    let api = Api::new().await;
    for query in ["limit=0", "limit=101", "limit=x", "status=nope", "created_after=yesterday"] {
        let problem = api.get(&format!("/v1/jobs?{query}")).await.problem(400, "malformed_request");
        let name = query.split('=').next().expect("a name");
        assert!(problem["detail"].as_str().expect("text").contains(name), "{problem}");
    }
    api.get("/v1/jobs?cursor=bm9wZQ").await.problem(400, "invalid_cursor");
    let request = api.request("POST", "/v1/jobs", &[("idempotency-key", "a b")], Some(&one_step("x")));
    api.send(request).await.problem(400, "malformed_request");
    let job = api.submit_one().await.job;
    for query in ["wait_s=21", "limit=501", "after=-1"] {
        api.get(&format!("/v1/jobs/{job}/events?{query}")).await.problem(400, "malformed_request");
    }
    let headers = [("accept", "text/event-stream"), ("last-event-id", "x")];
    let request = api.request("GET", &format!("/v1/jobs/{job}/events"), &headers, None);
    api.send(request).await.problem(400, "malformed_request");
}

#[tokio::test]
async fn our_own_failures_give_nothing_away() {
    let throttled = |at: &'static str| Faults::by(move |call| if call == at { Fault::Throttled } else { Fault::None });
    let api = Api::with(throttled("submit")).await;
    let answer = api.post("/v1/jobs", &one_step("rivers")).await;
    let problem = answer.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "2");
    assert!(!problem["detail"].as_str().expect("text").contains("throttled"), "{problem}");
}

#[tokio::test]
async fn a_request_keeps_the_id_that_it_came_with_where_that_is_safe() {
    let api = Api::new().await;
    let ask = async |id: &str| {
        let answer = api.send(api.request("GET", "/health", &[("x-request-id", id)], None)).await;
        answer.header("x-request-id").to_owned()
    };
    assert_eq!(ask("Root=1-67891233-abc").await, "Root=1-67891233-abc");
    for bad in ["a b", "<x>", &"x".repeat(65)] {
        assert_eq!(ask(bad).await.len(), 13, "{bad}");
    }
}
