//! Chat completions: JSON by a schema, in the best way that a server has.

use convoke_app::model::{Finish, ModelRequest, Models, OutputSchema};
use convoke_models::registry::Capabilities;
use convoke_models::structured::Validators;
use convoke_tests::scripted::{ByRole, ChatRequest, Reply, ScriptedServer};
use serde_json::{Value, json};

use crate::support::{ask, json_of, look, model, registry, request, schema_request, streamed};

fn refuses_response_format(request: &ChatRequest) -> Option<Reply> {
    let message = "'response_format' of type 'json_schema' is not supported";
    request.body().get("response_format").map(|_| Reply::error(400, "invalid_request_error", message))
}

fn refuses_tool_choice(request: &ChatRequest) -> Option<Reply> {
    let message = "\"auto\" tool choice requires --enable-auto-tool-choice";
    request.body().get("tool_choice").map(|_| Reply::error(400, "BadRequestError", message))
}

#[tokio::test]
async fn the_servers_own_mode_is_used_first() {
    let server = ScriptedServer::start(|_: &ChatRequest| Reply::Answer(json!({"n": 4}))).await;
    let asked = schema_request();
    let answer = ask(&*model(&server), &asked).await.expect("answered");
    let schema = asked.schema.expect("a schema").schema;
    assert_eq!(Validators::new().read(&schema, &answer.text).expect("valid"), json!({"n": 4}));
    let format = &server.bodies()[0]["response_format"];
    assert_eq!(
        *format,
        json!({"type": "json_schema", "json_schema": {"name": "count", "strict": true, "schema": schema}})
    );
}

#[tokio::test]
async fn a_server_without_it_is_asked_by_a_forced_tool_from_then_on() {
    let script = |request: &ChatRequest| {
        refuses_response_format(request).unwrap_or_else(|| Reply::Answer(json!({"n": request.index()})))
    };
    let server = ScriptedServer::start(script).await;
    let model = model(&server);
    for index in [1, 2] {
        let answer = ask(&*model, &schema_request()).await.expect("answered");
        assert_eq!((json_of(&answer), answer.finish), (json!({"n": index}), Finish::Stop));
        assert!(answer.tool_calls.is_empty());
    }
    assert_eq!(server.requests().len(), 3, "the refusal is remembered");
    let body = &server.bodies()[2];
    assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "final_answer"}}));
}

#[tokio::test]
async fn a_server_without_either_is_told_in_words() {
    let script = |request: &ChatRequest| {
        let refused = refuses_response_format(request).or_else(|| refuses_tool_choice(request));
        refused.unwrap_or_else(|| Reply::text("Sure:\n```json\n{\"n\": 4}\n```"))
    };
    let server = ScriptedServer::start(script).await;
    let model = model(&server);
    assert_eq!(json_of(&ask(&*model, &schema_request()).await.expect("answered")), json!({"n": 4}));
    let last = server.requests().pop().expect("asked").request;
    assert!(last.system().starts_with("You are terse.") && last.system().contains(r#""required":["n"]"#));
    assert_eq!(json_of(&ask(&*model, &schema_request()).await.expect("answered")), json!({"n": 4}));
    assert_eq!(server.requests().len(), 4, "two refusals once");
}

#[tokio::test]
async fn a_server_that_ignores_the_format_is_asked_otherwise_the_next_time() {
    let script = |request: &ChatRequest| match request.answer_tool() {
        Some(_) => Reply::Answer(json!({"n": 1})),
        None => Reply::text("I count four."),
    };
    let server = ScriptedServer::start(script).await;
    let model = model(&server);
    let first = ask(&*model, &schema_request()).await.expect("answered");
    assert_eq!(first.text, "I count four.", "what was paid for is handed on");
    assert_eq!(json_of(&ask(&*model, &schema_request()).await.expect("answered")), json!({"n": 1}));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn one_bad_schema_does_not_change_how_others_are_asked() {
    let script = |request: &ChatRequest| {
        let name = &request.body()["response_format"]["json_schema"]["name"];
        if name == "odd" {
            return Reply::error(400, "invalid_json_schema", "Invalid schema for response_format 'odd'");
        }
        Reply::Answer(json!({"n": 1}))
    };
    let server = ScriptedServer::start(script).await;
    let model = model(&server);
    let odd = OutputSchema { name: "odd".into(), schema: json!({"type": "object", "patternProperties": {}}) };
    let asked = ModelRequest { schema: Some(odd), ..request("x") };
    assert_eq!(json_of(&ask(&*model, &asked).await.expect("answered")), json!({"n": 1}));
    ask(&*model, &schema_request()).await.expect("answered");
    assert!(server.bodies()[2].get("response_format").is_some());
}

#[tokio::test]
async fn an_endpoint_said_to_have_no_mode_is_not_tried() {
    let server = ScriptedServer::start(|_: &ChatRequest| Reply::Answer(json!({"n": 1}))).await;
    let capabilities = Capabilities { json_schema: Some(false), ..Capabilities::default() };
    let model = registry(&server.base_url(), capabilities).model("compatible/x").expect("set up");
    let (answer, pieces) = streamed(&*model, &schema_request()).await;
    assert_eq!(json_of(&answer.expect("answered")), json!({"n": 1}));
    assert_eq!(pieces.concat(), r#"{"n":1}"#, "the arguments come as the text");
    assert!(server.bodies()[0].get("response_format").is_none());
}

#[tokio::test]
async fn tools_may_be_called_before_the_answer_in_every_mode() {
    let script = |request: &ChatRequest| {
        let refused = refuses_response_format(request);
        refused.unwrap_or_else(|| match request.tool_results().len() {
            0 => Reply::call("look", json!({"at": "x"})),
            _ => Reply::Answer(json!({"n": 2})),
        })
    };
    let server = ScriptedServer::start(script).await;
    let model = model(&server);
    let mut asked = ModelRequest { tools: vec![look()], ..schema_request() };
    let first = ask(&*model, &asked).await.expect("answered");
    assert_eq!((first.finish, first.tool_calls[0].name.as_str()), (Finish::ToolCalls, "look"));
    let call = &first.tool_calls[0];
    let result = convoke_app::model::Message::Tool {
        call_id: call.id.clone(),
        name: call.name.clone(),
        content: "seen".into(),
        is_error: false,
    };
    asked.messages.push(convoke_app::model::Message::Assistant { text: String::new(), tool_calls: first.tool_calls });
    asked.messages.push(result);
    let last = ask(&*model, &asked).await.expect("answered");
    assert_eq!((json_of(&last), last.tool_calls.len()), (json!({"n": 2}), 0));
    assert_eq!(server.bodies()[1]["tool_choice"], "required");
}

#[tokio::test]
async fn a_list_comes_back_as_a_list() {
    let server = ScriptedServer::start(|_: &ChatRequest| Reply::Answer(json!({"value": ["a"]}))).await;
    let schema = json!({"type": "array", "items": {"type": "string"}});
    let asked = ModelRequest { schema: Some(OutputSchema { name: "list".into(), schema }), ..request("x") };
    assert_eq!(json_of(&ask(&*model(&server), &asked).await.expect("answered")), json!(["a"]));
    let sent = &server.bodies()[0]["response_format"]["json_schema"]["schema"];
    assert_eq!((&sent["type"], &sent["properties"]["value"]["type"]), (&json!("object"), &json!("array")));
}

#[tokio::test]
async fn scripts_tell_roles_apart() {
    let server = ScriptedServer::start(
        ByRole::new()
            .say("architect", [Reply::text("first"), Reply::text("then")])
            .on("terse", |request: &ChatRequest| Reply::text(request.last_user().to_uppercase())),
    )
    .await;
    let model = model(&server);
    let mut told = Vec::new();
    for text in ["architect, begin", "hello", "architect, again", "architect, again"] {
        told.push(ask(&*model, &request(text)).await.expect("answered").text);
    }
    assert_eq!(told, ["first", "HELLO", "then", "then"]);
    let strict = ScriptedServer::start(ByRole::new().say("nobody", [Reply::text("x")])).await;
    let error = ask(&*crate::support::model(&strict), &request("hello")).await.expect_err("no rule");
    assert!(error.to_string().contains("no rule fits \"hello\""), "{error}");
    assert_eq!(server.bodies().iter().filter(|body| **body == Value::Null).count(), 0);
}
