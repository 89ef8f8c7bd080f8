//! Reading parameters of SSM, by a signed request each.
//!
//! Not the SDK's client: it has 140 operations, and this takes one, of a function that starts cold.

use std::time::Duration;

use aws_config::SdkConfig;
use serde::Deserialize;
use serde_json::json;

use crate::signing::{Ask, Service, SignError};

const TARGET: &str = "AmazonSSM.GetParameter";
const MEDIA_TYPE: &str = "application/x-amz-json-1.1";
/// How often a request is made at most that got no answer, or one that passes.
const TRIES: u32 = 3;
/// Before the second try; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(200);

/// Why parameters can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SsmError {
    /// The request can't be made. Final until somebody changes something.
    #[error("SSM can't be asked")]
    Unasked(#[source] SignError),
    /// No answer came, after all tries.
    #[error("SSM doesn't answer")]
    Unreachable(#[source] reqwest::Error),
    /// SSM refuses, or is in trouble after all tries.
    #[error("SSM answers {status} for {parameter}: {detail}")]
    Refused {
        /// What was asked for.
        parameter: String,
        /// The status.
        status: u16,
        /// Its code and message.
        detail: String,
    },
    /// An answer that can't be read.
    #[error("SSM's answer can't be read")]
    Unreadable(#[source] serde_json::Error),
    /// There is no such parameter. Final.
    #[error("SSM has no parameter {0}")]
    Missing(String),
}

impl SsmError {
    fn passes(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, detail, .. } => *status >= 500 || detail.contains("Throttling"),
            _ => false,
        }
    }
}

/// SSM of an account and region.
pub struct Ssm(Service);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: String,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "__type", default)]
    code: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl Ssm {
    /// The one that `aws` is about; `AWS_ENDPOINT_URL_SSM` and `AWS_ENDPOINT_URL` name another place. Connects to nothing.
    pub fn new(aws: &SdkConfig) -> Result<Self, SsmError> {
        Service::new(aws, ("SSM", "ssm")).map(Self).map_err(SsmError::Unasked)
    }

    /// A parameter's value, decrypted. [`SsmError::Missing`] where there is none.
    pub async fn value(&self, name: &str) -> Result<String, SsmError> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.ask(name).await {
                Err(error) if error.passes() => tracing::warn!(error = &error as &dyn std::error::Error, "once more"),
                done => return done,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.ask(name).await
    }

    async fn ask(&self, name: &str) -> Result<String, SsmError> {
        let body = json!({ "Name": name, "WithDecryption": true }).to_string();
        let headers = [("content-type", MEDIA_TYPE), ("x-amz-target", TARGET)];
        let sent = self.0.send(Ask { method: "POST", path: "/", headers: &headers, body: &body }).await;
        let answer = sent.map_err(SsmError::Unasked)?.map_err(SsmError::Unreachable)?;
        let status = answer.status();
        let text = answer.text().await.map_err(SsmError::Unreachable)?;
        if status.is_success() {
            let Answer { parameter } = serde_json::from_str(&text).map_err(SsmError::Unreadable)?;
            return Ok(parameter.value);
        }
        let problem = serde_json::from_str(&text).unwrap_or(Problem { code: String::new(), message: String::new() });
        let code = problem.code.rsplit('#').next().unwrap_or_default();
        if code == "ParameterNotFound" {
            return Err(SsmError::Missing(name.to_owned()));
        }
        let detail = format!("{code}: {}", problem.message);
        Err(SsmError::Refused { parameter: name.to_owned(), status: status.as_u16(), detail })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;

    use super::*;

    /// Answers one request after the other; gives back what was asked.
    fn serve(answers: Vec<(u16, &'static str)>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let asked = std::thread::spawn(move || answers.into_iter().map(|answer| exchange(&listener, answer)).collect());
        (url, asked)
    }

    fn exchange(listener: &TcpListener, (status, body): (u16, &str)) -> String {
        let (mut stream, _) = listener.accept().expect("a request");
        let (mut seen, mut buffer) = (String::new(), [0; 4096]);
        while !seen.ends_with('}') {
            let bytes = stream.read(&mut buffer).expect("bytes");
            seen.push_str(&String::from_utf8_lossy(&buffer[..bytes]));
        }
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
        seen
    }

    fn ssm(url: String) -> Ssm {
        let credentials = Credentials::new("AKID", "secret", Some("session".into()), None, "tests");
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(url)
            .build();
        Ssm::new(&aws).expect("a region")
    }

    #[tokio::test]
    async fn a_value_comes_by_a_signed_request_though_ssm_is_in_trouble_at_first() {
        let (url, asked) = serve(vec![(500, "{}"), (200, r#"{"Parameter": {"Name": "/a", "Value": "sk-1"}}"#)]);
        assert_eq!(ssm(url).value("/a").await.expect("there"), "sk-1");
        let asked = asked.join().expect("served");
        assert_eq!(asked.len(), 2);
        let seen = &asked[1];
        assert!(seen.ends_with(r#"{"Name":"/a","WithDecryption":true}"#), "{seen}");
        for part in [
            "x-amz-target: AmazonSSM.GetParameter\r\n",
            "x-amz-security-token: session\r\n",
            "authorization: AWS4-HMAC-SHA256 Credential=AKID/",
            "/eu-west-1/ssm/aws4_request",
            "x-amz-target",
        ] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_or_not_allowed_is_told_by_name_and_not_asked_for_again() {
        let missing = r#"{"__type": "com.amazonaws.ssm#ParameterNotFound", "message": ""}"#;
        let denied = r#"{"__type": "AccessDeniedException", "Message": "you are not allowed"}"#;
        let (url, asked) = serve(vec![(400, missing), (400, denied)]);
        let ssm = ssm(url);
        let told = [ssm.value("/a").await, ssm.value("/b").await].map(|done| done.expect_err("refused").to_string());
        assert_eq!(told[0], "SSM has no parameter /a");
        assert_eq!(told[1], "SSM answers 400 for /b: AccessDeniedException: you are not allowed");
        assert_eq!(asked.join().expect("served").len(), 2);
    }
}
