//! The one way out to places that callers name: `Outbound`, with a guard against requests that our position makes possible
//! and the caller's doesn't (server-side request forgery).
//!
//! A URL is looked at twice. What it shows by itself is judged when it is given (see [`place`]): scheme, credentials, port,
//! an address however it is written. A name is looked up when it is used, and the connection goes to an address that was
//! judged just then: there is no second look-up that could answer differently. No redirect is followed and no proxy used;
//! an answer has its time and its size.
//!
//! Places that an operator allows by `CONVOKE_OUTBOUND_ALLOW` are judged by that alone, and only they may be spoken to
//! without TLS.

mod address;
mod place;
mod resolve;

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use convoke_app::ports::{Outbound, OutboundError, Outgoing, Posted, UrlRefused};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response};

pub use place::{Allowed, URL_BYTES_MAX};
use place::{Place, place};
use resolve::{Judged, NotPublic};

use crate::client::http_client;
use crate::config::{Mistakes, Reader, Strings};

/// Longest time that a request takes, from looking up the name to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next request to the same place.
const IDLE: Duration = Duration::from_secs(30);
/// Most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1_024;
/// Longest text of an error.
const ERROR_CHARS_MAX: usize = 200;

/// Reads the places that are allowed: `CONVOKE_OUTBOUND_ALLOW`, such as `127.0.0.1:9000,hooks.internal:8080`; none where
/// it isn't set.
pub fn allowed(strings: &dyn Strings) -> Result<Vec<Allowed>, Mistakes> {
    const NAME: &str = "CONVOKE_OUTBOUND_ALLOW";
    let mut reader = Reader::new(strings);
    let text = reader.text(NAME).unwrap_or_default();
    let places = text.split(',').filter(|place| !place.trim().is_empty()).map(str::parse);
    let places = places.collect::<Result<Vec<Allowed>, ()>>().unwrap_or_else(|()| {
        reader.wrong(NAME, "can't be read: set it to places such as 127.0.0.1:9000,hooks.internal:8080");
        Vec::new()
    });
    reader.end(places)
}

/// The guarded way out. Clients are made when they are first used.
#[derive(Debug, Default)]
pub struct GuardedOutbound {
    allowed: Vec<Allowed>,
    public: OnceLock<Client>,
    private: OnceLock<Client>,
}

impl GuardedOutbound {
    /// A way out to public places, and to those that are allowed.
    pub fn new(allowed: Vec<Allowed>) -> Self {
        Self { allowed, ..Self::default() }
    }

    async fn send(&self, request: Outgoing) -> Result<Posted, OutboundError> {
        let place = place(&request.url, &self.allowed);
        let place = place.map_err(|refused| OutboundError::Refused(format!("the URL {refused}")))?;
        let (client, url) = match place {
            Place::Public(url) => {
                (client(&self.public, || usual().https_only(true).dns_resolver(Arc::new(Judged)))?, url)
            }
            Place::Allowed(url) => (client(&self.private, usual)?, url),
        };
        let mut post = client.post(url).header(CONTENT_TYPE, "application/json").body(request.body);
        for (name, value) in request.headers {
            post = post.header(name, value);
        }
        let response = post.send().await.map_err(|error| failed(&error))?;
        let posted = Posted { status: response.status().as_u16(), retry_after: retry_after(&response) };
        drain(response).await;
        Ok(posted)
    }
}

#[async_trait]
impl Outbound for GuardedOutbound {
    async fn post(&self, request: Outgoing) -> Result<Posted, OutboundError> {
        let sent = tokio::time::timeout(TIMEOUT, self.send(request)).await;
        sent.unwrap_or(Err(OutboundError::TimedOut(TIMEOUT)))
    }

    fn check_url(&self, url: &str) -> Result<(), UrlRefused> {
        place(url, &self.allowed).map(drop)
    }
}

fn usual() -> ClientBuilder {
    http_client(CONNECT_TIMEOUT, TIMEOUT).pool_idle_timeout(IDLE)
}

fn client(kept: &OnceLock<Client>, builder: impl FnOnce() -> ClientBuilder) -> Result<&Client, OutboundError> {
    if let Some(client) = kept.get() {
        return Ok(client);
    }
    let made = builder().build().map_err(|error| failed(&error))?;
    Ok(kept.get_or_init(|| made))
}

/// Reads so much of an answer that its connection can be used again, where it is short. What is in it, nobody needs; that
/// it breaks off changes nothing about its status.
async fn drain(mut response: Response) {
    let mut bytes = 0;
    while bytes < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

/// In seconds, or as a date (RFC 9110).
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

/// What went wrong, by its innermost cause, which names no URL.
fn failed(error: &reqwest::Error) -> OutboundError {
    if let Some(refused) = causes(error).find_map(|cause| cause.downcast_ref::<NotPublic>()) {
        return OutboundError::Refused(refused.to_string());
    }
    if error.is_timeout() {
        return OutboundError::TimedOut(if error.is_connect() { CONNECT_TIMEOUT } else { TIMEOUT });
    }
    let what = if error.is_connect() { "can't be reached" } else { "the connection broke" };
    // The outermost one names the URL.
    let cause = causes(error).skip(1).last().map(ToString::to_string).unwrap_or_default();
    OutboundError::Failed(format!("{what}: {cause}").chars().take(ERROR_CHARS_MAX).collect())
}

/// An error and what caused it, outermost first.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn allowed_places_are_read_and_mistakes_are_told() {
        let read = |text: &str| {
            let strings = BTreeMap::from([("CONVOKE_OUTBOUND_ALLOW".to_owned(), text.to_owned())]);
            allowed(&strings).map(|places| places.len()).map_err(|mistakes| mistakes.to_string())
        };
        assert_eq!(read(" 127.0.0.1:9000, [::1]:1 ,"), Ok(2));
        assert_eq!(read(""), Ok(0));
        for bad in ["127.0.0.1", "http://127.0.0.1:9000", "*", "*:80,a"] {
            assert!(read(bad).expect_err(bad).contains("CONVOKE_OUTBOUND_ALLOW can't be read"), "{bad}");
        }
    }

    /// A server that answers everything with 200 and a body without end; how many connections it has taken.
    async fn endless() -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut request = [0; 4_096];
                    assert!(stream.read(&mut request).await.expect("a request") > 0);
                    let head = b"HTTP/1.1 200 OK\r\nretry-after: 7\r\ncontent-length: 99999999\r\n\r\n";
                    let mut sent = stream.write_all(head).await;
                    while sent.is_ok() {
                        sent = stream.write_all(&[b' '; 1_024]).await;
                    }
                });
            }
        });
        (port, taken)
    }

    fn outgoing(url: String) -> Outgoing {
        Outgoing { url, headers: vec![("webhook-id", "m".to_owned())], body: bytes::Bytes::from_static(b"{}") }
    }

    #[tokio::test]
    async fn a_name_that_leads_inwards_is_refused_when_it_is_used() {
        let (port, taken) = endless().await;
        // A public name that leads to this machine, as its resolver would say: the one look that counts is the last.
        let client = usual().dns_resolver(Arc::new(Judged)).build().expect("a client");
        let error = client.post(format!("http://localhost:{port}/")).send().await.expect_err("refused");
        assert_eq!(failed(&error), OutboundError::Refused(NotPublic.to_string()));
        assert_eq!(taken.load(Ordering::SeqCst), 0, "nobody was spoken to");
        let error = GuardedOutbound::default().post(outgoing(format!("https://127.0.0.1:{port}/"))).await;
        let refused = OutboundError::Refused("the URL leads to an address that isn't public".to_owned());
        assert_eq!((error, taken.load(Ordering::SeqCst)), (Err(refused), 0));
    }

    #[tokio::test]
    async fn a_status_is_taken_however_much_follows_it() {
        let (port, taken) = endless().await;
        let guard = GuardedOutbound::new(vec![format!("127.0.0.1:{port}").parse().expect("a place")]);
        let posted = guard.post(outgoing(format!("http://127.0.0.1:{port}/"))).await.expect("an answer");
        assert_eq!((posted.status, posted.retry_after), (200, Some(Duration::from_secs(7))));
        assert_eq!(taken.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn who_cannot_be_reached_is_told_without_the_url() {
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound").port();
        let guard = GuardedOutbound::new(vec![format!("127.0.0.1:{port}").parse().expect("a place")]);
        let error = guard.post(outgoing(format!("http://127.0.0.1:{port}/x?token=t0k3n"))).await.expect_err("nobody");
        let told = error.to_string();
        assert!(told.starts_with("can't be reached") && !told.contains("t0k3n") && !told.contains("http"), "{told}");
    }
}
