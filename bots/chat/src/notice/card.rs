//! The card: one message that says how a job stands, for as long as it lasts.

use convoke_api::job::{JobView, NodeState, NodeView};
use convoke_api::review::ReviewState;
use convoke_domain::status::JobStatus;

use super::{Subject, button, tone, with_cause, with_warnings};
use crate::button::{Action, Token};
use crate::page::{Look, Page, Span};
use crate::text::{clip, count, duration};
use crate::words;

/// Nodes that are shown one by one.
const NODES_MAX: usize = 12;

/// How a job stands at `now_ms`.
pub fn card(subject: &Subject<'_>, now_ms: u64) -> Page {
    let Subject { job, token, .. } = *subject;
    let page = Page::new(tone(job), words::headline(job)).line(subject.named());
    let page = with_cause(page, job);
    let page = steps(page.gap(), job).gap();
    let page = with_warnings(page, job);
    buttons(time_and_money(page, job, now_ms), job, token)
}

fn time_and_money(page: Page, job: &JobView, now_ms: u64) -> Page {
    let money = words::spent_of(&job.cost, &job.budget);
    match job.ended_at {
        Some(ended) => {
            let took = duration(ended.0.saturating_sub(job.created_at.0));
            page.text(format!("{} · {money}", words::took(&took)))
        }
        None => page.line([
            Span::text(words::STARTED),
            Span::Relative { at_ms: job.created_at.0, now_ms },
            Span::text(format!(" · {money}")),
        ]),
    }
}

fn buttons(page: Page, job: &JobView, token: &Token) -> Page {
    let details = button(Action::Details, token, Look::Plain);
    if job.status.is_terminal() || job.ending {
        page.row([details])
    } else {
        page.row([button(Action::Stop, token, Look::Danger), details])
    }
}

/// The checklist. A long one is put together: what is done and what is to come are numbers, what is worked on is shown.
fn steps(page: Page, job: &JobView) -> Page {
    let nodes = &job.progress.nodes;
    if nodes.len() <= NODES_MAX {
        return nodes.iter().fold(page, |page, node| step(page, node, job));
    }
    let is_done = |node: &&NodeView| matches!(node.state, NodeState::Completed | NodeState::Skipped);
    let is_to_come =
        |node: &&NodeView| matches!(node.state, NodeState::Waiting | NodeState::Ready | NodeState::Stopped);
    let (done, rest): (Vec<&NodeView>, Vec<&NodeView>) = nodes.iter().partition(is_done);
    let (to_come, under_way): (Vec<&NodeView>, Vec<&NodeView>) = rest.into_iter().partition(is_to_come);
    let mut page = page;
    if !done.is_empty() {
        page = page.item(words::mark(NodeState::Completed), [Span::text(words::steps_done(done.len()))]);
    }
    page = under_way.iter().take(NODES_MAX).fold(page, |page, node| step(page, node, job));
    if under_way.len() > NODES_MAX {
        page = page.item("…", [Span::text(words::and_more(under_way.len() - NODES_MAX))]);
    }
    match (to_come.len(), job.status.is_terminal()) {
        (0, _) => page,
        (number, false) => page.item(words::mark(NodeState::Waiting), [Span::text(words::steps_to_come(number))]),
        (number, true) => page.item(words::mark(NodeState::Stopped), [Span::text(words::steps_not_done(number))]),
    }
}

fn step(page: Page, node: &NodeView, job: &JobView) -> Page {
    let mut spans = vec![Span::text(clip(&node.id, 60))];
    if let Some(round) = node.round.filter(|round| *round > 1) {
        spans.push(Span::text(format!(" · {}", words::round(round))));
    }
    if let Some(items) = node.items {
        let failed = if items.failed == 0 { String::new() } else { format!(", {} failed", items.failed) };
        spans.push(Span::text(format!(" · {} of {}{failed}", items.done, count(items.total as usize, "item"))));
    }
    page.item(mark(node, job), spans)
}

/// A node that waits for a person is marked so.
fn mark(node: &NodeView, job: &JobView) -> &'static str {
    let is_asked = job.reviews.iter().any(|review| {
        let name = review.id.split(['@', '[']).next().unwrap_or_default();
        review.state == ReviewState::Requested && name == node.id
    });
    if is_asked && job.status != JobStatus::Cancelled { words::ASKED } else { words::mark(node.state) }
}
