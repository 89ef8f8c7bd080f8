//! The connector that goes under an AWS SDK client: it hands the SDK's requests to a service inside this process. The
//! same connector can be served on 127.0.0.1, so that both ways run the same code.

use std::io;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::loopback::{Body, BoxError, Server};

/// Content type of the JSON protocol that `DynamoDB` and SQS speak.
pub(super) const JSON: &str = "application/x-amz-json-1.0";

/// Makes a client for the SDK's `http_client` out of a connector.
pub(super) fn in_process(connector: impl HttpConnector + 'static) -> SharedHttpClient {
    SharedHttpClient::new(InProcess(SharedHttpConnector::new(connector)))
}

/// Every setting of the SDK leads to the one connector: there is no socket, hence no connect or read time-out.
#[derive(Debug)]
struct InProcess(SharedHttpConnector);

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.0.clone()
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("convoke", None))
    }
}

/// An answer of the JSON protocol.
pub(super) fn json_answer(status: u16, body: String) -> Result<HttpResponse, ConnectorError> {
    let status = status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None))?;
    let mut answer = HttpResponse::new(status, SdkBody::from(body));
    answer.headers_mut().insert("content-type", JSON);
    Ok(answer)
}

/// The operation's name: what follows the dot of `x-amz-target`.
pub(crate) fn operation(request: &HttpRequest) -> Option<&str> {
    request.headers().get("x-amz-target")?.split_once('.').map(|(_, operation)| operation)
}

/// Reads the body of a request whole. The SDK's JSON bodies are in memory, so this copies nothing for them.
pub(super) async fn body_of(request: HttpRequest) -> Result<bytes::Bytes, ConnectorError> {
    let body = request.into_body();
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(ConnectorError::io(error)),
    }
}

/// Serves a connector on 127.0.0.1 (port 0: any free one).
///
/// # Errors
/// The bind's.
pub(super) async fn serve(port: u16, connector: impl HttpConnector + 'static) -> io::Result<Server> {
    let connector = SharedHttpConnector::new(connector);
    Server::start(port, move |request| {
        let connector = connector.clone();
        async move { relay(&connector, request).await.unwrap_or_else(|error| broken(&error)) }
    })
    .await
}

async fn relay(
    connector: &SharedHttpConnector,
    request: http::Request<Incoming>,
) -> Result<http::Response<Body>, BoxError> {
    let request = HttpRequest::try_from(request.map(SdkBody::from_body_1_x))?;
    let answer = connector.call(request).await?.try_into_http1x()?;
    Ok(answer.map(|body| body.map_err(BoxError::from).boxed_unsync()))
}

fn broken(error: &BoxError) -> http::Response<Body> {
    tracing::warn!(%error, "a loopback request could not be answered");
    let mut answer = http::Response::new(Full::default().map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    answer
}
