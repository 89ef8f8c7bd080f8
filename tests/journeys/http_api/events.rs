//! Events: as JSON, waited for, and as a stream.

use std::time::Duration;

use convoke_app::ports::{EventKind, Events};
use convoke_domain::ids::{GroupId, JobKey};
use convoke_domain::status::{JobStatus, StopReason};
use serde_json::json;

use super::api::{Answer, Api, NOW_MS};

async fn happen(api: &Api, key: &JobKey, ver: u64, kinds: Vec<EventKind>) {
    api.table.append(key, &[(GroupId::Root, ver, NOW_MS, kinds)]).await.expect("appended");
}

fn ended() -> EventKind {
    EventKind::Ended { status: JobStatus::Completed, stop_reason: StopReason::Completed }
}

async fn stream(api: &Api, path: &str, last: Option<&str>) -> Answer {
    let mut headers = vec![("accept", "text/event-stream")];
    headers.extend(last.map(|last| ("last-event-id", last)));
    api.send(api.request("GET", path, &headers, None)).await
}

#[tokio::test]
async fn events_are_numbered_and_paged() {
    let api = Api::new().await;
    let key = api.submit_one().await;
    let url = format!("/v1/jobs/{}/events", key.job);
    assert_eq!(api.get(&url).await.json(), json!({"events": [], "next_after": 0, "ended": false}));
    happen(&api, &key, 1, vec![EventKind::Submitted, EventKind::Working]).await;
    happen(&api, &key, 2, vec![EventKind::StepStarted { step: "write".into(), attempt: 1 }]).await;
    let page = api.get(&format!("{url}?limit=2")).await.json();
    assert_eq!((&page["next_after"], &page["ended"]), (&json!(2), &json!(false)));
    let page = api.get(&format!("{url}?after=2")).await.json();
    let event = json!({
        "seq": 3, "at": "2026-11-21T00:00:00.000Z", "type": "step.started", "step": "write", "attempt": 1
    });
    assert_eq!(page, json!({"events": [event], "next_after": 3, "ended": false}));
    happen(&api, &key, 3, vec![ended()]).await;
    let page = api.get(&format!("{url}?after=3")).await.json();
    assert_eq!((&page["events"][0]["stop_reason"], &page["ended"]), (&json!("completed"), &json!(true)));
    assert_eq!(api.get(&format!("{url}?after=4")).await.json(), json!({"events": [], "next_after": 4, "ended": true}));
}

#[tokio::test]
async fn a_caller_waits_no_longer_than_asked_and_not_at_all_for_what_is_over() {
    let api = Api::new().await;
    let key = api.submit_one().await;
    let url = format!("/v1/jobs/{}/events", key.job);
    api.get(&url).await;
    assert_eq!(api.sleeper.waited(), Duration::ZERO);
    assert_eq!(api.get(&format!("{url}?wait_s=7")).await.json()["events"], json!([]));
    assert_eq!(api.sleeper.waited(), Duration::from_secs(7));
    happen(&api, &key, 1, vec![ended()]).await;
    api.get(&format!("{url}?wait_s=20")).await;
    api.get(&format!("{url}?wait_s=20&after=1")).await;
    assert_eq!(api.sleeper.waited(), Duration::from_secs(7));
}

#[tokio::test]
async fn behind_a_host_that_buffers_a_stream_comes_in_pieces() {
    let api = Api::new().await;
    let key = api.submit_one().await;
    let url = format!("/v1/jobs/{}/events", key.job);
    let silent = stream(&api, &url, None).await;
    assert_eq!((silent.text().as_str(), api.sleeper.waited()), ("retry: 1000\n\n", Duration::from_secs(20)));
    happen(&api, &key, 1, vec![EventKind::Submitted]).await;
    happen(&api, &key, 2, vec![EventKind::Working]).await;
    let piece = stream(&api, &url, None).await;
    assert_eq!((piece.status.as_u16(), piece.header("content-type")), (200, "text/event-stream"));
    let first = "retry: 1000\n\nid: 1\nevent: job.submitted\n\
                 data: {\"seq\":1,\"at\":\"2026-11-21T00:00:00.000Z\",\"type\":\"job.submitted\"}\n\nid: 2\n";
    assert!(piece.text().starts_with(first), "{}", piece.text());
    let resumed = stream(&api, &url, Some("1")).await.text();
    assert!(resumed.contains("id: 2\n") && !resumed.contains("id: 1\n"), "{resumed}");
    happen(&api, &key, 3, vec![ended()]).await;
    assert!(stream(&api, &url, Some("2")).await.text().contains("event: job.ended\n"));
    let over = stream(&api, &url, Some("3")).await;
    assert_eq!((over.status.as_u16(), over.text().as_str()), (204, ""), "don't come again");
}

#[tokio::test]
async fn a_snapshot_comes_first_and_once() {
    let api = Api::new().await;
    let key = api.submit_one().await;
    let url = format!("/v1/jobs/{}/events?snapshot=true", key.job);
    happen(&api, &key, 1, vec![EventKind::Submitted]).await;
    let text = stream(&api, &url, None).await.text();
    assert!(text.starts_with("retry: 1000\n\nevent: snapshot\ndata: {\"id\":"), "{text}");
    assert!(text.contains("\"status\":\"queued\"") && text.contains("id: 1\n"), "{text}");
    assert!(!stream(&api, &url, Some("1")).await.text().contains("snapshot"));
}

#[tokio::test]
async fn a_host_that_streams_keeps_it_open_to_the_last_event() {
    let api = Api::new().await;
    let key = api.submit_one().await;
    happen(&api, &key, 1, vec![EventKind::Submitted]).await;
    let headers = [("accept", "text/event-stream")];
    let url = format!("/v1/jobs/{}/events?snapshot=true", key.job);
    // The job ends while the stream is open: after the first heartbeat.
    let end = async {
        while api.sleeper.waited() <= Duration::from_secs(15) {
            tokio::task::yield_now().await;
        }
        happen(&api, &key, 2, vec![ended()]).await;
    };
    let (answer, ()) = tokio::join!(api.stream(api.request("GET", &url, &headers, None)), end);
    let text = answer.text();
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/event-stream"));
    let places: Vec<usize> = ["event: snapshot", "id: 1\n", ": still here\n\n", "id: 2\nevent: job.ended\n"]
        .iter()
        .map(|part| text.find(part).unwrap_or_else(|| panic!("no {part} in {text}")))
        .collect();
    assert!(places.is_sorted(), "{text}");
    api.stream(api.request("GET", "/v1/jobs/01KAJ0X5T3ZQ4V8N2M6R7W9YBC/events", &headers, None))
        .await
        .problem(404, "job_not_found");
}
