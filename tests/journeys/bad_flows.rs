//! Submissions that can't run: each gets a problem that names the places, quickly, and nothing is stored.

#![expect(clippy::disallowed_methods, reason = "how long an answer takes is what is measured")]

use std::time::{Duration, Instant};

use convoke_tests::scripted::{Reply, Sequence};
use convoke_tests::served::{Answer, Served};
use serde_json::{Value, json};

/// Longest time that a refusal may take, on a busy machine, too.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(5);

async fn served() -> Served {
    Served::start(Sequence::new([Reply::text("done")])).await
}

/// Submits what has to be refused.
async fn refused(served: &Served, submission: &Value) -> Answer {
    let begun = Instant::now();
    let answer = served.post("/v1/jobs", submission).await;
    let took = begun.elapsed();
    assert!(took < REFUSAL_TIME_MAX, "{took:?}");
    answer
}

/// Nobody's job was made, no model was asked.
async fn nothing_was_done(served: &Served) {
    assert_eq!(served.get("/v1/jobs").await.json()["jobs"], json!([]));
    assert_eq!(served.models.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prompts_that_are_none() {
    let served = served().await;
    let binary = "\u{0}\u{1}\u{2}PNG\u{1b}[2J";
    for (prompt, code) in [
        (json!(""), "invalid_input"),
        (json!("   \n"), "invalid_input"),
        (json!(7), "invalid_input"),
        (json!(null), "invalid_input"),
        (json!(binary), "invalid_request"),
        (json!("x".repeat(64 * 1024 + 1)), "invalid_request"),
        (json!("x".repeat(20_001)), "invalid_input"),
    ] {
        let shown: String = prompt.to_string().chars().take(40).collect();
        let answer = refused(&served, &json!({"flow": "software", "input": {"prompt": prompt}})).await;
        assert_eq!(answer.status, 422, "{shown}: {}", answer.text());
        assert_eq!(answer.problem(422), code, "{shown}: {}", answer.text());
        assert!(answer.places().contains(&"input.prompt".to_owned()), "{shown}: {}", answer.text());
        assert!(answer.text().len() < 2_000, "{shown}: a problem doesn't repeat what was sent");
    }
    let missing = refused(&served, &json!({"flow": "software", "input": {}})).await;
    assert_eq!((missing.problem(422), missing.places()), ("invalid_input".to_owned(), vec!["input".to_owned()]));
    nothing_was_done(&served).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_that_are_none() {
    let served = served().await;
    for (budget, place) in [
        (json!({"usd": "0"}), "budget.usd"),
        (json!({"usd": "-1"}), "budget.usd"),
        (json!({"usd": "1e9"}), "budget.usd"),
        (json!({"usd": "99999999999999999999"}), "budget.usd"),
        (json!({"usd": "NaN"}), "budget.usd"),
        (json!({"usd": 1.5}), "budget.usd"),
        (json!({"tokens": 0}), "budget.tokens"),
        (json!({"tokens": -5}), "budget.tokens"),
        (json!({"tokens": 1e30}), "budget.tokens"),
        (json!({"eur": "1"}), "budget.eur"),
        (json!("1"), "budget"),
    ] {
        let submission = json!({"flow": crate::http::chain(1), "input": {}, "budget": budget});
        let answer = refused(&served, &submission).await;
        assert_eq!(
            (answer.problem(422), answer.places()),
            ("invalid_request".to_owned(), vec![place.to_owned()]),
            "{budget}"
        );
    }
    nothing_was_done(&served).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_told_all_that_is_wrong_at_once() {
    let served = served().await;
    let submission = json!({"flow": "hardware", "inptu": {}, "model": "gpt", "deadline_s": 0, "notify": [{"fax": 1}]});
    let answer = refused(&served, &submission).await;
    assert_eq!(answer.problem(422), "invalid_request");
    assert_eq!(answer.places(), ["inptu", "input", "deadline_s", "notify[0]", "model", "flow"]);
    let unknown = refused(&served, &json!({"flow": "hardware", "input": {}})).await;
    assert_eq!((unknown.problem(422), unknown.places()), ("unknown_flow".to_owned(), vec!["flow".to_owned()]));
    nothing_was_done(&served).await;
    served.stop().await;
}

fn agent(id: &str, needs: &[&str], description: &str) -> Value {
    json!({"kind": "agent", "id": id, "needs": needs, "agent": {"role": "r", "goal": "g", "backstory": "b"},
           "task": {"description": description, "expected_output": "x"}})
}

fn flow(nodes: &[Value]) -> Value {
    json!({"name": "bad", "nodes": nodes})
}

fn over(list: &str) -> Value {
    let mut body = agent("", &[], "Do {{ item }}");
    body.as_object_mut().expect("an object").shift_remove("id");
    json!({"kind": "map", "id": "work", "over": list, "node": body})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flows_that_cannot_run() {
    let served = served().await;
    let deep = (0..200).fold(json!("x"), |inner, _| json!({"properties": {"a": inner}}));
    let nested =
        (0..12).fold(agent("a", &[], "x"), |inner, _| json!({"kind": "map", "id": "m", "over": "[1]", "node": inner}));
    let many: Vec<Value> = (0..10_000).map(|n| agent(&format!("n{n}"), &[], "x")).collect();
    let braces = format!("{}x{}", "{{ (".repeat(2_000), ") }}".repeat(2_000));
    let cases = [
        ("cyclic", flow(&[agent("a", &["b"], "x"), agent("b", &["a"], "x")]), "flow.nodes[0].needs"),
        ("itself", flow(&[agent("a", &["a"], "x")]), "flow.nodes[0].needs"),
        ("dangling", flow(&[agent("a", &["ghost"], "x")]), "flow.nodes[0].needs"),
        ("twice", flow(&[agent("a", &[], "x"), agent("a", &[], "x")]), "flow.nodes[1].id"),
        ("none", flow(&[]), "flow.nodes"),
        ("nested", flow(&[nested]), "flow.nodes[0].node"),
        ("no kind", flow(&[json!({"id": "a"})]), "flow.nodes[0]"),
        ("text", json!({"name": "bad", "nodes": "all"}), "flow.nodes"),
        ("open template", flow(&[agent("a", &[], "{{ input.x ")]), "flow.nodes[0].task.description"),
        ("unknown name", flow(&[agent("a", &[], "{{ nobody.output }}")]), "flow.nodes[0].task.description"),
        ("unknown filter", flow(&[agent("a", &[], "{{ input.x | explode }}")]), "flow.nodes[0].task.description"),
        ("macro", flow(&[agent("a", &[], "{% macro m() %}{{ m() }}{% endmacro %}")]), "flow.nodes[0].task.description"),
        ("parentheses", flow(&[agent("a", &[], &braces)]), "flow.nodes[0].task.description"),
        ("joins", flow(&[agent("a", &[], &"{{ input.x ~ input.x }}".repeat(20))]), "flow.nodes[0].task.description"),
        ("repeat", flow(&[agent("a", &[], "{{ 'x' * 1000000000 }}")]), "flow.nodes[0].task.description"),
        ("no expression", flow(&[over("input.x[")]), "flow.nodes[0].over"),
        ("deep expression", flow(&[over(&"(".repeat(900))]), "flow.nodes[0].over"),
        ("long expression", flow(&[over(&"1+".repeat(5_000))]), "flow.nodes[0].over"),
        ("regular expression", flow(&[over("input.x.matches('(a+)+$')")]), "flow.nodes[0].over"),
    ];
    for (name, flow, place) in cases {
        let answer = refused(&served, &json!({"flow": flow, "input": {"x": "y"}})).await;
        assert_eq!(answer.status, 422, "{name}: {}", answer.text());
        assert_eq!(answer.problem(422), "invalid_flow", "{name}: {}", answer.text());
        assert!(answer.places().iter().any(|path| path.starts_with(place)), "{name}: {}", answer.text());
        let errors = answer.json()["errors"].as_array().expect("errors").clone();
        assert!(errors.iter().all(|error| error["message"].as_str().is_some_and(|text| text.len() < 600)), "{name}");
    }
    let joins =
        |count: u32| flow(&(0..count).map(|n| json!({"kind": "join", "id": format!("n{n}")})).collect::<Vec<_>>());
    for (name, flow, expected) in [
        ("10,000 agents", flow(&many), 413),
        ("10,000 joins", joins(10_000), 422),
        ("600 joins", joins(600), 422),
        ("deep schema", json!({"name": "bad", "input": deep, "nodes": [agent("a", &[], "x")]}), 400),
    ] {
        let answer = refused(&served, &json!({"flow": flow, "input": {}})).await;
        assert_eq!(answer.status, expected, "{name}: {}", answer.text());
        answer.problem(expected);
    }
    nothing_was_done(&served).await;
    served.stop().await;
}

/// What explodes only with the input is stopped within bounds: the job fails and names the place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_and_expressions_that_explode() {
    let served = served().await;
    let list: Vec<u32> = (0..5_000).collect();
    let text = "x".repeat(50_000);
    let thrice = "{% for a in input.list %}{% for b in input.list %}{% for c in input.list %}.{% endfor %}{% endfor %}{% endfor %}";
    let doubled = "{{ (input.text ~ input.text) ~ (input.text ~ input.text) ~ (input.text ~ input.text) }}";
    let cases = [
        ("loops", flow(&[agent("a", &[], thrice)]), "the description of \"a\""),
        (
            "long",
            flow(&[agent("a", &[], &format!("{{% for a in input.list %}}{}{{% endfor %}}", "y".repeat(500)))]),
            "the description of \"a\"",
        ),
        ("missing", flow(&[agent("a", &[], "{{ input.nobody }}")]), "the description of \"a\""),
        ("comprehensions", flow(&[over("input.list.map(a, input.list.map(b, a * b))")]), "over of \"work\""),
        ("texts", flow(&[over("input.list.map(a, input.text + input.text)")]), "over of \"work\""),
        ("no list", flow(&[over("input.text")]), "over of \"work\""),
        ("too many", flow(&[over("input.list + input.list + input.list")]), "the list has 15000 items"),
    ];
    for (name, flow, place) in cases {
        let begun = Instant::now();
        let job = served.run(&json!({"flow": flow, "input": {"list": list, "text": text}})).await;
        let took = begun.elapsed();
        assert!(took < 2 * REFUSAL_TIME_MAX, "{name}: {took:?}");
        assert_eq!(job["status"], "failed", "{name}: {job:#}");
        let reason = job["stop_reason"].as_str().expect("a reason");
        assert!(matches!(reason, "invalid_definition" | "guardrail_failed"), "{name}: {reason}");
        let cause = job["cause"].as_str().expect("a cause");
        assert!(cause.contains(place) && cause.len() < 500, "{name}: {cause}");
        assert_eq!(job["cost"]["tokens"], 0, "{name}");
    }
    // What is large but within bounds is cut visibly, and runs.
    let job = served.run(&json!({"flow": flow(&[agent("a", &[], doubled)]), "input": {"text": text}})).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    let asked = served.models.requests()[0].request.last_user().to_owned();
    assert!(asked.len() < 30_000 && asked.contains("omitted]"), "{} bytes", asked.len());
    served.stop().await;
}
