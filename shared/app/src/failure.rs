//! How use cases fail that callers ask for: the caller's mistakes and ours are different types.

use convoke_api::cursor::CursorError;
use convoke_api::flow::FlowIssue;
use convoke_api::time::Time;
use convoke_domain::path::PathError;
use convoke_domain::review::Decision;
use convoke_domain::status::JobStatus;

use crate::ports::PortError;
use crate::work::WorkError;

/// Why a request wasn't done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It can't be, as things are: the caller's to mend. Nothing was stored.
    #[error(transparent)]
    Refused(Refused),
    /// It should have been: ours to mend. Every use case can be asked again.
    #[error("the request failed")]
    Internal(#[source] WorkError),
}

/// What a caller did wrong, or should know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No key, or none that opens anything.
    #[error("a valid key is required: authorization: bearer cvk_...")]
    Unauthenticated,
    /// A header or parameter can't be read.
    #[error("{detail}")]
    Malformed {
        /// Which, and why.
        detail: String,
    },
    /// The cursor wasn't given out by this list.
    #[error("the cursor can't be used")]
    Cursor(#[source] CursorError),
    /// The path is none of an artifact.
    #[error(transparent)]
    Path(PathError),
    /// The request is understood and wrong.
    #[error("{} of the {what} can't be accepted", places(issues.len()))]
    Invalid {
        /// Which part of it.
        what: Part,
        /// Where and why.
        issues: Vec<FlowIssue>,
    },
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used with another body within the last 24 hours")]
    IdempotencyKeyReused,
    /// The caller has no such job.
    #[error("there is no job {job}")]
    JobNotFound {
        /// As asked.
        job: String,
    },
    /// The caller has no such schedule.
    #[error("there is no schedule {schedule}")]
    ScheduleNotFound {
        /// As asked.
        schedule: String,
    },
    /// The job hasn't asked for such a review.
    #[error("the job has no review {review} that somebody was asked for")]
    ReviewNotFound {
        /// As asked.
        review: String,
    },
    /// Another decision was first.
    #[error("the review is decided: {}", decided(by.as_deref(), *decision, *at_ms))]
    ReviewDecided {
        /// Who decided, as people call them; `None` where its time was over.
        by: Option<String>,
        /// What counts, if anything does.
        decision: Option<Decision>,
        /// When (Unix milliseconds).
        at_ms: u64,
    },
    /// The person isn't among those who may decide.
    #[error("others are to decide this")]
    MayNotDecide,
    /// The job has no such step.
    #[error("the job has no step {step} that has begun")]
    StepNotFound {
        /// As asked.
        step: String,
    },
    /// The job has no such file.
    #[error("the job has no artifact {path}")]
    ArtifactNotFound {
        /// As asked.
        path: String,
    },
    /// The caller has no such link.
    #[error("there is no link of {realm}")]
    LinkNotFound {
        /// As asked.
        realm: String,
    },
    /// The caller has no such webhook.
    #[error("there is no webhook {webhook}")]
    WebhookNotFound {
        /// As asked.
        webhook: String,
    },
    /// The webhook has no such delivery.
    #[error("the webhook has no delivery {delivery}")]
    DeliveryNotFound {
        /// As asked.
        delivery: String,
    },
    /// There are as many as there may be.
    #[error("there are {most} {what}, and no more are taken")]
    LimitReached {
        /// Of what.
        what: &'static str,
        /// How many.
        most: usize,
    },
    /// The webhook is told nothing.
    #[error("the webhook is disabled: once a test of it is acknowledged it is told again")]
    WebhookDisabled,
    /// It was a test.
    #[error("a test is not sent again: make another one")]
    DeliveryNotRepeatable,
    /// The job is over.
    #[error("the job has ended: it is {}", status.as_str())]
    JobAlreadyEnded {
        /// How it ended.
        status: JobStatus,
    },
    /// The job isn't over.
    #[error("the job has not ended: it is {}", status.as_str())]
    JobNotEnded {
        /// How it stands.
        status: JobStatus,
    },
    /// The job ended as asked: there is nothing to try again.
    #[error("only failed and cancelled jobs are retried: this one is {}", status.as_str())]
    JobNotRetryable {
        /// How it ended.
        status: JobStatus,
    },
}

/// What part of a request is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The request itself.
    Request,
    /// The name of its flow.
    FlowName,
    /// The flow that is written in it.
    Flow,
    /// The flow's input.
    Input,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::FlowName => "flow's name",
            Self::Flow => "flow",
            Self::Input => "input",
        })
    }
}

/// `approve, by Ann, at 2026-11-21T05:03:52.125Z`.
fn decided(by: Option<&str>, decision: Option<Decision>, at_ms: u64) -> String {
    let what = decision.map_or("nobody did in time", Decision::as_str);
    let by = match (by, decision) {
        (Some(by), _) => format!(", by {by}"),
        (None, Some(_)) => ", since nobody did in time".to_owned(),
        (None, None) => String::new(),
    };
    format!("{what}{by}, at {}", Time(at_ms))
}

fn places(count: usize) -> String {
    if count == 1 { "1 part".to_owned() } else { format!("{count} parts") }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<WorkError> for Failure {
    fn from(error: WorkError) -> Self {
        Self::Internal(error)
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Internal(WorkError::Port(error))
    }
}

impl Refused {
    /// What is wrong, in one line: the first issue where there are several.
    pub fn reason(&self) -> String {
        match self {
            Self::Invalid { issues, .. } => match issues.first() {
                Some(issue) if issue.path.is_empty() => issue.message.clone(),
                Some(issue) => format!("{}: {}", issue.path, issue.message),
                None => self.to_string(),
            },
            _ => self.to_string(),
        }
    }

    /// One thing wrong with a request.
    pub fn request(path: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { what: Part::Request, issues: vec![FlowIssue::new(path, message, hint)] }
    }
}
