//! A strong model that plays all roles of the flow `software`: it calls tools, objects once, sends work back once, asks
//! once. What it says carries marks (`<<plan@1>>`), so that a prompt tells whose output stands in it.

use serde_json::{Value, json};

use super::{ChatRequest, Reply, Script};

/// A task of the plan.
pub struct Task {
    /// Its id.
    pub id: &'static str,
    /// The files that are its own.
    pub files: &'static [&'static str],
    /// Tasks that it builds on.
    pub depends_on: &'static [&'static str],
    /// Whether it writes [`SHARED`], too.
    pub shares: bool,
}

/// A file that two tasks write.
pub const SHARED: &str = "todo/errors.py";

/// The plan.
pub const TASKS: [Task; 5] = [
    task("base", &["pyproject.toml", "todo/__init__.py", "todo/settings.py"], &[], false),
    task("store", &["todo/store.py", "tests/test_store.py"], &["base"], true),
    task("http", &["todo/http.py", "tests/test_http.py"], &["base"], true),
    task("cli", &["todo/cli.py", "tests/test_cli.py"], &["store", "base"], false),
    task("docs", &["docs/api.md"], &["http"], false),
];

const fn task(
    id: &'static str,
    files: &'static [&'static str],
    depends_on: &'static [&'static str],
    shares: bool,
) -> Task {
    Task { id, files, depends_on, shares }
}

/// How the model gets on with itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    /// Agrees, passes and decides in the second round.
    Reasonable,
    /// Never does.
    Stubborn,
}

/// Who is asked, for which task of the plan, in which round: told by the prompt alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// The role that it is to play.
    pub role: String,
    /// The task, where it is about one.
    pub task: Option<String>,
    /// The round, from 1.
    pub round: u32,
}

impl Asked {
    /// Reads the prompt.
    pub fn of(request: &ChatRequest) -> Self {
        let (system, user) = (request.system(), request.messages()[1]["content"].as_str().expect("a text"));
        let role = system.strip_prefix("You are ").and_then(|rest| rest.split_once('.')).expect("a role").0;
        let is_question = user.contains("you have to decide");
        let role = if is_question { "Arbiter".to_owned() } else { role.to_owned() };
        let task = ["Do the task `", "for the task `"].iter().find_map(|before| between(user, before, "`"));
        let round = between(user, "This is round ", " ").or_else(|| between(user, "This is round ", "."));
        let round = round.and_then(|round| round.trim_end_matches([':', '.']).parse().ok());
        let last = user.contains("This is the last round").then_some(2);
        Self { role, task, round: round.or(last).unwrap_or(1) }
    }

    fn spec(&self) -> &'static Task {
        TASKS.iter().find(|task| Some(task.id) == self.task.as_deref()).expect("a task of the plan")
    }
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found.to_owned())
}

/// Which turn of its step a request is, from 0.
pub fn turn(request: &ChatRequest) -> usize {
    request.messages().iter().filter(|message| message["role"] == "assistant").count()
}

/// What a coder writes into a file.
pub fn content(path: &str, task: &str, round: u32) -> String {
    format!("# {path}, written for {task} in round {round}\nVALUE = \"{task}-{round}\"\n")
}

/// The model.
pub struct Team(pub Temper);

impl Script for Team {
    fn reply(&self, request: &ChatRequest) -> Reply {
        let asked = Asked::of(request);
        let (calls, answer) = match asked.role.as_str() {
            "Software architect" => (Vec::new(), architecture(&asked)),
            "Planner" => (Vec::new(), self.plan(&asked)),
            "Orchestrator" => (Vec::new(), orders()),
            "Coder" => (code(&asked), work(&asked)),
            "Tester" => (vec![reads(asked.spec().files)], self.review(&asked)),
            "Integrator" => (self.integrate(request, &asked), self.integration(&asked)),
            "Arbiter" => (Vec::new(), decision(&asked)),
            other => panic!("nobody plays {other}"),
        };
        let reply = match calls.into_iter().nth(turn(request)) {
            Some(calls) => Reply::Calls(calls),
            None => Reply::Answer(answer),
        };
        reply.metered(json!({"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}))
    }
}

type Calls = Vec<(String, Value)>;

fn reads(paths: &[impl AsRef<str>]) -> Calls {
    paths.iter().map(|path| ("read_file".to_owned(), json!({"path": path.as_ref()}))).collect()
}

fn write(path: &str, content: &str) -> (String, Value) {
    ("write_file".to_owned(), json!({"path": path, "content": content}))
}

fn architecture(Asked { round, .. }: &Asked) -> Value {
    json!({
        "summary": format!("<<arch@{round}>> A small HTTP service over a store in memory."),
        "stack": ["Python 3.12: asked for nothing else", "standard library: enough"],
        "components": [
            {"name": "store", "responsibility": "Keeps todos.", "interfaces": "add(title) -> id", "depends_on": []},
            {"name": "http", "responsibility": "Serves them.", "interfaces": "POST /todos", "depends_on": ["store"]}
        ],
        "data_model": "A todo has an id and a title.",
        "conventions": ["Tests stand in tests/."],
        "running": "python -m todo",
        "decisions": [{"decision": "No database.", "reason": "None was asked for."}],
        "risks": [],
        "answers": if *round > 1 { vec!["Ids are texts."] } else { Vec::new() }
    })
}

impl Team {
    fn plan(&self, Asked { round, .. }: &Asked) -> Value {
        let tasks = TASKS.iter().filter(|task| self.0 == Temper::Reasonable || task.id == "base").map(|task| {
            json!({
                "id": task.id,
                "title": format!("<<title:{}>>", task.id),
                "description": format!("<<task:{}>> Build it.", task.id),
                "files": task.files,
                "depends_on": task.depends_on,
                "acceptance": ["It runs."]
            })
        });
        let agreed = *round > 1 && self.0 == Temper::Reasonable;
        json!({
            "agreed": agreed,
            "concerns": if agreed { Vec::new() } else { vec![format!("<<concern@{round}>> What is an id?")] },
            "shared_files": if self.0 == Temper::Reasonable { vec![SHARED] } else { Vec::new() },
            "tasks": tasks.collect::<Vec<_>>()
        })
    }

    fn review(&self, Asked { task, round, .. }: &Asked) -> Value {
        let task = task.as_deref().expect("a task");
        let sent_back = (task == "http" && *round == 1) || self.0 == Temper::Stubborn;
        let finding = json!({
            "file": if task == "http" { "todo/http.py" } else { "pyproject.toml" },
            "severity": "high",
            "area": "security",
            "problem": format!("<<finding:{task}@{round}>> Bodies have no bound."),
            "suggestion": "Refuse more than 1 MiB."
        });
        json!({
            "verdict": if sent_back { "revise" } else { "pass" },
            "summary": format!("<<review:{task}@{round}>>"),
            "findings": if sent_back { vec![finding] } else { Vec::new() }
        })
    }

    /// Reads the versions that the prompt names; in the last round it writes one of them, and the README.
    fn integrate(&self, request: &ChatRequest, Asked { round, .. }: &Asked) -> Vec<Calls> {
        if self.0 == Temper::Stubborn {
            return Vec::new();
        }
        let user = request.messages()[1]["content"].as_str().expect("a text");
        let versions: Vec<&str> = user.split('`').filter(|name| name.starts_with(&format!("{SHARED} ("))).collect();
        let mut look = reads(&versions);
        look.insert(0, ("list_files".to_owned(), json!({})));
        let merged =
            [write(SHARED, "# merged\nVALUE = \"store-1 and http-1\"\n"), write("README.md", "# Todo\n\nStart it.\n")];
        if *round == 1 { vec![look] } else { vec![look, merged.into()] }
    }

    fn integration(&self, Asked { round, .. }: &Asked) -> Value {
        let is_done = *round > 1 && self.0 == Temper::Reasonable;
        let question = format!("<<question@{round}>> Does the store or the service define the error?");
        json!({
            "status": if is_done { "done" } else { "ask" },
            "summary": if is_done { "Merged the errors of store and service, wrote the README." } else { "Read all of it." },
            "ask": if is_done { "nobody" } else { "architect" },
            "question": if is_done { String::new() } else { question },
            "open_findings": if self.0 == Temper::Stubborn { vec!["Nobody knows what an id is."] } else { Vec::new() },
            "removed": []
        })
    }
}

fn orders() -> Value {
    let order = |task: &Task| {
        let (brief, check) =
            (format!("<<order:{}>> To the letter.", task.id), format!("<<check:{}>> It holds.", task.id));
        json!({"task": task.id, "brief": brief, "checks": [check]})
    };
    json!({"orders": TASKS.iter().map(order).collect::<Vec<_>>()})
}

/// Reads what it builds on, then writes; in a later round only the first file that isn't a test.
fn code(asked: &Asked) -> Vec<Calls> {
    let task = asked.spec();
    let write = |path: &str| write(path, &content(path, task.id, asked.round));
    if asked.round > 1 {
        return vec![reads(&task.files[..1]), vec![write(task.files[0])]];
    }
    let mut writes: Calls = task.files.iter().map(|path| write(path)).collect();
    writes.extend(task.shares.then(|| write(SHARED)));
    let needed = TASKS.iter().filter(|other| task.depends_on.contains(&other.id));
    let mut needed: Calls = needed.flat_map(|other| reads(&other.files[..1])).collect();
    if needed.is_empty() {
        return vec![writes];
    }
    needed.insert(0, ("list_files".to_owned(), json!({})));
    vec![needed, writes]
}

fn work(Asked { task, round, .. }: &Asked) -> Value {
    let task = task.as_deref().expect("a task");
    json!({"summary": format!("<<work:{task}@{round}>> It is there."), "notes": [format!("Note of {task}.")]})
}

fn decision(_: &Asked) -> Value {
    json!({
        "decision": "<<decision@1>> Both: one class each.",
        "reason": "They fail in different ways.",
        "changes": [{"path": SHARED, "what": "Keep both values."}]
    })
}
