//! What chats are told, as samples: cards, reviews, ends.

use convoke_api::job::JobView;
use convoke_api::review::ReviewView;
use convoke_app::ports::{Attachment, CardNotice, EndNotice, Notice, Requester, ReviewNotice};
use convoke_domain::chat::PersonId;
use serde_json::{Value, json};

/// What somebody, or some model, may write to call people, hide things, or break out of what it stands in.
pub const HOSTILE: &str = "@everyone <@42> </b><script>&amp; <a href=\"tg://user?id=1\">x</a> **bold** `code` [x](https://evil.example) \u{202e}txt.exe\u{0} ```\n# big";
/// The token of all buttons here.
pub const BUTTON: &str = "Ab3_-fGh1JkLmNoPqRsT";

/// A job at work, with what is different about it.
pub fn job(title: &str, more: &Value) -> JobView {
    let mut job = json!({
        "id": "01KAJ0X5T3ZQ4V8N2M6R7W9YBC", "status": "working", "ending": false, "flow": "software", "title": title,
        "model": "openai/gpt-4.1", "created_at": "2026-11-21T15:00:00.000Z", "updated_at": "2026-11-21T15:02:00.000Z",
        "deadline_at": "2026-11-21T16:00:00.000Z", "budget": {"usd": "1.00", "tokens": 500_000},
        "cost": {"usd": "0.1234", "tokens": 40_000},
        "progress": {"nodes_total": 2, "nodes_done": 1, "steps_running": 1, "nodes": [
            {"id": "design", "state": "completed", "round": 2}, {"id": "build", "state": "running"}
        ]},
        "links": {"self": "", "steps": "", "events": "", "result": "", "artifacts": "", "archive": "", "cancel": "",
            "retry": ""}
    });
    job.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
    serde_json::from_value(job).expect("a job")
}

/// Who asked for it.
pub fn ada(person: PersonId) -> Requester {
    Requester { person, name: "Ada".into() }
}

/// Its card.
pub fn card(title: &str, by: PersonId) -> Notice {
    let job = job(title, &json!({}));
    Notice::Card(CardNotice { job, token: BUTTON.into(), requester: Some(ada(by)), now_ms: 1_795_273_325_000 })
}

/// A review of it.
pub fn review(question: &str, by: PersonId) -> Notice {
    let review: ReviewView = serde_json::from_value(json!({
        "id": "approve", "state": "requested", "question": question, "shows": [],
        "requested_at": "2026-11-21T15:02:00.000Z", "deadline_at": "2026-11-22T15:02:00.000Z", "default": "reject",
        "deciders": {"requester": true, "people": [], "admins": true},
        "href": "/v1/jobs/01KAJ0X5T3ZQ4V8N2M6R7W9YBC/reviews/approve"
    }))
    .expect("a review");
    let job = job("A todo API", &json!({"status": "awaiting_review"}));
    Notice::Review(ReviewNotice { job, review, token: BUTTON.into(), requester: Some(ada(by)) })
}

/// Its end, with a report.
pub fn end(summary: &str, by: PersonId) -> Notice {
    let over = json!({"status": "completed", "stop_reason": "completed", "ended_at": "2026-11-21T15:03:20.000Z"});
    let bytes = "# What was made\n".into();
    let files = vec![Attachment { name: "REPORT.md".into(), media_type: "text/markdown".into(), bytes }];
    Notice::End(EndNotice {
        job: job("A todo API", &over),
        token: BUTTON.into(),
        requester: Some(ada(by)),
        summary: Some(summary.to_owned()),
        artifacts: Vec::new(),
        artifacts_total: 0,
        files,
    })
}
