//! Chat completions: everything that goes wrong, and which error of the port it is.

use std::time::{Duration, Instant};

use convoke_app::model::{ChatModel, ModelError, Models};
use convoke_models::registry::Capabilities;
use convoke_tests::scripted::{ChatRequest, Reply, ScriptedServer, Sequence};
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{KEY, ask, model, registry, request, streamed};

/// The error's variant by name, and its wait.
fn kind(error: &ModelError) -> (&'static str, Option<u64>) {
    match error {
        ModelError::Throttled { retry_after, .. } => ("throttled", retry_after.map(|wait| wait.as_secs())),
        ModelError::Unreachable { .. } => ("unreachable", None),
        ModelError::Failed { .. } => ("failed", None),
        ModelError::ContextOverflow { .. } => ("overflow", None),
        ModelError::Refused { .. } => ("refused", None),
        ModelError::Cancelled => ("cancelled", None),
    }
}

async fn errors_of(reply: Reply) -> [ModelError; 2] {
    let server = ScriptedServer::start(move |_: &ChatRequest| reply.clone()).await;
    let model = model(&server);
    let whole = ask(&*model, &request("x")).await.expect_err("an error");
    let (streamed, _) = streamed(&*model, &request("x")).await;
    [whole, streamed.expect_err("an error")]
}

#[tokio::test]
async fn statuses_become_the_ports_errors() {
    let date = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:37 GMT");
    for (reply, expected) in [
        (Reply::error(429, "rate_limit_exceeded", "slow down"), ("throttled", None)),
        (Reply::error(429, "x", "slow down").with_header("retry-after", "7"), ("throttled", Some(7))),
        (
            Reply::error(429, "x", "slow down").with_header("date", date.0).with_header("retry-after", date.1),
            ("throttled", Some(60)),
        ),
        (Reply::error(529, "overloaded", "x"), ("throttled", None)),
        (Reply::error(429, "insufficient_quota", "check your plan"), ("refused", None)),
        (Reply::error(400, "context_length_exceeded", "x"), ("overflow", None)),
        (Reply::error(400, "x", "This model's maximum context length is 8192 tokens."), ("overflow", None)),
        (Reply::error(413, "x", "too large"), ("overflow", None)),
        (Reply::error(400, "x", "messages must not be empty"), ("refused", None)),
        (Reply::error(401, "invalid_api_key", "x"), ("refused", None)),
        (Reply::error(403, "x", "not in your country"), ("refused", None)),
        (Reply::error(404, "model_not_found", "no such model"), ("refused", None)),
        (Reply::raw(302, "").with_header("location", "http://127.0.0.1:1/"), ("refused", None)),
        (Reply::error(408, "x", "too slow"), ("failed", None)),
        (Reply::error(500, "x", "This model's maximum context length"), ("failed", None)),
        (Reply::raw(502, "<html>bad gateway</html>"), ("failed", None)),
        (Reply::raw(503, ""), ("failed", None)),
    ] {
        for error in errors_of(reply.clone()).await {
            assert_eq!(kind(&error), expected, "{reply:?}: {error}");
        }
    }
}

#[tokio::test]
async fn answers_that_cannot_be_read_failed_and_may_be_billed() {
    let error_midway = Reply::events(&[
        r#"{"choices":[{"delta":{"content":"so "}}]}"#,
        r#"{"error":{"code":429,"message":"upstream is busy"}}"#,
    ]);
    for reply in [
        Reply::raw(200, "{\"choices\": [{\"mess"),
        Reply::raw(200, ""),
        Reply::raw(200, "{}"),
        Reply::raw(200, r#"{"choices": []}"#),
        Reply::raw(200, r#"{"choices": null, "usage": 7}"#),
        Reply::raw(200, "[1, 2]"),
        Reply::raw(200, "<html>login</html>"),
        Reply::events(&["not json"]),
        Reply::events(&[]),
        Reply::events(&["[DONE]"]),
        Reply::events(&[r#"{"choices":[{"delta":{"content":"half"}}]}"#]),
        error_midway,
        Reply::text("a text that breaks off in the middle of its body").cut(),
        Reply::call("look", json!({"at": "somewhere"})).cut(),
    ] {
        for error in errors_of(reply.clone()).await {
            assert_eq!(kind(&error).0, "failed", "{reply:?}: {error}");
            assert!(error.is_retryable() && error.may_have_been_billed());
        }
    }
}

#[tokio::test]
async fn an_error_in_a_body_with_status_200_counts_as_its_own() {
    for (body, expected) in [
        (json!({"error": {"code": 429, "message": "busy"}}), "throttled"),
        (json!({"error": {"code": "400", "message": "maximum context length is 7"}}), "overflow"),
        (json!({"error": {"code": 403, "message": "moderated"}}), "refused"),
        (json!({"error": {"message": "provider returned error"}}), "failed"),
    ] {
        for reply in [Reply::raw(200, body.to_string()), Reply::events(&[&body.to_string()])] {
            for error in errors_of(reply).await {
                assert_eq!(kind(&error).0, expected, "{body}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let began = Instant::now();
    for reply in [Reply::Endless, Reply::Huge { bytes: 11 * 1024 * 1024 }] {
        for error in errors_of(reply.clone()).await {
            assert!(error.to_string().contains("longer than 10485760 bytes"), "{error}");
            assert_eq!(kind(&error).0, "failed");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_large_answer_within_the_limit_is_taken() {
    let server = ScriptedServer::start(Sequence::new([Reply::Huge { bytes: 9 * 1024 * 1024 }])).await;
    let answer = ask(&*model(&server), &request("x")).await.expect("answered");
    assert_eq!(answer.text.len(), 9 * 1024 * 1024);
}

#[tokio::test]
async fn no_connection_is_unreachable_and_not_billed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/v1", listener.local_addr().expect("bound"));
    drop(listener);
    let model = registry(&url, Capabilities::default()).model("compatible/x").expect("set up");
    let error = ask(&*model, &request("x")).await.expect_err("nobody there");
    assert_eq!(kind(&error).0, "unreachable");
    assert!(!error.may_have_been_billed() && error.is_retryable());
}

#[tokio::test]
async fn a_connection_that_closes_without_a_word_may_be_billed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/v1", listener.local_addr().expect("bound"));
    let closing = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let mut bytes = [0; 64];
            tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.expect("read");
        }
    });
    let model = registry(&url, Capabilities::default()).model("compatible/x").expect("set up");
    let error = ask(&*model, &request("x")).await.expect_err("closed");
    closing.abort();
    assert_eq!(kind(&error).0, "failed", "{error}");
}

#[tokio::test]
async fn no_error_repeats_the_key() {
    let said = format!("Incorrect API key provided: {KEY} (sk-test-****cdef). Header was: Bearer {KEY}\n{KEY}");
    let told = json!({"error": {"message": said, "type": KEY, "code": KEY, "param": KEY}}).to_string();
    for status in [200, 302, 400, 401, 403, 404, 413, 429, 500, 503] {
        for body in [told.clone(), json!({"detail": said}).to_string(), said.clone()] {
            for error in errors_of(Reply::raw(status, body.clone())).await {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("0123456789") && !shown.contains("cdef"), "{status} {body}: {shown}");
            }
        }
    }
    for error in errors_of(Reply::events(&[&told])).await {
        assert!(!format!("{error:?}").contains("0123456789"), "{error:?}");
    }
}

#[tokio::test]
async fn a_providers_long_message_is_told_in_short() {
    let long = format!("{}\u{1b}[31m\nnext", "why ".repeat(9_999));
    for error in errors_of(Reply::error(400, "x", &long)).await {
        let shown = error.to_string();
        assert!(shown.len() < 400 && !shown.contains(['\n', '\u{1b}']), "{shown}");
        assert!(shown.contains("HTTP 400: why why"), "{shown}");
    }
}

#[tokio::test]
async fn a_failed_call_leaves_the_model_usable() {
    let server =
        ScriptedServer::start(Sequence::new([Reply::text("x").cut(), Reply::raw(500, ""), Reply::text("fine")])).await;
    let model: std::sync::Arc<dyn ChatModel> = model(&server);
    assert!(ask(&*model, &request("x")).await.is_err());
    assert!(ask(&*model, &request("x")).await.is_err());
    assert_eq!(ask(&*model, &request("x")).await.expect("answered").text, "fine");
    assert_eq!(server.requests().len(), 3, "one request a call: retries are the use cases' business");
}
