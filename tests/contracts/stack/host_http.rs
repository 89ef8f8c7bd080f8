//! The host's HTTP source: what a request is as an event, and what becomes of an answer.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Path};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{get, post};
use convoke::host::{Function, HandlerError, Host, HostBuilder, HttpOptions, Route};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::rig::{Rig, Way};

struct Served {
    rig: Rig,
    host: Host,
    url: String,
    http: reqwest::Client,
}

async fn serve(functions: HostBuilder, routes: &[(&str, &str)]) -> Served {
    let rig = Rig::start(Way::InProcess).await;
    let routes = routes.iter().map(|(key, function)| Route::new(key, function).unwrap()).collect();
    let host = functions.http(HttpOptions { port: 0, routes }).start(&rig.stack, &rig.clients).await.unwrap();
    let url = host.url().unwrap();
    Served { rig, host, url, http: reqwest::Client::new() }
}

/// Answers with the event it got.
fn echo() -> Function {
    Function::new("echo", |event, _| async move {
        Ok::<_, HandlerError>(json!({"statusCode": 200, "body": event.to_string()}))
    })
}

async fn event_of(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_request_becomes_the_event_that_api_gateway_sends() {
    let served = serve(Host::builder().function(echo()), &[("POST /v1/jobs/{id}/files/{path+}", "echo")]).await;
    let url = format!("{}/v1/jobs/a%20b/files/src%2Fmain.rs?x=1&x=2&y=a+b%26c", served.url);
    let request = served.http.post(url).header("X-Many", "one").header("X-Many", "two").header("Cookie", "a=1; b=2");
    let event = event_of(request.header("content-type", "application/json; charset=utf-8").body("{\"ü\":1}")).await;
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "POST /v1/jobs/{id}/files/{path+}");
    assert_eq!(event["rawPath"], "/v1/jobs/a%20b/files/src%2Fmain.rs");
    assert_eq!(event["rawQueryString"], "x=1&x=2&y=a+b%26c");
    assert_eq!(event["queryStringParameters"], json!({"x": "1,2", "y": "a b&c"}));
    assert_eq!(event["pathParameters"], json!({"id": "a b", "path": "src/main.rs"}));
    assert_eq!(event["headers"]["x-many"], "one,two");
    assert_eq!(event["headers"].get("cookie"), None);
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{\"ü\":1}"), &json!(false)));
    let context = &event["requestContext"];
    assert_eq!(context["stage"], "$default");
    assert_eq!(context["http"]["method"], "POST");
    assert_eq!(context["http"]["path"], "/v1/jobs/a%20b/files/src%2Fmain.rs");
    assert_eq!(context["http"]["protocol"], "HTTP/1.1");
    assert_eq!(context["timeEpoch"], crate::rig::START_MS);
    assert_eq!(context["time"], "01/Jan/2026:00:00:00 +0000");
    let parsed: aws_lambda_events::apigw::ApiGatewayV2httpRequest = serde_json::from_value(event).unwrap();
    assert_eq!(parsed.request_context.http.method, "POST");
}

#[tokio::test]
async fn a_binary_body_comes_in_base64() {
    let served = serve(Host::builder().function(echo()), &[("PUT /upload", "echo")]).await;
    let request = |kind: &'static str, body: &'static [u8]| {
        event_of(served.http.put(format!("{}/upload", served.url)).header("content-type", kind).body(body))
    };
    let image = request("image/png", b"\x89PNG").await;
    assert_eq!((&image["body"], &image["isBase64Encoded"]), (&json!("iVBORw=="), &json!(true)));
    let odd = request("text/plain", b"\xff").await;
    assert_eq!((&odd["body"], &odd["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
    let none = event_of(served.http.put(format!("{}/upload", served.url))).await;
    assert_eq!((none.get("body"), &none["isBase64Encoded"]), (None, &json!(false)));
}

#[tokio::test]
async fn an_answer_becomes_the_response() {
    let functions = Host::builder()
        .function(Function::new("whole", |_, _| async {
            let headers = json!({"content-type": "image/png", "x-number": 7});
            let cookies = ["a=1", "b=2"];
            let body = "iVBORw==";
            Ok::<_, Infallible>(json!({
                "statusCode": 201, "headers": headers, "cookies": cookies, "body": body, "isBase64Encoded": true
            }))
        }))
        .function(Function::new("bare", |_, _| async { Ok::<_, Infallible>(json!({"some": "thing"})) }))
        .function(Function::new("broken", |_, _| async { Ok::<_, Infallible>(json!({"statusCode": "what"})) }))
        .function(Function::new("failing", |_, _| async { Err::<Value, _>(HandlerError::from("no")) }));
    let routes =
        [("GET /whole", "whole"), ("GET /bare", "bare"), ("GET /broken", "broken"), ("GET /failing", "failing")];
    let served = serve(functions, &routes).await;
    let get = |path: &str| served.http.get(format!("{}{path}", served.url)).send();
    let whole = get("/whole").await.unwrap();
    assert_eq!((whole.status().as_u16(), &whole.headers()["x-number"]), (201, &"7".parse().unwrap()));
    assert_eq!(whole.headers().get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(whole.bytes().await.unwrap(), b"\x89PNG"[..]);
    let bare = get("/bare").await.unwrap();
    assert_eq!((bare.status().as_u16(), bare.text().await.unwrap().as_str()), (200, r#"{"some":"thing"}"#));
    for (path, status) in [("/broken", 500), ("/failing", 500), ("/absent", 404)] {
        let answer = get(path).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert!(answer.text().await.unwrap().starts_with(r#"{"message":"#), "{path}");
    }
}

fn router() -> Router {
    let path = |OriginalUri(uri): OriginalUri, Path(id): Path<String>, headers: HeaderMap| async move {
        let host = headers["host"].to_str().unwrap_or_default().to_owned();
        let cookies = AppendHeaders([("set-cookie", "a=1"), ("set-cookie", "b=2")]);
        (
            StatusCode::ACCEPTED,
            cookies,
            format!("{} {} {id} {}", uri.path(), uri.query().unwrap_or("-"), host.is_empty()),
        )
    };
    let reversed = |body: Bytes| async move {
        let body: Vec<u8> = body.iter().rev().copied().collect();
        ([("content-type", "application/octet-stream")], body).into_response()
    };
    Router::new().route("/v1/jobs/{id}", get(path)).route("/reversed", post(reversed))
}

#[tokio::test]
async fn a_router_answers_through_the_events_as_on_lambda() {
    let functions = Host::builder().function(Function::http("api", router()));
    let served = serve(functions, &[("ANY /{proxy+}", "api")]).await;
    let answer = served.http.get(format!("{}/v1/jobs/a%2Fb%20c?x=1&x=%20", served.url)).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
    assert_eq!(answer.text().await.unwrap(), "/v1/jobs/a%2Fb%20c x=1&x=%20 a/b c false");
    let post = served.http.post(format!("{}/reversed", served.url)).body(vec![0, 159, 146, 150]);
    assert_eq!(post.send().await.unwrap().bytes().await.unwrap(), [150, 146, 159, 0][..]);
}

#[tokio::test]
async fn a_streaming_function_sends_each_piece_at_once_and_ends_with_the_host() {
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let events = move || {
        let waits = Arc::clone(&waits);
        async move {
            let pieces = futures_util::stream::unfold(0, move |number: u32| {
                let waits = Arc::clone(&waits);
                async move {
                    if number > 0 {
                        waits.notified().await;
                    }
                    Some((Ok::<_, Infallible>(format!("id: {number}\n\n")), number + 1))
                }
            });
            ([("content-type", "text/event-stream")], Body::from_stream(pieces))
        }
    };
    let functions =
        Host::builder().function(Function::http_streaming("events", Router::new().route("/events", get(events))));
    let served = serve(functions, &[("GET /events", "events")]).await;
    let mut answer = served.http.get(format!("{}/events", served.url)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "id: 0\n\n");
    go_on.notify_one();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "id: 1\n\n");
    assert_eq!(served.host.in_flight(), 1);
    let (rest, ()) = tokio::join!(answer.chunk(), served.host.shutdown());
    assert_eq!(rest.unwrap(), None);
    served.rig.stack.shutdown().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_413_and_a_long_head_with_431() {
    let served = serve(Host::builder().function(echo()), &[("POST /", "echo")]).await;
    let post = |body: Vec<u8>| served.http.post(format!("{}/", served.url)).body(body).send();
    assert_eq!(post(vec![b'x'; 7 * 1_024 * 1_024]).await.unwrap().status(), 413);
    // In base64 it is a third larger, and then too large.
    assert_eq!(post(vec![0xff; 5 * 1_024 * 1_024]).await.unwrap().status(), 413);
    let pieces = futures_util::stream::iter((0..7).map(|_| Ok::<_, Infallible>(vec![b'x'; 1_024 * 1_024])));
    let unannounced = served.http.post(format!("{}/", served.url)).body(reqwest::Body::wrap_stream(pieces));
    assert_eq!(unannounced.send().await.unwrap().status(), 413);
    let head = served.http.post(format!("{}/", served.url)).header("x-long", "x".repeat(10_240));
    assert_eq!(head.send().await.unwrap().status(), 431);
    assert_eq!(post(vec![b'x'; 1_024]).await.unwrap().status(), 200);
}
