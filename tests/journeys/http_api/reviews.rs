//! A person is asked, and decides: at once, a week later, twice, too late, or not at all.

use convoke_api::review::DecisionRequest;
use convoke_app::failure::{Failure, Refused};
use convoke_app::platform::{Limits, Platform};
use convoke_app::ports::Requester;
use convoke_app::reviews::Decider;
use convoke_domain::chat::PersonId;
use convoke_domain::ids::JobKey;
use convoke_domain::review::Decision;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::api::{Answer, Api, tenant};

const MINUTE_MS: u64 = 60_000;
const WEEK_MS: u64 = 7 * 24 * 60 * MINUTE_MS;

fn agent(id: &str, needs: &[&str], description: &str) -> Value {
    json!({
        "kind": "agent", "id": id, "needs": needs, "agent": {"role": "Writer", "goal": "Write", "backstory": "-"},
        "task": {"description": description, "expected_output": "A text", "output_file": format!("{id}.md")}
    })
}

/// `plan`, then a review of it, then `build`.
fn flow(review: &Value) -> Value {
    let mut node = json!({
        "kind": "review", "id": "approve", "needs": ["plan"], "question": "Build {{ input.what }} like this?",
        "shows": ["plan", "plan.md"]
    });
    for (name, value) in review.as_object().expect("fields") {
        node[name] = value.clone();
    }
    let build = agent("build", &["plan", "approve"], "Build it. {{ approve.output.by }}: {{ approve.output.comment }}");
    json!({
        "flow": {"name": "asked", "nodes": [agent("plan", &[], "Plan {{ input.what }}"), node, build]},
        "input": {"what": "a shed"}
    })
}

/// Rounds of a draft and a review of it.
fn rounds(rounds_max: u32) -> Value {
    let mut draft = agent("draft", &[], "Draft.{% if round > 1 %} Mind: {{ approve.output.comment }}{% endif %}");
    draft["task"]["output_file"] = json!("draft.md");
    let review =
        json!({"kind": "review", "id": "approve", "question": "Round {{ round }}: fine?", "shows": ["draft.md"]});
    json!({
        "flow": {"name": "rounds", "nodes": [{
            "kind": "loop", "id": "talk", "nodes": [draft, review], "rounds_max": rounds_max,
            "until": "approve.output.decision == \"approve\""
        }]},
        "input": {}
    })
}

async fn view(api: &Api, key: &JobKey) -> Value {
    api.get(&format!("/v1/jobs/{}", key.job)).await.json()
}

async fn decide(api: &Api, key: &JobKey, review: &str, body: &Value) -> Answer {
    api.post(&format!("/v1/jobs/{}/reviews/{review}", key.job), body).await
}

async fn asked(api: &Api, body: &Value) -> JobKey {
    let key = api.submitted(body).await;
    api.work().await;
    assert_eq!(view(api, &key).await["status"], "awaiting_review");
    key
}

async fn report(api: &Api, key: &JobKey) -> String {
    let found = api.get(&format!("/v1/jobs/{}/artifacts/REPORT.md", key.job)).await;
    assert_eq!(found.status, 302, "{}", found.text());
    api.open(found.header("location")).expect("a report")
}

#[tokio::test]
async fn an_approval_lets_the_job_go_on() {
    let api = Api::new().await;
    let key = asked(&api, &flow(&json!({"deadline_s": 3_600, "default": "reject"}))).await;
    let before = view(&api, &key).await;
    assert_eq!(before["progress"]["nodes"][1]["state"], "awaiting_review");
    let review = &before["reviews"][0];
    assert_eq!((&review["id"], &review["state"]), (&json!("approve"), &json!("requested")));
    assert_eq!((&review["question"], &review["default"]), (&json!("Build a shed like this?"), &json!("reject")));
    assert_eq!(review["deciders"], json!({"requester": true, "admins": true}));
    let shows = review["shows"].as_array().expect("a list");
    assert_eq!((&shows[0]["name"], shows[0].get("path")), (&json!("plan"), None));
    assert_eq!((&shows[1]["name"], &shows[1]["path"]), (&json!("plan.md"), &json!("plan.md")));
    assert!(shows.iter().all(|shown| shown["text"].as_str().is_some_and(|text| !text.is_empty())), "{shows:?}");
    assert_eq!(shows[1]["truncated"], false);
    let listed = api.get(&format!("/v1/jobs/{}/reviews", key.job)).await.json();
    assert_eq!(listed["reviews"][0], *review);
    assert_eq!(api.get(review["href"].as_str().expect("a url")).await.json(), *review);

    let answer = decide(&api, &key, "approve", &json!({"decision": "approve", "comment": "Mind the roof"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let decided = answer.json();
    assert_eq!((&decided["state"], &decided["decided_by"]), (&json!("approved"), &json!("test")));
    assert_eq!((&decided["decision"], &decided["comment"]), (&json!("approve"), &json!("Mind the roof")));
    api.work().await;
    let ended = view(&api, &key).await;
    assert_eq!((&ended["status"], &ended["reviews"][0]), (&json!("completed"), &decided), "{ended:#}");
    let step = api.get(&format!("/v1/jobs/{}/steps/approve", key.job)).await.json();
    let output = json!({
        "decision": "approve", "comment": "Mind the roof", "by": "test", "expired": false, "asked": true
    });
    assert_eq!(step["output"], output);
    let report = report(&api, &key).await;
    assert!(
        report.contains("## Decisions") && report.contains("| `approve` | approve | test | Mind the roof |"),
        "{report}"
    );
}

#[tokio::test]
async fn changes_repeat_the_round_until_it_is_approved() {
    let api = Api::new().await;
    let key = asked(&api, &rounds(3)).await;
    for (review, decision) in [("approve@1", "changes"), ("approve@2", "changes"), ("approve@3", "approve")] {
        let open = view(&api, &key).await["reviews"].as_array().and_then(|all| all.last().cloned()).expect("a review");
        assert_eq!((&open["id"], &open["state"]), (&json!(review), &json!("requested")));
        let answer = decide(&api, &key, review, &json!({"decision": decision, "comment": "shorter"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        api.work().await;
    }
    let ended = view(&api, &key).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let states: Vec<&Value> = ended["reviews"].as_array().expect("a list").iter().map(|it| &it["state"]).collect();
    assert_eq!(states, ["changes_requested", "changes_requested", "approved"]);
}

#[tokio::test]
async fn what_a_person_sent_back_is_not_gone_on_with() {
    let api = Api::new().await;
    let key = asked(&api, &rounds(1)).await;
    decide(&api, &key, "approve@1", &json!({"decision": "changes"})).await;
    api.work().await;
    let ended = view(&api, &key).await;
    assert_eq!((&ended["status"], &ended["stop_reason"]), (&json!("failed"), &json!("no_consensus")), "{ended:#}");
}

#[tokio::test]
async fn a_rejection_ends_the_job_and_a_retry_asks_again() {
    let api = Api::new().await;
    let key = asked(&api, &flow(&json!({}))).await;
    decide(&api, &key, "approve", &json!({"decision": "reject", "comment": "too big"})).await;
    api.work().await;
    let ended = view(&api, &key).await;
    assert_eq!((&ended["status"], &ended["stop_reason"]), (&json!("failed"), &json!("rejected")), "{ended:#}");
    assert_eq!((&ended["cause"], &ended["failed_step"]), (&json!("test rejected it: too big"), &json!("approve")));
    assert_eq!(ended["reviews"][0]["state"], "rejected");
    let again = api.send(api.request("POST", &format!("/v1/jobs/{}/retry", key.job), &[], None)).await.json();
    let retry = api.platform.job_key(&tenant("acme"), again["id"].as_str().expect("an id")).expect("a job");
    api.work().await;
    assert_eq!(view(&api, &retry).await["status"], "awaiting_review", "a rejection isn't taken over");
    decide(&api, &retry, "approve", &json!({"decision": "approve"})).await;
    let cancel = format!("/v1/jobs/{}/cancel", retry.job);
    api.send(api.request("POST", &cancel, &[], None)).await;
    api.work().await;
    assert_eq!(view(&api, &retry).await["status"], "cancelled");
}

#[tokio::test]
async fn a_retry_takes_over_what_was_approved_of_the_same() {
    let api = Api::new().await;
    let mut body = flow(&json!({}));
    body["flow"]["nodes"][2]["task"]["output"] =
        json!({"type": "object", "properties": {"never": {"const": "said"}}, "required": ["never"]});
    let key = asked(&api, &body).await;
    decide(&api, &key, "approve", &json!({"decision": "approve", "comment": "yes"})).await;
    api.work().await;
    let failed = view(&api, &key).await;
    assert_eq!((&failed["status"], &failed["failed_step"]), (&json!("failed"), &json!("build")), "{failed:#}");
    let again = api.send(api.request("POST", &format!("/v1/jobs/{}/retry", key.job), &[], None)).await.json();
    let retry = api.platform.job_key(&tenant("acme"), again["id"].as_str().expect("an id")).expect("a job");
    api.work().await;
    let retried = view(&api, &retry).await;
    assert_eq!(retried["failed_step"], "build", "nobody is asked again: {retried:#}");
    let step = api.get(&format!("/v1/jobs/{}/steps/approve", retry.job)).await.json();
    assert_eq!((&step["state"], &step["output"]["comment"]), (&json!("completed"), &json!("yes")), "{step:#}");
}

#[tokio::test]
async fn what_nobody_decides_expires_and_says_how() {
    for (review, status, reason, decision) in [
        (json!({"deadline_s": 3_600, "default": "approve"}), "completed", "completed", json!("approve")),
        (json!({"deadline_s": 3_600, "default": "reject"}), "failed", "rejected", json!("reject")),
        (json!({"deadline_s": 3_600}), "failed", "deadline", Value::Null),
        (
            json!({"deadline_s": 3_600, "default": "reject", "on_reject": "proceed"}),
            "completed",
            "completed",
            json!("reject"),
        ),
    ] {
        let api = Api::new().await;
        let key = asked(&api, &flow(&review)).await;
        api.env.wind(61 * MINUTE_MS);
        api.work().await;
        api.work().await;
        let ended = view(&api, &key).await;
        assert_eq!((&ended["status"], &ended["stop_reason"]), (&json!(status), &json!(reason)), "{ended:#}");
        let shown = &ended["reviews"][0];
        assert_eq!((&shown["state"], &shown["decision"]), (&json!("expired"), &decision), "{shown:#}");
        assert_eq!(shown.get("decided_by"), None);
        decide(&api, &key, "approve", &json!({"decision": "approve"})).await.problem(409, "review_decided");
    }
}

#[tokio::test]
async fn a_decision_after_its_time_counts_no_more_even_before_the_sweep_comes() {
    for (review, status, decision) in [
        (json!({"deadline_s": 3_600, "default": "reject"}), "failed", json!("reject")),
        (json!({"deadline_s": 3_600}), "failed", Value::Null),
    ] {
        let api = Api::new().await;
        let key = asked(&api, &flow(&review)).await;
        api.env.wind(61 * MINUTE_MS);
        decide(&api, &key, "approve", &json!({"decision": "approve"})).await.problem(409, "review_decided");
        let shown = view(&api, &key).await["reviews"][0].clone();
        assert_eq!((&shown["state"], &shown["decision"]), (&json!("expired"), &decision), "{shown:#}");
        api.work().await;
        assert_eq!(view(&api, &key).await["status"], status);
    }
}

#[tokio::test]
async fn a_retry_may_work_as_long_as_the_first_whatever_time_that_rested() {
    let api = Api::new().await;
    let time_ms = async |key: &JobKey| {
        let (_, root) = api.platform.ports.jobs.job(key).await.expect("up").expect("a job");
        let root = root.root().expect("a root").clone();
        root.deadline_ms - root.created_ms
    };
    let key = asked(&api, &flow(&json!({}))).await;
    let asked_for_ms = time_ms(&key).await;
    api.env.wind(WEEK_MS / 2);
    decide(&api, &key, "approve", &json!({"decision": "reject"})).await;
    api.work().await;
    assert!(time_ms(&key).await >= WEEK_MS / 2, "its deadline has moved on");
    let again = api.send(api.request("POST", &format!("/v1/jobs/{}/retry", key.job), &[], None)).await.json();
    let retry = api.platform.job_key(&tenant("acme"), again["id"].as_str().expect("an id")).expect("a job");
    assert_eq!(time_ms(&retry).await, asked_for_ms);
}

#[tokio::test]
async fn a_week_later_another_process_takes_the_decision() {
    let api = Api::new().await;
    let key = asked(&api, &flow(&json!({"deadline_s": 30 * 24 * 3_600, "reminder_s": 3_600}))).await;
    let before = view(&api, &key).await;
    for _ in 0..7 {
        api.env.wind(WEEK_MS / 7);
        api.work().await;
    }
    let later = Platform::new(api.platform.ports.clone(), Limits::default(), convoke_tools::compiler());
    later.resume().await.expect("taken up");
    let waits = view(&api, &key).await;
    assert_eq!(waits["status"], "awaiting_review", "its deadline was an hour after its submission: {waits:#}");
    assert!(waits["deadline_at"].as_str() > before["deadline_at"].as_str(), "the clock stands still");
    let answer = decide(&api, &key, "approve", &json!({"decision": "approve"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    api.work().await;
    let ended = view(&api, &key).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let told = api.table.take_stream();
    let reminded = |slot: &convoke_domain::slot::Slot| slot.asked().is_some_and(|asked| asked.reminded);
    let reminders = told.iter().filter(|changed| {
        let was = changed.old.as_ref().is_some_and(|old| old.run.values().any(reminded));
        !was && changed.new.run.values().any(reminded)
    });
    assert_eq!(reminders.count(), 1, "they are reminded once");
}

#[tokio::test]
async fn of_decisions_at_once_the_first_counts() {
    let api = Api::new().await;
    let key = asked(&api, &flow(&json!({}))).await;
    let words = ["approve", "changes", "reject", "approve", "approve", "changes"];
    let pressed = words.map(|word| {
        let (api, key) = (&api, &key);
        async move { decide(api, key, "approve", &json!({"decision": word, "comment": word})).await }
    });
    let answers = join_all(pressed).await;
    let winner = view(&api, &key).await["reviews"][0]["decision"].as_str().expect("a decision").to_owned();
    for (word, answer) in words.iter().zip(&answers) {
        if *word == winner {
            assert_eq!(answer.status, 200, "the same by the same: {}", answer.text());
        } else {
            let problem = answer.problem(409, "review_decided");
            assert!(problem["detail"].as_str().is_some_and(|text| text.contains(&winner)), "{problem}");
        }
    }
    api.work().await;
    decide(&api, &key, "approve", &json!({"decision": winner})).await;
    let ended = view(&api, &key).await;
    assert_eq!(ended["reviews"][0]["decision"], json!(winner), "it stands");
}

#[tokio::test]
async fn a_review_that_is_not_there_is_not_decided() {
    let api = Api::new().await;
    let key = api.submitted(&flow(&json!({}))).await;
    decide(&api, &key, "approve", &json!({"decision": "approve"})).await.problem(404, "review_not_found");
    api.work().await;
    for name in ["plan", "approve@1", "approve[0]", "nothing", "%00"] {
        decide(&api, &key, name, &json!({"decision": "approve"})).await.problem(404, "review_not_found");
    }
    let url = format!("/v1/jobs/{}/reviews/approve", key.job);
    let theirs = format!("Bearer {}", api.other_key);
    let stranger = [("authorization", theirs.as_str())];
    let body = json!({"decision": "approve"});
    api.send(api.request("POST", &url, &stranger, Some(&body))).await.problem(404, "job_not_found");
    api.send(api.request("GET", &url, &stranger, None)).await.problem(404, "job_not_found");
    let list = format!("/v1/jobs/{}/reviews", key.job);
    api.send(api.request("GET", &list, &stranger, None)).await.problem(404, "job_not_found");
    let anonymous = [("authorization", "Bearer cvk_no")];
    api.send(api.request("POST", &url, &anonymous, Some(&body))).await.problem(401, "unauthenticated");
    assert_eq!(
        decide(&api, &key, "approve", &json!({"decision": "maybe"})).await.wrong("invalid_request"),
        ["decision"]
    );
    let long = json!({"decision": "approve", "comment": "x".repeat(4_001)});
    assert_eq!(decide(&api, &key, "approve", &long).await.wrong("invalid_request"), ["comment"]);
    assert_eq!(view(&api, &key).await["status"], "awaiting_review");
}

#[tokio::test]
async fn a_job_that_waits_can_be_cancelled() {
    let api = Api::new().await;
    let key = asked(&api, &flow(&json!({}))).await;
    api.send(api.request("POST", &format!("/v1/jobs/{}/cancel", key.job), &[], None)).await;
    assert_eq!(view(&api, &key).await["reviews"][0]["state"], "withdrawn");
    decide(&api, &key, "approve", &json!({"decision": "approve"})).await.problem(409, "job_already_ended");
    api.work().await;
    let ended = view(&api, &key).await;
    assert_eq!((&ended["status"], &ended["reviews"][0]["state"]), (&json!("cancelled"), &json!("withdrawn")));
    decide(&api, &key, "approve", &json!({"decision": "approve"})).await.problem(409, "job_already_ended");
}

#[tokio::test]
async fn nobody_is_asked_where_the_flow_says_so() {
    let api = Api::new().await;
    let key = api.submitted(&flow(&json!({"if": "input.what != \"a shed\""}))).await;
    api.work().await;
    let ended = view(&api, &key).await;
    assert_eq!((&ended["status"], ended.get("reviews")), (&json!("completed"), None), "{ended:#}");
    let step = api.get(&format!("/v1/jobs/{}/steps/approve", key.job)).await.json();
    assert_eq!((&step["output"]["asked"], &step["output"]["decision"]), (&json!(false), &json!("approve")));
    let report = report(&api, &key).await;
    assert!(!report.contains("## Decisions") && !report.contains("`approve`"), "{report}");
}

fn person(id: u64, is_admin: bool) -> Decider {
    let (person, name) = (PersonId::Discord(id), format!("user {id}"));
    Decider { who: person.to_string(), name, person: Some(person), is_admin }
}

#[tokio::test]
async fn only_whom_the_review_names_decides_in_a_chat() {
    for (deciders, may) in [
        (json!({"requester": true}), [true, false, false, false]),
        (json!({"people": ["dcu_7"]}), [false, true, false, false]),
        (json!({"admins": true}), [false, false, true, false]),
        (Value::Null, [true, false, true, false]),
    ] {
        let people = [person(5, false), person(7, false), person(8, true), person(9, false)];
        for (by, may) in people.into_iter().zip(may) {
            let api = Api::new().await;
            let fields = if deciders.is_null() { json!({}) } else { json!({"deciders": deciders}) };
            let requester = Requester { person: PersonId::Discord(5), name: "Ada".into() };
            let submitted = api.platform.submit_from_chat(&tenant("acme"), &flow(&fields), None, requester).await;
            let key = JobKey { tenant: tenant("acme"), job: submitted.expect("accepted").job.id };
            api.work().await;
            let approval = DecisionRequest { decision: Decision::Approve, comment: None };
            let said = api.platform.decide_review(&key, "approve", &approval, &by).await;
            match said {
                Ok(review) => {
                    assert!(may && review.decided_by.as_deref() == Some(by.name.as_str()), "{by:?}: {review:?}");
                }
                Err(Failure::Refused(Refused::MayNotDecide)) => assert!(!may, "{by:?} of {deciders}"),
                Err(other) => panic!("{other:?}"),
            }
            api.work().await;
            let status = if may { "completed" } else { "awaiting_review" };
            assert_eq!(view(&api, &key).await["status"], status, "{by:?} of {deciders}");
        }
    }
}

#[tokio::test]
async fn who_may_not_decide_is_told_who_was_first() {
    let api = Api::new().await;
    let key = asked(&api, &flow(&json!({}))).await;
    decide(&api, &key, "approve", &json!({"decision": "approve"})).await;
    let late = DecisionRequest { decision: Decision::Reject, comment: None };
    let said = api.platform.decide_review(&key, "approve", &late, &person(9, false)).await;
    let Err(Failure::Refused(Refused::ReviewDecided { by, .. })) = said else { panic!("{said:?}") };
    assert_eq!(by.as_deref(), Some("test"));
}
