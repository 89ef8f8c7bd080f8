//! The calendar of a schedule.

use convoke_api::flow::FlowIssue;
use cronexpr::Crontab;

use crate::ports::Timing;

/// Shortest pause between two ticks, in seconds: the clock looks once a minute.
pub(super) const EVERY_S_MIN: u64 = 60;
/// Longest pause, in seconds: a month.
pub(super) const EVERY_S_MAX: u64 = 31 * 24 * 3_600;
/// Longest expression, in bytes.
const EXPRESSION_BYTES_MAX: usize = 200;
/// Fields of an expression.
const FIELDS: usize = 5;

impl Timing {
    /// The first tick after `after_ms`; `None` where none ever comes. `created_ms` is where pauses are counted from.
    pub(super) fn next(&self, created_ms: u64, after_ms: u64) -> Option<u64> {
        match self {
            Self::Cron { expression, zone } => next_of(&crontab(expression, zone).ok()?, after_ms),
            Self::Every { seconds } => {
                let pause_ms = seconds.checked_mul(1_000).filter(|pause_ms| *pause_ms > 0)?;
                let passed = after_ms.saturating_sub(created_ms) / pause_ms;
                Some(created_ms + (passed + 1) * pause_ms)
            }
        }
    }
}

/// What a request says of the time; mistakes go to `issues`.
pub(super) fn read(
    cron: Option<&str>,
    zone: Option<&str>,
    every_s: Option<u64>,
    issues: &mut Vec<FlowIssue>,
) -> Option<Timing> {
    let found = issues.len();
    let timing = match (cron, every_s) {
        (Some(_), Some(_)) => {
            issues.push(FlowIssue::new("every_s", "stands beside cron", "leave one of the two out"));
            return None;
        }
        (None, None) => {
            let hint = "\"0 6 * * MON-FRI\", or every_s with a number of seconds";
            issues.push(FlowIssue::new("cron", "is missing", hint));
            return None;
        }
        (Some(expression), None) => {
            let zone = zone.unwrap_or("UTC");
            check(expression, zone, issues);
            Timing::Cron {
                expression: expression.split_whitespace().collect::<Vec<_>>().join(" "),
                zone: zone.to_owned(),
            }
        }
        (None, Some(seconds)) => {
            if !(EVERY_S_MIN..=EVERY_S_MAX).contains(&seconds) {
                let hint = format!("a whole number from {EVERY_S_MIN} to {EVERY_S_MAX}");
                issues.push(FlowIssue::new("every_s", "out of range", hint));
            }
            if zone.is_some() {
                issues.push(FlowIssue::new("time_zone", "a pause has no time zone", "leave it out, or use cron"));
            }
            Timing::Every { seconds }
        }
    };
    (issues.len() == found).then_some(timing)
}

fn check(expression: &str, zone: &str, issues: &mut Vec<FlowIssue>) {
    if crontab("* * * * *", zone).is_err() {
        let hint = "a name of the IANA database, such as Europe/Berlin";
        issues.push(FlowIssue::new("time_zone", "there is no such time zone", hint));
        return;
    }
    let hint = "minute, hour, day of the month, month, day of the week: \"0 6 * * MON-FRI\"";
    match crontab(expression, zone) {
        Err(message) => issues.push(FlowIssue::new("cron", message, hint)),
        Ok(crontab) if next_of(&crontab, 0).is_none() => {
            issues.push(FlowIssue::new("cron", "such a time never comes", hint));
        }
        Ok(_) => {}
    }
}

fn crontab(expression: &str, zone: &str) -> Result<Crontab, String> {
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(format!("has more than {EXPRESSION_BYTES_MAX} bytes"));
    }
    // The library takes a time zone as a sixth field.
    let fields = expression.split_whitespace().count();
    if fields != FIELDS {
        return Err(format!("has {fields} fields, not {FIELDS}"));
    }
    if zone.is_empty() || zone.contains(char::is_whitespace) {
        return Err("the time zone is no name".to_owned());
    }
    cronexpr::parse_crontab(&format!("{expression} {zone}")).map_err(|error| first_line(&error.to_string()))
}

/// The library draws below the expression where it fails.
fn first_line(message: &str) -> String {
    let last = message.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("can't be read");
    format!("can't be read: {}", last.trim())
}

fn next_of(crontab: &Crontab, after_ms: u64) -> Option<u64> {
    let after = cronexpr::MakeTimestamp::from_millisecond(i64::try_from(after_ms).ok()?).ok()?;
    u64::try_from(crontab.find_next(after).ok()?.timestamp().as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use convoke_api::time::Time;

    use super::*;

    fn ms(text: &str) -> u64 {
        text.parse::<Time>().expect("a moment").0
    }

    fn cron(expression: &str, zone: &str) -> Timing {
        Timing::Cron { expression: expression.into(), zone: zone.into() }
    }

    fn nexts(timing: &Timing, from: &str, count: usize) -> Vec<String> {
        let next = |at: &u64| timing.next(0, *at);
        std::iter::successors(timing.next(0, ms(from)), next).take(count).map(|at| Time(at).to_string()).collect()
    }

    #[test]
    fn a_crontab_ticks_in_its_time_zone() {
        let weekdays = cron("0 6 * * MON-FRI", "Europe/Berlin");
        assert_eq!(
            nexts(&weekdays, "2026-11-20T04:59:59Z", 2),
            ["2026-11-20T05:00:00.000Z", "2026-11-23T05:00:00.000Z"]
        );
        // In summer Berlin is two hours ahead.
        assert_eq!(nexts(&weekdays, "2026-07-01T05:00:00Z", 1), ["2026-07-02T04:00:00.000Z"]);
        assert_eq!(nexts(&cron("*/20 * * * *", "UTC"), "2026-01-01T00:20:00Z", 1), ["2026-01-01T00:40:00.000Z"]);
    }

    #[test]
    fn the_hours_that_clocks_skip_or_repeat_tick_once_a_day() {
        let at_night = cron("30 2 * * *", "Europe/Berlin");
        for (from, to) in
            [("2027-03-27T12:00:00Z", "2027-03-30T12:00:00Z"), ("2026-10-24T12:00:00Z", "2026-10-27T12:00:00Z")]
        {
            let ticks = nexts(&at_night, from, 10).into_iter().filter(|tick| ms(tick) < ms(to)).count();
            assert!((2..=4).contains(&ticks), "{ticks} from {from}");
        }
    }

    #[test]
    fn a_pause_is_counted_from_the_beginning_however_late_one_looks() {
        let every = Timing::Every { seconds: 90 };
        assert_eq!(every.next(1_000, 1_000), Some(91_000));
        assert_eq!(every.next(1_000, 91_000), Some(181_000));
        assert_eq!(every.next(1_000, 90_000_500), Some(90_001_000));
        assert_eq!(every.next(1_000, 0), Some(91_000));
    }

    #[test]
    fn what_is_no_time_is_said_with_its_place() {
        let paths = |cron: Option<&str>, zone: Option<&str>, every_s: Option<u64>| {
            let mut issues = Vec::new();
            let timing = read(cron, zone, every_s, &mut issues);
            assert_eq!(timing.is_none(), !issues.is_empty());
            issues.into_iter().map(|issue| issue.path).collect::<Vec<_>>()
        };
        for bad in
            ["", "* * * *", "* * * * * UTC", "61 * * * *", "@daily", "0 0 30 2 *", "x * * * *", &"1,".repeat(200)]
        {
            assert_eq!(paths(Some(bad), None, None), ["cron"], "{bad}");
        }
        for bad in ["Berlin/Europe", "", "UTC UTC", "../../etc/passwd"] {
            assert_eq!(paths(Some("* * * * *"), Some(bad), None), ["time_zone"], "{bad}");
        }
        assert_eq!(paths(None, None, None), ["cron"]);
        assert_eq!(paths(Some("* * * * *"), None, Some(60)), ["every_s"]);
        for bad in [0, 59, EVERY_S_MAX + 1, u64::MAX] {
            assert_eq!(paths(None, None, Some(bad)), ["every_s"], "{bad}");
        }
        assert_eq!(paths(None, Some("UTC"), Some(60)), ["time_zone"]);
        for zone in [None, Some("America/Argentina/Buenos_Aires"), Some("Etc/GMT+5")] {
            assert!(paths(Some("0 0 L * *"), zone, None).is_empty());
        }
    }
}
