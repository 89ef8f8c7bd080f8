//! The limits of an installation.

use std::ops::RangeInclusive;
use std::time::Duration;

use convoke_app::platform::Limits;
use convoke_domain::money::MicroUsd;

use super::{Mistakes, Reader, Strings};

const DOLLARS: &str = "dollars such as 1.50";

/// A function works for 15 minutes at most, and a call has to end before.
const MODEL_TIMEOUT_S: RangeInclusive<u64> = 1..=840;
/// A year.
const DEADLINE_S: RangeInclusive<u64> = 1..=366 * 86_400;
/// As long as a signature holds.
const PRESIGN_S: RangeInclusive<u64> = 1..=7 * 86_400;
const IN_PLACE_S: RangeInclusive<u64> = 0..=840;
const TURNS: RangeInclusive<u64> = 1..=1_000;
const COUNT: RangeInclusive<u64> = 1..=1_000_000_000_000;

/// Reads the limits; what isn't set has the default of [`Limits`].
///
/// | setting | what |
/// |---|---|
/// | `CONVOKE_BUDGET_USD`, `CONVOKE_BUDGET_TOKENS` | cap of a job that names none |
/// | `CONVOKE_BUDGET_MAX_USD`, `CONVOKE_BUDGET_MAX_TOKENS` | largest cap that a job may name |
/// | `CONVOKE_DEADLINE_S` | time of a job that names none |
/// | `CONVOKE_DEADLINE_MAX_S` | longest time that a job may name |
/// | `CONVOKE_MODEL_TIMEOUT_S` | time-out of one model call |
/// | `CONVOKE_IN_PLACE_S` | how long an invocation goes on in place |
/// | `CONVOKE_TURNS_MAX` | turns of a step |
/// | `CONVOKE_PRESIGN_S` | how long a presigned URL works |
/// | `CONVOKE_QUEUE_DEPTH_MAX` | depth of the queue from which on the sweep rings nothing |
/// | `CONVOKE_CHAT_PERSON_HOURLY_MAX` | submissions of a person in a chat in an hour |
/// | `CONVOKE_CHAT_REALM_HOURLY_MAX` | submissions of a guild or group in an hour |
pub fn limits(strings: &dyn Strings) -> Result<Limits, Mistakes> {
    let mut reader = Reader::new(strings);
    let mut limits = Limits::default();
    budgets(&mut reader, &mut limits);
    durations(&mut reader, &mut limits);
    if let Some(turns) = reader.number("CONVOKE_TURNS_MAX", TURNS) {
        limits.turns_max = u32::try_from(turns).unwrap_or(u32::MAX);
    }
    if let Some(depth) = reader.number("CONVOKE_QUEUE_DEPTH_MAX", COUNT) {
        limits.queue_depth_max = depth;
    }
    for (name, limit) in [
        ("CONVOKE_CHAT_PERSON_HOURLY_MAX", &mut limits.person_hourly_max),
        ("CONVOKE_CHAT_REALM_HOURLY_MAX", &mut limits.realm_hourly_max),
    ] {
        *limit = reader.number(name, COUNT).unwrap_or(*limit);
    }
    reader.end(limits)
}

fn budgets(reader: &mut Reader<'_>, limits: &mut Limits) {
    let (default, max) = (&mut limits.budget_default, &mut limits.budget_max);
    for (usd, tokens, cost) in [
        ("CONVOKE_BUDGET_USD", "CONVOKE_BUDGET_TOKENS", &mut *default),
        ("CONVOKE_BUDGET_MAX_USD", "CONVOKE_BUDGET_MAX_TOKENS", &mut *max),
    ] {
        cost.usd = reader.optional::<MicroUsd>(usd, DOLLARS).unwrap_or(cost.usd);
        cost.tokens = reader.number(tokens, COUNT).unwrap_or(cost.tokens);
    }
    if !max.covers(default) {
        reader.wrong("CONVOKE_BUDGET_USD", "and CONVOKE_BUDGET_TOKENS are above CONVOKE_BUDGET_MAX_..: lower them");
    }
}

fn durations(reader: &mut Reader<'_>, limits: &mut Limits) {
    for (name, range, limit) in [
        ("CONVOKE_DEADLINE_S", DEADLINE_S, &mut limits.deadline_default),
        ("CONVOKE_DEADLINE_MAX_S", DEADLINE_S, &mut limits.deadline_max),
        ("CONVOKE_MODEL_TIMEOUT_S", MODEL_TIMEOUT_S, &mut limits.model_timeout),
        ("CONVOKE_IN_PLACE_S", IN_PLACE_S, &mut limits.in_place_max),
        ("CONVOKE_PRESIGN_S", PRESIGN_S, &mut limits.presign_ttl),
    ] {
        *limit = reader.number(name, range).map_or(*limit, Duration::from_secs);
    }
    if limits.deadline_default > limits.deadline_max {
        reader.wrong("CONVOKE_DEADLINE_S", "is above CONVOKE_DEADLINE_MAX_S: lower it");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Limits, String> {
        let strings: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        limits(&strings).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        assert_eq!(read(&[]), Ok(Limits::default()));
        let read = read(&[("CONVOKE_BUDGET_USD", "2.50"), ("CONVOKE_PRESIGN_S", " 5 "), ("CONVOKE_TURNS_MAX", "7")]);
        let mut expected = Limits { presign_ttl: Duration::from_secs(5), turns_max: 7, ..Limits::default() };
        expected.budget_default.usd = MicroUsd(2_500_000);
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (name, value) in [
            ("CONVOKE_BUDGET_USD", "-1"),
            ("CONVOKE_BUDGET_USD", "5000"),
            ("CONVOKE_BUDGET_TOKENS", "0"),
            ("CONVOKE_DEADLINE_S", "9000000"),
            ("CONVOKE_DEADLINE_MAX_S", "60"),
            ("CONVOKE_MODEL_TIMEOUT_S", "0"),
            ("CONVOKE_MODEL_TIMEOUT_S", "2m"),
            ("CONVOKE_PRESIGN_S", "604801"),
        ] {
            let mistakes = read(&[(name, value)]).expect_err(name);
            assert!(mistakes.contains(name), "{name}: {mistakes}");
        }
    }
}
