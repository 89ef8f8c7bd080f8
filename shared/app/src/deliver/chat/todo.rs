//! What a chat doesn't show yet. Pure.

use convoke_api::job::JobView;
use convoke_api::review::{ReviewState, ReviewView};
use convoke_domain::chat::Bot;
use convoke_domain::delivery::{CARDS_MAX, Card, EndTold, Shown, refresh_ms};
use convoke_domain::room::Urgency;
use sha2::{Digest, Sha256};

use super::notices::Subject;
use crate::ports::{ChatHost, Form, Notice, Rendered};

/// Stands for a card's token where that doesn't matter, so that its buttons do.
const ANY_TOKEN: &str = "AAAAAAAAAAAAAAAAAAAA";

/// Something to be shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// A person is asked.
    Ask(ReviewView),
    /// They are reminded.
    Remind(ReviewView),
    /// Somebody has decided, or nobody can any more.
    Close(ReviewView),
    /// The job has ended.
    End,
    /// The card as it is now, and the hash of what it shows.
    Card(String),
}

impl Step {
    pub(super) const fn urgency(&self, shown: &Shown) -> Urgency {
        match self {
            Self::Ask(_) | Self::Remind(_) | Self::Close(_) | Self::End => Urgency::Soon,
            Self::Card(_) if shown.card.is_none() => Urgency::Soon,
            Self::Card(_) => Urgency::Progress,
        }
    }
}

/// What is to be shown, in this order.
pub(super) struct Todo {
    pub steps: Vec<Step>,
    /// Whether there will be nothing more after that.
    pub is_over: bool,
    is_urgent: bool,
}

impl Todo {
    pub(super) const fn is_urgent(&self) -> bool {
        self.is_urgent
    }
}

/// Compares a job with what is shown of it.
pub(super) fn todo(shown: &Shown, subject: &Subject, (host, bot, now_ms): (&dyn ChatHost, Bot, u64)) -> Todo {
    let job = &subject.job;
    let is_over = job.status.is_terminal();
    let mut steps: Vec<Step> = job.reviews.iter().filter_map(|review| of_review(shown, review)).collect();
    if is_over && shown.end != EndTold::Told {
        steps.push(Step::End);
    }
    let hash = state_hash(subject, host);
    let wants_card = match &shown.card {
        Some(card) => !card.is_final && (is_over || is_stale(card, &hash, (job, bot, now_ms))),
        // A job that has ended says so in its end.
        None => !is_over && shown.cards < CARDS_MAX,
    };
    if wants_card {
        steps.push(Step::Card(hash));
    }
    let is_urgent = steps.iter().any(|step| step.urgency(shown) == Urgency::Soon);
    Todo { steps, is_over, is_urgent }
}

fn of_review(shown: &Shown, review: &ReviewView) -> Option<Step> {
    match (shown.reviews.get(&review.id), review.state == ReviewState::Requested) {
        (None, true) => Some(Step::Ask(review.clone())),
        (Some(open), true) if review.reminded && !open.reminded => Some(Step::Remind(review.clone())),
        (Some(_), false) => Some(Step::Close(review.clone())),
        (Some(_), true) | (None, false) => None,
    }
}

fn is_stale(card: &Card, hash: &str, (job, bot, now_ms): (&JobView, Bot, u64)) -> bool {
    let refresh_ms = refresh_ms(bot, now_ms.saturating_sub(job.created_at.0));
    card.hash != hash || refresh_ms.is_some_and(|every_ms| now_ms >= card.at_ms + every_ms)
}

/// Hash of a card but for the time that has passed and the token, which is made only once somebody has the delivery.
fn state_hash(subject: &Subject, host: &dyn ChatHost) -> String {
    let card = subject.card(ANY_TOKEN, subject.job.created_at.0);
    hash_of(&host.render(&Notice::Card(card), Form::Rich))
}

fn hash_of(rendered: &Rendered) -> String {
    hex::encode(&Sha256::digest(rendered.body.to_string())[..12])
}
