//! Moments on the wire: RFC 3339 in UTC, to the millisecond.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A moment: Unix milliseconds inside, `2026-11-21T05:03:52.125Z` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(pub u64);

/// A text that is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a moment such as 2026-11-21T05:03:52Z")]
pub struct TimeError;

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = i64::try_from(self.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        write!(f, "{:.3}", moment.unwrap_or(Timestamp::MAX))
    }
}

impl FromStr for Time {
    type Err = TimeError;

    /// Takes RFC 3339 with any offset, from 1970 on.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let moment: Timestamp = text.parse().map_err(|_| TimeError)?;
        u64::try_from(moment.as_millisecond()).map(Self).map_err(|_| TimeError)
    }
}

impl TryFrom<String> for Time {
    type Error = TimeError;
    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        Object::builder().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for Time {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_in_utc_and_parse_back() {
        let time = Time(1_763_701_432_125);
        assert_eq!(time.to_string(), "2025-11-21T05:03:52.125Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!("2025-11-21T06:03:52.125+01:00".parse(), Ok(time));
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000Z");
        for bad in ["", "now", "2025-11-21", "1969-12-31T23:59:59Z", "2025-13-01T00:00:00Z"] {
            assert_eq!(bad.parse::<Time>(), Err(TimeError), "{bad}");
        }
    }

    #[test]
    fn a_moment_beyond_all_calendars_still_prints() {
        assert!(Time(u64::MAX).to_string().starts_with("9999-"));
    }
}
