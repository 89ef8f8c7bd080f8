//! The HTTP client under the SDK's clients of a function: the one that models, chats and webhooks are called with, too.
//!
//! The SDK brings a client of its own, which also speaks HTTP/2 and reads the system's certificates at each start. AWS's
//! services speak HTTP/1.1, and a second client in each binary is paid at each cold start: half a megabyte.

use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use reqwest::{Body, Client, Request, redirect};

/// A client for the SDK whose connections are made within this time. How long a call takes in all is the SDK's to say
/// (`operation_attempt_timeout`); other times of its settings aren't heeded, and a connection is never taken out of the
/// pool for what was answered over it.
pub(crate) fn client(connect_timeout: Duration) -> SharedHttpClient {
    let builder = Client::builder().redirect(redirect::Policy::none()).no_proxy().connect_timeout(connect_timeout);
    let connector = SharedHttpConnector::new(Connector(builder.build()));
    http_client_fn(move |_, _| connector.clone())
}

/// Where the client couldn't be made, every call says so.
struct Connector(Result<Client, reqwest::Error>);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sent = self.send(request);
        HttpConnectorFuture::new(async {
            let response = sent?.await.map_err(refused)?;
            HttpResponse::try_from(http::Response::<Body>::from(response).map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl Connector {
    fn send(
        &self,
        request: HttpRequest,
    ) -> Result<impl Future<Output = Result<reqwest::Response, reqwest::Error>> + Send + use<>, ConnectorError> {
        let client = self.0.as_ref().map_err(|error| ConnectorError::user(error.to_string().into()))?;
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let request = Request::try_from(request.map(body)).map_err(|error| ConnectorError::user(error.into()))?;
        Ok(client.execute(request))
    }
}

/// What lies in memory (requests of table and queues, some kilobytes) is copied, so that its length is known; what is read as
/// it goes, such as files, is handed on.
fn body(body: SdkBody) -> Body {
    match body.bytes() {
        Some(bytes) => Body::from(bytes.to_vec()),
        None => Body::wrap(body),
    }
}

/// What isn't an answer, as the SDK's retries see it: whatever happened on the way may be tried again.
fn refused(error: reqwest::Error) -> ConnectorError {
    match error {
        error if error.is_timeout() => ConnectorError::timeout(error.into()),
        error if error.is_builder() => ConnectorError::user(error.into()),
        error => ConnectorError::io(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use http_body_util::{BodyExt, Full};

    use super::*;

    const ANSWER: &str =
        "HTTP/1.1 418 I'm a teapot\r\nx-said: it\r\ncontent-length: 5\r\nconnection: close\r\n\r\nshort";

    async fn call(request: http::Request<SdkBody>) -> Result<HttpResponse, ConnectorError> {
        let connector = Connector(Client::builder().no_proxy().build());
        connector.call(HttpRequest::try_from(request).expect("a request")).await
    }

    /// The request that came, up to its body's end.
    fn exchange(listener: &TcpListener, end: &str) -> String {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut heard = Vec::new();
        let mut bytes = [0; 1_024];
        while !String::from_utf8_lossy(&heard).ends_with(end) {
            let count = stream.read(&mut bytes).expect("a request");
            assert!(count > 0, "the request ended early: {heard:?}");
            heard.extend_from_slice(&bytes[..count]);
        }
        stream.write_all(ANSWER.as_bytes()).expect("answered");
        String::from_utf8(heard).expect("a text")
    }

    #[tokio::test]
    async fn requests_and_answers_go_through_as_they_are() {
        for body in [SdkBody::from("the end"), SdkBody::from_body_1_x(Full::new(bytes::Bytes::from("the end")))] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("an address");
            let server = thread::spawn(move || exchange(&listener, "the end"));
            let request = http::Request::put(format!("http://{address}/a%2Fb//c%3A1?x=%20&y"));
            let request =
                request.header("X-Amz-Target", "it").header("Content-Length", "7").body(body).expect("a request");
            let mut response = call(request).await.expect("an answer");
            assert_eq!((response.status().as_u16(), response.headers().get("x-said")), (418, Some("it")));
            assert_eq!(response.take_body().collect().await.expect("a body").to_bytes(), "short");
            let heard = server.join().expect("no panic");
            assert!(heard.starts_with("PUT /a%2Fb//c%3A1?x=%20&y HTTP/1.1\r\n"), "{heard}");
            assert!(heard.contains("x-amz-target: it\r\n") && heard.contains("content-length: 7\r\n"), "{heard}");
        }
    }

    #[tokio::test]
    async fn what_nobody_listens_to_may_be_tried_again() {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let request = http::Request::get(format!("http://{address}/")).body(SdkBody::empty()).expect("a request");
        assert!(call(request).await.expect_err("nobody listens").is_io());
    }
}
