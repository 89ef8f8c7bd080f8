//! API Gateway's events and answers, payload format 2.0.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ids;

/// Content types whose body comes as text; any other comes in base64.
const TEXT: [&str; 3] = ["application/json", "application/xml", "application/javascript"];

/// What a route found in the request.
pub(super) struct Matched<'a> {
    pub key: &'a str,
    pub parameters: BTreeMap<String, String>,
    pub now_ms: u64,
}

/// The event for a request. The path stays as it came, encoded.
pub(super) fn event(parts: &Parts, body: &Bytes, matched: &Matched<'_>) -> Value {
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": matched.key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(&parts.headers),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": "127.0.0.1",
                "userAgent": agent,
            },
            "requestId": ids::uuid(),
            "routeKey": matched.key,
            "stage": "$default",
            "time": log_time(matched.now_ms),
            "timeEpoch": matched.now_ms,
        },
        "isBase64Encoded": false,
    });
    let cookies = cookies(&parts.headers);
    let found = [
        ("cookies", (!cookies.is_empty()).then(|| json!(cookies))),
        ("queryStringParameters", (!query.is_empty()).then(|| json!(parameters(query)))),
        ("pathParameters", (!matched.parameters.is_empty()).then(|| json!(matched.parameters))),
    ];
    for (name, value) in found {
        if let Some(value) = value {
            event[name] = value;
        }
    }
    if !body.is_empty() {
        let text = is_text(&parts.headers).then(|| std::str::from_utf8(body).ok()).flatten();
        event["isBase64Encoded"] = text.is_none().into();
        event["body"] = text.map_or_else(|| STANDARD.encode(body), ToOwned::to_owned).into();
    }
    event
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("text/plain");
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/") || TEXT.contains(&kind.as_str())
}

/// Headers by lowercase name; values of one name are joined by commas. Cookies come apart.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut joined = Map::new();
    for name in headers.keys().filter(|name| *name != COOKIE) {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        joined.insert(name.as_str().to_owned(), values.collect::<Vec<_>>().join(",").into());
    }
    joined
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).map(|cookie| cookie.trim().to_owned()).collect()
}

/// Query parameters, decoded; values of one name are joined by commas.
fn parameters(query: &str) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name), decode(value));
        joined
            .entry(name)
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    joined
}

fn decode(text: &str) -> String {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// `21/Nov/2026:05:20:19 +0000`
fn log_time(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.unwrap_or_default().strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

/// A function's answer, as it may come.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// The response for an answer. An answer without `statusCode` is itself the body, with status 200; one that is broken
/// gives `None`.
pub(super) fn response(answer: &[u8]) -> Option<http::Response<Bytes>> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    if value.get("statusCode").is_none() {
        let mut response = http::Response::new(Bytes::copy_from_slice(answer));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Some(response);
    }
    let answer: Answer = serde_json::from_value(value).ok()?;
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded { STANDARD.decode(body).ok()?.into() } else { Bytes::from(body) };
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(answer.status_code).ok()?;
    for (name, value) in answer.headers.unwrap_or_default() {
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        response.headers_mut().append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    for cookie in answer.cookies.unwrap_or_default() {
        response.headers_mut().append(SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    Some(response)
}
