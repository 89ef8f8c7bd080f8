//! Calls of Discord's REST API, one request each: never repeated here, never waited for, and none takes longer than 10 s.
//!
//! Not serenity's client: with its limiter a 429 sleeps inside the call, without it the pause that Discord asks for is
//! lost, and neither has a time-out. What paces calls is the platform's delivery, which has its state in the table.

pub mod failure;

use std::time::Duration;

use axum::body::Bytes;
use convoke_app::ports::Attachment;
use convoke_chat::reply;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use convoke_runtime::{Secret, http_client};

use crate::settings::Settings;
use failure::RestError;

/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time that a call takes.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next call.
const IDLE: Duration = Duration::from_mins(1);
/// Who we are, in the form that Discord asks of bots.
const USER_AGENT: &str = concat!("DiscordBot (convoke, ", env!("CARGO_PKG_VERSION"), ")");

/// A file that goes with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What it is called there.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// What is in it.
    pub bytes: Bytes,
}

impl From<reply::File> for File {
    fn from(file: reply::File) -> Self {
        Self { name: file.name, media_type: file.media_type, bytes: file.bytes.into() }
    }
}

impl From<&Attachment> for File {
    fn from(file: &Attachment) -> Self {
        Self { name: file.name.clone(), media_type: file.media_type.clone(), bytes: file.bytes.clone() }
    }
}

/// The API as one bot, or as nobody in particular.
#[derive(Clone, Debug)]
pub struct Rest {
    http: Client,
    url: String,
    token: Option<HeaderValue>,
}

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    /// The bot.
    Bot,
    /// Whoever has the token that stands in the path.
    Anybody,
}

/// A call.
pub(crate) struct Call<'a> {
    pub method: Method,
    /// The path, beginning with a slash. Tokens of interactions stand in it, so it is never told.
    pub path: String,
    pub by: As,
    /// The body.
    pub body: Option<Value>,
    /// Files beside it.
    pub files: &'a [File],
}

impl Call<'_> {
    /// A call with a body of plain data.
    pub(crate) fn new(method: Method, path: String, by: As) -> Self {
        Self { method, path, by, body: None, files: &[] }
    }

    /// The same with a body; plain data always has a JSON form.
    pub(crate) fn json(self, body: &impl Serialize) -> Self {
        Self { body: Some(serde_json::to_value(body).unwrap_or_default()), ..self }
    }
}

impl<'a> Call<'a> {
    /// The same with files.
    pub(crate) fn with(self, files: &'a [File]) -> Self {
        Self { files, ..self }
    }
}

impl Rest {
    /// A client for these settings. It connects with its first call.
    pub fn new(settings: &Settings) -> Result<Self, RestError> {
        let http = http_client(CONNECT_TIMEOUT, TIMEOUT)
            .pool_idle_timeout(IDLE)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| RestError::NotSetUp(format!("there is no HTTP client: {error}")))?;
        let token = settings.token.as_ref().map(authorization).transpose()?;
        Ok(Self { http, url: settings.url.clone(), token })
    }

    /// Makes a call; what was answered to it.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, RestError> {
        let body = self.bytes(call).await?;
        serde_json::from_slice(&body).map_err(|error| RestError::Unreadable(error.to_string()))
    }

    /// Makes a call whose answer says nothing that is needed.
    pub(crate) async fn tell(&self, call: Call<'_>) -> Result<(), RestError> {
        self.bytes(call).await.map(drop)
    }

    async fn bytes(&self, call: Call<'_>) -> Result<Bytes, RestError> {
        let mut request = self.http.request(call.method, format!("{}{}", self.url, call.path));
        if call.by == As::Bot {
            let missing = || RestError::NotSetUp("DISCORD_TOKEN is missing: set it to the bot's token".to_owned());
            request = request.header(AUTHORIZATION, self.token.clone().ok_or_else(missing)?);
        }
        let request = match call.body {
            None => request,
            Some(body) if call.files.is_empty() => request.json(&body),
            Some(body) => multipart(request, &body, call.files)?,
        };
        let response = request.send().await.map_err(RestError::of_request)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(RestError::of_request)?;
        if status.is_success() { Ok(body) } else { Err(RestError::of_answer(status.as_u16(), &headers, &body)) }
    }
}

fn authorization(token: &Secret) -> Result<HeaderValue, RestError> {
    let text = format!("Bot {}", token.expose().trim_start_matches("Bot "));
    let no_header = |_| RestError::NotSetUp("DISCORD_TOKEN has characters in it that no token has".to_owned());
    let mut value = HeaderValue::from_str(&text).map_err(no_header)?;
    value.set_sensitive(true);
    Ok(value)
}

/// As <https://discord.com/developers/docs/reference#uploading-files> has it.
fn multipart(request: RequestBuilder, body: &Value, files: &[File]) -> Result<RequestBuilder, RestError> {
    let wrong = |error: reqwest::Error| RestError::NotSetUp(format!("a file has no media type: {error}"));
    let json = Part::text(body.to_string()).mime_str("application/json").map_err(wrong)?;
    let mut form = Form::new().part("payload_json", json);
    for (index, file) in files.iter().enumerate() {
        let part = Part::stream_with_length(file.bytes.clone(), file.bytes.len() as u64).file_name(file.name.clone());
        form = form.part(format!("files[{index}]"), part.mime_str(&file.media_type).map_err(wrong)?);
    }
    Ok(request.multipart(form))
}
