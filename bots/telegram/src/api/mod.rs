//! The Bot API as a client of our own calls it: one request, one answer, one of a few kinds of error.
//!
//! Teloxide's own client isn't used: it waits 10 s inside a call that meets a server error, gives up after 17 s whatever
//! the call is, and its errors print the URL, which has the token in it. Its types are: what is called, and with what.
//! Nothing is tried again here.

mod error;
mod token;

use std::time::Duration;

use bytes::Bytes;
use convoke_runtime::http_client;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use teloxide::requests::Payload;

pub use error::CallError;
pub use teloxide::payloads;
pub use token::{Token, TokenError};

/// Where the Bot API is, unless settings say something else.
pub const PLACE: &str = "https://api.telegram.org";
/// Longest time to connect, and for a call in all. A call that takes longer may have its effect all the same.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest file that the Bot API hands to bots.
pub const DOWNLOAD_BYTES_MAX: u64 = 20 << 20;

/// Why there is no client. Final.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// TLS can't be had: our mistake.
    #[error("no client for Telegram can be made")]
    Client(#[source] reqwest::Error),
}

/// A file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The call's field that it is.
    pub field: &'static str,
    /// What it is called there.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// What is in it.
    pub bytes: Bytes,
}

/// The Bot API, called as one bot.
#[derive(Clone, Debug)]
pub struct Api {
    http: Client,
    place: String,
    token: Token,
}

impl Api {
    /// A client for a bot. Connects to nothing.
    pub fn new(token: Token, place: &str) -> Result<Self, ApiError> {
        let http = http_client(CONNECT_TIMEOUT, TIMEOUT).build().map_err(ApiError::Client)?;
        Ok(Self { http, place: place.trim_end_matches('/').to_owned(), token })
    }

    /// The bot's own id, which is part of its token.
    pub fn bot(&self) -> u64 {
        self.token.bot()
    }

    /// Calls a method; the part of its answer that `R` names.
    ///
    /// One request, at most 10 s. Not idempotent by itself: after [`CallError::Unknown`] the call may have had its effect.
    pub async fn call<P: Payload + Serialize, R: DeserializeOwned>(&self, payload: &P) -> Result<R, CallError> {
        self.ask(self.post(P::NAME).json(payload)).await
    }

    /// Calls a method with fields of one's own, and with a file where there is one.
    ///
    /// One request, at most 10 s. Not idempotent by itself: after [`CallError::Unknown`] the call may have had its effect.
    pub async fn send<R: DeserializeOwned>(
        &self,
        method: &str,
        fields: &Map<String, Value>,
        file: Option<Upload>,
    ) -> Result<R, CallError> {
        let Some(Upload { field, name, media_type, bytes }) = file else {
            return self.ask(self.post(method).json(fields)).await;
        };
        let part = Part::stream(bytes).file_name(name).mime_str(&media_type);
        let mut form = Form::new().part(field, part.map_err(|error| CallError::of(&self.token, error))?);
        for (name, value) in fields {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            form = form.text(name.clone(), text);
        }
        self.ask(self.post(method).multipart(form)).await
    }

    /// Calls a method that Telegram may hold for a while before it answers.
    pub async fn ask_for<R: DeserializeOwned>(
        &self,
        method: &str,
        fields: &Map<String, Value>,
        hold: Duration,
    ) -> Result<R, CallError> {
        self.ask(self.post(method).json(fields).timeout(hold + TIMEOUT)).await
    }

    /// The content of a file that somebody sent, by the path that `getFile` gave; at most [`DOWNLOAD_BYTES_MAX`].
    pub async fn download(&self, path: &str) -> Result<Vec<u8>, CallError> {
        let url = format!("{}/file/bot{}/{path}", self.place, self.token.expose());
        let mut response = self.sent(self.http.get(url)).await?;
        if !response.status().is_success() {
            return Err(CallError::Rejected { detail: format!("the file can't be had: {}", response.status()) });
        }
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| CallError::of(&self.token, error))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > DOWNLOAD_BYTES_MAX {
                return Err(CallError::Rejected { detail: "the file is too big".to_owned() });
            }
        }
        Ok(bytes)
    }

    fn post(&self, method: &str) -> RequestBuilder {
        // Methods are called `SendMessage` by the types, `sendMessage` by the documentation; the Bot API takes both.
        let name = method.char_indices().map(|(at, c)| if at == 0 { c.to_ascii_lowercase() } else { c });
        self.http.post(format!("{}/bot{}/{}", self.place, self.token.expose(), name.collect::<String>()))
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, CallError> {
        request.send().await.map_err(|error| CallError::of(&self.token, error))
    }

    async fn ask<R: DeserializeOwned>(&self, request: RequestBuilder) -> Result<R, CallError> {
        let response = self.sent(request).await?;
        let status = response.status().as_u16();
        let wait_s = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.bytes().await.map_err(|error| CallError::of(&self.token, error))?;
        let answer = error::Answer::read(status, wait_s, &body).map_err(|error| error.redacted(&self.token))?;
        R::deserialize(answer).map_err(|error| CallError::unreadable(&error))
    }
}

/// What a method answers that nobody looks at: some say `true`, some give the message back, stand-ins say nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done;

impl<'de> serde::Deserialize<'de> for Done {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Value::deserialize(from).map(|_| Self)
    }
}

/// What is needed of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Sent {
    /// Its number in its chat.
    pub message_id: i32,
}
