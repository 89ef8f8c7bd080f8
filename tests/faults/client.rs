//! A client that does what the API's answers tell it to: what is unavailable is asked for again.

use std::time::Duration;

use convoke_tests::served::{Answer, Served};
use reqwest::Method;
use serde_json::Value;

/// How often a request is sent at most.
const TRIES: usize = 100;
/// Shorter than what `Retry-After` says: nobody else's patience is tried here.
const PAUSE: Duration = Duration::from_millis(20);

/// The answer to a request that is sent until there is one.
pub async fn ask(served: &Served, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> Answer {
    for _ in 0..TRIES {
        let mut request = served.request(method.clone(), path);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = Answer::of(request).await;
        if answer.status < 500 {
            return answer;
        }
        assert_eq!(answer.problem(503), "unavailable", "{path}");
        assert!(answer.header("retry-after").is_some(), "{path}");
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{method} {path} is never answered");
}

/// `GET path`.
pub async fn get(served: &Served, path: &str) -> Value {
    let answer = ask(served, Method::GET, path, None, None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// Submits a job under a key; its id.
pub async fn submit(served: &Served, body: &Value, key: &str) -> String {
    let accepted = ask(served, Method::POST, "/v1/jobs", Some(body), Some(key)).await;
    assert_eq!(accepted.status, 202, "{key}: {}", accepted.text());
    accepted.json()["id"].as_str().expect("an id").to_owned()
}

/// Whether a job is over.
pub async fn is_over(served: &Served, id: &str) -> bool {
    !get(served, &format!("/v1/jobs/{id}")).await["ended_at"].is_null()
}
