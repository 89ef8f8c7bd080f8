//! Tenants never meet: every operation of the document, tried with no key and with another tenant's.

use axum::http::Method;
use convoke_api::openapi::{Route, routes};
use serde_json::json;

use super::api::{Api, matches};

fn filled(route: &Route, job: &str) -> String {
    let path = route.path.replace("{id}", job).replace("{webhook}", job).replace("{delivery}", job);
    let path = path.replace("{realm}", job).replace("{review}", "approve");
    path.replace("{step}", "write").replace("{path}", "out/text.md")
}

#[tokio::test]
async fn every_operation_is_there_and_takes_a_key() {
    let api = Api::new().await;
    let job = api.submit_one().await.job;
    for route in routes() {
        let path = filled(&route, job.as_str());
        let request = api.request(route.method, &path, &[("authorization", "Bearer nope")], Some(&json!({})));
        let answer = api.send_to(route.function, request).await;
        if route.is_open {
            assert_eq!(answer.status, 200, "{path}");
        } else {
            answer.problem(401, "unauthenticated");
        }
    }
}

#[tokio::test]
async fn another_tenants_job_is_no_job() {
    let api = Api::new().await;
    let (running, ended) = (api.submit_one().await.job, api.submit_one().await.job);
    let other = format!("Bearer {}", api.other_key);
    let mut asked = 0;
    let made = api.post("/v1/webhooks", &json!({"url": "https://hooks.example.com/"})).await.json();
    let webhook = made["id"].as_str().expect("an id");
    let code = api.post("/v1/links", &json!({})).await.json()["code"].as_str().expect("a code").to_owned();
    super::links::typed(&api, &code, "tgg_-5").await;
    for job in
        [running.as_str(), ended.as_str(), webhook, "tgg_-5", "01KAJ0X5T3ZQ4V8N2M6R7W9YBC", "nope", "..", "01kaj0"]
    {
        for route in routes().iter().filter(|route| {
            route.path.contains("{id}") || route.path.contains("{webhook}") || route.path.contains("{realm}")
        }) {
            let headers = [("authorization", other.as_str())];
            let is_follow_up = route.path.ends_with("/follow-up");
            let body = if is_follow_up { json!({"prompt": "and then?"}) } else { json!({"decision": "approve"}) };
            let request = api.request(route.method, &filled(route, job), &headers, Some(&body));
            let code = match route.path.split('/').nth(2) {
                Some("jobs") => "job_not_found",
                Some("webhooks") => "webhook_not_found",
                Some("links") => "link_not_found",
                _ => "schedule_not_found",
            };
            api.send_to(route.function, request).await.problem(404, code);
            asked += 1;
        }
        // Between the two looks the jobs come to their end.
        api.work().await;
    }
    assert!(asked >= 6 * 10, "{asked}");
    let headers = [("authorization", other.as_str())];
    let list = api.send(api.request("GET", "/v1/jobs", &headers, None)).await.json();
    assert_eq!(list, json!({"jobs": []}));
    for job in [running, ended] {
        assert_eq!(api.get(&format!("/v1/jobs/{job}")).await.json()["status"], "completed");
    }
}

#[test]
fn every_url_belongs_to_one_operation() {
    let all = routes();
    for route in &all {
        let path = filled(route, "01KAJ0X5T3ZQ4V8N2M6R7W9YBC");
        assert!(route.method.parse::<Method>().is_ok());
        let count = all.iter().filter(|other| matches(other, route.method, &path)).count();
        assert_eq!(count, 1, "{} {path}", route.method);
    }
}
