//! When a schedule starts work, as people say it.

use std::fmt;
use std::str::FromStr;

/// When a schedule starts work. Whether a crontab makes sense is the platform's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Five fields of a crontab.
    Cron(String),
    /// A pause, in seconds.
    Every(u64),
}

/// A text that isn't understood as a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write daily 06:00, weekdays 06:00, mon 06:00, hourly, every 6h, or a crontab in quotes: \"0 6 * * MON-FRI\"")]
pub struct WhenError;

const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl When {
    /// Reads a time from the beginning of `text`; what follows it is left.
    pub fn take(text: &str) -> Result<(Self, &str), WhenError> {
        let text = text.trim_start();
        if let Some(rest) = text.strip_prefix(['"', '“', '”', '\'', '`']) {
            let (fields, rest) = rest.split_once(['"', '“', '”', '\'', '`']).ok_or(WhenError)?;
            return Ok((cron(fields)?, rest));
        }
        let (word, rest) = next_word(text);
        match word.to_lowercase().as_str() {
            "hourly" => Ok((Self::Cron("0 * * * *".to_owned()), rest)),
            "every" => {
                let (pause, rest) = next_word(rest);
                Ok((every(pause)?, rest))
            }
            "daily" => at(rest, "*"),
            "weekdays" => at(rest, "MON-FRI"),
            "weekly" => {
                let (name, rest) = next_word(rest);
                at(rest, day(name).ok_or(WhenError)?)
            }
            name => at(rest, day(name).ok_or(WhenError)?),
        }
    }
}

/// The next word, and what follows it.
pub(super) fn next_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

fn at<'text>(rest: &'text str, days: &str) -> Result<(When, &'text str), WhenError> {
    let (word, after) = next_word(rest);
    let (time, after) = if word.eq_ignore_ascii_case("at") { next_word(after) } else { (word, after) };
    let (hour, minute) = time.split_once(':').ok_or(WhenError)?;
    let number = |text: &str, most: u8| text.parse::<u8>().ok().filter(|number| *number <= most).ok_or(WhenError);
    let (hour, minute) = (number(hour, 23)?, number(minute, 59)?);
    Ok((When::Cron(format!("{minute} {hour} * * {days}")), after))
}

fn day(name: &str) -> Option<&'static str> {
    let name = name.to_uppercase();
    DAYS.into_iter().find(|day| name == *day || (name.starts_with(day) && name.ends_with("DAY")))
}

fn every(pause: &str) -> Result<When, WhenError> {
    let unit = pause.chars().next_back().ok_or(WhenError)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(WhenError),
    };
    let number: u64 = pause[..pause.len() - unit.len_utf8()].parse().map_err(|_| WhenError)?;
    number.checked_mul(seconds).filter(|pause| *pause > 0).map(When::Every).ok_or(WhenError)
}

fn cron(fields: &str) -> Result<When, WhenError> {
    let fields: Vec<&str> = fields.split_whitespace().collect();
    if fields.len() == 5 { Ok(When::Cron(fields.join(" "))) } else { Err(WhenError) }
}

impl FromStr for When {
    type Err = WhenError;

    /// Takes a time with nothing behind it; a crontab also without quotes.
    fn from_str(text: &str) -> Result<Self, WhenError> {
        match Self::take(text) {
            Ok((when, rest)) if rest.trim().is_empty() => Ok(when),
            _ => cron(text).ok().filter(|_| is_cronlike(text)).ok_or(WhenError),
        }
    }
}

/// Whether the first field could be a minute: five words of prose are no crontab.
fn is_cronlike(text: &str) -> bool {
    text.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '*')
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(fields) => f.write_str(fields),
            Self::Every(s) if s % 86_400 == 0 => write!(f, "every {}d", s / 86_400),
            Self::Every(s) if s % 3_600 == 0 => write!(f, "every {}h", s / 3_600),
            Self::Every(s) => write!(f, "every {}m", s / 60),
        }
    }
}
