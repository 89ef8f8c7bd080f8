//! Counting what goes through an SDK client's connector.

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use prometheus::IntCounterVec;

use crate::stack::operation;

/// The same client; each request counts by its operation.
pub(super) fn counted(client: SharedHttpClient, counter: IntCounterVec) -> SharedHttpClient {
    SharedHttpClient::new(Counted { inner: client, counter })
}

#[derive(Clone, Debug)]
struct Counted<T> {
    inner: T,
    counter: IntCounterVec,
}

impl HttpClient for Counted<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(Counted { inner, counter: self.counter.clone() })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

impl HttpConnector for Counted<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.counter.with_label_values(&[operation(&request).unwrap_or("unknown")]).inc();
        self.inner.call(request)
    }
}
