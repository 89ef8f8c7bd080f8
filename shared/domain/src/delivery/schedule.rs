//! When a delivery that failed is tried again.

/// Pauses after the first, second, ... try that failed, in milliseconds: about 22 hours in all.
const PAUSES_MS: [u64; 9] = [
    5_000,
    30_000,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    15 * MINUTE_MS,
    60 * MINUTE_MS,
    180 * MINUTE_MS,
    360 * MINUTE_MS,
    720 * MINUTE_MS,
];

const MINUTE_MS: u64 = 60_000;

/// Most tries at one event.
pub const TRIES_MAX: u32 = 10;

/// Longest time that a target may ask to be left alone for, in milliseconds.
pub const ASKED_MS_MAX: u64 = 12 * 60 * MINUTE_MS;

/// Shortest pause, in milliseconds, whatever a target asks for.
pub const ASKED_MS_MIN: u64 = 1_000;

/// The pause after try number `tried` (from 1) has failed, in milliseconds; `None` where that was the last.
///
/// A target that says for how long it wants to be left alone (`asked_ms`, its `Retry-After`) is taken at its word, from
/// a second to 12 hours, and a little longer; otherwise pauses grow, each up to a quarter shorter or longer. `chance` is
/// any number: it spreads those who failed together.
pub fn pause_ms(tried: u32, asked_ms: Option<u64>, chance: u64) -> Option<u64> {
    let index = usize::try_from(tried).ok()?.checked_sub(1)?;
    let usual_ms = *PAUSES_MS.get(index)?;
    Some(match asked_ms {
        Some(asked_ms) => {
            let asked_ms = asked_ms.clamp(ASKED_MS_MIN, ASKED_MS_MAX);
            asked_ms + chance % (asked_ms / 10 + 1)
        }
        None => usual_ms - usual_ms / 4 + chance % (usual_ms / 2 + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_seconds_to_half_a_day_and_then_there_is_no_further_try() {
        let bounds = |tried| {
            let chances = (0..1_000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let all: Vec<u64> = chances.filter_map(|chance| pause_ms(tried, None, chance)).collect();
            (*all.iter().min().expect("a pause"), *all.iter().max().expect("a pause"))
        };
        for (tried, usual_s) in (1_u32..).zip([5, 30, 120, 300, 900, 3_600, 10_800, 21_600, 43_200]) {
            let (least, most) = bounds(tried);
            assert!(least >= usual_s * 750 && most <= usual_s * 1_250, "{tried}: {least}..{most}");
            assert!(most - least > usual_s * 300, "{tried}: they spread");
        }
        for tried in [0, TRIES_MAX, TRIES_MAX + 1, u32::MAX] {
            assert_eq!(pause_ms(tried, None, 7), None, "{tried}");
            assert_eq!(pause_ms(tried, Some(1_000), 7), None, "{tried}: asking doesn't make tries");
        }
    }

    #[test]
    fn a_target_is_left_alone_for_as_long_as_it_asks_within_bounds() {
        for (asked_ms, least) in [(0, 1_000), (2_000, 2_000), (90_000, 90_000), (u64::MAX, ASKED_MS_MAX)] {
            for chance in [0, 1, 12_345, u64::MAX] {
                let pause = pause_ms(1, Some(asked_ms), chance).expect("a pause");
                assert!((least..=least + least / 10).contains(&pause), "{asked_ms}: {pause}");
            }
        }
    }
}
