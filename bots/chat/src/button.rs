//! Buttons: what pressing one means, in few bytes. What a button is about (a job, a review) stands in the platform's table
//! under its token, so a button works for as long as that does, whoever redeploys what meanwhile.

use std::fmt;
use std::str::FromStr;

use convoke_domain::ids::JobId;
use convoke_domain::money::MicroUsd;

/// Longest data of a button that Telegram takes, in bytes; Discord takes 100.
pub const DATA_BYTES_MAX: usize = 64;

macro_rules! actions {
    ($($(#[$doc:meta])+ $name:ident = $letter:literal;)+) => {
        /// What a button does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])+ $name,)+
        }

        impl Action {
            /// All actions.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its letter: they stand in messages for months, so they never change.
            pub const fn letter(self) -> char {
                match self { $(Self::$name => $letter,)+ }
            }

            /// The action of a letter.
            pub const fn of(letter: char) -> Option<Self> {
                match letter { $($letter => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

actions! {
    /// End the job with what there is.
    Stop = 's';
    /// Show how the job stands, to whoever pressed alone.
    Details = 'd';
    /// The same job once more.
    RunAgain = 'a';
    /// Go on from the job's files: asks what is wanted.
    FollowUp = 'f';
    /// All files in one.
    Zip = 'z';
    /// Try a failed or cancelled job again.
    Retry = 'r';
    /// Try it again with twice the money.
    RaiseBudget = 'b';
    /// Decide a review: go on.
    Approve = 'y';
    /// Decide a review: change something; asks what.
    Changes = 'c';
    /// Decide a review: end.
    Reject = 'n';
    /// A follow-up of a job that still runs: once it has ended.
    Queue = 'q';
    /// A follow-up of a job that still runs: end it, and start at once.
    Restart = 'x';
}

/// What a button's token looks like: 8 to 40 characters of base64's URL alphabet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(String);

/// A button was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Press {
    /// What it does.
    pub action: Action,
    /// What it is about.
    pub token: Token,
}

/// What a typed text answers: a modal's on Discord, a reply's on Telegram. Small letters are buttons, capitals commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A button that wants words: what to change, what to do next.
    Press(Press),
    /// What is wanted of a new job.
    Run {
        /// Its flow.
        flow: Option<String>,
        /// Its cap.
        budget: Option<MicroUsd>,
    },
    /// What is wanted of a follow-up.
    FollowUp {
        /// Of this job.
        job: JobId,
        /// Its cap.
        budget: Option<MicroUsd>,
    },
}

/// A text that is no button's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the data of a button")]
pub struct ButtonError;

impl Token {
    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = ButtonError;

    fn from_str(text: &str) -> Result<Self, ButtonError> {
        let fits =
            (8..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if fits { Ok(Self(text.to_owned())) } else { Err(ButtonError) }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Press {
    /// The data of the button: `custom_id` on Discord, `callback_data` on Telegram.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.action.letter(), self.token)
    }
}

impl FromStr for Press {
    type Err = ButtonError;

    fn from_str(text: &str) -> Result<Self, ButtonError> {
        let mut letters = text.chars();
        let action = letters.next().and_then(Action::of).ok_or(ButtonError)?;
        Ok(Self { action, token: letters.as_str().parse()? })
    }
}

impl fmt::Display for Ask {
    /// The data of the question: a modal's `custom_id`, the last line of a message on Telegram.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |budget: &Option<MicroUsd>| budget.map(|usd| usd.0.to_string()).unwrap_or_default();
        match self {
            Self::Press(press) => press.fmt(f),
            Self::Run { flow, budget } => write!(f, "R{}/{}", flow.as_deref().unwrap_or_default(), micros(budget)),
            Self::FollowUp { job, budget } => write!(f, "F{job}/{}", micros(budget)),
        }
    }
}

impl FromStr for Ask {
    type Err = ButtonError;

    fn from_str(text: &str) -> Result<Self, ButtonError> {
        let parts = |rest: &'_ str| -> Result<(String, Option<MicroUsd>), ButtonError> {
            let (name, micros) = rest.split_once('/').ok_or(ButtonError)?;
            let budget = match micros {
                "" => None,
                micros => Some(MicroUsd(micros.parse().map_err(|_| ButtonError)?)),
            };
            Ok((name.to_owned(), budget))
        };
        if let Some(rest) = text.strip_prefix('R') {
            let (flow, budget) = parts(rest)?;
            return Ok(Self::Run { flow: Some(flow).filter(|flow| !flow.is_empty()), budget });
        }
        if let Some(rest) = text.strip_prefix('F') {
            let (job, budget) = parts(rest)?;
            return Ok(Self::FollowUp { job: job.parse().map_err(|_| ButtonError)?, budget });
        }
        text.parse().map(Self::Press)
    }
}

/// What the last line of a question begins with on Telegram.
pub(crate) const REFERENCE: &str = "ref: ";

impl Ask {
    /// What a message of our own asked, by its last line; `None` where it asked nothing. Only texts that the bot has sent
    /// itself may be given here.
    pub fn asked_in(text: &str) -> Option<Self> {
        text.lines().next_back()?.trim().strip_prefix(REFERENCE.trim_end())?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "Ab3_-fGh1JkLmNoPqRsT12";

    #[test]
    fn a_button_fits_and_is_read_again() {
        for &action in Action::ALL {
            let press = Press { action, token: TOKEN.parse().expect("a token") };
            let data = press.to_string();
            assert!(data.len() <= DATA_BYTES_MAX, "{data}");
            assert_eq!(data.parse(), Ok(press.clone()));
            assert_eq!(data.parse(), Ok(Ask::Press(press)));
        }
    }

    #[test]
    fn letters_of_buttons_are_their_own_and_small() {
        for (index, action) in Action::ALL.iter().enumerate() {
            assert!(action.letter().is_ascii_lowercase());
            assert!(Action::ALL[index + 1..].iter().all(|other| other.letter() != action.letter()), "{action:?}");
        }
    }

    #[test]
    fn what_is_no_button_is_refused() {
        for bad in ["", "s", "sshort", "?Ab3_-fGh1JkLmNoPqRsT12", "s Ab3_-fGh1JkLmNoPqRsT12", "säb3_-fGh1JkLmNoPq"] {
            assert_eq!(bad.parse::<Press>(), Err(ButtonError), "{bad}");
        }
        assert_eq!(format!("s{}", "x".repeat(41)).parse::<Press>(), Err(ButtonError));
    }

    #[test]
    fn a_question_fits_and_is_found_in_the_message_that_asked_it() {
        let job: JobId = "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("an id");
        let largest = Some(MicroUsd(1_000_000_000_000));
        let asks = [
            Ask::Run { flow: None, budget: None },
            Ask::Run { flow: Some("f".repeat(40)), budget: largest },
            Ask::FollowUp { job: job.clone(), budget: None },
            Ask::FollowUp { job, budget: largest },
            Ask::Press(Press { action: Action::Changes, token: TOKEN.parse().expect("a token") }),
        ];
        for ask in asks {
            let data = ask.to_string();
            assert!(data.len() <= DATA_BYTES_MAX, "{data}");
            assert_eq!(data.parse(), Ok(ask.clone()));
            assert_eq!(Ask::asked_in(&format!("What do you want?\n\n{REFERENCE}{data}\n")), Some(ask));
        }
        for text in ["", "What?", "ref: ", "ref: Rsoftware", "ref: F123/", "ref: R/x", "ref: R/\nwords"] {
            assert_eq!(Ask::asked_in(text), None, "{text}");
        }
    }
}
