//! How the fetching of weights is shown: a moving bar on a terminal, a line for each new thing elsewhere.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use convoke_models::embedded::{Progress, ProgressSink};
use indicatif::{ProgressBar, ProgressStyle};

/// What is shown where the size is known, and where it isn't.
const BAR: &str = "{msg} [{bar:30}] {bytes} of {total_bytes}, {eta} left";
const SPINNER: &str = "{spinner} {msg} {bytes} in {elapsed}";
/// Pause between two steps of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// What is shown on standard error. Clones show the same.
#[derive(Clone, Default)]
pub struct Shown(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    last: Option<String>,
}

/// Nothing is shown before something is to be waited for.
pub fn progress() -> Shown {
    Shown::default()
}

impl Shown {
    /// Where fetching tells what it does.
    pub fn sink(&self) -> ProgressSink {
        let shown = self.clone();
        Arc::new(move |progress| shown.show(&progress))
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = self.0.lock().unwrap_or_else(PoisonError::into_inner).bar.take() {
            bar.finish_and_clear();
        }
    }

    fn show(&self, progress: &Progress) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Fetching { from, received, total } => {
                state.say(&format!("fetching the embedded model's weights (100 MB, once) from {from}"));
                if let Some(bar) = &state.bar {
                    moved(bar, received.unwrap_or(0), *total);
                }
            }
            // Told even where a bar covers it: it explains what comes next.
            Progress::Failed { from, detail } => eprintln!("{from}: {}", super::progress::printable(detail)),
            Progress::Requantizing => state.say("preparing the weights (once)"),
            // A fifth of a second, at each start.
            Progress::Checking => {}
            Progress::Ready => state.say(""),
        }
    }
}

impl State {
    /// Says what is done now, once.
    fn say(&mut self, what: &str) {
        if self.last.as_deref() == Some(what) {
            return;
        }
        self.last = Some(what.to_owned());
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if what.is_empty() {
            return;
        }
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner().with_message(what.to_owned());
            bar.set_style(style(SPINNER));
            bar.enable_steady_tick(TICK);
            self.bar = Some(bar);
        } else {
            eprintln!("{what}");
        }
    }
}

fn moved(bar: &ProgressBar, received: u64, total: Option<u64>) {
    if let Some(total) = total.filter(|_| bar.length().is_none()) {
        bar.set_length(total);
        bar.set_style(style(BAR));
    }
    bar.set_position(received);
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_follows_what_came() {
        let bar = ProgressBar::hidden();
        moved(&bar, 10, None);
        assert_eq!((bar.position(), bar.length()), (10, None));
        moved(&bar, 40, Some(100));
        assert_eq!((bar.position(), bar.length()), (40, Some(100)));
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
