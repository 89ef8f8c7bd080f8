//! The flow `software` and small flows of one task, from inputs to prompts and from answers to results.

use convoke_domain::ids::JobKey;
use serde_json::{Value, json};

use super::tools::NewFile;
use super::*;
use crate::model::{Message, ModelProfile};
use crate::ports::{BlobKey, FileRef};

fn profile(capability: Capability) -> ModelProfile {
    let capable = capability == Capability::Capable;
    let context_tokens = if capable { 128_000 } else { 2_048 };
    ModelProfile { name: "test/model".into(), context_tokens, output_tokens_max: 8_000, capable, price: None }
}

fn software(capability: Capability) -> CompiledFlow {
    let doc = built_in("software").expect("built in").expect("a document");
    compile(&doc, capability).expect("compiles")
}

fn file(path: &str, step: &str, bytes: u64) -> FileRef {
    let job = JobKey { tenant: "t".parse().expect("tenant"), job: "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("job") };
    let key = BlobKey::of_job(&job, step, 1, path);
    let sha256 = format!("{bytes:064x}");
    FileRef { path: path.into(), media_type: "text/plain".into(), bytes, sha256, key, step: step.into() }
}

/// What each task of `software` reads when the second of two tasks is at work.
fn inputs(flow: &CompiledFlow, round: u32) -> Inputs {
    let input = validate_input(flow, &json!({"prompt": "Create a REST API for a todo application"})).expect("valid");
    let tasks = json!([
        {"id": "t1", "title": "Store", "description": "Keep todos in memory.", "files": ["src/store.py"], "depends_on": [], "acceptance": ["ids are unique"]},
        {"id": "t2", "title": "HTTP", "description": "Serve the store.", "files": ["web/api.py"], "depends_on": ["t1"], "acceptance": ["404 for unknown ids"]},
    ]);
    let review = json!({"verdict": "revise", "summary": "Close.", "findings": [
        {"file": "web/api.py", "severity": "high", "area": "security", "problem": "No bound on bodies.", "suggestion": "Refuse over 1 MiB."}]});
    let outputs = [
        ("architect", json!({"summary": "A small HTTP service.", "stack": ["Python"], "answers": []})),
        ("planner", json!({"agreed": round > 1, "concerns": ["Which port?"], "shared_files": [], "tasks": tasks})),
        ("plan_review", json!({"decision": "approve", "comment": "", "by": "", "expired": false, "asked": false})),
        ("orchestrator", json!({"orders": [{"task": "t2", "brief": "Define `app`.", "checks": ["POST answers 201"]}]})),
        ("coder", json!({"summary": "Wrote the API.", "notes": [], "files": []})),
        ("tester", review.clone()),
        (
            "build",
            json!([
                {"coder": {"summary": "Wrote the store.", "notes": []}, "tester": {"verdict": "pass", "findings": []}},
                {"coder": {"summary": "Wrote the API.", "notes": ["Listens on 8000."]}, "tester": review}
            ]),
        ),
        (
            "integrator",
            json!({"status": "ask", "summary": "", "ask": "architect", "question": "Are ids numbers or texts?"}),
        ),
        (
            "arbiter",
            json!({"decision": "Ids are texts.", "reason": "", "changes": [{"path": "web/api.py", "what": "take texts"}]}),
        ),
    ];
    let late = ["tester", "arbiter"];
    let outputs = outputs.into_iter().filter(|(task, _)| round > 1 || !late.contains(task));
    let api = file("web/api.py", "coder[1]@1", 900);
    let store = file("src/store.py", "coder[0]@1", 400);
    Inputs {
        input: input.into(),
        outputs: outputs.map(|(task, output)| (task.to_owned(), output)).collect(),
        files: [("coder", vec![api.clone()]), ("build", vec![store.clone(), api])]
            .map(|(t, f)| (t.to_owned(), f))
            .into(),
        after_files: vec![store],
        conflicts: vec![Conflict { path: "README.md".into(), steps: vec!["coder[0]".into(), "coder[1]".into()] }],
        texts: [("web/api.py".to_owned(), "def app():\n    return 'ok'\n".to_owned())].into(),
        item: Some((1, tasks[1].clone())),
        round,
        job_id: "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".into(),
        model: "test/model".into(),
        ..Inputs::default()
    }
}

fn shown(prompt: &Prompt) -> String {
    let texts = prompt.messages.iter().map(|message| match message {
        Message::System { text } => format!("--- system\n{text}"),
        Message::User { text } => format!("--- user\n{text}"),
        other => format!("{other:?}"),
    });
    let tools: Vec<&str> = prompt.tools.iter().map(|tool| tool.name.as_str()).collect();
    let schema = prompt.schema.as_ref().map(|schema| schema.schema.to_string().len());
    let tail = format!("--- tools {tools:?}, schema of {schema:?} bytes, {} tokens", prompt.output_tokens_max);
    texts.chain([tail]).collect::<Vec<_>>().join("\n")
}

const TASKS: [&str; 7] = ["architect", "planner", "orchestrator", "coder", "tester", "integrator", "arbiter"];

#[test]
fn prompts_of_the_software_flow() {
    for capability in [Capability::Capable, Capability::Small] {
        let flow = software(capability);
        for task in TASKS {
            let rounds = if capability == Capability::Small || task == "orchestrator" { 1..=1 } else { 1..=2 };
            for round in rounds {
                let spec = flow.task(task).expect(task);
                let prompt = prompt(&flow, spec, &inputs(&flow, round), &profile(capability)).expect(task);
                let name = format!("{}_{task}_{round}", format!("{capability:?}").to_lowercase());
                insta::assert_snapshot!(name, shown(&prompt));
            }
        }
    }
}

#[test]
fn every_prompt_of_the_software_flow_holds_the_request_and_is_bounded() {
    let flow = software(Capability::Small);
    for task in TASKS {
        let mut inputs = inputs(&flow, 1);
        let prompt_of = |inputs: &Inputs| {
            let spec = flow.task(task).expect(task);
            prompt(&flow, spec, inputs, &profile(Capability::Small)).expect(task)
        };
        let asked = prompt_of(&inputs);
        let text = shown(&asked);
        assert!(text.contains("Create a REST API for a todo application"), "{task}: {text}");
        assert!(asked.tools.is_empty());
        let long = format!("Build {}", "a very long story ".repeat(1_000));
        inputs.input = json!({"prompt": long, "max_tasks": 2, "files": []}).into();
        inputs.texts.insert("web/api.py".into(), "line\n".repeat(10_000));
        let text = shown(&prompt_of(&inputs));
        assert!(text.len() < 3_000 && text.contains("omitted"), "{task}: {} bytes", text.len());
    }
}

#[test]
fn a_small_models_files_are_part_of_its_answer() {
    let flow = software(Capability::Small);
    let spec = flow.task("coder").expect("coder");
    let inputs = inputs(&flow, 1);
    let asked = prompt(&flow, spec, &inputs, &profile(Capability::Small)).expect("a prompt");
    let schema = asked.schema.expect("a schema").schema;
    assert_eq!(schema.pointer("/properties/files/items/properties/path/enum"), Some(&json!(["web/api.py"])));
    let answer = json!({"files": [{"path": "web/api.py", "content": "print('hi')\n"}], "summary": "It prints."});
    let accepted = accept(&flow, spec, &inputs, &answer.to_string(), &[]).expect("accepted");
    assert_eq!(accepted.files.len(), 1);
    assert_eq!(accepted.files[0].bytes.as_ref(), b"print('hi')\n");
    assert_eq!(accepted.output["files"], json!([{"path": "web/api.py", "size": 12}]));
    // Cut off in the middle of its file: what is there is kept, when feedback didn't help.
    let text = answer.to_string();
    let cut = &text[..text.find("hi").expect("hi") + 2];
    assert!(accept(&flow, spec, &inputs, cut, &[]).is_err());
    let repaired = repair(&flow, spec, &inputs, cut, &[]).expect("repaired");
    assert_eq!(repaired.files[0].bytes.as_ref(), b"print('hi");
    assert_eq!(repaired.output, json!({"files": [{"path": "web/api.py", "size": 9}], "summary": ""}));
    // A plan that was cut off in its second task has one task.
    let planner = flow.task("planner").expect("planner");
    let task = json!({"id": "t1", "title": "Main", "files": ["src/main.py"], "depends_on": []});
    let cut =
        format!("{{\"agreed\": true, \"shared_files\": [], \"tasks\": [{task}, {{\"id\": \"t2\", \"title\": \"Te");
    let repaired = repair(&flow, planner, &inputs, &cut, &[]).expect("repaired");
    assert_eq!(repaired.output["tasks"], json!([task]));
}

#[test]
fn a_plan_is_sent_back_and_then_repaired() {
    let flow = software(Capability::Capable);
    let spec = flow.task("planner").expect("planner");
    let inputs = inputs(&flow, 1);
    let task = |id: &str, file: &str, after: &[&str]| json!({"id": id, "title": id, "description": id, "files": [file], "depends_on": after, "acceptance": []});
    let plan = |tasks: Value| json!({"agreed": true, "concerns": [], "shared_files": [], "tasks": tasks}).to_string();
    let good = plan(json!([task("a", "a.rs", &[]), task("b", "b.rs", &["a"])]));
    let fenced = format!("Here is the plan:\n```json\n{good}\n```\n");
    let accepted = accept(&flow, spec, &inputs, &fenced, &[]).expect("accepted");
    assert_eq!(accepted.files[0].path.as_str(), "plan.json");
    assert_eq!(accepted.files[0].media_type, "application/json");
    let bad =
        plan(json!([task("a", "a.rs", &["b", "ghost"]), task("b", "../b.rs", &["a"]), task("c", "c.rs", &["a"])]));
    let findings = accept(&flow, spec, &inputs, &bad, &[]).expect_err("sent back");
    let told = feedback(&findings);
    for expected in ["no task \"ghost\"", "wait for each other", "/tasks/1/files"] {
        assert!(told.contains(expected), "{told}");
    }
    let repaired = repair(&flow, spec, &inputs, &bad, &[]).expect("repaired");
    let ids: Vec<&str> =
        repaired.output["tasks"].as_array().expect("tasks").iter().filter_map(|t| t["id"].as_str()).collect();
    assert_eq!(ids, ["a", "c"]);
    assert!(accept(&flow, spec, &inputs, &repaired.output.to_string(), &[]).is_ok());
    assert!(repair(&flow, spec, &inputs, "I can't", &[]).is_none());
}

#[test]
fn files_out_of_scope_or_empty_are_sent_back() {
    let flow = software(Capability::Capable);
    let spec = flow.task("coder").expect("coder");
    let inputs = inputs(&flow, 1);
    let new = |path: &str, text: &str| NewFile::new(path.parse().expect(path), text.to_owned());
    let done = json!({"summary": "Done.", "notes": []}).to_string();
    let check = |files: &[NewFile], expected: &[&str]| match accept(&flow, spec, &inputs, &done, files) {
        Ok(_) => assert!(expected.is_empty(), "{files:?}"),
        Err(findings) => {
            let told = feedback(&findings);
            assert!(!expected.is_empty() && expected.iter().all(|text| told.contains(text)), "{told}");
        }
    };
    check(&[new("web/api.py", "x = 1\n")], &[]);
    check(&[], &["no file was written"]);
    check(&[new("web/api.py", " \n")], &["the file is empty"]);
    check(&[new("web/api.py", "x"), new("src/store.py", "x")], &["src/store.py", "allowed: web/api.py"]);
    let files = [new("web/api.py", "x"), new("evil.sh", "x"), new("WEB/api.py", "y")];
    let repaired = repair(&flow, spec, &inputs, &done, &files).expect("repaired");
    assert_eq!(repaired.files, [new("web/api.py", "x")]);
    let reviewer = flow.task("tester").expect("tester");
    let review = json!({"verdict": "pass", "summary": "Good.", "findings": []}).to_string();
    let accepted = accept(&flow, reviewer, &inputs, &review, &[]).expect("accepted");
    assert_eq!(accepted.files[0].path.as_str(), "reviews/t2-1.json");
}

#[test]
fn loops_and_maps_of_the_software_flow_are_evaluated() {
    let flow = software(Capability::Capable);
    let [design, build, integrate] = ["design", "build", "integrate"].map(|id| flow.graph.index_of(id).expect(id));
    let first = inputs(&flow, 1);
    let mut second = inputs(&flow, 2);
    assert!(!evaluate_until(&flow, design, &first).expect("a value"));
    assert!(evaluate_until(&flow, design, &second).expect("a value"));
    assert!(!evaluate_until(&flow, build, &second).expect("a value"));
    assert!(!evaluate_until(&flow, integrate, &second).expect("a value"));
    let items = evaluate_over(&flow, build, &first).expect("a list");
    assert_eq!(items.keys, ["t1", "t2"]);
    assert_eq!(items.needs, Some(vec![vec![], vec![0]]));
    let scope = write_scope(flow.task("coder").expect("coder"), &first).expect("a scope");
    assert_eq!(scope.to_string(), "web/api.py");
    let broken = |tasks: Value, expected: &str, inputs: &mut Inputs| {
        inputs.outputs.insert("planner".into(), json!({"tasks": tasks, "agreed": true, "shared_files": []}));
        let error = evaluate_over(&flow, build, inputs).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    broken(json!([{"id": "a", "depends_on": ["z"]}]), "waits for \"z\"", &mut second);
    broken(
        json!([{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["a"]}]),
        "wait for each other: a, b",
        &mut second,
    );
    broken(
        json!([{"id": "a", "depends_on": []}, {"id": "a", "depends_on": []}]),
        "already that of item 0",
        &mut second,
    );
    broken(json!([{"depends_on": []}]), "no key", &mut second);
    let many: Vec<Value> = (0..65).map(|n| json!({"id": n.to_string(), "depends_on": []})).collect();
    broken(many.into(), "at most 64", &mut second);
}

#[test]
fn input_of_the_software_flow() {
    let flow = software(Capability::Capable);
    let valid = validate_input(&flow, &json!({"prompt": "x"})).expect("valid");
    assert_eq!(valid, json!({"prompt": "x", "max_tasks": 12, "max_rounds": 3, "review_plan": false, "files": []}));
    assert_eq!(flow.for_input(&valid).expect("bounded").graph.nodes[0].thread().rounds_max, 3);
    let reviewed = validate_input(&flow, &json!({"prompt": "x", "review_plan": true})).expect("valid");
    assert_eq!(flow.for_input(&reviewed).expect("bounded").graph.nodes[0].thread().rounds_max, 8);
    let cases = [
        (json!({}), "prompt"),
        (json!({"prompt": ""}), "input.prompt"),
        (json!({"prompt": "x", "max_tasks": 65}), "input.max_tasks"),
        (json!({"prompt": "x", "review_plan": "yes"}), "input.review_plan"),
        (json!({"prompt": "x", "tasks": 3}), "tasks"),
    ];
    for (input, expected) in cases {
        let issues = validate_input(&flow, &input).expect_err(expected);
        assert!(issues.iter().any(|issue| issue.to_string().contains(expected)), "{input}: {issues:?}");
    }
}

fn single(task: &str) -> CompiledFlow {
    let text = format!(
        "name: one\nnodes:\n  - {{kind: map, id: wide, over: input.list, node: {{kind: agent, agent: a, task: {{description: d, expected_output: e}}}}}}\n  - kind: agent\n    id: done\n    needs: [wide]\n    agent: a\n    task: {task}\nagents: {{a: {{role: r, goal: g, backstory: b}}}}\n"
    );
    compile(&parse(&text).expect("a document"), Capability::Capable).expect("compiles")
}

#[test]
fn a_wide_join_is_digested_visibly() {
    let flow = single("{description: Join, expected_output: One text}");
    let outputs: Vec<Value> = (0..1_000).map(|n| json!(format!("part {n}: {}", "word ".repeat(260)))).collect();
    let inputs = Inputs { outputs: [("wide".to_owned(), outputs.into())].into(), ..Inputs::default() };
    let small_context = ModelProfile { context_tokens: 32_000, ..profile(Capability::Capable) };
    let prompt = prompt(&flow, flow.task("done").expect("done"), &inputs, &small_context).expect("a prompt");
    let text = shown(&prompt);
    assert!(text.contains("1. part 0: word") && text.contains("more outputs, 1.2 MB, omitted]"), "{}", text.len());
    assert!(text.len() < 32_000 * 3, "{}", text.len());
}

#[test]
fn tasks_that_cannot_be_asked_say_why() {
    let cases = [
        ("{description: '{{ input.x }}', expected_output: e}", "the description of \"done\" can't be filled in"),
        ("{description: d, expected_output: e, output_file: '../{{ wide.count }}'}", "makes the path \"../0\""),
        (
            "{description: d, expected_output: e, writes: {scope: 'input.x'}}",
            "writes.scope of \"done\" can't be evaluated",
        ),
        ("{description: d, expected_output: e, writes: {scope: '1'}}", "has to be a list of paths, and is 1"),
        ("{description: d, expected_output: e, writes: {scope: '[\"/etc/\"]'}}", "makes the path \"/etc\""),
    ];
    for (task, expected) in cases {
        let flow = single(task);
        let inputs = Inputs { input: json!({}).into(), ..Inputs::default() };
        let error = prompt(&flow, flow.task("done").expect("done"), &inputs, &profile(Capability::Capable));
        let error = error.expect_err(task).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let flow = single("{description: d, expected_output: e}");
    let tiny = ModelProfile { context_tokens: 8_200, ..profile(Capability::Capable) };
    let error = prompt(&flow, flow.task("done").expect("done"), &Inputs::default(), &tiny).expect_err("too small");
    assert!(error.to_string().contains("too small"), "{error}");
}

#[test]
fn text_answers_become_files() {
    let flow = single("{description: d, expected_output: e, output_file: 'out/{{ wide.count }}.md'}");
    let spec = flow.task("done").expect("done");
    let inputs = Inputs { outputs: [("wide".to_owned(), json!([1, 2]))].into(), ..Inputs::default() };
    let accepted = accept(&flow, spec, &inputs, " Hello {{ input }} \n", &[]).expect("accepted");
    assert_eq!(accepted.output, json!("Hello {{ input }}"));
    assert_eq!(accepted.files, [NewFile::new("out/2.md".parse().expect("a path"), "Hello {{ input }}\n".to_owned())]);
    assert!(accept(&flow, spec, &inputs, " \n", &[]).is_err());
    assert!(repair(&flow, spec, &inputs, " \n", &[]).is_none());
}

#[test]
fn what_came_from_outside_is_never_read_as_a_template() {
    let flow = single("{description: 'Say {{ input.x }}', expected_output: e}");
    let inputs =
        Inputs { input: json!({"x": "{{ job.id }} {% raw %}"}).into(), job_id: "secret".into(), ..Inputs::default() };
    let prompt =
        prompt(&flow, flow.task("done").expect("done"), &inputs, &profile(Capability::Capable)).expect("a prompt");
    let text = shown(&prompt);
    assert!(text.contains("Say {{ job.id }} {% raw %}") && !text.contains("secret"), "{text}");
}
