//! First events of the functions: what Lambda sends, about jobs that don't exist.

use serde_json::{Value, json};

const JOB: &str = "01KAJ0X5T3ZQ4V8N2M6R7W9YBC";

/// An event of a function that makes it call AWS.
pub fn of(function: &str, key: &str) -> Value {
    match function {
        "submit" => request("POST", "/v1/jobs", key),
        "status" => request("GET", &format!("/v1/jobs/{JOB}"), key),
        "artifacts" => request("GET", &format!("/v1/jobs/{JOB}/artifacts"), key),
        "control" => request("POST", &format!("/v1/jobs/{JOB}/cancel"), key),
        "step" => message(&json!({"v": 1, "tenant": "acme", "job": JOB, "group": "J", "slot": "0"})),
        "deliver" => message(&json!({"v": 1, "tenant": "acme", "job": JOB, "target": format!("wh_{JOB}")})),
        "notify" => json!({"Records": []}),
        "clock" => json!({
            "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "123456789012", "time": "2026-11-21T16:53:06Z", "region": "us-east-1", "resources": [],
            "detail": {}
        }),
        other => panic!("no function {other}"),
    }
}

/// A message of a queue, alone.
fn message(body: &Value) -> Value {
    json!({"Records": [{
        "messageId": "1", "receiptHandle": "r", "attributes": {}, "messageAttributes": {}, "md5OfBody": "",
        "body": body.to_string(), "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:1:queue",
        "awsRegion": "us-east-1"
    }]})
}

/// A request as an HTTP API hands it on.
fn request(method: &str, path: &str, key: &str) -> Value {
    let headers = json!({"authorization": format!("Bearer {key}"), "content-type": "application/json", "host": "x"});
    sent(method, path, &headers, "{}")
}

/// The same with headers and a body.
pub fn sent(method: &str, path: &str, headers: &Value, body: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "1", "apiId": "x", "domainName": "x", "domainPrefix": "x", "requestId": "1",
            "routeKey": "$default", "stage": "$default", "time": "21/Nov/2026:16:53:06 +0000",
            "timeEpoch": 1_795_280_000_000_u64,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "x"}
        },
        "body": body, "isBase64Encoded": false
    })
}
