//! The API as a client meets it: submitting once, looking on, files, ending and trying again.

use std::time::{Duration, Instant};

use convoke_tests::scripted::{ByRole, Gate, Reply};
use convoke_tests::served::{Answer, Served};
use reqwest::Method;
use serde_json::{Value, json};

/// A flow of so many steps in a row, each with a file.
pub fn chain(steps: usize) -> Value {
    let node = |n: usize| {
        let needs: Vec<String> = if n == 0 { Vec::new() } else { vec![format!("s{}", n - 1)] };
        json!({"kind": "agent", "id": format!("s{n}"), "needs": needs, "agent": "writer", "task": {
            "description": format!("Write part {n}."), "expected_output": "A line.", "output_file": format!("parts/{n}.txt")
        }})
    };
    json!({
        "name": "chain",
        "agents": {"writer": {"role": "Writer", "goal": "Lines", "backstory": "You write lines."}},
        "nodes": (0..steps).map(node).collect::<Vec<_>>()
    })
}

fn parts() -> ByRole {
    ByRole::new().say("Write part 0.", [Reply::text("zero")]).say("Write part 1.", [Reply::text("one")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_and_body_make_one_job() {
    let served = Served::start(parts()).await;
    let submit = async |body: &str| {
        let request = served.request(Method::POST, "/v1/jobs").header("idempotency-key", "order-66");
        Answer::of(request.header("content-type", "application/json").body(body.to_owned())).await
    };
    let first = submit(&json!({"flow": chain(2), "input": {}, "labels": {"a": "b"}}).to_string()).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, None), "{}", first.text());
    let id = first.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(first.header("location"), Some(format!("/v1/jobs/{id}").as_str()));

    let again = submit(&json!({"labels": {"a": "b"}, "input": {}, "flow": chain(2)}).to_string()).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, Some("true")));
    assert_eq!(again.json(), first.json());
    assert_eq!(
        submit(&json!({"flow": chain(1), "input": {}}).to_string()).await.problem(422),
        "idempotency_key_reused"
    );

    let job = served.ended(&id).await;
    assert_eq!(job["status"], "completed");
    let listed = served.get("/v1/jobs").await.json();
    assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(1), "{listed:#}");
    assert_eq!(served.models.requests().len(), 2);
    let late = submit(&json!({"flow": chain(2), "input": {}, "labels": {"a": "b"}}).to_string()).await;
    assert_eq!(late.json()["id"], *id, "the key holds after the end, too");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_can_be_watched() {
    let served = Served::start(parts()).await;
    let job = served.run(&json!({"flow": chain(2), "input": {}, "labels": {"team": "a"}})).await;
    let id = job["id"].as_str().expect("an id").to_owned();
    insta::assert_json_snapshot!("a_job_that_has_ended", without_what_changes(job, &id));
    let steps = served.get(&format!("/v1/jobs/{id}/steps")).await.json();
    insta::assert_json_snapshot!("the_steps_of_a_job", without_what_changes(steps, &id));
    let step = served.step(&id, "s1").await;
    assert_eq!((&step["state"], &step["output"]), (&json!("completed"), &json!("one")), "{step:#}");
    assert_eq!(step["journal"][0]["answer"]["text"], "one");
    served.get(&format!("/v1/jobs/{id}/steps/s9")).await.problem(404);

    let events = served.get(&format!("/v1/jobs/{id}/events")).await.json();
    insta::assert_json_snapshot!("the_events_of_a_job", without_what_changes(events.clone(), &id));
    let all = events["events"].as_array().expect("a list").clone();
    for after in [0, 2, all.len() - 1] {
        let rest = served.get(&format!("/v1/jobs/{id}/events?after={after}&limit=2&wait_s=20")).await.json();
        let expected = &all[after..all.len().min(after + 2)];
        assert_eq!(rest["events"].as_array().map(Vec::as_slice), Some(expected));
    }
    let nothing = served.get(&format!("/v1/jobs/{id}/events?after={}&wait_s=20", all.len())).await.json();
    assert_eq!((&nothing["events"], &nothing["ended"]), (&json!([]), &json!(true)));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_as_a_stream_and_go_on_after_the_last_one_that_was_seen() {
    let gate = Gate::closed();
    let script = ByRole::new().say("part 0", [Reply::text("zero")]).say("part 1", [Reply::text("one").held(&gate)]);
    let served = Served::start(script).await;
    let id = served.submit(&json!({"flow": chain(2), "input": {}})).await;
    let path = format!("/v1/jobs/{id}/events");
    let open = async |last: Option<&str>, query: &str| {
        let request = served.request(Method::GET, &format!("{path}{query}")).header("accept", "text/event-stream");
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        request.send().await.expect("a stream")
    };
    // Reads until the first step is done, and breaks off.
    let mut first = open(None, "?snapshot=true").await;
    assert_eq!(first.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while !text.contains("step.completed") {
        let piece = first.chunk().await.expect("a piece");
        let piece = piece.unwrap_or_else(|| panic!("the stream ends: {text}"));
        text.push_str(std::str::from_utf8(&piece).expect("text"));
    }
    drop(first);
    let seen = messages(&text);
    assert_eq!((seen[0].0.as_str(), seen[0].1.as_str()), ("", "snapshot"));
    assert_eq!(seen[0].2["id"], *id);
    let last = seen.last().expect("events").0.clone();
    gate.open();
    let rest = open(Some(&last), "").await.text().await.expect("all until the end");
    let streamed: Vec<(String, String, Value)> = seen.into_iter().skip(1).chain(messages(&rest)).collect();
    let told = served.get(&path).await.json()["events"].as_array().expect("a list").clone();
    assert_eq!(streamed.len(), told.len());
    for ((seq, name, data), event) in streamed.iter().zip(&told) {
        assert_eq!(
            (seq.as_str(), name.as_str()),
            (event["seq"].to_string().as_str(), event["type"].as_str().expect("a type"))
        );
        assert_eq!(data, event);
    }
    let end = streamed.last().expect("events").0.as_str();
    assert_eq!(open(Some(end), "").await.status().as_u16(), 204, "who has had the last one needn't come again");
    let wrong = served.request(Method::GET, &path).header("accept", "text/event-stream").header("last-event-id", "x");
    assert_eq!(Answer::of(wrong).await.problem(400), "malformed_request");
    served.stop().await;
}

/// Number, name and data of each message; comments are left out.
fn messages(stream: &str) -> Vec<(String, String, Value)> {
    let blocks = stream.split("\n\n").filter(|block| block.lines().any(|line| line.starts_with("data: ")));
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().to_owned()
    };
    let message = |block: &str| {
        let data = serde_json::from_str(&field(block, "data: ")).expect("json");
        (field(block, "id: "), field(block, "event: "), data)
    };
    blocks.map(message).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "how long an answer takes is what is measured")]
async fn a_presigned_url_opens_one_file_for_a_while() {
    let served = Served::with(parts(), &[("CONVOKE_PRESIGN_S", "2")]).await;
    let job = served.run(&json!({"flow": chain(2), "input": {}})).await;
    let path = format!("/v1/jobs/{}/artifacts/parts/0.txt", job["id"].as_str().expect("an id"));
    let redirect = served.get(&path).await;
    assert_eq!((redirect.status, redirect.header("cache-control")), (302, Some("no-store")));
    assert!(redirect.header("location").is_some_and(|url| url.starts_with("http://127.0.0.1:")));

    let open = async |url: &str| Answer::of(reqwest::Client::new().get(url)).await;
    let (mut url, mut opened) = (String::new(), false);
    for _ in 0..10 {
        let handed = served.get(&format!("{path}?redirect=false")).await.json();
        url = handed["url"].as_str().expect("a URL").to_owned();
        assert!(handed["expires_at"].is_string() && handed["sha256"].is_string(), "{handed}");
        let file = open(&url).await;
        if file.status == 200 {
            assert_eq!(
                (file.text().as_str(), file.header("content-type")),
                ("zero\n", Some("text/plain; charset=utf-8"))
            );
            opened = true;
            break;
        }
    }
    assert!(opened, "no URL opened within two seconds of its making");
    let (signed, signature) = url.split_once("X-Amz-Signature=").expect("a signature");
    let other = if signature.starts_with('0') { "1" } else { "0" };
    assert_eq!(open(&format!("{signed}X-Amz-Signature={other}{}", &signature[1..])).await.status, 403);
    assert_eq!(open(&url.replace("X-Amz-Expires=2", "X-Amz-Expires=900")).await.status, 403);
    assert_eq!(Answer::of(reqwest::Client::new().put(&url).body("mine")).await.status, 403);

    let begun = Instant::now();
    while open(&url).await.status != 403 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the URL never expires");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_job_delivers_what_it_has_and_can_be_tried_again() {
    let gate = Gate::closed();
    let script = ByRole::new().say("part 0", [Reply::text("zero")]).say("part 1", [Reply::text("one").held(&gate)]);
    let served = Served::start(script).await;
    let id = served.submit(&json!({"flow": chain(3), "input": {}})).await;
    served.models.asked(2).await;
    let path = format!("/v1/jobs/{id}");
    assert_eq!(served.get(&format!("{path}/result")).await.problem(409), "job_not_ended");
    assert_eq!(served.get(&format!("{path}/artifacts/parts/0.txt")).await.problem(409), "job_not_ended");
    assert_eq!(served.post(&format!("{path}/retry"), &json!({})).await.problem(409), "job_not_ended");
    for _ in 0..2 {
        let cancelled = served.post(&format!("{path}/cancel"), &json!({})).await;
        assert_eq!((cancelled.status, &cancelled.json()["id"]), (202, &json!(id)), "{}", cancelled.text());
    }
    assert_eq!(served.get(&path).await.json()["ending"], true);
    gate.open();
    let job = served.ended(&id).await;
    assert_eq!((&job["status"], &job["stop_reason"]), (&json!("cancelled"), &json!("cancelled")), "{job:#}");
    assert_eq!(served.text(&id, "parts/0.txt").await, "zero\n");
    assert!(served.text(&id, "REPORT.md").await.contains("cancelled"));
    assert_eq!(job["cost"], served.billed(), "the call that was under way is paid");
    assert_eq!(served.post(&format!("{path}/cancel"), &json!({})).await.problem(409), "job_already_ended");

    let wrong = served.post(&format!("{path}/retry"), &json!({"budget": {"usd": "0"}})).await;
    assert_eq!((wrong.problem(422), wrong.places()), ("invalid_request".to_owned(), vec!["budget.usd".to_owned()]));
    let before = served.models.requests().len();
    let retried = served.request(Method::POST, &format!("{path}/retry")).header("idempotency-key", "again");
    let retried = Answer::of(retried).await;
    assert_eq!(retried.status, 202, "{}", retried.text());
    let second = retried.json()["id"].as_str().expect("an id").to_owned();
    assert_ne!(second, id);
    let refused = served.ended(&second).await;
    assert_eq!((&refused["parent"], &refused["status"]), (&json!(id), &json!("failed")), "nobody answers part 2");
    assert_eq!(refused["stop_reason"], "model_unavailable", "{refused:#}");
    let asked: Vec<String> =
        served.models.requests()[before..].iter().map(|r| r.request.last_user().to_owned()).collect();
    assert!(
        !asked.iter().any(|prompt| prompt.contains("Write part 0.")),
        "what counts isn't asked for again: {asked:?}"
    );
    assert_eq!(served.text(&second, "parts/0.txt").await, "zero\n");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_another_tenant_is_not_there() {
    let served = Served::start(parts()).await;
    let job = served.run(&json!({"flow": chain(2), "input": {}})).await;
    let id = job["id"].as_str().expect("an id");
    let stranger = served.key_of("stranger").await;
    let routes = [
        (Method::GET, ""),
        (Method::GET, "/steps"),
        (Method::GET, "/steps/s0"),
        (Method::GET, "/events"),
        (Method::GET, "/result"),
        (Method::GET, "/artifacts"),
        (Method::GET, "/artifacts/parts/0.txt"),
        (Method::GET, "/archive"),
        (Method::POST, "/cancel"),
        (Method::POST, "/retry"),
    ];
    for (method, rest) in routes {
        let path = format!("/v1/jobs/{id}{rest}");
        let foreign = Answer::of(served.anonymous(method.clone(), &path).bearer_auth(&stranger)).await;
        let unknown = path.replace(id, "01KAJ0X5T3ZQ4V8N2M6R7W9YBC");
        let unknown = Answer::of(served.request(method.clone(), &unknown)).await;
        assert_eq!(foreign.problem(404), "job_not_found", "{method} {path}");
        assert_eq!(unknown.problem(404), "job_not_found", "{method} {path}");
        let sse = served.anonymous(method, &path).bearer_auth(&stranger).header("accept", "text/event-stream");
        assert_eq!(Answer::of(sse).await.problem(404), "job_not_found", "{path}");
        assert_eq!(Answer::of(served.anonymous(Method::GET, &path)).await.status / 100, 4);
    }
    let listed = Answer::of(served.anonymous(Method::GET, "/v1/jobs").bearer_auth(&stranger)).await.json();
    assert_eq!(listed["jobs"], json!([]));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_with_a_job_by_uploads() {
    let script = ByRole::new().say("Sum up", [Reply::text("a summary")]);
    let served = Served::start(script).await;
    let announced = served.post("/v1/uploads", &json!({"name": "notes.md", "bytes": 11})).await;
    assert_eq!(announced.status, 201, "{}", announced.text());
    let upload = announced.json();
    let task = json!({"description": "Sum up: {% for file in input.files %}{{ file.name }}: {{ file.text }}{% endfor %}",
                      "expected_output": "A text."});
    let flow = json!({
        "name": "sum",
        "nodes": [{"kind": "agent", "id": "sum", "task": task, "agent": {"role": "r", "goal": "g", "backstory": "b"}}]
    });
    let submission = json!({"flow": flow, "input": {"files": [upload["id"]]}});
    let early = served.post("/v1/jobs", &submission).await;
    assert_eq!((early.problem(422), early.places()), ("invalid_input".to_owned(), vec!["input.files[0]".to_owned()]));

    let put = reqwest::Client::new().put(upload["url"].as_str().expect("a URL"));
    let put = put.header("content-type", upload["headers"]["content-type"].as_str().expect("a type"));
    assert_eq!(Answer::of(put.body("hello there")).await.status, 200);
    let job = served.run(&submission).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    assert!(served.models.requests()[0].request.last_user().starts_with("Sum up: notes.md: hello there\n"));
    served.stop().await;
}

/// Puts fixed texts where ids, times and the model's port stand.
fn without_what_changes(mut value: Value, id: &str) -> Value {
    fn walk(value: &mut Value, id: &str) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    if name == "at" || name.ends_with("_at") {
                        *field = json!("(time)");
                    }
                    walk(field, id);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, id)),
            Value::String(text) => *text = text.replace(id, "(id)"),
            _ => {}
        }
    }
    walk(&mut value, id);
    value
}
