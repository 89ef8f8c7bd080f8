//! A slot: where a thread stands, who works on it, and how that is written in a few bytes.

use std::fmt;
use std::str::FromStr;

use crate::ids::IdError;
use crate::money::{Cost, MicroUsd};
use crate::review::Ruling;

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
    /// A person's decision.
    Person(Asked),
}

/// A review that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Since when (Unix milliseconds).
    pub since_ms: u64,
    /// Whether people were reminded.
    pub reminded: bool,
}

/// A review that is decided, and whose thread hasn't gone on yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ruled {
    /// How.
    pub ruling: Ruling,
    /// Mark of the decision that counts: others may have been put down at the same time. Letters and digits.
    pub mark: String,
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
    /// What was decided, where it stands at a review.
    pub ruled: Option<Ruled>,
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

    /// The review that it waits for a decision of, if it does.
    pub const fn asked(&self) -> Option<Asked> {
        match self.wait {
            Wait::Person(asked) => Some(asked),
            Wait::Nothing | Wait::Funds | Wait::Groups => None,
        }
    }

    /// The nonce of the claim, if there is one.
    pub fn nonce(&self) -> Option<&str> {
        self.claim.as_ref().map(|claim| claim.nonce.as_str())
    }
}

impl fmt::Display for Slot {
    /// `item.round.task/attempt/not_before/wait` and, when claimed, `/nonce/lease/usd/tokens/turn`. What is decided stands
    /// behind `wait`: `-a.mark`; since when a person is asked, too: `p1700000000000`, or `q` where they were reminded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At { item, round, task } = self.at;
        write!(f, "{item}.{round}.{task}/{}/{}/", self.attempt, self.not_before_ms)?;
        match self.wait {
            Wait::Nothing => write!(f, "-")?,
            Wait::Funds => write!(f, "f")?,
            Wait::Groups => write!(f, "g")?,
            Wait::Person(Asked { since_ms, reminded: false }) => write!(f, "p{since_ms}")?,
            Wait::Person(Asked { since_ms, reminded: true }) => write!(f, "q{since_ms}")?,
        }
        if let Some(Ruled { ruling, mark }) = &self.ruled {
            write!(f, "{}.{mark}", ruling.letter())?;
        }
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
        let (wait, ruled) = parse_wait(wait)?;
        Ok(Self {
            at: parse_at(at)?,
            attempt: number(attempt)?,
            not_before_ms: number(not_before)?,
            wait,
            ruled,
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

fn parse_wait(text: &str) -> Result<(Wait, Option<Ruled>), IdError> {
    let mut rest = text.chars();
    let letter = rest.next();
    let asked = |reminded| Ok((Wait::Person(Asked { since_ms: number(rest.as_str())?, reminded }), None));
    match letter {
        Some('-') => Ok((Wait::Nothing, parse_ruled(rest.as_str())?)),
        Some('f') => Ok((Wait::Funds, parse_ruled(rest.as_str())?)),
        Some('g') => Ok((Wait::Groups, parse_ruled(rest.as_str())?)),
        Some('p') => asked(false),
        Some('q') => asked(true),
        _ => Err(MALFORMED),
    }
}

fn parse_ruled(text: &str) -> Result<Option<Ruled>, IdError> {
    if text.is_empty() {
        return Ok(None);
    }
    let (letter, mark) = text.split_once('.').ok_or(MALFORMED)?;
    let ruling = Ruling::ALL.into_iter().find(|ruling| letter == ruling.letter().to_string());
    let mark = mark.to_owned();
    Ok(Some(Ruled { ruling: ruling.ok_or(MALFORMED)?, mark }))
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
        let asked = |reminded| Asked { since_ms: 1_700_000_000_000, reminded };
        let open = |reminded| Slot { wait: Wait::Person(asked(reminded)), ..Slot::new(At::start(0)) };
        let ruled = Ruling::ALL.map(|ruling| {
            let ruled = Some(Ruled { ruling, mark: "m4rk".into() });
            Slot { ruled, claim: Some(claim.clone()), ..Slot::new(At::start(0)) }
        });
        let slots =
            [Slot::new(At::start(4)), free.clone(), open(false), open(true), Slot { claim: Some(claim), ..free }];
        for slot in slots.into_iter().chain(ruled) {
            assert_eq!(slot.to_string().parse(), Ok(slot));
        }
        for bad in [
            "",
            "1.1.0",
            "1.1/1/0/-",
            "1.1.0/1/0/x",
            "1.1.0/1/0/p",
            "1.1.0/1/0/-x.m",
            "1.1.0/1/0/-a",
            "1.1.0/1/0/-/n/1/2",
        ] {
            assert!(bad.parse::<Slot>().is_err(), "{bad}");
        }
    }
}
