//! How everything that chats are told looks on both platforms.

use convoke_api::artifact::{ArtifactList, ArtifactView};
use convoke_api::job::JobView;
use convoke_api::review::ReviewView;
use convoke_api::schedule::RunView;
use serde_json::{Value, json};

use super::*;
use crate::{discord, telegram};

/// Two minutes and five seconds after the job was submitted.
const NOW_MS: u64 = 1_795_273_325_000;

fn of<'of>(job: &'of JobView, token: &'of Token) -> Subject<'of> {
    Subject { job, token, asked_by: None }
}

fn token() -> Token {
    "Ab3_-fGh1JkLmNoPqRsT12".parse().expect("a token")
}

fn job(change: &Value) -> JobView {
    let mut job = json!({
        "id": "01KAJ0X5T3ZQ4V8N2M6R7W9YBC",
        "status": "working",
        "ending": false,
        "flow": "software",
        "title": "Create a REST API for a todo application",
        "model": "openai/gpt-4.1",
        "created_at": "2026-11-21T15:00:00.000Z",
        "updated_at": "2026-11-21T15:02:00.000Z",
        "deadline_at": "2026-11-21T16:00:00.000Z",
        "budget": {"usd": "1.00", "tokens": 500_000},
        "cost": {"usd": "0.1234", "tokens": 40_000},
        "progress": {"nodes_total": 6, "nodes_done": 2, "steps_running": 3, "nodes": [
            {"id": "design", "state": "completed", "round": 2},
            {"id": "plan", "state": "completed"},
            {"id": "check", "state": "skipped"},
            {"id": "build", "state": "running", "items": {"total": 8, "done": 3, "failed": 1}},
            {"id": "integrate", "state": "waiting"},
            {"id": "report", "state": "ready"}
        ]},
        "links": {"self": "", "steps": "", "events": "", "result": "", "artifacts": "", "archive": "", "cancel": "", "retry": ""}
    });
    let fields = change.as_object().expect("fields").clone();
    job.as_object_mut().expect("fields").extend(fields);
    serde_json::from_value(job).expect("a job")
}

fn ended(status: &str, reason: &str, change: &Value) -> JobView {
    let mut fields = json!({"status": status, "stop_reason": reason, "ended_at": "2026-11-21T15:03:20.000Z"});
    fields.as_object_mut().expect("fields").extend(change.as_object().expect("fields").clone());
    fields["progress"] = json!({"nodes_total": 3, "nodes_done": 1, "steps_running": 0, "nodes": [
        {"id": "design", "state": "completed"},
        {"id": "build", "state": if status == "failed" { "failed" } else { "completed" }},
        {"id": "report", "state": if status == "completed" { "completed" } else { "stopped" }}
    ]});
    job(&fields)
}

fn files(paths: &[&str]) -> Vec<ArtifactView> {
    let artifacts: Vec<Value> = paths
        .iter()
        .map(|path| {
            json!({"path": path, "media_type": "text/plain", "bytes": 1_500, "sha256": "00", "step": "build", "href": ""})
        })
        .collect();
    serde_json::from_value::<ArtifactList>(json!({"total": 0, "artifacts": artifacts, "final": true}))
        .expect("files")
        .artifacts
}

fn asked(change: &Value) -> ReviewView {
    let mut review = json!({
        "id": "approve@2",
        "state": "requested",
        "question": "Shall this plan be carried out?\n\nIt makes 4 files.",
        "shows": [
            {"name": "plan", "text": "1. the model\n2. the routes\n<script>@everyone</script>", "truncated": true, "bytes": 5_000},
            {"name": "logo.png", "path": "logo.png", "text": "", "truncated": false, "bytes": 12}
        ],
        "requested_at": "2026-11-21T15:01:00.000Z",
        "deadline_at": "2026-11-28T15:01:00.000Z",
        "default": "reject",
        "deciders": {"requester": true, "people": ["dcu_42"], "admins": true},
        "href": ""
    });
    review.as_object_mut().expect("fields").extend(change.as_object().expect("fields").clone());
    serde_json::from_value(review).expect("a review")
}

fn both(name: &str, page: &Page) {
    let shown = format!(
        "== discord\n{:#}\n== telegram\n{:#}\n== plain\n{}",
        serde_json::to_value(discord::message(page)).expect("json"),
        serde_json::to_value(telegram::message(page)).expect("json"),
        telegram::plain(page).text,
    );
    insta::assert_snapshot!(name, shown);
}

#[test]
fn a_card_tells_what_is_now() {
    let shown = |name: &str, job: &JobView| both(name, &card(&of(job, &token()), NOW_MS));
    shown("card_queued", &job(&json!({"status": "queued", "cost": {"usd": "0.00", "tokens": 0}})));
    shown("card_working", &job(&json!({})));
    shown("card_ending", &job(&json!({"ending": true, "stop_reason": "cancelled"})));
    let review = serde_json::to_value(asked(&json!({"id": "plan"}))).expect("json");
    shown("card_awaiting_review", &job(&json!({"status": "awaiting_review", "reviews": [review]})));
    shown("card_completed", &ended("completed", "completed", &json!({})));
    shown(
        "card_warned",
        &ended("completed", "completed", &json!({"warnings": ["one", "two", "three", "four", "five"]})),
    );
    shown("card_cancelled", &ended("cancelled", "cancelled", &json!({"cause": "cancelled on request"})));
}

#[test]
fn a_card_tells_why_a_job_failed() {
    for reason in [
        "budget_exhausted",
        "deadline",
        "no_consensus",
        "guardrail_failed",
        "rejected",
        "model_unavailable",
        "tool_failed",
        "loop_detected",
        "invalid_definition",
        "internal",
    ] {
        let failed = ended("failed", reason, &json!({"cause": "what happened, in words", "failed_step": "build[3]@2"}));
        both(&format!("card_failed_{reason}"), &card(&of(&failed, &token()), NOW_MS));
    }
}

#[test]
fn the_card_of_a_large_job_stays_small() {
    let nodes: Vec<Value> = (0..60)
        .map(|n| {
            let state = match n {
                0..20 => "completed",
                20..25 => "skipped",
                25..40 => "running",
                _ => "waiting",
            };
            json!({"id": format!("node-{n}"), "state": state})
        })
        .collect();
    let progress = json!({"nodes_total": 60, "nodes_done": 25, "steps_running": 15, "nodes": nodes});
    both("card_large", &card(&of(&job(&json!({"progress": progress})), &token()), NOW_MS));
}

#[test]
fn an_end_is_said_in_five_lines() {
    let all = files(&["REPORT.md", "archive.zip", "src/a.py", "src/b.py", "src/c.py", "src/d.py", "src/e.py"]);
    let shown = |name: &str, job: &JobView, files: &[ArtifactView], (is_attached, summary)| {
        let token = token();
        let subject = Subject { asked_by: Some("ada"), ..of(job, &token) };
        let total = u32::try_from(files.len()).expect("few");
        let page = end(&subject, &End { files, files_total: total, is_attached, summary });
        assert!(page.blocks.len() <= 5, "{name}: {} lines", page.blocks.len());
        both(name, &page);
    };
    let done = ended("completed", "completed", &json!({}));
    shown("end_completed", &done, &all, (true, Some("A todo API.\n\nIt keeps todos in *SQLite*.\nc\nd\ne\nf")));
    shown("end_completed_without_files", &done, &files(&[]), (false, None));
    let changes = json!({"added": 1, "changed": 2, "removed": 1, "unchanged": 9, "files": [
        {"path": "src/a.py", "change": "changed"},
        {"path": "src/b.py", "change": "removed"},
        {"path": "src/c.py", "change": "added"},
        {"path": "src/d.py", "change": "changed"}
    ]});
    let follow_up = ended(
        "completed",
        "completed",
        &json!({"follows": "01KAJ0X5T3ZQ4V8N2M6R7W9YBD", "changes": changes, "warnings": ["the planner objects"]}),
    );
    shown("end_follow_up", &follow_up, &files(&["src/a.py"]), (false, None));
    let cause = json!({"cause": "the next call isn't covered", "failed_step": "build[3]"});
    shown("end_failed_with_files", &ended("failed", "budget_exhausted", &cause), &all, (false, None));
    shown("end_failed", &ended("failed", "model_unavailable", &cause), &files(&[]), (false, None));
    shown("end_invalid", &ended("failed", "invalid_definition", &cause), &files(&[]), (false, None));
    shown("end_rejected", &ended("failed", "rejected", &json!({})), &files(&["plan.json"]), (false, None));
    shown("end_cancelled", &ended("cancelled", "cancelled", &json!({})), &files(&["plan.json"]), (false, None));
}

#[test]
fn a_review_asks_and_then_says_what_was_decided() {
    let job = job(&json!({"status": "awaiting_review"}));
    let shown = |name: &str, view: &ReviewView, occasion: Occasion| {
        both(name, &review(&of(&job, &token()), view, occasion));
    };
    shown("review_asked", &asked(&json!({})), Occasion::News);
    shown("review_reminded", &asked(&json!({"default": null, "shows": []})), Occasion::Reminder);
    let nobody = json!({"requester": false, "people": [], "admins": false});
    shown(
        "review_by_command_line",
        &asked(&json!({"default": "approve", "shows": [], "deciders": nobody})),
        Occasion::News,
    );
    for (state, decision) in [("approved", "approve"), ("changes_requested", "changes"), ("rejected", "reject")] {
        let decided = asked(&json!({
            "state": state, "decision": decision, "decided_at": "2026-11-21T15:04:00.000Z", "decided_by": "ada *",
            "comment": "use *SQLite*, please"
        }));
        shown(&format!("review_{state}"), &decided, Occasion::News);
    }
    shown("review_expired", &asked(&json!({"state": "expired", "decision": "reject"})), Occasion::News);
    shown("review_expired_with_the_job", &asked(&json!({"state": "expired"})), Occasion::News);
    shown("review_withdrawn", &asked(&json!({"state": "withdrawn"})), Occasion::News);
}

#[test]
fn a_digest_names_each_job_once() {
    let jobs = [
        ended("completed", "completed", &json!({})),
        ended("failed", "budget_exhausted", &json!({"id": "01KAJ0X5T3ZQ4V8N2M6R7W9YBD", "title": "x".repeat(300)})),
        ended("cancelled", "cancelled", &json!({"id": "01KAJ0X5T3ZQ4V8N2M6R7W9YBE"})),
    ];
    both("digest", &digest(&jobs));
    both("digest_of_good_ones", &digest(&jobs[..1]));
    let many: Vec<JobView> = (0..DIGEST_JOBS_MAX).map(|_| jobs[1].clone()).collect();
    let text = telegram::message(&digest(&many)).text;
    assert_eq!(text.matches("W9YBD").count(), DIGEST_JOBS_MAX, "all that it is said to hold fit");
    let embed = &discord::message(&digest(&many)).embeds[0];
    assert_eq!(embed.description.matches("W9YBD").count(), DIGEST_JOBS_MAX);
}

#[test]
fn what_a_schedule_started_is_summed_up() {
    let run = |more: Value| -> RunView {
        let mut run = json!({
            "tick": "2026-11-21T15:00:00.000Z", "started_at": "2026-11-21T15:00:05.000Z", "total": 7, "waiting": 0,
            "running": [], "completed": 7, "failed": 0, "cancelled": 0, "refused": 0,
            "cost": {"usd": "0.31", "tokens": 90_210}
        });
        run.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        serde_json::from_value(run).expect("a run")
    };
    both("batch", &batch("nightly *report*", &run(json!({}))));
    let bad =
        json!({"completed": 3, "failed": 1, "cancelled": 1, "refused": 2, "refusal": "flow: there is no flow <b>"});
    both("batch_with_failures", &batch("", &run(bad)));
    let refused = json!({"total": 1, "completed": 0, "refused": 1, "refusal": "prompt: this flow takes no prompt"});
    let after = "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("an id");
    both("not_started", &not_started("make it rhyme", &after, &run(refused)));
}
