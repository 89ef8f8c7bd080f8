//! Reading parameters of SSM, by a signed request each.
//!
//! Not the SDK's client: it has 140 operations, and this takes one, of a function that starts cold. Signing, credentials,
//! region and endpoint are the SDK's all the same.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde::Deserialize;
use serde_json::json;

use crate::config::Strings;

const TARGET: &str = "AmazonSSM.GetParameter";
const MEDIA_TYPE: &str = "application/x-amz-json-1.1";
/// How often a request is made at most that got no answer, or one that passes.
const TRIES: u32 = 3;
/// Before the second try; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why parameters can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SsmError {
    /// Nobody says where. Final.
    #[error("there is no region: set AWS_REGION")]
    NoRegion,
    /// Nobody says who asks. Final until somebody signs in.
    #[error("there are no credentials of AWS")]
    NoCredentials(#[source] Option<CredentialsError>),
    /// The request can't be made: our mistake, or an endpoint that is no URL. Final.
    #[error("the request to SSM can't be made: {0}")]
    Request(String),
    /// It can't be signed: our mistake. Final.
    #[error("the request to SSM can't be signed")]
    Signing(#[source] SigningError),
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
pub struct Ssm {
    aws: SdkConfig,
    region: String,
    endpoint: String,
    http: reqwest::Client,
}

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
    pub fn new(aws: &SdkConfig, strings: &dyn Strings) -> Result<Self, SsmError> {
        let region = aws.region().ok_or(SsmError::NoRegion)?.to_string();
        let elsewhere = strings.get("AWS_ENDPOINT_URL_SSM").or_else(|| aws.endpoint_url().map(str::to_owned));
        let endpoint = elsewhere.unwrap_or_else(|| usual_endpoint(&region));
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().map_err(SsmError::Unreachable)?;
        Ok(Self { aws: aws.clone(), region, endpoint, http })
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
        let answer = self.http.execute(self.signed(&body).await?).await.map_err(SsmError::Unreachable)?;
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

    async fn signed(&self, body: &str) -> Result<reqwest::Request, SsmError> {
        let provider = self.aws.credentials_provider().ok_or(SsmError::NoCredentials(None))?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|error| SsmError::NoCredentials(Some(error)))?.into();
        let malformed = |error: http::Error| SsmError::Request(error.to_string());
        let mut request = http::Request::post(&self.endpoint)
            .header("content-type", MEDIA_TYPE)
            .header("x-amz-target", TARGET)
            .body(body.to_owned())
            .map_err(malformed)?;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("ssm")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| SsmError::Request(error.to_string()))?
            .into();
        let headers = [("content-type", MEDIA_TYPE), ("x-amz-target", TARGET)].into_iter();
        let signable = SignableRequest::new("POST", &self.endpoint, headers, SignableBody::Bytes(body.as_bytes()));
        let signed = signable.and_then(|signable| sign(signable, &parameters)).map_err(SsmError::Signing)?;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        reqwest::Request::try_from(request).map_err(|error| SsmError::Request(error.to_string()))
    }
}

fn usual_endpoint(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://ssm.{region}.{domain}/")
}
