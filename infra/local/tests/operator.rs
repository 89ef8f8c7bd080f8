//! An installation in an AWS account, found by its stack's name: where AWS is, if elsewhere, is read as its own tools do.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use convoke_tests::serving::command;

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

/// What `convoke tenants --stack mine` says with a configuration file, and more of the environment.
async fn said(config: &str, more: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config");
    std::fs::write(&file, config).expect("written");
    let mut command = command(Path::new(env!("CARGO_BIN_EXE_convoke")), folder.path(), "http://127.0.0.1:9");
    command.env("AWS_CONFIG_FILE", &file).env("AWS_ACCESS_KEY_ID", "AKID").env("AWS_SECRET_ACCESS_KEY", "secret");
    command.envs(more.iter().copied()).args(["tenants", "--stack", "mine"]).kill_on_drop(true);
    let output = tokio::time::timeout(LONG, command.output()).await.expect("it ends").expect("it starts");
    assert!(!output.status.success());
    String::from_utf8(output.stderr).expect("text")
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
        let said = said(config, more).await;
        assert!(said.contains("SSM has no parameter /convoke/mine/whereabouts"), "{config} {more:?}: {said}");
        assert_eq!(one.asked()[before..], ["AmazonSSM.GetParameter"], "{config} {more:?}");
    }
    assert_eq!(other.asked(), Vec::<String>::new());
}
