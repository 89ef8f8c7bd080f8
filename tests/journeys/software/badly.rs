//! Planners that plan badly: what is wrong is sent back, a bounded number of times, then mended or given up.

use convoke_tests::scripted::team::{Asked, SHARED, TASKS, Team, Temper, turn};
use convoke_tests::scripted::{ChatRequest, Reply, Script};
use convoke_tests::served::Served;
use serde_json::{Value, json};

/// The team, whose planner gives these answers first, in each round.
fn planner(answers: Vec<Reply>) -> impl Script {
    let team = Team(Temper::Reasonable);
    move |request: &ChatRequest| match answers.get(turn(request)) {
        Some(bad) if Asked::of(request).role == "Planner" => bad.clone(),
        _ => team.reply(request),
    }
}

fn plan(tasks: &Value) -> Reply {
    Reply::Answer(json!({"agreed": true, "concerns": [], "shared_files": [SHARED], "tasks": tasks}))
}

fn task(id: &str, files: &[&str], depends_on: &[&str]) -> Value {
    json!({"id": id, "title": id, "description": id, "files": files, "depends_on": depends_on, "acceptance": ["x"]})
}

/// What the planner was told after its first answers.
fn told(served: &Served) -> Vec<String> {
    let requests = served.models.requests();
    let asked = requests.iter().map(|recorded| &recorded.request).filter(|request| turn(request) > 0);
    asked.filter(|request| Asked::of(request).role == "Planner").map(|request| request.last_user().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_plan_is_told_and_mended_by_its_planner() {
    let bad = [
        Reply::text("Here is the plan: first the store, then the rest."),
        plan(&json!([task("store", &["src/store.py"], &["ghost"]), task("http", &["../http.py"], &["store"])])),
    ];
    let served = Served::start(planner(bad.into())).await;
    let submission =
        json!({"flow": "software", "input": {"prompt": "A todo API", "max_rounds": 1}, "budget": {"usd": "5.00"}});
    let job = served.run(&submission).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    insta::assert_snapshot!("what_a_planner_is_told", told(&served).join("\n\n===\n\n"));
    let id = job["id"].as_str().expect("an id");
    let step = served.step(id, "planner@1").await;
    assert_eq!(step["journal"].as_array().map(Vec::len), Some(3), "every answer is kept");
    assert_eq!(step["journal"][1]["replies"][0]["text"], told(&served)[1], "and what was replied");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_stays_wrong_is_mended_and_that_is_said() {
    let [base, store, ..] = &TASKS;
    let bad = plan(&json!([
        task("base", base.files, &["store"]),
        task("store", store.files, &["base"]),
        task("more", &store.files[..1], &[]),
    ]));
    let served = Served::start(planner(vec![bad; 3])).await;
    let submission =
        json!({"flow": "software", "input": {"prompt": "A todo API", "max_rounds": 1}, "budget": {"usd": "5.00"}});
    let job = served.run(&submission).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    let told = told(&served);
    assert_eq!(told.len(), 2, "sent back twice");
    assert!(told[0].contains("wait for each other, so that none can start: base, store"), "{}", told[0]);
    let warnings = job["warnings"].as_array().expect("warnings");
    let first = warnings[0].as_str().expect("a text");
    assert!(first.starts_with("planner@1: the answer stayed wrong and was mended: "), "{first}");
    let id = job["id"].as_str().expect("an id");
    let plan: Value = serde_json::from_slice(&served.download(id, "plan.json").await).expect("json");
    let kept: Vec<_> =
        plan["tasks"].as_array().expect("tasks").iter().map(|task| (&task["id"], &task["depends_on"])).collect();
    assert_eq!(kept, [(&json!("base"), &json!(["store"])), (&json!("store"), &json!([]))]);
    served.stop().await;
}
