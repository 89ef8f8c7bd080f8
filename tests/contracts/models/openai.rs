//! Chat completions: what is sent, and answers as they should be.

use std::time::{Duration, Instant};

use convoke_app::model::{Finish, Message, ModelError, ModelRequest, Models, ToolCall};
use convoke_domain::money::MicroUsd;
use convoke_models::registry::{AzureSettings, Registry, Settings};
use convoke_tests::scripted::{ChatRequest, Gate, Ledger, Reply, ScriptedServer, Sequence};
use serde_json::{Value, json};

use crate::support::{KEY, ask, bounded, look, model, named, request, streamed};

#[tokio::test]
async fn a_plain_answer_is_metered_as_the_server_meters_it() {
    let server = ScriptedServer::start(|_: &ChatRequest| Reply::text("Four.")).await;
    let asked = ModelRequest { temperature: Some(0.2), seed: Some(7), ..request("Two and two?") };
    let answer = ask(&*model(&server), &asked).await.expect("answered");
    assert_eq!((answer.text.as_str(), answer.finish), ("Four.", Finish::Stop));
    let ledger = server.ledger();
    assert_eq!((answer.usage.input_tokens, answer.usage.output_tokens), (ledger.input_tokens, ledger.output_tokens));
    let recorded = &server.requests()[0];
    assert_eq!(recorded.path, "/v1/chat/completions");
    assert_eq!(recorded.request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(
        *recorded.request.body(),
        json!({
            "model": "scripted",
            "messages": [
                {"role": "system", "content": "You are terse."},
                {"role": "user", "content": "Two and two?"}
            ],
            "max_tokens": 500, "temperature": 0.2, "seed": 7
        })
    );
}

#[tokio::test]
async fn a_streamed_answer_is_whole_and_metered() {
    let text = "A text of some length, with an é and a 😀, that comes in several pieces.";
    let server = ScriptedServer::start(move |_: &ChatRequest| Reply::text(text)).await;
    let (answer, pieces) = streamed(&*model(&server), &request("Write.")).await;
    let answer = answer.expect("answered");
    assert_eq!((answer.text.as_str(), pieces.concat().as_str()), (text, text));
    assert!(pieces.len() > 3);
    assert_eq!(answer.usage.output_tokens, server.ledger().output_tokens);
    assert_eq!(server.bodies()[0]["stream_options"], json!({"include_usage": true}));
}

#[tokio::test]
async fn tools_are_called_and_answered() {
    let script = |request: &ChatRequest| match request.tool_results().as_slice() {
        [] => Reply::Calls(vec![("look".into(), json!({"at": "a"})), ("look".into(), json!({"at": "b"}))]),
        results => Reply::text(results.join("+")),
    };
    for is_streamed in [false, true] {
        let server = ScriptedServer::start(script).await;
        let model = model(&server);
        let mut asked = ModelRequest { tools: vec![look()], ..request("Look.") };
        let first = if is_streamed { streamed(&*model, &asked).await.0 } else { ask(&*model, &asked).await };
        let first = first.expect("answered");
        assert_eq!(first.finish, Finish::ToolCalls);
        let paths: Vec<_> = first.tool_calls.iter().map(|call| call.arguments["at"].as_str()).collect();
        assert_eq!(paths, [Some("a"), Some("b")]);
        let results = first.tool_calls.iter().enumerate().map(|(n, call)| Message::Tool {
            call_id: call.id.clone(),
            name: call.name.clone(),
            content: format!("seen {n}"),
            is_error: n == 1,
        });
        let results: Vec<_> = results.collect();
        asked.messages.push(Message::Assistant { text: first.text, tool_calls: first.tool_calls.clone() });
        asked.messages.extend(results);
        assert_eq!(ask(&*model, &asked).await.expect("answered").text, "seen 0+error: seen 1");
        let wire = &server.bodies()[1]["messages"];
        assert_eq!(wire[2]["content"], Value::Null);
        assert_eq!(wire[2]["tool_calls"][0]["function"]["arguments"], json!(r#"{"at":"a"}"#));
        assert_eq!(wire[3]["tool_call_id"], json!(first.tool_calls[0].id));
        assert_eq!(server.bodies()[0]["tools"][0]["function"]["name"], "look");
    }
}

#[tokio::test]
async fn arguments_that_are_no_json_stay_text_and_go_back_as_an_object() {
    let server = ScriptedServer::start(|_: &ChatRequest| Reply::call("look", json!("at: the sky"))).await;
    let model = model(&server);
    let mut asked = ModelRequest { tools: vec![look()], ..request("Look.") };
    let answer = ask(&*model, &asked).await.expect("answered");
    assert_eq!(answer.tool_calls[0].arguments, json!("at: the sky"));
    asked.messages.push(Message::Assistant { text: String::new(), tool_calls: answer.tool_calls });
    ask(&*model, &asked).await.expect("answered");
    let sent = &server.bodies()[1]["messages"][2]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(*sent, json!(r#"{"input":"at: the sky"}"#));
}

#[tokio::test]
async fn a_server_that_answers_whole_though_asked_for_a_stream_is_read() {
    let body = json!({"choices": [{"message": {"content": "whole"}}]}).to_string();
    let server = ScriptedServer::start(Sequence::new([Reply::raw(200, body)])).await;
    let (answer, pieces) = streamed(&*model(&server), &request("x")).await;
    assert_eq!(answer.expect("answered").text, "whole");
    assert!(pieces.is_empty());
}

#[tokio::test]
async fn a_stream_without_done_counts_once_its_reason_has_come() {
    let piece = r#"{"choices":[{"delta":{"content":"hi"}}]}"#;
    let end = r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#;
    let server =
        ScriptedServer::start(Sequence::new([Reply::events(&[piece, end]), Reply::events(&[piece, "[DONE]"])])).await;
    let model = model(&server);
    let first = streamed(&*model, &request("x")).await.0.expect("answered");
    assert_eq!((first.text.as_str(), first.finish), ("hi", Finish::Length));
    let second = streamed(&*model, &request("x")).await.0.expect("answered");
    assert_eq!((second.text.as_str(), second.finish), ("hi", Finish::Stop));
}

#[tokio::test]
async fn usage_that_is_not_reported_is_estimated_from_above() {
    let server = ScriptedServer::start(|_: &ChatRequest| Reply::text("a few words").metered(Value::Null)).await;
    let model = model(&server);
    let whole = ask(&*model, &request("x")).await.expect("answered").usage;
    let ledger = server.ledger();
    assert!(whole.input_tokens >= ledger.input_tokens && whole.output_tokens >= ledger.output_tokens, "{whole:?}");
    let (streamed, _) = streamed(&*model, &request("x")).await;
    let usage = streamed.expect("answered").usage;
    assert!(usage.input_tokens >= ledger.input_tokens && usage.output_tokens >= ledger.output_tokens, "{usage:?}");
}

#[tokio::test]
async fn openrouters_own_figure_counts_and_others_do_not() {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 20, "cost": 0.001_234});
    let server = ScriptedServer::start(move |_: &ChatRequest| Reply::text("x").metered(usage.clone())).await;
    let routed = ask(&*named(&server, "openrouter/some/model"), &request("x")).await.expect("answered");
    assert_eq!(routed.usage.reported_usd, Some(MicroUsd(1_234)));
    assert_eq!(server.bodies()[0]["usage"], json!({"include": true}));
    let other = ask(&*model(&server), &request("x")).await.expect("answered");
    assert_eq!(other.usage.reported_usd, None);
}

#[tokio::test]
async fn what_a_model_does_not_take_is_left_out_from_then_on() {
    let refuse = |param: &str, message: &str| {
        Reply::raw(400, json!({"error": {"message": message, "param": param, "code": "unsupported_value"}}).to_string())
    };
    let script = move |request: &ChatRequest| {
        if request.body().get("max_tokens").is_none() {
            refuse("max_completion_tokens", "Unrecognized request argument supplied: max_completion_tokens")
        } else if request.body().get("temperature").is_some() {
            refuse("temperature", "Unsupported value: 'temperature' does not support 0.5 with this model.")
        } else {
            Reply::text("ok")
        }
    };
    let server = ScriptedServer::start(script).await;
    let model = named(&server, "openai/some-model");
    let asked = ModelRequest { temperature: Some(0.5), ..request("x") };
    assert_eq!(ask(&*model, &asked).await.expect("answered").text, "ok");
    assert_eq!(ask(&*model, &asked).await.expect("answered").text, "ok");
    assert_eq!(server.ledger(), Ledger { answered: 2, refused: 2, ..server.ledger() });
    assert_eq!(server.bodies()[0]["max_completion_tokens"], 500);
}

#[tokio::test]
async fn azure_is_called_by_deployment_and_its_own_header() {
    let server = ScriptedServer::start(|_: &ChatRequest| Reply::text("ok")).await;
    let azure = AzureSettings {
        endpoint: server.origin(),
        api_key: KEY.into(),
        api_version: None,
        deployment: Some("our-gpt".into()),
    };
    let registry = Registry::new(Settings { azure: Some(azure), ..Settings::default() }).expect("a registry");
    let model = registry.model("azure/gpt-4.1").expect("set up");
    assert!(model.profile().price.is_some(), "priced by the model's name");
    ask(&*model, &request("x")).await.expect("answered");
    let recorded = &server.requests()[0];
    assert_eq!(recorded.path, "/openai/deployments/our-gpt/chat/completions?api-version=2024-10-21");
    assert_eq!((recorded.request.header("api-key"), recorded.request.header("authorization")), (Some(KEY), None));
}

#[tokio::test]
async fn an_answer_is_never_longer_than_the_model_can() {
    let server = ScriptedServer::start(|_: &ChatRequest| Reply::text("ok")).await;
    let model = model(&server);
    let asked = ModelRequest { output_tokens_max: u32::MAX, ..request("x") };
    ask(&*model, &asked).await.expect("answered");
    assert_eq!(server.bodies()[0]["max_tokens"], json!(model.profile().output_tokens_max));
}

#[tokio::test]
async fn a_call_ends_when_it_is_cancelled_or_its_time_is_up() {
    let gate = Gate::closed();
    let held = gate.clone();
    let server = ScriptedServer::start(move |_: &ChatRequest| Reply::text("late").held(&held)).await;
    let model = model(&server);
    let asked = request("x");
    let cancel = asked.cancel.clone();
    let began = Instant::now();
    let (answer, ()) = bounded(async {
        tokio::join!(model.complete(&asked, None), async {
            server.asked(1).await;
            cancel.cancel();
        })
    })
    .await;
    assert!(matches!(answer, Err(ModelError::Cancelled)), "{answer:?}");
    let hurried = ModelRequest { timeout: Duration::from_millis(100), ..request("x") };
    let error = ask(&*model, &hurried).await.expect_err("too late");
    assert!(matches!(error, ModelError::Failed { .. }) && error.may_have_been_billed(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
    let before = server.requests().len();
    assert!(matches!(ask(&*model, &asked).await, Err(ModelError::Cancelled)));
    assert_eq!(server.requests().len(), before, "what is cancelled beforehand isn't sent");
    gate.open();
    assert_eq!(ask(&*model, &request("x")).await.expect("answered").text, "late");
}

#[tokio::test]
async fn a_call_made_up_from_its_position_has_an_id() {
    let body = json!({"choices": [{"message": {"tool_calls": [{"function": {"name": "look", "arguments": {}}}]}}]});
    let server = ScriptedServer::start(Sequence::new([Reply::raw(200, body.to_string())])).await;
    let asked = ModelRequest { tools: vec![look()], ..request("x") };
    let answer = ask(&*model(&server), &asked).await.expect("answered");
    assert_eq!(answer.tool_calls, [ToolCall { id: "call_0".into(), name: "look".into(), arguments: json!({}) }]);
    assert_eq!(answer.finish, Finish::ToolCalls);
}
