//! Reviews: listed, decided by a command, or asked on the terminal while a job is followed.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal};

use convoke_api::job::JobView;
use convoke_api::review::{DecisionRequest, ReviewList, ReviewState, ReviewView};
use convoke_domain::review::Decision;
use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::api::Api;
use super::args::{JobArgs, ReviewArgs};
use super::failure::{Exit, Failure};
use super::follow::decode;
use super::jobs::print;
use super::progress::{Progress, printable};

/// Lists a job's reviews.
pub async fn list(api: &Api, args: &JobArgs) -> Result<Exit, Failure> {
    let answer = api.get(&format!("/v1/jobs/{}/reviews", args.job)).await?;
    if args.json {
        return print(&answer);
    }
    let list: ReviewList = decode(answer)?;
    for review in &list.reviews {
        for line in told(review) {
            println!("{}", printable(&line));
        }
        if review.state == ReviewState::Requested {
            println!("  {}", command(&args.job, review));
        }
    }
    Ok(Exit::Done)
}

/// Decides a review.
pub async fn decide(api: &Api, args: &ReviewArgs) -> Result<Exit, Failure> {
    let ReviewArgs { job, review, decision, comment, json, .. } = args;
    let answer = post(api, (job, review), *decision, comment.clone()).await?;
    if *json {
        return print(&serde_json::to_value(&answer).unwrap_or_default());
    }
    for line in told(&answer) {
        println!("{}", printable(&line));
    }
    Ok(Exit::Done)
}

async fn post(
    api: &Api,
    (job, review): (&str, &str),
    decision: Decision,
    comment: Option<String>,
) -> Result<ReviewView, Failure> {
    let body = serde_json::to_value(DecisionRequest { decision, comment }).unwrap_or_default();
    decode(api.post(&format!("/v1/jobs/{job}/reviews/{review}"), &body).await?)
}

/// How a review stands, in a line; while it is open, what is asked follows.
fn told(review: &ReviewView) -> Vec<String> {
    let by = review.decided_by.as_deref().map(|by| format!(", by {by}")).unwrap_or_default();
    let comment = review.comment.as_deref().map(|comment| format!(": {comment}")).unwrap_or_default();
    let state = review.state.as_str();
    let mut lines = vec![format!("{}  {state}{by}{comment}", review.id)];
    if review.state == ReviewState::Requested {
        lines.extend(review.question.lines().map(|line| format!("  {line}")));
        lines.push(format!("  until {}", review.deadline_at));
    }
    lines
}

fn command(job: &str, review: &ReviewView) -> String {
    format!("convoke review {job} {} approve|changes|reject [--comment TEXT]", review.id)
}

/// Asks on the terminal, where there is one; elsewhere says how to decide. Reads standard input only once there is
/// something to ask.
#[derive(Default)]
pub struct Asker {
    /// What is typed; `None` where nobody can.
    typed: Option<UnboundedReceiver<String>>,
    /// Reviews that were told of.
    told: BTreeSet<String>,
    /// The review that is decided by what is typed next.
    open: Option<ReviewView>,
}

impl Asker {
    /// Tells of reviews that opened, and forgets those that don't wait any more.
    pub fn look(&mut self, job: &JobView, progress: &Progress) {
        let is_open = |review: &&ReviewView| review.state == ReviewState::Requested;
        let open: Vec<&ReviewView> = job.reviews.iter().filter(is_open).collect();
        if self.open.as_ref().is_some_and(|asked| open.iter().all(|review| review.id != asked.id)) {
            self.open = None;
        }
        let can_type = progress.is_watched() && std::io::stdin().is_terminal();
        for review in &open {
            if self.told.insert(review.id.clone()) {
                tell(review, progress);
                if !can_type {
                    progress.line(&format!("    {}", command(job.id.as_str(), review)));
                }
            }
        }
        if let (None, Some(review)) = (&self.open, open.first())
            && can_type
        {
            self.ask(review, progress);
        }
    }

    /// Asks about a review that was told of. What was typed before decides nothing: whoever typed it hadn't seen this.
    fn ask(&mut self, review: &ReviewView, progress: &Progress) {
        // Where it can't be dropped, it is read below as far as it has come.
        let _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
        let typed = self.typed.get_or_insert_with(lines);
        while typed.try_recv().is_ok() {}
        let id = &review.id;
        progress.line(&format!("    {id}: approve, changes or reject? With a comment: changes: shorter, please"));
        self.open = Some(review.clone());
    }
    /// Waits for a line; for ever where nobody is asked.
    pub async fn line(&mut self) -> String {
        if self.open.is_some()
            && let Some(typed) = &mut self.typed
            && let Some(line) = typed.recv().await
        {
            return line;
        }
        std::future::pending().await
    }

    /// Decides by what was typed; what is no decision is asked again.
    pub async fn answer(&mut self, api: &Api, job: &str, (line, progress): (&str, &Progress)) {
        let Some(review) = &self.open else { return };
        let Some((decision, comment)) = read(line) else {
            progress.line("    approve, changes or reject?");
            return;
        };
        match post(api, (job, &review.id), decision, comment).await {
            Ok(_) => self.open = None,
            Err(failure) => progress.line(&format!("    {failure}")),
        }
    }
}

/// What is asked, and what it is asked about.
fn tell(review: &ReviewView, progress: &Progress) {
    for line in review.question.lines() {
        progress.line(&format!("    {line}"));
    }
    for shown in &review.shows {
        progress.line(&format!("    -- {} --", shown.name));
        for line in shown.text.lines() {
            progress.line(&format!("    {line}"));
        }
        if shown.truncated {
            progress.line(&format!("    [... of {} bytes]", shown.bytes));
        }
    }
}

/// Lines of standard input, read by a thread that ends with the process.
fn lines() -> UnboundedReceiver<String> {
    let (to, from) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if to.send(line).is_err() {
                break;
            }
        }
    });
    from
}

/// `approve`, or `changes: shorter, please`; a beginning of the word will do.
fn read(line: &str) -> Option<(Decision, Option<String>)> {
    let line = line.trim();
    let end = line.find(|c: char| !c.is_alphabetic()).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let word = word.to_lowercase();
    let decision = Decision::ALL.into_iter().find(|it| !word.is_empty() && it.as_str().starts_with(&word))?;
    let comment = rest.trim_start_matches([':', ',', ' ']).trim();
    Some((decision, Some(comment.to_owned()).filter(|comment| !comment.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_a_decision_with_or_without_a_comment() {
        let comment = |text: &str| Some(text.to_owned());
        for (line, expected) in [
            ("approve", Some((Decision::Approve, None))),
            (" A \n", Some((Decision::Approve, None))),
            ("changes: shorter, please", Some((Decision::Changes, comment("shorter, please")))),
            ("c shorter", Some((Decision::Changes, comment("shorter")))),
            ("reject: ", Some((Decision::Reject, None))),
            ("yes", None),
            ("approved", None),
            ("", None),
            (": x", None),
        ] {
            assert_eq!(read(line), expected, "{line:?}");
        }
    }
}
