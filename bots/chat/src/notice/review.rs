//! A person is needed: what is asked, what is to be judged, until when, and who may say.

use convoke_api::review::{ReviewState, ReviewView};

use super::{Subject, button};
use crate::button::Action;
use crate::page::{Look, Page, Span, Tone};
use crate::text::{clip, size};
use crate::words;

/// Longest question.
const QUESTION_UNITS_MAX: usize = 1_500;
/// Longest comment on a decision.
const COMMENT_UNITS_MAX: usize = 500;
/// Things to be judged that are shown.
const SHOWS_MAX: usize = 5;

/// Why it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It is asked, or has been decided.
    News,
    /// Nobody has decided for a while.
    Reminder,
}

/// A review as it stands; the subject's token is of this review in this chat. Once it is decided, the message says so and
/// has no buttons any more.
pub fn review(subject: &Subject<'_>, review: &ReviewView, occasion: Occasion) -> Page {
    let token = subject.token;
    let is_open = review.state == ReviewState::Requested;
    let tone = match review.state {
        ReviewState::Requested => Tone::Asking,
        ReviewState::Approved => Tone::Good,
        ReviewState::ChangesRequested => Tone::Warning,
        ReviewState::Rejected => Tone::Bad,
        ReviewState::Expired | ReviewState::Withdrawn => Tone::Plain,
    };
    let page = Page::new(tone, words::review_headline(review, occasion == Occasion::Reminder)).line(subject.named());
    let page = page.quote(clip(&review.question, QUESTION_UNITS_MAX));
    if !is_open {
        return outcome(page, review);
    }
    let page = shown(page, review);
    let page = page.line([
        Span::text(words::DECIDE_UNTIL),
        Span::Moment(review.deadline_at.0),
        Span::text(words::otherwise(review.default)),
    ]);
    let page = page.text(words::who_decides(&review.deciders));
    page.row([
        button(Action::Approve, token, Look::Good),
        button(Action::Changes, token, Look::Plain),
        button(Action::Reject, token, Look::Danger),
    ])
}

fn shown(page: Page, review: &ReviewView) -> Page {
    let page = review.shows.iter().take(SHOWS_MAX).fold(page, |page, shown| {
        let more = if shown.truncated { words::BEGINNING } else { "" };
        let name = [Span::code(clip(&shown.name, 100)), Span::text(format!(" · {}{more}", size(shown.bytes)))];
        let page = page.item("📄", name);
        if shown.text.trim().is_empty() { page } else { page.quote(shown.text.as_str()) }
    });
    match review.shows.len().saturating_sub(SHOWS_MAX) {
        0 => page,
        more => page.item("📄", [Span::text(words::and_more(more))]),
    }
}

/// Who decided what, and when.
fn outcome(page: Page, review: &ReviewView) -> Page {
    let mut spans = vec![Span::text(words::outcome(review))];
    if let Some(at) = review.decided_at {
        spans.extend([Span::text(", "), Span::Moment(at.0)]);
    }
    let page = page.line(spans);
    match review.comment.as_deref().map(str::trim) {
        Some(comment) if !comment.is_empty() => page.quote(clip(comment, COMMENT_UNITS_MAX)),
        _ => page,
    }
}
