//! Choosing the next token: deterministic for a seed.

/// How a token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 for always the likeliest; above 1 the unlikely ones gain.
    pub temperature: f32,
    /// Only the likeliest tokens whose probabilities add up to this are considered.
    pub top_p: f32,
    /// Divides (where negative multiplies) the logits of recent tokens; 1 for none.
    pub repetition_penalty: f32,
    /// So many of the last tokens are recent.
    pub recent_tokens: usize,
}

impl Default for Sampling {
    /// What `SmolLM2` is run with, and a penalty, for small models repeat themselves.
    fn default() -> Self {
        Self { temperature: 0.2, top_p: 0.9, repetition_penalty: 1.1, recent_tokens: 64 }
    }
}

/// More candidates than that are never considered.
const CANDIDATES_MAX: usize = 64;

/// Draws tokens.
pub struct Sampler {
    sampling: Sampling,
    state: u64,
}

impl Sampler {
    /// The same seed draws the same tokens from the same logits.
    pub fn new(sampling: Sampling, seed: u64) -> Self {
        Self { sampling, state: seed }
    }

    /// One of the tokens that `allowed` says yes to; `None` where that is none.
    pub fn draw(&mut self, logits: &[f32], recent: &[u32], allowed: impl Fn(u32) -> bool) -> Option<u32> {
        let recent = &recent[recent.len().saturating_sub(self.sampling.recent_tokens)..];
        let mut candidates: Vec<(u32, f32)> = (0..)
            .zip(logits)
            .filter(|(token, logit)| allowed(*token) && !logit.is_nan())
            .map(|(t, l)| (t, *l))
            .collect();
        for (token, logit) in &mut candidates {
            if recent.contains(token) {
                *logit = if *logit > 0.0 {
                    *logit / self.sampling.repetition_penalty
                } else {
                    *logit * self.sampling.repetition_penalty
                };
            }
        }
        // By likelihood, then by number: ties must not depend on the order of sorting.
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if candidates.len() > CANDIDATES_MAX {
            candidates.select_nth_unstable_by(CANDIDATES_MAX - 1, order);
            candidates.truncate(CANDIDATES_MAX);
        }
        candidates.sort_unstable_by(order);
        let (likeliest, best) = *candidates.first()?;
        if self.sampling.temperature <= 0.0 || candidates.len() == 1 {
            return Some(likeliest);
        }
        for (_, logit) in &mut candidates {
            *logit = ((*logit - best) / self.sampling.temperature).exp();
        }
        self.pick(&candidates)
    }

    fn pick(&mut self, weighted: &[(u32, f32)]) -> Option<u32> {
        let total: f32 = weighted.iter().map(|(_, weight)| weight).sum();
        let mut kept = 0;
        let mut mass = 0.0;
        while kept < weighted.len() && (kept == 0 || mass < self.sampling.top_p * total) {
            mass += weighted[kept].1;
            kept += 1;
        }
        let mut point = self.fraction() * mass;
        for (token, weight) in &weighted[..kept] {
            if point < *weight {
                return Some(*token);
            }
            point -= weight;
        }
        weighted[..kept].last().map(|(token, _)| *token)
    }

    /// In 0..1, by `SplitMix64`.
    fn fraction(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let high = u16::try_from((mixed ^ (mixed >> 31)) >> 48).unwrap_or(u16::MAX);
        f32::from(high) / 65_536.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(temperature: f32, top_p: f32, seed: u64) -> Vec<u32> {
        let sampling = Sampling { temperature, top_p, repetition_penalty: 1.0, recent_tokens: 0 };
        let mut sampler = Sampler::new(sampling, seed);
        (0..200).filter_map(|_| sampler.draw(&[1.0, 3.0, 2.5, -9.0], &[], |_| true)).collect()
    }

    #[test]
    fn a_seed_decides() {
        assert_eq!(draws(1.0, 1.0, 7), draws(1.0, 1.0, 7));
        assert_ne!(draws(1.0, 1.0, 7), draws(1.0, 1.0, 8));
    }

    #[test]
    fn cold_takes_the_likeliest() {
        assert!(draws(0.0, 1.0, 1).iter().all(|token| *token == 1));
    }

    #[test]
    fn the_unlikely_are_cut() {
        let tokens = draws(1.0, 0.9, 3);
        assert!(tokens.contains(&1) && tokens.contains(&2) && !tokens.contains(&0) && !tokens.contains(&3));
    }

    #[test]
    fn only_what_is_allowed_is_drawn() {
        let mut sampler = Sampler::new(Sampling::default(), 1);
        assert_eq!(sampler.draw(&[1.0, 9.0, 0.0], &[], |token| token == 2), Some(2));
        assert_eq!(sampler.draw(&[1.0, 9.0, f32::NAN], &[], |token| token == 2), None);
    }

    #[test]
    fn what_was_said_becomes_less_likely() {
        let sampling = Sampling { temperature: 0.0, repetition_penalty: 2.0, ..Sampling::default() };
        let mut sampler = Sampler::new(sampling, 1);
        assert_eq!(sampler.draw(&[1.0, 1.5, -1.0], &[1], |_| true), Some(0));
        assert_eq!(sampler.draw(&[-1.0, -1.5, -2.5], &[0], |_| true), Some(1));
    }
}
