//! A slot: where a thread stands, who works on it, and how that is written in a few bytes.

use std::fmt;
use std::str::FromStr;

use crate::ids::IdError;
use crate::money::{Cost, MicroUsd};

/// Where a thread stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct At {
    /// Item of the map; 0 outside of maps.
    pub item: u32,
    /// Round of the loop, from 1.
    pub round: u32,
    /// Index of the task in the thread.
    pub task: u8,
}

impl At {
    /// The beginning of an item's thread.
    pub const fn start(item: u32) -> Self {
        Self { item, round: 1, task: 0 }
    }
}

/// Who works on a step, until when, with how much money set aside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Drawn at random per claim: the fence of one writer per attempt.
    pub nonce: String,
    /// Unix milliseconds; later the claim may be taken over.
    pub lease_until_ms: u64,
    /// Reserved for the call that is under way.
    pub hold: Cost,
    /// Number of the turn that the hold is for, from 1.
    pub turn: u32,
}

/// What an unclaimed slot waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Its turn: it may be claimed.
    #[default]
    Nothing,
    /// Money that others hold.
    Funds,
    /// The groups of its map.
    Groups,
}

/// A thread that has started and not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Where it stands.
    pub at: At,
    /// The attempt at the step in `at`, from 1; 0 before the first claim.
    pub attempt: u32,
    /// Not to be claimed earlier (Unix milliseconds).
    pub not_before_ms: u64,
    /// What it waits for while unclaimed.
    pub wait: Wait,
    /// Who works on it.
    pub claim: Option<Claim>,
}

impl Slot {
    /// A thread that starts at `at` and waits to be claimed.
    pub fn new(at: At) -> Self {
        Self { at, ..Self::default() }
    }

    /// Whether somebody holds it and the lease runs.
    pub fn is_held(&self, now_ms: u64) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.lease_until_ms > now_ms)
    }

    /// The nonce of the claim, if there is one.
    pub fn nonce(&self) -> Option<&str> {
        self.claim.as_ref().map(|claim| claim.nonce.as_str())
    }
}

impl fmt::Display for Slot {
    /// `item.round.task/attempt/not_before/wait` and, when claimed, `/nonce/lease/usd/tokens/turn`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At { item, round, task } = self.at;
        let wait = match self.wait {
            Wait::Nothing => '-',
            Wait::Funds => 'f',
            Wait::Groups => 'g',
        };
        write!(f, "{item}.{round}.{task}/{}/{}/{wait}", self.attempt, self.not_before_ms)?;
        if let Some(Claim { nonce, lease_until_ms, hold, turn }) = &self.claim {
            write!(f, "/{nonce}/{lease_until_ms}/{}/{}/{turn}", hold.usd.0, hold.tokens)?;
        }
        Ok(())
    }
}

const MALFORMED: IdError = IdError { what: "slot", expected: "the format of Slot's Display" };

impl FromStr for Slot {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parts: Vec<&str> = text.split('/').collect();
        let [at, attempt, not_before, wait, claim @ ..] = parts.as_slice() else { return Err(MALFORMED) };
        Ok(Self {
            at: parse_at(at)?,
            attempt: number(attempt)?,
            not_before_ms: number(not_before)?,
            wait: parse_wait(wait)?,
            claim: parse_claim(claim)?,
        })
    }
}

fn number<N: FromStr>(text: &str) -> Result<N, IdError> {
    text.parse().map_err(|_| MALFORMED)
}

fn parse_at(text: &str) -> Result<At, IdError> {
    let parts: Vec<&str> = text.split('.').collect();
    let [item, round, task] = parts.as_slice() else { return Err(MALFORMED) };
    Ok(At { item: number(item)?, round: number(round)?, task: number(task)? })
}

fn parse_wait(text: &str) -> Result<Wait, IdError> {
    match text {
        "-" => Ok(Wait::Nothing),
        "f" => Ok(Wait::Funds),
        "g" => Ok(Wait::Groups),
        _ => Err(MALFORMED),
    }
}

fn parse_claim(parts: &[&str]) -> Result<Option<Claim>, IdError> {
    match parts {
        [] => Ok(None),
        [nonce, lease, usd, tokens, turn] => Ok(Some(Claim {
            nonce: (*nonce).to_owned(),
            lease_until_ms: number(lease)?,
            hold: Cost { usd: MicroUsd(number(usd)?), tokens: number(tokens)? },
            turn: number(turn)?,
        })),
        _ => Err(MALFORMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_survive_being_written() {
        let claim = Claim {
            nonce: "k3j9".into(),
            lease_until_ms: 1_700_000_000_000,
            hold: Cost { usd: MicroUsd(1_500), tokens: 900 },
            turn: 2,
        };
        let free = Slot { at: At { item: 9_999, round: 3, task: 1 }, wait: Wait::Funds, attempt: 2, ..Slot::default() };
        for slot in [Slot::new(At::start(4)), free.clone(), Slot { claim: Some(claim), ..free }] {
            assert_eq!(slot.to_string().parse(), Ok(slot));
        }
        for bad in ["", "1.1.0", "1.1/1/0/-", "1.1.0/1/0/x", "1.1.0/1/0/-/n/1/2"] {
            assert!(bad.parse::<Slot>().is_err(), "{bad}");
        }
    }
}
