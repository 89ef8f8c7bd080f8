//! Talks with the bot over a whole installation, without what it tells by itself: every command, every button, every way to
//! ask wrongly.

use convoke_app::ports::WhoMay;
use convoke_tests::scripted::team::{Team, Temper};
use convoke_tests::scripted::{ChatRequest, Gate, Reply, Script};

use super::rig::{ALONE, ANN, BOB, GROUP, TOPIC};
use super::talk::Talk;

/// A team that begins once it is let.
pub struct Patient(pub Gate);

impl Script for Patient {
    fn reply(&self, request: &ChatRequest) -> Reply {
        Team(Temper::Reasonable).reply(request).held(&self.0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_alone_with_the_bot() {
    let gate = Gate::closed();
    let mut talk = Talk::new(Patient(gate.clone())).await;
    for text in ["/start", "/run Build a todo API", "/link NOSUCHCODE"] {
        talk.says(ALONE, ANN, text).await;
    }
    let code = talk.code(WhoMay::Everybody).await;
    talk.says(ALONE, ANN, &format!("/start {code}")).await;
    for text in ["/start", "/link", "/help", "hello", "/dance", "/jobs", "/status", "/run --budget much x", "/run"] {
        talk.says(ALONE, ANN, text).await;
    }
    talk.replies(ALONE, ANN, "Create a REST API for a todo application").await;
    let first = talk.begun().await;
    talk.says(ALONE, ANN, "/status").await;
    talk.presses(ALONE, ANN, "Details").await;
    talk.says(ALONE, ANN, "/artifacts").await;
    talk.sends(ALONE, ANN, ("wish.md", "Sort them by date."), "Change the order").await;
    talk.sends(ALONE, ANN, ("wish.md", "Sort them by date."), "").await;
    talk.presses(ALONE, ANN, "Stop").await;
    talk.presses(ALONE, ANN, "Stop").await;
    gate.open();
    talk.all_ended().await;
    let name = first[20..].to_owned();
    for text in ["/status", "/cost", "/retry", "/cancel", "/artifacts"] {
        talk.says(ALONE, ANN, &format!("{text} {name}")).await;
    }
    talk.all_ended().await;
    talk.presses(ALONE, ANN, "Zip").await;
    talk.says(ALONE, ANN, &format!("/artifacts {name} architecture.json")).await;
    talk.says(ALONE, ANN, &format!("/artifacts {name} no/such.py")).await;
    talk.says(ALONE, ANN, "/followup").await;
    for text in ["/cost", "/schedule daily 06:00 Build a todo API", "/schedule list", "/unlink", "/jobs"] {
        talk.says(ALONE, ANN, text).await;
    }
    insta::assert_snapshot!(talk.end().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_with_an_admin() {
    let gate = Gate::closed();
    let mut talk = Talk::new(Patient(gate.clone())).await;
    talk.rig.telegram.admit(GROUP.id(), ANN.0);
    talk.says(GROUP, BOB, "/run@crew_bot Build a todo API").await;
    let code = talk.code(WhoMay::Admins).await;
    talk.says(GROUP, BOB, &format!("/link {code}")).await;
    // Whoever reads along has seen that one.
    let code = talk.code(WhoMay::Admins).await;
    talk.says(GROUP, ANN, &format!("/start@crew_bot {code}")).await;
    talk.says(TOPIC, BOB, "/run Build a todo API").await;
    talk.says(TOPIC, ANN, "/run").await;
    talk.replies(TOPIC, ANN, "Create a REST API for a todo application").await;
    talk.begun().await;
    talk.says(TOPIC, BOB, "/status").await;
    talk.says(TOPIC, BOB, "/cancel").await;
    talk.presses(TOPIC, ANN, "Details").await;
    talk.presses(TOPIC, ANN, "Stop").await;
    gate.open();
    talk.all_ended().await;
    talk.says(TOPIC, BOB, "/status").await;
    talk.says(GROUP, BOB, "/unlink").await;
    talk.says(GROUP, ANN, "/unlink").await;
    insta::assert_snapshot!(talk.end().await);
}
