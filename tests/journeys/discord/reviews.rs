//! A recorded dialogue: from a submission through a review in the chat, sent back once, to the files.

use convoke_tests::discord::Clicks;
use convoke_tests::scripted::{ByRole, Gate, Reply};
use serde_json::{Value, json};

use crate::talk::{Talk, button, tells};

/// A poem that an admin of the chat has to like.
fn reviewed() -> Value {
    let description = "Write a poem. {% if round > 1 %}Mind this: {{ check.output.comment }}{% endif %}";
    let task = json!({"description": description, "expected_output": "A poem", "output_file": "poem.md"});
    let draft = json!({"kind": "agent", "id": "draft", "agent": "writer", "task": task});
    let check = json!({
        "kind": "review", "id": "check", "question": "Round {{ round }}: is it good?", "shows": ["draft", "poem.md"],
        "deciders": {"admins": true}
    });
    let until = "check.output.decision == \"approve\"";
    json!({
        "name": "reviewed",
        "nodes": [{"kind": "loop", "id": "talk", "rounds_max": 3, "until": until, "nodes": [draft, check]}],
        "agents": {"writer": {"role": "Writer", "goal": "Poems", "backstory": "You wrote for children."}}
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_decided_in_the_chat_by_whoever_may() {
    // The card stands there before anything is asked.
    let gate = Gate::closed();
    let script = ByRole::new()
        .say("Mind this", [Reply::text("Rivers run, and lakes lie still.")])
        .say("Write a poem", [Reply::text("Rivers run.").held(&gate)]);
    let mut talk = Talk::linked(script).await;
    let (ada, bob) = (Clicks::owner(), Clicks::member());
    talk.does("/crew list", &bob.command(&["list"], &[])).await;
    let notify = json!([{"discord": {"channel": "6"}}]);
    let id = talk.served.submit(&json!({"flow": reviewed(), "input": {}, "notify": notify})).await;
    talk.name(&id, "JOB");
    talk.name(&id[id.len() - 6..], "JOB-END");
    talk.server.wait_for("the thread", |call| call.path.ends_with("/threads")).await;
    gate.open();

    let first = talk.sees("a question", |call| tells(call, "POST", "Round 1")).await.body;
    talk.does("[Approve]", &bob.press(&button(&first, "Approve"))).await;
    let window = talk.does("[Request changes]", &ada.press(&button(&first, "Request changes"))).await;
    let ask = window["data"]["custom_id"].as_str().expect("an id").to_owned();
    talk.does("types: and lakes", &ada.modal_of_button(&ask, "and lakes")).await;

    let second = talk.sees("the question again", |call| tells(call, "POST", "Round 2")).await.body;
    talk.does("[Reject] of the first question", &ada.press(&button(&first, "Reject"))).await;
    talk.does("[Approve]", &ada.press(&button(&second, "Approve"))).await;
    talk.does("[Approve] again", &ada.press(&button(&second, "Approve"))).await;
    assert_eq!(talk.served.ended(&id).await["status"], "completed");
    talk.sees("the end", |call| tells(call, "POST", "Done") && !call.files.is_empty()).await;
    insta::assert_snapshot!(talk.said());
    talk.stop().await;
}
