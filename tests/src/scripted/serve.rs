//! Replies as HTTP.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::reply::tokens;
use super::{ChatRequest, Recorded, Reply, Shared};

/// Characters of a streamed piece of text, at least; a long text comes in about 200 pieces.
const PIECE_CHARS: usize = 16;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/models", get(|| async { r#"{"object":"list","data":[{"id":"scripted","object":"model"}]}"# }))
        .fallback(complete)
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

async fn complete(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    if !uri.path().ends_with("/chat/completions") {
        return respond(404, &[], format!("nothing at {uri}").into());
    }
    let (request, mut reply) = record(&shared, &uri, &headers, &body);
    loop {
        reply = match reply {
            Reply::Slow { delay, then } => {
                tokio::time::sleep(delay).await;
                *then
            }
            Reply::Held { gate, then } => {
                gate.passed().await;
                *then
            }
            reply => return answer(&request, &reply),
        };
    }
}

fn record(shared: &Shared, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> (ChatRequest, Reply) {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let mut recorded = shared.recorded();
    let body = serde_json::from_slice(body).unwrap_or(Value::Null);
    let request = ChatRequest { index: recorded.len(), headers, body };
    let reply = shared.script.reply(&request);
    recorded.push(Recorded { at: Instant::now(), path: uri.to_string(), request: request.clone() });
    meter(shared, &request, &reply);
    shared.count.send_replace(recorded.len());
    (request, reply)
}

fn meter(shared: &Shared, request: &ChatRequest, reply: &Reply) {
    let mut ledger = shared.ledger();
    if reply.is_refusal() {
        ledger.refused += 1;
    } else {
        let (input, output) = billed(request, reply);
        ledger.answered += 1;
        ledger.input_tokens += input;
        ledger.output_tokens += output;
    }
}

/// What a reply's `usage` says, or the server's own count where it says nothing.
fn billed(request: &ChatRequest, reply: &Reply) -> (u64, u64) {
    let told = reply.usage();
    let told = |field: &str| told.and_then(|usage| usage[field].as_u64());
    match (told("prompt_tokens"), told("completion_tokens")) {
        (Some(input), Some(output)) => (input, output),
        _ => (request.tokens(), output_tokens(request, reply)),
    }
}

fn output_tokens(request: &ChatRequest, reply: &Reply) -> u64 {
    let (text, calls) = reply.content(request);
    tokens(text.len() + calls.iter().map(|(name, arguments)| name.len() + arguments.to_string().len()).sum::<usize>())
}

fn answer(request: &ChatRequest, reply: &Reply) -> Response<Body> {
    match reply {
        Reply::Raw { status, headers, body } => respond(*status, headers, body.clone().into()),
        Reply::Endless => endless(request),
        Reply::Cut(whole) => {
            let (kind, text) = whole_body(request, whole);
            let half = Bytes::from(text[..text.floor_char_boundary(text.len() / 2)].to_owned());
            let pieces = [Ok(half), Err(io::Error::other("cut"))];
            respond(200, &[(header::CONTENT_TYPE.to_string(), kind.into())], Body::from_stream(stream::iter(pieces)))
        }
        reply => {
            let (kind, text) = whole_body(request, reply);
            respond(200, &[(header::CONTENT_TYPE.to_string(), kind.into())], text.into())
        }
    }
}

fn respond(status: u16, headers: &[(String, String)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a header's name");
        response.headers_mut().insert(name, value.parse().expect("a header's value"));
    }
    response
}

fn endless(request: &ChatRequest) -> Response<Body> {
    let piece = if request.is_stream() {
        format!("data: {}\n\n", chunk(&json!({"content": "and so on "}), &Value::Null))
    } else {
        " ".repeat(4_096)
    };
    let kind = if request.is_stream() { "text/event-stream" } else { "application/json" };
    let pieces = stream::repeat_with(move || Ok::<_, io::Error>(Bytes::from(piece.clone())));
    respond(200, &[(header::CONTENT_TYPE.to_string(), kind.into())], Body::from_stream(pieces))
}

fn whole_body(request: &ChatRequest, reply: &Reply) -> (&'static str, String) {
    let (text, calls) = reply.content(request);
    let usage = match reply {
        Reply::Metered { usage, .. } => usage.clone(),
        _ => usage(request.tokens(), output_tokens(request, reply)),
    };
    let calls: Vec<Value> = calls.iter().enumerate().map(|(n, call)| wire_call(request, n, call)).collect();
    if request.is_stream() {
        ("text/event-stream", events(request, &text, &calls, &usage))
    } else {
        ("application/json", plain(request, &text, &calls, usage))
    }
}

fn usage(input: u64, output: u64) -> Value {
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}

fn wire_call(request: &ChatRequest, n: usize, (name, arguments): &(String, Value)) -> Value {
    // A string is sent as it is, so that a script can say what is no JSON.
    let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
    let id = format!("call_{}_{n}", request.index());
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn plain(request: &ChatRequest, text: &str, calls: &[Value], usage: Value) -> String {
    let mut message = json!({"role": "assistant", "content": text});
    if !calls.is_empty() {
        message = json!({"role": "assistant", "content": null, "tool_calls": calls});
    }
    let mut body = json!({
        "id": format!("chatcmpl-{}", request.index()),
        "object": "chat.completion",
        "model": request.model(),
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(calls)}],
    });
    if !usage.is_null() {
        body["usage"] = usage;
    }
    body.to_string()
}

fn finish_reason(calls: &[Value]) -> &'static str {
    if calls.is_empty() { "stop" } else { "tool_calls" }
}

fn events(request: &ChatRequest, text: &str, calls: &[Value], usage: &Value) -> String {
    let mut chunks = vec![chunk(&json!({"role": "assistant", "content": ""}), &Value::Null)];
    for piece in pieces(text) {
        chunks.push(chunk(&json!({"content": piece}), &Value::Null));
    }
    for (n, call) in calls.iter().enumerate() {
        let name = &call["function"]["name"];
        let begin =
            json!({"index": n, "id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}});
        chunks.push(chunk(&json!({"tool_calls": [begin]}), &Value::Null));
        for piece in pieces(call["function"]["arguments"].as_str().unwrap_or_default()) {
            let more = json!({"index": n, "function": {"arguments": piece}});
            chunks.push(chunk(&json!({"tool_calls": [more]}), &Value::Null));
        }
    }
    chunks.push(chunk(&json!({}), &finish_reason(calls).into()));
    if request.body()["stream_options"]["include_usage"] == true && !usage.is_null() {
        chunks.push(json!({"object": "chat.completion.chunk", "choices": [], "usage": usage}));
    }
    let mut events: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    events.push("data: [DONE]\n\n".into());
    events.concat()
}

fn chunk(delta: &Value, finish_reason: &Value) -> Value {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    json!({"object": "chat.completion.chunk", "choices": [choice]})
}

fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(PIECE_CHARS.max(chars.len() / 200)).map(|piece| piece.iter().collect()).collect()
}
