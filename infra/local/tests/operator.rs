//! An installation in an AWS account, found by its stack's name: where AWS is, if elsewhere, is read as its own tools do.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use convoke_tests::serving::command;
use serde_json::{Value, json};

/// Long enough for a debug build on a busy machine; nothing waits for it where all is well.
const LONG: Duration = Duration::from_mins(1);

/// A service of AWS that has nothing, and notes what it is asked for.
struct Empty {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Empty {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(nothing).with_state(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it goes on") });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").clone()
    }
}

async fn nothing(State(asked): State<Arc<Mutex<Vec<String>>>>, headers: HeaderMap) -> (StatusCode, &'static str) {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    asked.lock().expect("nobody panicked").push(target.to_owned());
    (StatusCode::BAD_REQUEST, r#"{"__type": "ParameterNotFound", "message": ""}"#)
}

/// What a command says that fails, with a configuration file and more of the environment.
async fn said(arguments: &[&str], config: &str, more: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config");
    std::fs::write(&file, config).expect("written");
    let mut command = command(Path::new(env!("CARGO_BIN_EXE_convoke")), folder.path(), "http://127.0.0.1:9");
    command.env("AWS_CONFIG_FILE", &file).env("AWS_ACCESS_KEY_ID", "AKID").env("AWS_SECRET_ACCESS_KEY", "secret");
    command.envs(more.iter().copied()).args(arguments).kill_on_drop(true);
    let output = tokio::time::timeout(LONG, command.output()).await.expect("it ends").expect("it starts");
    assert!(!output.status.success());
    String::from_utf8([output.stdout, output.stderr].concat()).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_where_the_profile_or_the_environment_says() {
    let (one, other) = (Empty::start().await, Empty::start().await);
    let alone = format!(
        "[default]\nregion = eu-west-1\nservices = here\n[services here]\nssm =\n  endpoint_url = {}\n",
        one.url
    );
    let of_all = format!("[default]\nregion = eu-west-1\nendpoint_url = {}\n", one.url);
    for (config, more) in [
        (alone.as_str(), &[][..]),
        (&of_all, &[]),
        (&of_all, &[("AWS_ENDPOINT_URL_LAMBDA", other.url.as_str())]),
        ("[default]\nregion = eu-west-1\n", &[("AWS_ENDPOINT_URL_SSM", &one.url), ("AWS_ENDPOINT_URL", &other.url)]),
    ] {
        let before = one.asked().len();
        let said = said(&["tenants", "--stack", "mine"], config, more).await;
        assert!(said.contains("SSM has no parameter /convoke/mine/whereabouts"), "{config} {more:?}: {said}");
        assert_eq!(one.asked()[before..], ["AmazonSSM.GetParameter"], "{config} {more:?}");
    }
    assert_eq!(other.asked(), Vec::<String>::new());
}

/// An account whose step function calls a model of Bedrock: what SSM, Lambda and Service Quotas say of it. The rest is
/// refused.
async fn account(headers: HeaderMap, uri: Uri, body: Bytes) -> (StatusCode, String) {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let quota = |what: &str, value: f64| {
        let name = format!("Cross-region model inference {what} per minute for Anthropic Claude Sonnet 4 V1");
        json!({"ServiceCode": "bedrock", "QuotaName": name, "Value": value})
    };
    let answer = match (target, uri.path()) {
        ("AmazonSSM.GetParameter", _) => {
            let whereabouts = json!({"v": 1, "url": "http://127.0.0.1:9", "table": "t", "bucket": "b", "queue_url": "http://127.0.0.1:9/q",
                "solo_queue_url": "http://127.0.0.1:9/s", "delivery_queue_url": "http://127.0.0.1:9/d", "step": "steps"});
            json!({"Parameter": {"Value": whereabouts.to_string()}})
        }
        ("ServiceQuotasV20190624.ListServiceQuotas", _) if asked["NextToken"] == "2" => {
            json!({"Quotas": [quota("tokens", 200_000.0)]})
        }
        ("ServiceQuotasV20190624.ListServiceQuotas", _) => {
            assert_eq!(asked["ServiceCode"], "bedrock", "{asked}");
            json!({"NextToken": "2", "Quotas": [quota("requests", 50.0)]})
        }
        (_, "/2015-03-31/functions/steps/configuration") => json!({"State": "Active", "Environment": {"Variables": {
            "CONVOKE_MODEL": "bedrock/us.anthropic.claude-sonnet-4-20250514-v1:0",
            "CONVOKE_MODEL_ALIASES": "fast=bedrock/amazon.nova-lite-v1:0"
        }}}),
        (_, "/2015-03-31/event-source-mappings/") => json!({"EventSourceMappings": [
            {"State": "Enabled", "BatchSize": 10, "ScalingConfig": {"MaximumConcurrency": 2}},
            {"State": "Enabled", "BatchSize": 1, "ScalingConfig": {"MaximumConcurrency": 2}}
        ]}),
        (_, "/2016-08-19/account-settings/") => json!({"AccountLimit": {"ConcurrentExecutions": 1000}}),
        _ => return (StatusCode::FORBIDDEN, String::new()),
    };
    (StatusCode::OK, answer.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_says_what_bedrock_grants_beside_what_the_pace_asks_for() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound address"));
    let router = Router::new().fallback(account);
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it goes on") });
    let config = format!("[default]\nregion = eu-west-1\nendpoint_url = {url}\n");
    let told = said(&["doctor", "--stack", "mine", "--no-calls"], &config, &[]).await;
    let line = |begins: &str, part: &str| told.lines().any(|line| line.starts_with(begins) && line.contains(part));
    assert!(line("✓ pace", "22 steps in 4 functions at once"), "{told}");
    let quota = "bedrock/us.anthropic.claude-sonnet-4-20250514-v1:0: 50 requests and 200000 tokens a minute; \
                 22 steps at once make 66 calls of 20 s each";
    assert!(line("✗ quota", quota), "{told}");
    assert!(line("✓ quota", "bedrock/amazon.nova-lite-v1:0: none is called so"), "{told}");
}
