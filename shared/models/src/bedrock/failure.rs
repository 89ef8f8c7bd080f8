//! Which error of the port a failed call is.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_bedrockruntime::config::http::HttpResponse;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_bedrockruntime::operation::converse::ConverseError;
use aws_sdk_bedrockruntime::operation::converse_stream::ConverseStreamError;
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use aws_smithy_types::event_stream::RawMessage;
use convoke_app::model::ModelError;

use crate::text::{chain, short};

/// Bytes of a message that are passed on.
const DETAIL_BYTES_MAX: usize = 300;

/// A failed call.
pub(super) enum Failure {
    /// The request isn't taken as it stands; it may be without something.
    Refusal(String),
    /// Everything else.
    Error(ModelError),
}

impl Failure {
    /// From whatever the SDK reports, before any of an answer has come.
    pub(super) fn of<E, R>(error: SdkError<E, R>) -> Self
    where
        E: Coded + Error + 'static,
        R: Raw + Debug,
    {
        let told = chain(&error, DETAIL_BYTES_MAX);
        match error {
            SdkError::ServiceError(context) => by_code(context.err(), context.raw()),
            SdkError::ConstructionFailure(_) => Self::Error(ModelError::Refused { detail: told }),
            SdkError::DispatchFailure(failure)
                if failure.as_connector_error().is_some_and(|error| is_unconnected(error)) =>
            {
                Self::Error(ModelError::Unreachable { detail: told })
            }
            _ => Self::Error(ModelError::Failed { detail: told }),
        }
    }

    /// A stream that broke off when some of the answer had come, whatever the reason: it is billed.
    pub(super) fn midway(error: &(dyn Error + 'static)) -> Self {
        Self::broken(&format!("broke off: {}", chain(error, DETAIL_BYTES_MAX)))
    }

    /// An answer that can't be used.
    pub(super) fn broken(detail: &str) -> Self {
        Self::Error(ModelError::Failed { detail: short(detail, DETAIL_BYTES_MAX) })
    }

    /// What the model refuses, if that's what this is.
    pub(super) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refusal(message) => Some(message),
            Self::Error(_) => None,
        }
    }

    pub(super) fn into_error(self) -> ModelError {
        match self {
            Self::Refusal(message) => ModelError::Refused { detail: short(&message, DETAIL_BYTES_MAX) },
            Self::Error(error) => error,
        }
    }
}

/// What an error came in.
pub(super) trait Raw {
    /// The HTTP status, where there is one.
    fn status(&self) -> Option<u16>;
    /// The wait that it asks for.
    fn retry_after(&self) -> Option<Duration>;
}

impl Raw for HttpResponse {
    fn status(&self) -> Option<u16> {
        Some(self.status().as_u16())
    }

    fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.headers().get("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds.min(3_600)))
    }
}

impl Raw for RawMessage {
    fn status(&self) -> Option<u16> {
        None
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// What names its exception.
pub(super) trait Coded: ProvideErrorMetadata {
    /// The exception's name.
    fn exception(&self) -> &str {
        self.code().unwrap_or("unknown error")
    }
}

impl Coded for ConverseError {}

impl Coded for ConverseStreamError {}

impl Coded for ConverseStreamOutputError {
    /// The SDK leaves the code out of exceptions that come as events.
    fn exception(&self) -> &str {
        match self {
            Self::InternalServerException(_) => "InternalServerException",
            Self::ModelStreamErrorException(_) => "ModelStreamErrorException",
            Self::ServiceUnavailableException(_) => "ServiceUnavailableException",
            Self::ThrottlingException(_) => "ThrottlingException",
            Self::ValidationException(_) => "ValidationException",
            other => other.code().unwrap_or("unknown error"),
        }
    }
}

fn by_code(error: &impl Coded, raw: &impl Raw) -> Failure {
    let code = error.exception();
    let message = error.message().unwrap_or_default();
    let detail = short(&format!("{code}: {message}"), DETAIL_BYTES_MAX);
    Failure::Error(match (code, raw.status()) {
        (
            "ThrottlingException"
            | "TooManyRequestsException"
            | "ModelNotReadyException"
            | "ServiceQuotaExceededException",
            _,
        )
        | (_, Some(429)) => ModelError::Throttled { retry_after: raw.retry_after(), detail },
        ("ValidationException", _) if is_overflow(message) => ModelError::ContextOverflow { detail },
        ("ValidationException", _) => return Failure::Refusal(format!("{code}: {message}")),
        ("ModelTimeoutException" | "ModelErrorException", _) => ModelError::Failed { detail },
        (_, Some(400..500)) => ModelError::Refused { detail },
        _ => ModelError::Failed { detail },
    })
}

fn is_overflow(message: &str) -> bool {
    const SIGNS: [&str; 7] = [
        "too long",
        "maximum context length",
        "context window",
        "context length",
        "too many input tokens",
        "exceeds the maximum number of input tokens",
        "maximum number of tokens",
    ];
    let said = message.to_ascii_lowercase();
    SIGNS.iter().any(|sign| said.contains(sign))
}

/// Whether no connection was made, so that nothing can have been billed.
fn is_unconnected(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind as Kind;
            let kinds = [Kind::ConnectionRefused, Kind::HostUnreachable, Kind::NetworkUnreachable];
            if kinds.contains(&io.kind()) {
                return true;
            }
        }
        let text = error.to_string();
        if ["dns error", "tcp connect error", "connect timeout", "credentials"].iter().any(|sign| text.contains(sign)) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_is_told_by_its_message() {
        for message in [
            "Input is too long for requested model.",
            "The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum",
            "Too many input tokens. Max input tokens: 128000",
        ] {
            assert!(is_overflow(message), "{message}");
        }
        assert!(!is_overflow("The provided model identifier is invalid."));
    }
}
