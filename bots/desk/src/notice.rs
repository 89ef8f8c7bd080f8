//! What the platform wants told in a chat, as a page: the same for both bots.

use convoke_api::job::JobView;
use convoke_app::ports::{CardNotice, EndNotice, Notice, Requester, ReviewNotice, RunNotice};
use convoke_chat::button::Token;
use convoke_chat::notice::{End, Occasion, Subject, batch, card, digest, end, not_started, review};
use convoke_chat::page::{Page, Tone};
use convoke_chat::words;

/// The page of a notice. Pure.
pub fn page(notice: &Notice) -> Page {
    match notice {
        Notice::Card(CardNotice { job, token, requester, now_ms }) => {
            with((job, token, requester.as_ref()), |subject| card(subject, *now_ms))
        }
        Notice::Review(notice) => asked(notice, Occasion::News),
        Notice::Reminder(notice) => asked(notice, Occasion::Reminder),
        Notice::End(notice) => ended(notice),
        Notice::Digest(jobs) => digest(jobs),
        Notice::Run(RunNotice { name, after: Some(job), run }) => not_started(name, job, run),
        Notice::Run(RunNotice { name, after: None, run }) => batch(name, run),
    }
}

fn asked(notice: &ReviewNotice, occasion: Occasion) -> Page {
    let ReviewNotice { job, review: asked, token, requester } = notice;
    with((job, token, requester.as_ref()), |subject| review(subject, asked, occasion))
}

fn ended(notice: &EndNotice) -> Page {
    let EndNotice { job, token, requester, summary, artifacts, artifacts_total, files } = notice;
    let ended = End {
        summary: summary.as_deref(),
        files: artifacts,
        files_total: *artifacts_total,
        is_attached: !files.is_empty(),
    };
    with((job, token, requester.as_ref()), |subject| end(subject, &ended))
}

/// Tokens are the platform's own, so they always are of the form; without one there would be no buttons.
fn with(
    (job, token, requester): (&JobView, &str, Option<&Requester>),
    page: impl FnOnce(&Subject<'_>) -> Page,
) -> Page {
    match token.parse::<Token>() {
        Ok(token) => {
            page(&Subject { job, token: &token, asked_by: requester.map(|requester| requester.name.as_str()) })
        }
        Err(_) => Page::new(Tone::Plain, words::headline(job)),
    }
}
