//! What can't be done, as something to show: what it was, where, and what to do about it.

use convoke_api::flow::FlowIssue;
use convoke_app::failure::{Failure, Refused};
use convoke_chat::answer;
use convoke_chat::page::Page;
use convoke_chat::reply::Reply;
use convoke_chat::words;

use crate::Caller;

/// Why there is no answer of the usual kind.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The caller's to mend: this is said to them.
    Said(Box<Page>),
    /// The platform's word.
    Failed(Box<Failure>),
}

/// What is answered.
pub(crate) type Answer = Result<Reply, Trouble>;

impl From<Page> for Trouble {
    fn from(page: Page) -> Self {
        Self::Said(Box::new(page))
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// Something to show in any case; what is ours to mend is logged here, once.
pub(crate) fn answered(caller: &Caller, answer: Answer) -> Reply {
    let page = match answer {
        Ok(reply) => return reply,
        Err(Trouble::Said(page)) => *page,
        Err(Trouble::Failed(failure)) => match *failure {
            Failure::Refused(refused) => refusal(&refused),
            failure @ Failure::Internal(_) => {
                let error = &failure as &dyn std::error::Error;
                tracing::error!(error, chat = %caller.chat, update = caller.update, "a chat couldn't be answered");
                answer::short(words::OUR_MISTAKE, words::OUR_MISTAKE_NEXT)
            }
        },
    };
    Reply::private(page)
}

fn refusal(refused: &Refused) -> Page {
    match refused {
        Refused::Invalid { issues, .. } => answer::cant(issues.iter().map(issue)),
        Refused::JobNotFound { .. } => answer::no_job(),
        Refused::ScheduleNotFound { .. } => answer::no_schedule(),
        Refused::JobAlreadyEnded { status } => answer::cant([words::ended_already(*status)]),
        Refused::JobNotEnded { .. } => answer::cant([words::NOT_ENDED.to_owned()]),
        Refused::JobNotRetryable { status } => answer::cant([words::not_retryable(*status)]),
        Refused::ReviewDecided { by, decision, .. } => {
            answer::short(words::ALREADY_DECIDED, &words::decided(by.as_deref(), *decision))
        }
        Refused::MayNotDecide => answer::cant([words::MAY_NOT_DECIDE.to_owned()]),
        Refused::ReviewNotFound { .. } => answer::old_button(),
        other => answer::cant([other.reason()]),
    }
}

fn issue(issue: &FlowIssue) -> String {
    words::issue(&issue.path, &issue.message, &issue.hint)
}
