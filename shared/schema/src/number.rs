//! Numbers, exactly as they are read: `0.0075` is a multiple of `0.0001`, and `1.0` is an integer. Integers beyond 64 bits
//! and more than 17 digits are read as the nearest float.

use std::cmp::Ordering;

use serde_json::Number;

/// `digits * 10^exponent`, without a zero at the end of its digits; the sign apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: u64,
    exponent: i32,
}

impl Decimal {
    fn of(number: &Number) -> Self {
        if let Some(positive) = number.as_u64() {
            return Self::normal(false, positive, 0);
        }
        if let Some(negative) = number.as_i64() {
            return Self::normal(true, negative.unsigned_abs(), 0);
        }
        // The fewest digits that are read as the same number: `d.ddde-7`.
        let written = format!("{:e}", number.as_f64().unwrap_or_default());
        let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{}{fraction}", whole.trim_start_matches('-')).parse().unwrap_or(0);
        let places = i32::try_from(fraction.len()).unwrap_or(0);
        Self::normal(whole.starts_with('-'), digits, exponent.parse::<i32>().unwrap_or(0) - places)
    }

    fn sign(&self) -> i8 {
        match (self.digits, self.is_negative) {
            (0, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        }
    }

    /// Which of two is further from 0; neither is 0.
    fn compare_size(&self, other: &Self) -> Ordering {
        let length = |decimal: &Self| i64::from(decimal.digits.ilog10()) + i64::from(decimal.exponent);
        // Of the same length, so that the exponents are as far apart as there are digits at most: 19.
        let scaled = |decimal: &Self, down_to: i32| {
            u128::from(decimal.digits) * 10_u128.pow((decimal.exponent - down_to).unsigned_abs())
        };
        let down_to = self.exponent.min(other.exponent);
        length(self).cmp(&length(other)).then_with(|| scaled(self, down_to).cmp(&scaled(other, down_to)))
    }

    fn normal(is_negative: bool, mut digits: u64, mut exponent: i32) -> Self {
        if digits == 0 {
            return Self { is_negative: false, digits, exponent: 0 };
        }
        while digits.is_multiple_of(10) {
            digits /= 10;
            exponent += 1;
        }
        Self { is_negative, digits, exponent }
    }
}

/// Whether two numbers are the same one.
pub fn is_same(one: &Number, other: &Number) -> bool {
    Decimal::of(one) == Decimal::of(other)
}

/// A text that two numbers share where they are the same one.
pub fn canonical(number: &Number) -> String {
    let Decimal { is_negative, digits, exponent } = Decimal::of(number);
    format!("{}{digits}e{exponent}", if is_negative { "-" } else { "" })
}

/// Whether a number has no fraction.
pub fn is_integer(number: &Number) -> bool {
    Decimal::of(number).exponent >= 0
}

/// A number as a count, `3.0` included; the greatest there is where it is greater.
pub fn as_count(number: &Number) -> Option<u64> {
    let Decimal { is_negative, digits, exponent } = Decimal::of(number);
    let exponent = u32::try_from(exponent).ok().filter(|_| !is_negative)?;
    Some(10_u64.checked_pow(exponent).and_then(|power| digits.checked_mul(power)).unwrap_or(u64::MAX))
}

/// Which of two numbers is greater.
pub fn compare(one: &Number, other: &Number) -> Ordering {
    let (one, other) = (Decimal::of(one), Decimal::of(other));
    match (one.sign(), other.sign()) {
        (-1, -1) => other.compare_size(&one),
        (1, 1) => one.compare_size(&other),
        (one, other) => one.cmp(&other),
    }
}

/// Whether `number` is `divisor` so many times; `divisor` isn't 0.
pub fn is_multiple(number: &Number, divisor: &Number) -> bool {
    let (number, divisor) = (Decimal::of(number), Decimal::of(divisor));
    let of = u128::from(divisor.digits);
    let apart = number.exponent - divisor.exponent;
    let power = apart.unsigned_abs();
    if apart >= 0 {
        // Below 2^64 all along, so that no product overflows.
        let rest = u128::from(number.digits) % of * power_modulo(power, of) % of;
        return rest == 0;
    }
    let of = 10_u128.checked_pow(power).and_then(|power| power.checked_mul(of));
    of.map_or(number.digits == 0, |of| u128::from(number.digits) % of == 0)
}

/// `10^exponent` modulo `of`, which is below 2^64.
fn power_modulo(exponent: u32, of: u128) -> u128 {
    let (mut result, mut base, mut left) = (1 % of, 10 % of, exponent);
    while left > 0 {
        if left % 2 == 1 {
            result = result * base % of;
        }
        base = base * base % of;
        left /= 2;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().expect("a number")
    }

    #[test]
    fn multiples_are_exact() {
        for (of, multiples, others) in [
            (
                "2",
                &["10", "-4", "0", "2.0", "1e300", "18446744073709551614"][..],
                &["7", "0.5", "18446744073709551615"][..],
            ),
            ("0.0001", &["0.0075", "1", "1e20"], &["0.00751", "1e-5"]),
            ("1.5", &["4.5", "0", "-3"], &["35", "1e300"]),
            ("0.123456789", &["0.246913578"], &["1e308"]),
            ("1e20", &["3e20", "1e300"], &["1e19"]),
            ("18446744073709551615", &["18446744073709551615", "0"], &["1e19", "9223372036854775807"]),
        ] {
            for multiple in multiples {
                assert!(is_multiple(&number(multiple), &number(of)), "{multiple} of {of}");
            }
            for other in others {
                assert!(!is_multiple(&number(other), &number(of)), "{other} of {of}");
            }
        }
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        for (one, other) in [("1", "1.0"), ("0", "-0.0"), ("1e2", "100"), ("-5", "-5.0"), ("0.10", "0.1")] {
            assert!(is_same(&number(one), &number(other)), "{one} {other}");
            assert_eq!(canonical(&number(one)), canonical(&number(other)));
        }
        for (one, other) in [("1", "-1"), ("1", "10"), ("9007199254740993", "9007199254740992.0"), ("0.1", "0.01")] {
            assert!(!is_same(&number(one), &number(other)), "{one} {other}");
            assert_ne!(canonical(&number(one)), canonical(&number(other)));
        }
    }

    #[test]
    fn integers_and_counts_may_be_written_with_a_point() {
        assert!(is_integer(&number("1.0")) && is_integer(&number("1e300")) && is_integer(&number("-0.0")));
        assert!(!is_integer(&number("1.5")) && !is_integer(&number("1e-3")));
        assert_eq!(as_count(&number("3.0")), Some(3));
        assert_eq!(as_count(&number("1e3")), Some(1_000));
        assert_eq!(as_count(&number("0")), Some(0));
        assert_eq!(as_count(&number("1e30")), Some(u64::MAX));
        for none in ["-1", "1.5"] {
            assert_eq!(as_count(&number(none)), None, "{none}");
        }
    }

    #[test]
    fn numbers_are_compared_exactly() {
        assert_eq!(compare(&number("9007199254740993"), &number("9007199254740992")), Ordering::Greater);
        assert_eq!(compare(&number("-1"), &number("18446744073709551615")), Ordering::Less);
        assert_eq!(compare(&number("1.0"), &number("1")), Ordering::Equal);
        assert_eq!(compare(&number("1.1"), &number("1")), Ordering::Greater);
        assert_eq!(compare(&number("9007199254740992.0"), &number("9007199254740993")), Ordering::Less);
        assert_eq!(compare(&number("-9007199254740992.0"), &number("-9007199254740993")), Ordering::Greater);
        assert_eq!(compare(&number("1e300"), &number("18446744073709551615")), Ordering::Greater);
        assert_eq!(compare(&number("1e-300"), &number("0")), Ordering::Greater);
        assert_eq!(compare(&number("-1e-300"), &number("0.0")), Ordering::Less);
        assert_eq!(compare(&number("0.1234567890123456"), &number("0.1234567890123457")), Ordering::Less);
    }
}
