//! How a request fails: one enum, one match from it to statuses and codes.

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use convoke_api::problem::{Code, Problem};
use convoke_app::failure::{Failure, Part, Refused};

use super::BODY_BYTES_MAX;

/// When to ask again where a service behind is unavailable, in seconds.
const RETRY_AFTER_S: &str = "2";

/// Why a request isn't answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The use case failed.
    #[error(transparent)]
    Failed(Failure),
    /// The body is no JSON.
    #[error("the body is not json: {detail}")]
    NotJson {
        /// Where it ceases to be.
        detail: String,
    },
    /// The body broke off.
    #[error("the body could not be read")]
    Body,
    /// The body is over [`BODY_BYTES_MAX`].
    #[error("the body has more than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// The body isn't announced as JSON.
    #[error("the content-type has to be application/json")]
    MediaType,
    /// Nothing is at this URL.
    #[error("there is nothing at this url")]
    NoRoute,
    /// Not with this method.
    #[error("this url doesn't take this method")]
    Method,
}

impl<F: Into<Failure>> From<F> for HttpError {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

impl HttpError {
    /// The problem that a caller is told, without the request's id.
    fn problem(&self) -> Problem {
        let (status, code) = match self {
            Self::NotJson { .. } => (StatusCode::BAD_REQUEST, Code::MalformedJson),
            Self::Body => (StatusCode::BAD_REQUEST, Code::MalformedRequest),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedMediaType),
            Self::NoRoute => (StatusCode::NOT_FOUND, Code::RouteNotFound),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed),
            Self::Failed(Failure::Refused(refused)) => status(refused),
            Self::Failed(Failure::Internal(error)) if error.is_retryable() => {
                (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable)
            }
            Self::Failed(Failure::Internal(_)) => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        };
        let problem = Problem::new(code, status.as_u16(), self.detail());
        match self {
            Self::Failed(Failure::Refused(Refused::Invalid { issues, .. })) => problem.with_errors(issues.clone()),
            _ => problem,
        }
    }

    /// What happened, in words that give nothing away of what is behind.
    fn detail(&self) -> String {
        match self {
            Self::Failed(Failure::Internal(error)) if error.is_retryable() => "try again in a moment".to_owned(),
            Self::Failed(Failure::Internal(_)) => "the request id helps to find out why".to_owned(),
            other => other.to_string(),
        }
    }
}

fn status(refused: &Refused) -> (StatusCode, Code) {
    match refused {
        Refused::Unauthenticated => (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
        Refused::Malformed { .. } => (StatusCode::BAD_REQUEST, Code::MalformedRequest),
        Refused::Cursor(_) => (StatusCode::BAD_REQUEST, Code::InvalidCursor),
        Refused::Path(_) => (StatusCode::BAD_REQUEST, Code::InvalidPath),
        Refused::Invalid { what: Part::Request, .. } => (StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidRequest),
        Refused::Invalid { what: Part::FlowName, .. } => (StatusCode::UNPROCESSABLE_ENTITY, Code::UnknownFlow),
        Refused::Invalid { what: Part::Flow, .. } => (StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidFlow),
        Refused::Invalid { what: Part::Input, .. } => (StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidInput),
        Refused::IdempotencyKeyReused => (StatusCode::UNPROCESSABLE_ENTITY, Code::IdempotencyKeyReused),
        Refused::JobNotFound { .. } => (StatusCode::NOT_FOUND, Code::JobNotFound),
        Refused::ScheduleNotFound { .. } => (StatusCode::NOT_FOUND, Code::ScheduleNotFound),
        Refused::ReviewNotFound { .. } => (StatusCode::NOT_FOUND, Code::ReviewNotFound),
        Refused::ReviewDecided { .. } => (StatusCode::CONFLICT, Code::ReviewDecided),
        Refused::MayNotDecide => (StatusCode::FORBIDDEN, Code::MayNotDecide),
        Refused::StepNotFound { .. } => (StatusCode::NOT_FOUND, Code::StepNotFound),
        Refused::ArtifactNotFound { .. } => (StatusCode::NOT_FOUND, Code::ArtifactNotFound),
        Refused::LinkNotFound { .. } => (StatusCode::NOT_FOUND, Code::LinkNotFound),
        Refused::WebhookNotFound { .. } => (StatusCode::NOT_FOUND, Code::WebhookNotFound),
        Refused::DeliveryNotFound { .. } => (StatusCode::NOT_FOUND, Code::DeliveryNotFound),
        Refused::LimitReached { .. } => (StatusCode::CONFLICT, Code::LimitReached),
        Refused::WebhookDisabled => (StatusCode::CONFLICT, Code::WebhookDisabled),
        Refused::DeliveryNotRepeatable => (StatusCode::CONFLICT, Code::DeliveryNotRepeatable),
        Refused::JobAlreadyEnded { .. } => (StatusCode::CONFLICT, Code::JobAlreadyEnded),
        Refused::JobNotEnded { .. } => (StatusCode::CONFLICT, Code::JobNotEnded),
        Refused::JobNotRetryable { .. } => (StatusCode::CONFLICT, Code::JobNotRetryable),
    }
}

impl IntoResponse for HttpError {
    /// The problem travels as an extension: the edge writes it down with the request's id.
    fn into_response(self) -> Response {
        if let Self::Failed(Failure::Internal(error)) = &self {
            tracing::error!(error = error as &dyn std::error::Error, "a request failed");
        }
        let problem = self.problem();
        let mut response = StatusCode::from_u16(problem.status).unwrap_or_default().into_response();
        match problem.code {
            Code::Unauthenticated => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::Unavailable => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
            }
            _ => {}
        }
        response.extensions_mut().insert(problem);
        response
    }
}
