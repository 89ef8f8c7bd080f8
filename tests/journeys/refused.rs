//! Requests that can't be answered: each gets its problem, and nothing is half done.

use convoke_tests::scripted::{Reply, Sequence};
use convoke_tests::served::{Answer, Served};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::chain;

async fn served() -> Served {
    Served::start(Sequence::new([Reply::text("done")])).await
}

/// Nobody's job was made, no model was asked.
async fn nothing_was_done(served: &Served) {
    assert_eq!(served.get("/v1/jobs").await.json()["jobs"], json!([]));
    assert_eq!(served.models.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_none() {
    let served = served().await;
    let send = async |kind: &str, body: Vec<u8>| {
        let request = served.request(Method::POST, "/v1/jobs").header("content-type", kind);
        Answer::of(request.body(body)).await
    };
    let good = json!({"flow": chain(1), "input": {}}).to_string().into_bytes();
    for body in [&b""[..], b"{", b"nonsense", b"{\"flow\": \"software\"} x", &[0xff, 0xfe], b"{\"a\":1}{\"a\":1}"] {
        assert_eq!(send("application/json", body.to_vec()).await.problem(400), "malformed_json", "{body:?}");
    }
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"]
    {
        assert_eq!(send(kind, good.clone()).await.problem(415), "unsupported_media_type", "{kind}");
    }
    let padded =
        |bytes: usize| json!({"flow": chain(1), "input": {"text": "x".repeat(bytes)}}).to_string().into_bytes();
    assert_eq!(send("application/json", padded(1 << 20)).await.problem(413), "body_too_large");
    assert_eq!(send("application/json", padded(7 << 20)).await.status, 413, "refused before any function sees it");
    let deep = format!("{{\"flow\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(send("application/json", deep.into_bytes()).await.problem(400), "malformed_json");
    nothing_was_done(&served).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_open_nothing() {
    let served = served().await;
    let wrong = format!("cvk_{}", "A".repeat(43));
    for header in
        [None, Some("Bearer "), Some("Bearer x"), Some(wrong.as_str()), Some("Basic YTpi"), Some("Bearer cvk_")]
    {
        for (method, path) in [(Method::GET, "/v1/jobs"), (Method::POST, "/v1/jobs"), (Method::GET, "/v1/jobs/x/steps")]
        {
            let request = served.anonymous(method, path);
            let request = header.into_iter().fold(request, |request, header| request.header("authorization", header));
            let answer = Answer::of(request).await;
            assert_eq!(answer.problem(401), "unauthenticated", "{header:?} {path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    let bearer = served.anonymous(Method::GET, "/v1/jobs").bearer_auth(&wrong);
    assert_eq!(Answer::of(bearer).await.problem(401), "unauthenticated");
    assert_eq!(Answer::of(served.anonymous(Method::GET, "/health")).await.json()["status"], "ok");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urls_that_lead_nowhere() {
    let served = served().await;
    let id = "01KAJ0X5T3ZQ4V8N2M6R7W9YBC";
    for path in ["/", "/v1", "/v1/nothing", "/v1/jobs/", &format!("/v1/jobs/{id}/nothing"), "/v2/jobs"] {
        assert_eq!(served.get(path).await.problem(404), "route_not_found", "{path}");
    }
    for (method, path) in [
        (Method::DELETE, "/v1/jobs".to_owned()),
        (Method::PUT, format!("/v1/jobs/{id}")),
        (Method::POST, format!("/v1/jobs/{id}")),
        (Method::POST, format!("/v1/jobs/{id}/steps")),
        (Method::GET, format!("/v1/jobs/{id}/cancel")),
        (Method::DELETE, format!("/v1/jobs/{id}/artifacts/a.txt")),
        (Method::GET, "/v1/uploads".to_owned()),
        (Method::POST, "/health".to_owned()),
    ] {
        let answer = Answer::of(served.request(method.clone(), &path)).await;
        assert_eq!(answer.problem(405), "method_not_allowed", "{method} {path}");
        assert!(answer.header("allow").is_some_and(|allowed| !allowed.is_empty()), "{method} {path}");
    }
    for path in ["/v1/jobs/nothing", "/v1/jobs/01KAJ0X5T3", "/v1/jobs/%00", &format!("/v1/jobs/{id}")] {
        assert_eq!(served.get(path).await.problem(404), "job_not_found", "{path}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_that_cannot_be_read() {
    let served = served().await;
    let job = served.run(&json!({"flow": chain(1), "input": {}})).await;
    let of = |rest: &str| format!("/v1/jobs/{}{rest}", job["id"].as_str().expect("an id"));
    for path in ["/v1/jobs?cursor=nonsense".to_owned(), of("/steps?cursor=AAAA"), of("/artifacts?cursor=x")] {
        assert_eq!(served.get(&path).await.problem(400), "invalid_cursor", "{path}");
    }
    for path in [
        "/v1/jobs?limit=0".to_owned(),
        "/v1/jobs?limit=101".to_owned(),
        "/v1/jobs?limit=many".to_owned(),
        "/v1/jobs?status=asleep".to_owned(),
        "/v1/jobs?created_after=yesterday".to_owned(),
        of("/events?after=-1"),
        of("/events?wait_s=21"),
        of("/events?limit=501"),
        of("/artifacts/REPORT.md?redirect=perhaps"),
    ] {
        assert_eq!(served.get(&path).await.problem(400), "malformed_request", "{path}");
    }
    // A cursor of one list is none of another.
    let other = served.get(&of("/artifacts?limit=1")).await.json()["next_cursor"].as_str().expect("more").to_owned();
    assert_eq!(served.get(&of(&format!("/steps?cursor={other}"))).await.problem(400), "invalid_cursor");
    let reused = served.request(Method::POST, "/v1/jobs").header("idempotency-key", "a b");
    let reused = Answer::of(reused.json(&json!({"flow": chain(1), "input": {}}))).await;
    assert_eq!(reused.problem(400), "malformed_request");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_that_would_lead_out() {
    let served = served().await;
    let job = served.run(&json!({"flow": chain(1), "input": {}})).await;
    let base = format!("/v1/jobs/{}/artifacts", job["id"].as_str().expect("an id"));
    for path in [
        "../REPORT.md",
        "parts/../REPORT.md",
        "%2e%2e/REPORT.md",
        "..%2fREPORT.md",
        "%2E%2E%2FREPORT.md",
        "%252e%252e%252fREPORT.md",
        "parts/..%5c..%5cREPORT.md",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "./REPORT.md",
        "REPORT.md%00.txt",
        "parts//0.txt",
        "C:%5cx",
    ] {
        let (status, body) = raw(&served, &format!("{base}/{path}")).await;
        assert_eq!((status, &body["code"]), (400, &json!("invalid_path")), "{path}: {body}");
    }
    assert_eq!(raw(&served, &format!("{base}/nothing.txt")).await.1["code"], "artifact_not_found");
    assert_eq!(raw(&served, &format!("{base}/REPORT.md")).await.0, 302);
    served.stop().await;
}

/// `GET` of a path exactly as it is: clients mend paths before they send them.
async fn raw(served: &Served, path: &str) -> (u16, Value) {
    let url = served.url("");
    let host = url.strip_prefix("http://").expect("http");
    let mut stream = TcpStream::connect(host).await.expect("a connection");
    let key = served.key_of("local").await;
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}
