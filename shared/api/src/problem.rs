//! Problem details: how every error looks to a caller (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::flow::FlowIssue;

/// Media type of a [`Problem`].
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:convoke:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words; always the same for the same code.
    pub title: String,
    /// The HTTP status, again.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// Stable: programs may rely on it.
    pub code: Code,
    /// To be named when asking for help; also in the header `x-request-id`.
    pub request_id: String,
    /// All that is wrong with the request, place by place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FlowIssue>,
}

impl Problem {
    /// A problem without a request's id and list of errors.
    pub fn new(code: Code, status: u16, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:convoke:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status,
            detail: detail.into(),
            code,
            request_id: String::new(),
            errors: Vec::new(),
        }
    }

    /// With the list of all that is wrong.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FlowIssue>) -> Self {
        self.errors = errors;
        self
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $variant:ident = $text:literal, $title:literal;)+) => {
        /// Stable codes of problems. The set only grows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[$doc])+ $variant,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// In words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

codes! {
    /// 400: the body is no JSON.
    MalformedJson = "malformed_json", "The body is not JSON";
    /// 400: a header, a query parameter or a part of the path can't be read.
    MalformedRequest = "malformed_request", "The request can't be read";
    /// 400: the cursor wasn't given out by this list.
    InvalidCursor = "invalid_cursor", "Not a cursor of this list";
    /// 400: a path with `..`, control characters or the like.
    InvalidPath = "invalid_path", "Not a path of an artifact";
    /// 401: no key, or none that opens anything.
    Unauthenticated = "unauthenticated", "A valid key is required";
    /// 403: the review names others who decide.
    MayNotDecide = "may_not_decide", "Others are to decide this";
    /// 404: there is nothing at this URL.
    RouteNotFound = "route_not_found", "Nothing is here";
    /// 404: the caller has no such job.
    JobNotFound = "job_not_found", "No such job";
    /// 404: the job has no such step.
    StepNotFound = "step_not_found", "No such step";
    /// 404: the job hasn't asked for such a review.
    ReviewNotFound = "review_not_found", "No such review";
    /// 404: the caller has no such schedule.
    ScheduleNotFound = "schedule_not_found", "No such schedule";
    /// 404: the job has no such artifact.
    ArtifactNotFound = "artifact_not_found", "No such artifact";
    /// 404: the caller has no such webhook.
    WebhookNotFound = "webhook_not_found", "No such webhook";
    /// 404: the caller has no such link.
    LinkNotFound = "link_not_found", "No such link";
    /// 404: the webhook has no such delivery.
    DeliveryNotFound = "delivery_not_found", "No such delivery";
    /// 405: not with this method.
    MethodNotAllowed = "method_not_allowed", "Not with this method";
    /// 409: the job is over.
    JobAlreadyEnded = "job_already_ended", "The job has ended already";
    /// 409: the job has to end first.
    JobNotEnded = "job_not_ended", "The job has not ended yet";
    /// 409: another decision was first, or the review's time is over.
    ReviewDecided = "review_decided", "The review is decided";
    /// 409: only failed and cancelled jobs are retried.
    JobNotRetryable = "job_not_retryable", "The job can't be retried";
    /// 409: there are as many as there may be.
    LimitReached = "limit_reached", "There are as many as there may be";
    /// 409: the webhook is told nothing until a test of it is acknowledged.
    WebhookDisabled = "webhook_disabled", "The webhook is disabled";
    /// 409: a test is no event of a job.
    DeliveryNotRepeatable = "delivery_not_repeatable", "The delivery can't be made again";
    /// 413: the body is too large.
    BodyTooLarge = "body_too_large", "The body is too large";
    /// 415: the body has to be JSON and to say so.
    UnsupportedMediaType = "unsupported_media_type", "The body has to be application/json";
    /// 422: the request is understood and wrong; `errors` says where.
    InvalidRequest = "invalid_request", "The request is not valid";
    /// 422: no flow of that name.
    UnknownFlow = "unknown_flow", "No such flow";
    /// 422: the inline flow can't run; `errors` says where and why.
    InvalidFlow = "invalid_flow", "The flow is not valid";
    /// 422: the input doesn't fit the flow; `errors` says where.
    InvalidInput = "invalid_input", "The input does not fit the flow";
    /// 422: the idempotency key was used with another body.
    IdempotencyKeyReused = "idempotency_key_reused", "The idempotency key belongs to another request";
    /// 500: our mistake.
    Internal = "internal", "Something went wrong on our side";
    /// 503: a service behind us is unavailable; try again.
    Unavailable = "unavailable", "Temporarily unavailable";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_they_are_named() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).expect("json"), code.as_str());
        }
    }

    #[test]
    fn a_problem_has_the_members_of_the_rfc() {
        let problem = Problem::new(Code::JobNotFound, 404, "no job 01KAJ0X5T3ZQ4V8N2M6R7W9YBC");
        let json = serde_json::to_value(problem).expect("json");
        for (member, value) in [
            ("type", "urn:convoke:problem:job_not_found"),
            ("title", "No such job"),
            ("detail", "no job 01KAJ0X5T3ZQ4V8N2M6R7W9YBC"),
            ("code", "job_not_found"),
        ] {
            assert_eq!(json[member], value);
        }
        assert_eq!(json["status"], 404);
        assert_eq!(json.get("errors"), None);
    }
}
