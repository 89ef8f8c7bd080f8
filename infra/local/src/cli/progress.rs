//! A job at work, on a terminal: a line per step that has ended, and one that moves.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use convoke_api::event::{EventView, EventWhat};
use convoke_api::job::JobView;
use convoke_api::step::StepView;
use convoke_domain::review::Decision;
use indicatif::{ProgressBar, ProgressStyle};

/// Where progress goes.
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    started: Instant,
    running: BTreeSet<String>,
}

/// Whether progress is shown at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// On standard error.
    Progress,
    /// Nothing.
    Nothing,
}

impl Progress {
    /// Progress on standard error; a moving line only where that is a terminal.
    pub fn new(show: Show) -> Self {
        let moving = show == Show::Progress && std::io::stderr().is_terminal();
        let bar = moving.then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(ProgressStyle::default_spinner());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, quiet: show == Show::Nothing, started: Instant::now(), running: BTreeSet::new() }
    }

    /// Whether somebody looks at it: it moves.
    pub const fn is_watched(&self) -> bool {
        self.bar.is_some()
    }

    /// Prints a line that stays.
    pub fn line(&self, line: &str) {
        let line = printable(line);
        match &self.bar {
            Some(bar) => bar.println(line),
            None if self.quiet => {}
            None => eprintln!("{line}"),
        }
    }

    /// Shows what has happened.
    pub fn event(&mut self, event: &EventView, step: Option<&StepView>) {
        match &event.what {
            // Delivering is no step of the flow.
            EventWhat::StepStarted { step, .. } | EventWhat::StepCompleted { step, .. } if step == "(finish)" => {}
            EventWhat::StepStarted { step, attempt } => {
                self.running.insert(step.clone());
                if *attempt > 1 {
                    self.line(&format!("  ↻ {step} (attempt {attempt})"));
                }
            }
            EventWhat::StepCompleted { step: name, .. } => {
                self.running.remove(name);
                self.line(&format!("  ✓ {name}{}", step.map(figures).unwrap_or_default()));
            }
            EventWhat::StepFailed { step: name, attempt } => {
                self.running.remove(name);
                self.line(&format!("  ✗ {name} failed in attempt {attempt}"));
            }
            EventWhat::StepRetrying { step, .. } => {
                self.running.remove(step);
                self.line(&format!("  … {step} is tried again"));
            }
            EventWhat::StepWaitsForBudget { step } => self.line(&format!("  … {step} waits for money")),
            EventWhat::ReviewRequested { review } => {
                self.running.remove(review);
                self.line(&format!("  ? {review} waits for a decision"));
            }
            EventWhat::ReviewReminded { review } => self.line(&format!("  ? {review} still waits for a decision")),
            EventWhat::ReviewDecided { review, decision, expired } => {
                self.line(&format!("  ✓ {review}: {}", decided(*decision, *expired)));
            }
            EventWhat::Ending { step, cause, .. } if !cause.is_empty() => {
                let step = step.as_deref().map(|step| format!("{step}: ")).unwrap_or_default();
                self.line(&format!("  ✗ {step}{cause}"));
            }
            EventWhat::Submitted
            | EventWhat::Working
            | EventWhat::MapStarted { .. }
            | EventWhat::Ending { .. }
            | EventWhat::Ended { .. }
            | EventWhat::Cost { .. } => {}
        }
    }

    /// Moves the moving line.
    pub fn state(&self, job: &JobView) {
        let Some(bar) = &self.bar else { return };
        let running: Vec<&str> = self.running.iter().take(3).map(String::as_str).collect();
        let running = if running.is_empty() { job.status.as_str().to_owned() } else { running.join(", ") };
        let seconds = self.started.elapsed().as_secs();
        let (cost, cap) = (&job.cost, &job.budget.usd);
        bar.set_message(printable(&format!(
            "{running} · {seconds} s · {} tokens · ${} of ${cap}",
            cost.tokens, cost.usd
        )));
    }

    /// Takes the moving line away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `approve`, `approve, since nobody decided in time`.
fn decided(decision: Option<Decision>, expired: bool) -> String {
    match (decision, expired) {
        (Some(decision), false) => decision.as_str().to_owned(),
        (Some(decision), true) => format!("{}, since nobody decided in time", decision.as_str()),
        (None, _) => "nobody decided in time".to_owned(),
    }
}

fn figures(step: &StepView) -> String {
    let took = match (step.started_at, step.ended_at) {
        (Some(from), Some(to)) => {
            format!("  {}.{} s", to.0.saturating_sub(from.0) / 1_000, to.0.saturating_sub(from.0) % 1_000 / 100)
        }
        _ => String::new(),
    };
    let tokens = step.cost.as_ref().filter(|cost| cost.tokens > 0).map(|cost| format!("  {} tokens", cost.tokens));
    let files = (!step.files.is_empty()).then(|| format!("  {}", step.files.join(", ")));
    format!("{took}{}{}", tokens.unwrap_or_default(), files.unwrap_or_default())
}

/// Text of others without what would move the cursor or colour the terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn escapes_never_reach_the_terminal() {
        assert_eq!(super::printable("a\u{1b}[2Jb\nc"), "a [2Jb c");
    }
}
