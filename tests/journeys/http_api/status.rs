//! What callers see of their jobs.

use serde_json::{Value, json};

use super::api::{Api, one_step};

#[tokio::test]
async fn a_job_is_seen_from_queued_to_completed() {
    let api = Api::new().await;
    let job = api.submit_one().await.job;
    let view = api.get(&format!("/v1/jobs/{job}")).await.json();
    assert_eq!((&view["status"], &view["ending"], &view["title"]), (&json!("queued"), &json!(false), &json!("one")));
    assert_eq!(view["progress"]["nodes"], json!([{"id": "write", "state": "ready"}]));
    assert_eq!(view["cost"], json!({"usd": "0.00", "tokens": 0}));
    api.get(&format!("/v1/jobs/{job}/result")).await.problem(409, "job_not_ended");

    api.work().await;
    let view = api.get(&format!("/v1/jobs/{job}")).await.json();
    assert_eq!((&view["status"], &view["stop_reason"]), (&json!("completed"), &json!("completed")), "{view}");
    assert_eq!(view["progress"]["nodes"], json!([{"id": "write", "state": "completed"}]));
    assert_eq!((&view["progress"]["nodes_done"], &view["progress"]["nodes_total"]), (&json!(1), &json!(1)));
    assert_ne!(view["cost"]["tokens"], 0);
    assert!(view.get("cause").is_none() && view["ended_at"].is_string(), "{view}");

    let result = api.get(&format!("/v1/jobs/{job}/result")).await.json();
    assert_eq!((&result["status"], &result["cost"]), (&json!("completed"), &view["cost"]));
    assert!(result["outputs"]["write"].is_string(), "{result}");
    assert_eq!(result["artifacts"], 4, "the text, the tree, the report, the archive");
}

#[tokio::test]
async fn steps_are_listed_page_by_page_and_shown_with_their_journal() {
    let api = Api::new().await;
    let mut body = one_step("rivers");
    let write = body["flow"]["nodes"][0].clone();
    for (id, need) in [("b", "write"), ("a", "b")] {
        let mut node = write.clone();
        node["id"] = json!(id);
        node["needs"] = json!([need]);
        node["task"]["output_file"] = json!(format!("out/{id}.md"));
        body["flow"]["nodes"].as_array_mut().expect("nodes").push(node);
    }
    let job = api.submitted(&body).await.job;
    assert_eq!(api.get(&format!("/v1/jobs/{job}/steps")).await.json(), json!({"steps": []}), "nothing has begun");
    api.get(&format!("/v1/jobs/{job}/steps/write")).await.problem(404, "step_not_found");
    api.work().await;
    let (mut names, mut url) = (Vec::new(), format!("/v1/jobs/{job}/steps?limit=1"));
    loop {
        let page = api.get(&url).await.json();
        let steps = page["steps"].as_array().expect("steps").clone();
        assert!(steps.len() <= 1);
        names.extend(steps.iter().map(|step| (step["step"].clone(), step["state"].clone())));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        url = format!("/v1/jobs/{job}/steps?limit=1&cursor={cursor}");
    }
    let expected = ["(finish)", "a", "b", "write"].map(|name| (json!(name), json!("completed")));
    assert_eq!(names, expected);
    let step = api.get(&format!("/v1/jobs/{job}/steps/write")).await.json();
    assert_eq!((&step["attempt"], &step["files"]), (&json!(1), &json!(["out/text.md"])));
    assert_eq!(step["journal"][0]["turn"], 1);
    assert_eq!(step["journal"][0]["answer"]["text"], step["output"]);
    api.get(&format!("/v1/jobs/{job}/steps?cursor=eA")).await.problem(400, "invalid_cursor");
    for name in ["nope", "write@2", "write%5B0%5D"] {
        api.get(&format!("/v1/jobs/{job}/steps/{name}")).await.problem(404, "step_not_found");
    }
}

#[tokio::test]
async fn lists_are_newest_first_filtered_and_paged() {
    let api = Api::new().await;
    let mut ids = Vec::new();
    for topic in ["a", "b", "c"] {
        ids.insert(0, json!(api.submitted(&one_step(topic)).await.job));
        api.env.wind(60_000);
    }
    let listed = async |query: &str| -> (Vec<Value>, Value) {
        let page = api.get(&format!("/v1/jobs?{query}")).await.json();
        let jobs = page["jobs"].as_array().expect("jobs").iter().map(|job| job["id"].clone()).collect();
        (jobs, page["next_cursor"].clone())
    };
    assert_eq!(listed("").await, (ids.clone(), Value::Null));
    let (page, cursor) = listed("limit=2").await;
    assert_eq!(page, ids[..2]);
    let cursor = cursor.as_str().expect("there is more").to_owned();
    assert_eq!(listed(&format!("limit=2&cursor={cursor}")).await, (ids[2..].to_vec(), Value::Null));
    assert_eq!(listed("flow=one&status=queued").await.0.len(), 3);
    assert_eq!(listed("flow=two").await.0.len() + listed("status=failed").await.0.len(), 0);
    let after = api.get(&format!("/v1/jobs/{}", ids[1].as_str().expect("an id"))).await.json()["created_at"].clone();
    assert_eq!(listed(&format!("created_after={}", after.as_str().expect("a time"))).await.0, ids[..2]);
    api.get(&format!("/v1/jobs/{}/steps?cursor={cursor}", ids[0].as_str().expect("an id")))
        .await
        .problem(400, "invalid_cursor");
}

#[tokio::test]
async fn a_job_that_fails_says_why_and_where() {
    let api = Api::new().await;
    let mut body = one_step("rivers");
    body["budget"] = json!({"tokens": 1});
    let job = api.submitted(&body).await.job;
    api.work().await;
    let view = api.get(&format!("/v1/jobs/{job}")).await.json();
    assert_eq!((&view["status"], &view["stop_reason"]), (&json!("failed"), &json!("budget_exhausted")), "{view}");
    assert!(view["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{view}");
    let result = api.get(&format!("/v1/jobs/{job}/result")).await.json();
    assert_eq!((&result["stop_reason"], &result["outputs"]), (&json!("budget_exhausted"), &json!({})));
}

#[tokio::test]
async fn health_and_the_document_take_no_key() {
    let api = Api::new().await;
    for (path, member, value) in [("/health", "status", "ok"), ("/openapi.json", "openapi", "3.1.0")] {
        let request = axum::http::Request::builder().uri(path).body(axum::body::Body::empty()).expect("a request");
        let answer = api.send(request).await;
        assert_eq!((answer.status.as_u16(), &answer.json()[member]), (200, &json!(value)));
        assert_eq!(answer.header("content-type"), "application/json");
    }
}
