//! Signed requests to services of AWS whose SDK would be too much for the one or two operations that are asked for.
//!
//! Signing, credentials, region and endpoint are the SDK's all the same. What an answer means is its asker's business.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::service_config::ServiceConfigKey;
use serde::de::DeserializeOwned;

use crate::client::http_client;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request can't be made. Final until somebody changes something.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Nobody says where.
    #[error("there is no region: set AWS_REGION")]
    NoRegion,
    /// Nobody says who asks.
    #[error("there are no credentials of AWS")]
    NoCredentials(#[source] Option<CredentialsError>),
    /// Our mistake, or an endpoint that is no URL.
    #[error("the request can't be made: {0}")]
    Request(String),
    /// It can't be signed: our mistake.
    #[error("the request can't be signed")]
    Signing(#[source] SigningError),
    /// There is no HTTP client: nothing but the program's build decides it.
    #[error("there is no HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Why a service doesn't tell what it is asked. Of reads, so that any may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The request can't be made.
    #[error("{service} can't be asked")]
    Unasked {
        /// Which service.
        service: &'static str,
        /// Why.
        #[source]
        source: SignError,
    },
    /// No answer came, or none that can be read.
    #[error("{service} doesn't answer")]
    Unreachable {
        /// Which service.
        service: &'static str,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It refuses.
    #[error("{service} answers {status}: {detail}")]
    Refused {
        /// Which service.
        service: &'static str,
        /// The status.
        status: u16,
        /// What it says.
        detail: String,
    },
}

/// What is asked of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// `GET`, or `POST`.
    pub method: &'static str,
    /// Path and query, with the slash that they begin with.
    pub path: &'a str,
    /// Headers that are signed.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a str,
}

/// One service of an account and region.
pub(crate) struct Service {
    aws: SdkConfig,
    id: &'static str,
    host: &'static str,
    region: String,
    endpoint: String,
    http: reqwest::Client,
}

impl Service {
    /// The service that AWS's SDKs call `id`, and its hosts and signatures `host`; `AWS_ENDPOINT_URL_{ID}` and
    /// `AWS_ENDPOINT_URL` name another place, or a profile does, as for the SDK's own clients. Connects to nothing.
    pub(crate) fn new(aws: &SdkConfig, (id, host): (&'static str, &'static str)) -> Result<Self, SignError> {
        let region = aws.region().ok_or(SignError::NoRegion)?.to_string();
        let endpoint = configured_endpoint(aws, id).unwrap_or_else(|| usual_endpoint(host, &region));
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let http = http_client(TIMEOUT, TIMEOUT).build().map_err(SignError::Client)?;
        Ok(Self { aws: aws.clone(), id, host, region, endpoint, http })
    }

    /// Sends a request once; the answer may be any.
    pub(crate) async fn send(&self, ask: Ask<'_>) -> Result<Result<reqwest::Response, reqwest::Error>, SignError> {
        let request = self.signed(ask).await?;
        Ok(self.http.execute(request).await)
    }

    /// Sends a request once; what is in its answer.
    pub(crate) async fn read<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, AskError> {
        let service = self.id;
        let unreachable = |source: reqwest::Error| AskError::Unreachable { service, source };
        let sent = self.send(ask).await.map_err(|source| AskError::Unasked { service, source })?;
        let answer = sent.map_err(unreachable)?;
        let status = answer.status();
        if !status.is_success() {
            let detail = answer.text().await.unwrap_or_default();
            return Err(AskError::Refused { service, status: status.as_u16(), detail });
        }
        answer.json().await.map_err(unreachable)
    }

    async fn signed(&self, Ask { method, path, headers, body }: Ask<'_>) -> Result<reqwest::Request, SignError> {
        let provider = self.aws.credentials_provider().ok_or(SignError::NoCredentials(None))?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|error| SignError::NoCredentials(Some(error)))?.into();
        let url = format!("{}{path}", self.endpoint);
        let request = http::Request::builder().method(method).uri(&url);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let malformed = |error: http::Error| SignError::Request(error.to_string());
        let mut request = request.body(body.to_owned()).map_err(malformed)?;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.host)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| SignError::Request(error.to_string()))?
            .into();
        let signable =
            SignableRequest::new(method, &url, headers.iter().copied(), SignableBody::Bytes(body.as_bytes()));
        let signed = signable.and_then(|signable| sign(signable, &parameters)).map_err(SignError::Signing)?;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        reqwest::Request::try_from(request).map_err(|error| SignError::Request(error.to_string()))
    }
}

fn configured_endpoint(aws: &SdkConfig, id: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let own = aws.service_config().and_then(|config| config.load_config(key.ok()?));
    own.or_else(|| aws.endpoint_url().map(str::to_owned))
}

fn usual_endpoint(host: &str, region: &str) -> String {
    let domain = match region.split('-').next() {
        Some("cn") => "amazonaws.com.cn",
        Some("eusc") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    format!("https://{host}.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::connect::function_config;

    #[test]
    fn the_endpoint_of_one_service_goes_before_that_of_all() {
        let place = |settings: &[(&str, &str)]| {
            let strings: BTreeMap<String, String> =
                settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Service::new(&function_config(strings), ("SSM", "ssm")).expect("a region").endpoint
        };
        let (region, all) = (("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "http://all/"));
        assert_eq!(place(&[region]), "https://ssm.eu-west-1.amazonaws.com");
        assert_eq!(place(&[region, all]), "http://all");
        assert_eq!(place(&[region, all, ("AWS_ENDPOINT_URL_SSM", "http://one")]), "http://one");
        assert_eq!(place(&[region, all, ("AWS_ENDPOINT_URL_LAMBDA", "http://one")]), "http://all");
    }

    #[test]
    fn each_partition_has_its_own_domain() {
        assert_eq!(usual_endpoint("ssm", "eu-west-1"), "https://ssm.eu-west-1.amazonaws.com");
        assert_eq!(usual_endpoint("lambda", "cn-north-1"), "https://lambda.cn-north-1.amazonaws.com.cn");
        assert_eq!(usual_endpoint("ssm", "eusc-de-east-1"), "https://ssm.eusc-de-east-1.amazonaws.eu");
    }
}
