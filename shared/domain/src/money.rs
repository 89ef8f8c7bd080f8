//! Money and tokens as integers: a budget is never a float.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount of US dollars in millionths, never negative.
///
/// Arithmetic saturates: an amount that is too large stays the largest, a difference below zero is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub u64);

impl MicroUsd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// A whole number of dollars.
    pub const fn from_usd(dollars: u64) -> Self {
        Self(dollars.saturating_mul(1_000_000))
    }
}

impl Add for MicroUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for MicroUsd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for MicroUsd {
    /// Prints dollars without a sign, at least two decimals and no more than needed: `1.00`, `0.0042`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = format!("{:06}", self.0 % 1_000_000);
        let trimmed = micros.trim_end_matches('0');
        let decimals = if trimmed.len() < 2 { &micros[..2] } else { trimmed };
        write!(f, "{}.{decimals}", self.0 / 1_000_000)
    }
}

/// Why a text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Neither digits nor `digits.digits`.
    #[error("expected dollars such as \"1.50\"")]
    Malformed,
    /// More than six decimals, or more dollars than anybody has.
    #[error("at most six decimals and 1,000,000 dollars")]
    OutOfRange,
}

impl FromStr for MicroUsd {
    type Err = MoneyError;

    /// Parses `"1"`, `"1.50"` or `"0.000001"`; signs, exponents and spaces are malformed.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(MoneyError::Malformed);
        }
        if fraction.len() > 6 || whole.len() > 7 {
            return Err(MoneyError::OutOfRange);
        }
        let parse = |s: &str| s.parse::<u64>().map_err(|_| MoneyError::OutOfRange);
        let micros = parse(whole)? * 1_000_000 + parse(&format!("{fraction:0<6}"))?;
        if micros > 1_000_000_000_000 {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self(micros))
    }
}

/// Money and tokens together: what a hold reserves and what a call has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cost {
    /// Millionths of a US dollar.
    pub usd: MicroUsd,
    /// Tokens, in and out.
    pub tokens: u64,
}

impl Cost {
    /// Nothing at all.
    pub const ZERO: Self = Self { usd: MicroUsd::ZERO, tokens: 0 };

    /// Whether both parts are at least `need`'s.
    pub const fn covers(&self, need: &Self) -> bool {
        self.usd.0 >= need.usd.0 && self.tokens >= need.tokens
    }

    /// Whether both parts are zero.
    pub const fn is_zero(&self) -> bool {
        self.usd.0 == 0 && self.tokens == 0
    }

    /// Each part divided by `parts` (at least 1), rounded down.
    #[must_use]
    pub fn share(self, parts: u64) -> Self {
        let parts = parts.max(1);
        Self { usd: MicroUsd(self.usd.0 / parts), tokens: self.tokens / parts }
    }

    /// The larger of each part.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { usd: self.usd.max(other.usd), tokens: self.tokens.max(other.tokens) }
    }

    /// The smaller of each part.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self { usd: self.usd.min(other.usd), tokens: self.tokens.min(other.tokens) }
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { usd: self.usd + other.usd, tokens: self.tokens.saturating_add(other.tokens) }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Cost {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { usd: self.usd - other.usd, tokens: self.tokens.saturating_sub(other.tokens) }
    }
}

/// What a model takes: millionths of a dollar per million tokens, in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Per million input tokens.
    pub input_per_mtok: MicroUsd,
    /// Per million output tokens.
    pub output_per_mtok: MicroUsd,
}

impl Price {
    /// The cost of so many tokens, rounded up to a whole millionth.
    pub fn cost(&self, input_tokens: u64, output_tokens: u64) -> MicroUsd {
        let part = |tokens: u64, per_mtok: MicroUsd| u128::from(tokens) * u128::from(per_mtok.0);
        let sum = part(input_tokens, self.input_per_mtok) + part(output_tokens, self.output_per_mtok);
        MicroUsd(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// An upper bound of the tokens that a text can take in any byte-pair vocabulary we meter.
///
/// Letters and spaces count half (ordinary words merge at least pairwise), everything else (digits, punctuation,
/// bytes outside ASCII) counts one each.
pub fn tokens_bound(text: &str) -> u64 {
    let halves: u64 = text.bytes().map(|b| if b.is_ascii_alphabetic() || b == b' ' { 1 } else { 2 }).sum();
    halves.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_parse_and_print() {
        for (text, micros, back) in [
            ("1", 1_000_000, "1.00"),
            ("1.50", 1_500_000, "1.50"),
            ("0.000001", 1, "0.000001"),
            ("0.0042", 4_200, "0.0042"),
        ] {
            let parsed: MicroUsd = text.parse().expect("valid");
            assert_eq!(parsed, MicroUsd(micros));
            assert_eq!(parsed.to_string(), back);
        }
        for bad in ["", ".", "1.", "-1", "1e3", " 1", "1.0000001", "99999999", "NaN"] {
            assert!(bad.parse::<MicroUsd>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_price_rounds_up() {
        let price = Price { input_per_mtok: MicroUsd(3_000_000), output_per_mtok: MicroUsd(15_000_000) };
        assert_eq!(price.cost(1, 0), MicroUsd(3));
        assert_eq!(Price { input_per_mtok: MicroUsd(1), output_per_mtok: MicroUsd(0) }.cost(1, 0), MicroUsd(1));
    }

    #[test]
    fn the_token_bound_counts_words_at_half() {
        assert_eq!(tokens_bound("word word"), 5);
        assert_eq!(tokens_bound("12345"), 5);
        assert_eq!(tokens_bound("é"), 2);
    }
}
