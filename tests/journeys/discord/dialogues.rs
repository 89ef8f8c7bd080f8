//! Recorded dialogues: from the link of a guild to a job's files.

use convoke_tests::discord::{Call, Clicks};
use convoke_tests::scripted::team::{Team, Temper};
use serde_json::Value;

use crate::talk::{Talk, button, prompt, tells};

/// The part of a text between two others.
fn between<'text>(text: &'text str, before: &str, after: &str) -> &'text str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {text}")).1;
    rest.split_once(after).unwrap_or_else(|| panic!("no {after:?} in {text}")).0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guild_is_linked_and_a_job_goes_from_its_prompt_to_its_files() {
    let mut talk = Talk::start(Team(Temper::Reasonable)).await;
    let (ada, bob) = (Clicks::owner(), Clicks::member());
    talk.does("/crew run", &bob.command(&["run"], &prompt("a todo API"))).await;
    let code = talk.code().await;
    talk.does("/crew link CODE", &bob.command(&["link"], &[("code", code.clone().into())])).await;
    talk.does("/crew link CODE", &ada.command(&["link"], &[("code", code.into())])).await;
    let another = talk.code().await;
    talk.does("/crew link CODE", &ada.command(&["link"], &[("code", another.into())])).await;
    talk.does("/crew run", &bob.command(&["run"], &prompt("Create a REST API for todos"))).await;
    let card = talk.server.wait_for("the card", |call| tells(call, "POST", "Create a REST API")).await;
    let listed = talk.served.get("/v1/jobs").await.json();
    let id = listed["jobs"][0]["id"].as_str().expect("an id").to_owned();
    talk.name(&id, "JOB");
    talk.name(&id[id.len() - 6..], "JOB-END");
    talk.served.ended(&id).await;
    let end = talk.sees("the end, in the thread", |call| tells(call, "POST", "Done") && !call.files.is_empty()).await;
    let last = talk.sees("the card at last", |call| tells(call, "PATCH", "Done")).await;
    assert_eq!(card.path, "/channels/6/messages");
    let thread = between(&end.path, "/channels/", "/").to_owned();
    assert!(talk.server.calls().iter().any(|call| call.path == format!("/channels/6/messages/{thread}/threads")));
    let pressed = |label: &str| bob.press(&button(&end.body, label));
    talk.does("[Follow up]", &pressed("Follow up")).await;
    talk.does("/crew status", &bob.command(&["status"], &[])).await;
    talk.does("/crew list", &bob.command(&["list"], &[])).await;
    talk.does("/crew artifacts", &bob.command(&["artifacts"], &[])).await;
    talk.does("[Zip]", &pressed("Zip")).await;
    talk.does("[Details] of the card", &ada.press(&button(&last.body, "Details"))).await;
    talk.does("/crew unlink", &bob.command(&["unlink"], &[])).await;
    talk.does("/crew unlink", &ada.command(&["unlink"], &[])).await;
    talk.does("/crew list", &bob.command(&["list"], &[])).await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_from_its_prompt_through_a_review_of_its_plan_to_its_files() {
    let mut talk = Talk::linked(Team(Temper::Reasonable)).await;
    let bob = Clicks::member();
    let asked = [("prompt", "Create a REST API for todos".into()), ("input", "review_plan=true".into())];
    talk.does("/crew run, input: review_plan=true", &bob.command(&["run"], &asked)).await;
    let listed = talk.served.get("/v1/jobs").await.json();
    let id = listed["jobs"][0]["id"].as_str().expect("an id").to_owned();
    talk.name(&id, "JOB");
    talk.name(&id[id.len() - 6..], "JOB-END");
    let is_asked = |call: &Call| tells(call, "POST", "decision is needed");
    let first = talk.sees("a question", is_asked).await.body;
    let window = talk.does("[Request changes]", &bob.press(&button(&first, "Request changes"))).await;
    let ask = window["data"]["custom_id"].as_str().expect("an id").to_owned();
    talk.does("types: Ids are to be numbers.", &bob.modal_of_button(&ask, "Ids are to be numbers.")).await;
    let second = talk.sees("the question again", |call| is_asked(call) && call.body != first).await.body;
    talk.does("[Approve]", &bob.press(&button(&second, "Approve"))).await;
    assert_eq!(talk.served.ended(&id).await["status"], "completed");
    talk.sees("the end, with its files", |call| tells(call, "POST", "Done") && !call.files.is_empty()).await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_is_left_out_is_asked_for_in_a_window() {
    let mut talk = Talk::linked(Team(Temper::Reasonable)).await;
    let bob = Clicks::member();
    let window = talk.does("/crew run", &bob.command(&["run"], &[("budget", "0.50".into())])).await;
    assert_eq!(window["type"], 9);
    let ask = window["data"]["custom_id"].as_str().expect("an id").to_owned();
    talk.does("types: a todo API", &bob.modal(&ask, "a todo API")).await;
    let listed = talk.served.get("/v1/jobs").await.json();
    let jobs: Vec<&Value> = listed["jobs"].as_array().expect("a list").iter().collect();
    assert_eq!(jobs.len(), 1);
    let id = jobs[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(talk.served.get(&format!("/v1/jobs/{id}")).await.json()["budget"]["usd"], "0.50");
    talk.served.ended(&id).await;
    talk.stop().await;
}
