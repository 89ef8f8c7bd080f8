//! What a provider says when it doesn't answer, and which error of the port that is.

use std::time::Duration;

use convoke_app::model::ModelError;
use reqwest::Response;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::text::short;

/// Bytes of an error's body that are read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a provider's message that are looked through.
const MESSAGE_BYTES_MAX: usize = 2_000;

/// Bytes of a provider's message that are passed on.
pub(super) const DETAIL_BYTES_MAX: usize = 300;

/// The longest wait that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// An answer that is none: a status and what was said with it, without secrets.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: String,
    param: String,
    message: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads it out of a response with an error status. A body that breaks off is taken as far as it came.
    pub(super) async fn of(mut response: Response, redact: impl Fn(&str) -> String) -> Self {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut bytes = Vec::new();
        while bytes.len() < ERROR_BYTES_MAX
            && let Ok(Some(chunk)) = response.chunk().await
        {
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(ERROR_BYTES_MAX);
        let said =
            serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
        Self { retry_after, ..Self::told(status, error_of(&said), redact) }
    }

    /// Reads it out of an error object, whatever its shape.
    pub(super) fn told(status: u16, error: &Value, redact: impl Fn(&str) -> String) -> Self {
        let text = |name: &str| match &error[name] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let (code, kind) = (text("code"), text("type"));
        let upstream = error["metadata"]["raw"].as_str().unwrap_or_default();
        let message = format!("{} {upstream}", message_of(error));
        Self {
            status,
            code: redact(&format!("{code} {kind}")),
            param: redact(&text("param")),
            message: short(&redact(&message), MESSAGE_BYTES_MAX),
            retry_after: None,
        }
    }

    /// Whether leaving something out of the request may help.
    pub(super) const fn is_about_the_request(&self) -> bool {
        matches!(self.status, 400 | 404 | 422 | 501)
    }

    /// Whether the provider speaks of `thing`.
    pub(super) fn names(&self, thing: &str) -> bool {
        let thing = thing.to_ascii_lowercase();
        [&self.param, &self.message].iter().any(|said| said.to_ascii_lowercase().contains(&thing))
    }

    /// Whether it is a value that is refused, not its field.
    pub(super) fn says_too_large(&self) -> bool {
        self.names("too large") || self.names("at most") || self.is_overflow()
    }

    /// Whether it is this one schema that the provider can't take; others may do.
    pub(super) fn blames_this_schema(&self) -> bool {
        self.names("invalid schema") || self.code.contains("invalid_json_schema")
    }

    /// What to show: the status and what was said.
    pub(super) fn detail(&self) -> String {
        let said = if self.status == 401 {
            // Their message tends to quote the key.
            "the API key is missing or not accepted"
        } else if self.message.is_empty() {
            self.code.trim()
        } else {
            &self.message
        };
        short(&format!("HTTP {}: {said}", self.status), DETAIL_BYTES_MAX)
    }

    fn is_overflow(&self) -> bool {
        const SIGNS: [&str; 9] = [
            "maximum context length",
            "context length",
            "context window",
            "context size",
            "prompt is too long",
            "input is too long",
            "input length",
            "maximum prompt length",
            "too many input tokens",
        ];
        let code = self.code.contains("context_length") || self.code.contains("exceed_context_size");
        self.status == 413 || (matches!(self.status, 400 | 422) && (code || SIGNS.iter().any(|sign| self.names(sign))))
    }

    /// The port's error.
    pub(super) fn into_error(self) -> ModelError {
        let detail = self.detail();
        match self.status {
            429 if self.code.contains("insufficient_quota") => ModelError::Refused { detail },
            429 | 529 => ModelError::Throttled { retry_after: self.retry_after, detail },
            408 | 425 | 500.. => ModelError::Failed { detail },
            300..400 => ModelError::Refused { detail: format!("HTTP {}: redirects are not followed", self.status) },
            _ if self.is_overflow() => ModelError::ContextOverflow { detail },
            _ => ModelError::Refused { detail },
        }
    }
}

/// The part of a body that tells of the error: `{"error": ..}`, also in a list, or the body itself.
pub(super) fn error_of(body: &Value) -> &Value {
    let body = body.get(0).unwrap_or(body);
    body.get("error").filter(|error| !error.is_null()).unwrap_or(body)
}

fn message_of(error: &Value) -> String {
    match error {
        Value::String(text) if text.trim_start().starts_with('<') => "an HTML page".into(),
        Value::String(text) => text.clone(),
        _ => match error.get("message").or_else(|| error.get("detail")) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        },
    }
}

/// How long to wait, by `retry-after-ms` or `Retry-After`: seconds, or a date that is counted from the response's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds =
        |text: &str, unit: f64| text.parse::<f64>().ok().and_then(|n| Duration::try_from_secs_f64(n * unit).ok());
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let by_date = |until: &str| {
        let now = text(DATE.as_str()).and_then(date)?;
        Some(date(until)?.duration_since(now).unwrap_or_default())
    };
    let wait = text("retry-after-ms").and_then(|ms| seconds(ms, 0.001));
    let wait = wait.or_else(|| {
        let after = text(RETRY_AFTER.as_str())?;
        seconds(after, 1.0).or_else(|| by_date(after))
    });
    wait.map(|wait| wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use serde_json::json;

    use super::*;

    fn error(status: u16, body: &Value) -> ModelError {
        Refusal::told(status, error_of(body), str::to_owned).into_error()
    }

    #[test]
    fn errors_of_any_shape_are_read() {
        for (body, said) in [
            (json!({"error": {"message": "no such thing", "code": 7}}), "no such thing"),
            (json!([{"error": {"message": "no such thing"}}]), "no such thing"),
            (json!({"error": "no such thing"}), "no such thing"),
            (json!({"object": "error", "message": "no such thing"}), "no such thing"),
            (json!({"detail": [{"loc": ["body"], "msg": "no such thing"}]}), "no such thing"),
            (json!("no such thing"), "no such thing"),
            (json!("<html>..."), "HTML"),
            (
                json!({"error": {"message": "Provider returned error", "metadata": {"raw": "no such thing"}}}),
                "no such thing",
            ),
        ] {
            let error = error(400, &body);
            assert!(matches!(&error, ModelError::Refused { detail } if detail.contains(said)), "{error}");
        }
    }

    #[test]
    fn overflow_is_told_from_other_refusals() {
        for (status, body) in [
            (400, json!({"error": {"code": "context_length_exceeded", "message": "x"}})),
            (400, json!({"error": {"message": "This model's maximum context length is 4096 tokens. However, .."}})),
            (400, json!({"error": {"type": "exceed_context_size_error", "message": "x"}})),
            (413, json!({"error": "too big"})),
        ] {
            assert!(matches!(error(status, &body), ModelError::ContextOverflow { .. }), "{body}");
        }
        let throttle = json!({"error": {"message": "too many input tokens a minute, context length 5"}});
        assert!(matches!(error(429, &throttle), ModelError::Throttled { .. }));
        assert!(matches!(error(500, &throttle), ModelError::Failed { .. }));
    }

    #[test]
    fn waits_are_read_in_seconds_and_dates() {
        let wait = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            retry_after(&headers)
        };
        let (now, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
        assert_eq!(wait(&[("retry-after", "9"), ("retry-after-ms", "250")]), Some(Duration::from_millis(250)));
        assert_eq!(wait(&[("retry-after", later), ("date", now)]), Some(Duration::from_secs(30)));
        assert_eq!(wait(&[("retry-after", now), ("date", later)]), Some(Duration::ZERO));
        assert_eq!(wait(&[("retry-after", later)]), None);
        assert_eq!(wait(&[("retry-after", "1e300")]), None);
        assert_eq!(wait(&[("retry-after", "999999")]), Some(RETRY_AFTER_MAX));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
    }
}
