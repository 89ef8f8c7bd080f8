//! The flow `software`, whole, with a strong model that calls tools.

mod badly;

use std::collections::{BTreeMap, BTreeSet};

use convoke_tests::scripted::team::{Asked, SHARED, TASKS, Team, Temper, content, turn};
use convoke_tests::served::Served;
use serde_json::{Value, json};

const PROMPT: &str = "Create a REST API for a todo application";

async fn built(temper: Temper, input: Value) -> (Served, Value) {
    let served = Served::start(Team(temper)).await;
    let submission = json!({"flow": "software", "input": input, "budget": {"usd": "5.00"}});
    let job = served.run(&submission).await;
    (served, job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_that_agrees_in_the_end_leaves_a_project() {
    let (served, job) = built(Temper::Reasonable, json!({"prompt": PROMPT})).await;
    let id = job["id"].as_str().expect("an id");
    assert_eq!((&job["status"], &job["stop_reason"]), (&json!("completed"), &json!("completed")), "{job:#}");
    assert_eq!(job.get("warnings"), None, "{job:#}");
    assert_eq!(job["cost"], served.billed());

    prompts_hold_what_they_depend_on(&served);
    coders_read_what_they_build_on(&served);
    files_come_from_the_journals_of_their_steps(&served, id).await;
    what_was_planned_was_delivered(&served, id).await;
    the_archive_holds_the_tree(&served, id).await;
    let result = served.get(&format!("/v1/jobs/{id}/result")).await.json();
    assert_eq!(result["outputs"]["integrate"]["status"], "done", "{result:#}");
    insta::assert_snapshot!("the_tree_of_a_project", served.text(id, "PROJECT_TREE.txt").await);
    insta::assert_snapshot!("the_report_of_a_project", told(&served.text(id, "REPORT.md").await, id));
    served.stop().await;
}

/// The marks that stand in a step's first prompt are those of the outputs that it depends on, and no others.
fn prompts_hold_what_they_depend_on(served: &Served) {
    let requests = served.models.requests();
    let first = requests.iter().map(|recorded| &recorded.request).filter(|request| turn(request) == 0);
    let mut found: BTreeMap<Asked, BTreeSet<String>> = BTreeMap::new();
    for request in first {
        let user = request.messages()[1]["content"].as_str().expect("a text");
        assert!(user.contains(PROMPT), "{user}");
        assert!(found.insert(Asked::of(request), marks(user)).is_none(), "asked twice: {user}");
    }
    let ids = || TASKS.iter().map(|task| task.id);
    let all = |kind: &'static str| ids().map(move |id| format!("{kind}:{id}"));
    let set = |marks: &[&str]| marks.iter().map(|mark| (*mark).to_owned()).collect::<BTreeSet<_>>();
    let mut expected: BTreeMap<Asked, BTreeSet<String>> = BTreeMap::new();
    let mut expect = |role: &str, task: Option<&str>, round: u32, marks: BTreeSet<String>| {
        expected.insert(Asked { role: role.to_owned(), task: task.map(str::to_owned), round }, marks);
    };
    let plan: BTreeSet<String> = all("title").chain(all("task")).collect();
    expect("Software architect", None, 1, set(&[]));
    expect("Planner", None, 1, set(&["arch@1"]));
    expect("Software architect", None, 2, set(&["arch@1", "concern@1"]));
    expect("Planner", None, 2, &set(&["arch@2", "concern@1"]) | &plan);
    expect("Orchestrator", None, 1, &set(&["arch@2"]) | &plan);
    for id in ids() {
        let own = |kind: &str| format!("{kind}:{id}");
        let coder: BTreeSet<String> = all("title").chain([own("task"), own("order"), "arch@2".to_owned()]).collect();
        let reviewed = [own("title"), own("task"), own("check"), "arch@2".to_owned()];
        let tester = |round: u32| -> BTreeSet<String> {
            reviewed.iter().cloned().chain([format!("work:{id}@{round}")]).collect()
        };
        expect("Coder", Some(id), 1, coder.clone());
        expect("Tester", Some(id), 1, tester(1));
        if id == "http" {
            let finding = set(&["finding:http@1"]);
            expect("Coder", Some(id), 2, &coder | &finding);
            expect("Tester", Some(id), 2, &tester(2) | &finding);
        }
    }
    let works = ids().map(|id| format!("work:{id}@{}", if id == "http" { 2 } else { 1 }));
    let works: BTreeSet<String> = works.chain(["arch@2".to_owned()]).collect();
    expect("Integrator", None, 1, works.clone());
    expect("Arbiter", None, 1, &set(&["arch@2", "question@1"]) | &plan);
    expect("Integrator", None, 2, &works | &set(&["question@1", "decision@1"]));
    assert_eq!(found, expected);
}

fn marks(text: &str) -> BTreeSet<String> {
    text.split("<<").skip(1).filter_map(|rest| rest.split_once(">>")).map(|(mark, _)| mark.to_owned()).collect()
}

/// What tools answered is what earlier tasks wrote.
fn coders_read_what_they_build_on(served: &Served) {
    let requests = served.models.requests();
    let answers = |role: &str, task: Option<&str>, round: u32, at: usize| -> Vec<String> {
        let wanted = Asked { role: role.to_owned(), task: task.map(str::to_owned), round };
        let mut all = requests.iter().map(|recorded| &recorded.request);
        let request = all.find(|request| turn(request) == at && Asked::of(request) == wanted).expect("a request");
        request.tool_results().into_iter().map(str::to_owned).collect()
    };
    let listed = "pyproject.toml (63 bytes)\ntodo/__init__.py (65 bytes)\ntodo/settings.py (65 bytes)\n";
    assert_eq!(answers("Coder", Some("http"), 1, 1), [listed.to_owned(), content("pyproject.toml", "base", 1)]);
    assert_eq!(answers("Coder", Some("docs"), 1, 1)[1], content("todo/http.py", "http", 2), "the mended one");
    assert_eq!(answers("Coder", Some("http"), 2, 1), [content("todo/http.py", "http", 1)]);
    assert_eq!(answers("Tester", Some("http"), 2, 1)[0], content("todo/http.py", "http", 2));
    for round in 1..=2 {
        let versions = &answers("Integrator", None, round, 1)[1..];
        assert_eq!(versions, [content(SHARED, "store", 1), content(SHARED, "http", 1)], "both are there to be read");
    }
}

/// Whatever a file holds stands in the journal of the step that it names: as what a tool was called with, or as the
/// step's answer.
async fn files_come_from_the_journals_of_their_steps(served: &Served, id: &str) {
    let mut written = 0;
    for file in served.artifacts(id).await {
        let (path, step) = (file["path"].as_str().expect("a path"), file["step"].as_str().expect("a step"));
        if step == "(finish)" {
            continue;
        }
        let text = served.text(id, path).await;
        let detail = served.step(id, step).await;
        let journal = detail["journal"].as_array().expect("a journal");
        let calls = journal.iter().flat_map(|turn| turn["answer"]["tool_calls"].as_array().into_iter().flatten());
        let wanted = json!({"path": path, "content": text});
        let is_written = calls.into_iter().any(|call| call["name"] == "write_file" && call["arguments"] == wanted);
        let last = journal.last().and_then(|turn| turn["answer"]["text"].as_str()).unwrap_or_default();
        let answer: Value = serde_json::from_str(last).expect("json");
        let is_answer = serde_json::from_str::<Value>(&text).is_ok_and(|value| value == answer);
        assert!(is_written || is_answer, "{path} isn't in the journal of {step}: {detail:#}");
        written += usize::from(is_written);
    }
    assert_eq!(written, 12, "eleven files of coders and one of the integrator");
}

async fn what_was_planned_was_delivered(served: &Served, id: &str) {
    let json = async |path: &str| -> Value { serde_json::from_slice(&served.download(id, path).await).expect("json") };
    assert!(json("architecture.json").await["summary"].as_str().is_some_and(|text| text.starts_with("<<arch@2>>")));
    let plan = json("plan.json").await;
    assert_eq!((&plan["agreed"], plan["tasks"].as_array().map(Vec::len)), (&json!(true), Some(TASKS.len())));
    assert_eq!(json("reviews/http-1.json").await["verdict"], "revise");
    assert_eq!(json("reviews/http-2.json").await["verdict"], "pass");
    for task in &TASKS {
        for path in task.files {
            let round = if *path == "todo/http.py" { 2 } else { 1 };
            assert_eq!(served.text(id, path).await, content(path, task.id, round));
        }
    }
    assert_eq!(served.text(id, SHARED).await, "# merged\nVALUE = \"store-1 and http-1\"\n");
}

async fn the_archive_holds_the_tree(served: &Served, id: &str) {
    let archive = served.archive(id).await;
    let listed = served.artifacts(id).await;
    let paths = listed.iter().map(|file| file["path"].as_str().expect("a path"));
    let paths: Vec<&str> = paths.filter(|path| *path != "archive.zip").collect();
    assert_eq!(archive.keys().map(String::as_str).collect::<Vec<_>>(), paths);
    for (path, bytes) in &archive {
        assert_eq!(*bytes, served.download(id, path).await, "{path}");
    }
    let tree = served.text(id, "PROJECT_TREE.txt").await;
    for name in paths.iter().filter_map(|path| path.rsplit('/').next()) {
        assert!(tree.contains(name), "{name} isn't in the tree");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_that_never_agrees_delivers_with_warnings() {
    let (served, job) = built(Temper::Stubborn, json!({"prompt": PROMPT, "max_rounds": 2, "max_tasks": 1})).await;
    let id = job["id"].as_str().expect("an id");
    assert_eq!((&job["status"], &job["stop_reason"]), (&json!("completed"), &json!("completed")), "{job:#}");
    insta::assert_json_snapshot!("the_warnings_of_a_stubborn_team", job["warnings"]);
    let result = served.get(&format!("/v1/jobs/{id}/result")).await.json();
    assert_eq!(result["warnings"], job["warnings"]);
    let report = served.text(id, "REPORT.md").await;
    insta::assert_snapshot!("the_report_of_a_stubborn_team", told(&report, id));
    assert!(report.starts_with("# Report\n\n## Warnings\n\n- no consensus"), "{report}");
    let rounds = |role: &str| {
        let requests = served.models.requests();
        let asked = requests.iter().filter(|recorded| turn(&recorded.request) == 0);
        asked.filter(|recorded| Asked::of(&recorded.request).role == role).count()
    };
    let asked = ["Software architect", "Planner", "Coder", "Tester", "Integrator", "Arbiter"].map(rounds);
    assert_eq!(asked, [2, 2, 3, 3, 2, 2], "each loop stops at its bound");
    assert_eq!(served.text(id, "pyproject.toml").await, content("pyproject.toml", "base", 3));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_come_with_the_request_stand_before_the_architect() {
    let served = Served::start(Team(Temper::Stubborn)).await;
    let announced = served.post("/v1/uploads", &json!({"name": "api/notes.md", "bytes": 11})).await.json();
    let put = reqwest::Client::new().put(announced["url"].as_str().expect("a URL"));
    let put = put.header("content-type", announced["headers"]["content-type"].as_str().expect("a type"));
    assert!(put.body("hello there").send().await.expect("an answer").status().is_success());
    let input = json!({"prompt": PROMPT, "max_rounds": 1, "max_tasks": 1, "files": [announced["id"], "a mere name"]});
    let job = served.run(&json!({"flow": "software", "input": input, "budget": {"usd": "5.00"}})).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    let asked = served.models.requests()[0].request.last_user().to_owned();
    assert!(asked.contains("### api/notes.md (11 bytes)\nhello there\n- a mere name\n"), "{asked}");
    served.stop().await;
}

/// A report without what differs from run to run: id, seconds, and the order of steps that ran side by side.
fn told(report: &str, id: &str) -> String {
    let report = report.replace(id, "(id)");
    let (told, steps) = report.split_once("\n## Steps\n").expect("steps");
    let told = told.lines().map(|line| if line.starts_with("| time |") { "| time | (time) |" } else { line });
    let told = told.map(|line| if line.contains("PROJECT_TREE.txt") { "(the tree)" } else { line });
    let mut steps: Vec<String> = steps.lines().map(without_seconds).collect();
    steps.sort();
    format!("{}\n\n## Steps\n{}\n", told.collect::<Vec<_>>().join("\n"), steps.join("\n"))
}

fn without_seconds(row: &str) -> String {
    let cells: Vec<&str> = row.split(" | ").collect();
    match cells.as_slice() {
        [step, model, attempt, turns, tokens, cost, _, files] => {
            [*step, model, attempt, turns, tokens, cost, "(seconds)", files].join(" | ")
        }
        _ => row.to_owned(),
    }
}

/// Waits until people are asked; the reviews so far.
async fn asked(served: &Served, id: &str, count: usize) -> Value {
    let mut after = 0;
    for _ in 0..100 {
        let job = served.get(&format!("/v1/jobs/{id}")).await.json();
        let reviews = job["reviews"].as_array().map_or(0, Vec::len);
        if job["status"] == "awaiting_review" && reviews == count {
            return job["reviews"].clone();
        }
        let events = served.get(&format!("/v1/jobs/{id}/events?after={after}&wait_s=5&limit=500")).await.json();
        assert_eq!(events["ended"], false, "{events:#}");
        after = events["next_after"].as_u64().expect("a number");
    }
    panic!("nobody is asked")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_a_person_is_asked_about_is_changed_as_they_say_and_built_once_they_approve() {
    let served = Served::start(Team(Temper::Reasonable)).await;
    let input = json!({"prompt": PROMPT, "review_plan": true});
    let id = served.submit(&json!({"flow": "software", "input": input, "budget": {"usd": "5.00"}})).await;
    let reviews = asked(&served, &id, 1).await;
    let review = &reviews[0];
    assert_eq!(review["id"], "plan_review@2", "the planner agrees in the second round: {review:#}");
    let question = review["question"].as_str().expect("a question");
    assert!(question.contains("<<arch@2>>") && question.contains("- http: todo/http.py"), "{question}");
    let shown: Vec<&Value> = review["shows"].as_array().expect("a list").iter().map(|it| &it["path"]).collect();
    assert_eq!(shown, ["plan.json", "architecture.json"]);
    let coders = |served: &Served| {
        let requests = served.models.requests();
        requests.iter().filter(|recorded| Asked::of(&recorded.request).role == "Coder").count()
    };
    assert_eq!(coders(&served), 0, "nothing is built before");

    let wish = json!({"decision": "changes", "comment": "Ids are to be numbers."});
    assert_eq!(served.post(&format!("/v1/jobs/{id}/reviews/plan_review@2"), &wish).await.status, 200);
    let reviews = asked(&served, &id, 2).await;
    assert_eq!((&reviews[0]["state"], &reviews[1]["id"]), (&json!("changes_requested"), &json!("plan_review@3")));
    let requests = served.models.requests();
    let told = requests.iter().filter(|recorded| recorded.request.mentions("Ids are to be numbers."));
    let told: Vec<String> = told.map(|recorded| Asked::of(&recorded.request).role).collect();
    assert_eq!(told, ["Software architect", "Planner"]);

    let approval = json!({"decision": "approve"});
    assert_eq!(served.post(&format!("/v1/jobs/{id}/reviews/plan_review@3"), &approval).await.status, 200);
    let job = served.ended(&id).await;
    assert_eq!((&job["status"], job.get("warnings")), (&json!("completed"), None), "{job:#}");
    assert!(coders(&served) > 0 && job["cost"] == served.billed(), "{job:#}");
    let report = served.text(&id, "REPORT.md").await;
    assert!(report.contains("| `plan_review@2` | changes |"), "{report}");
    served.stop().await;
}
