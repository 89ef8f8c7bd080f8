//! Where the events of jobs end, as this process last saw it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use convoke_domain::ids::{GroupId, JobKey};

/// Most jobs whose end is remembered.
const JOBS_MAX: usize = 256;

/// Where the events of a job end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The last number.
    pub(crate) seq: u64,
    /// Per group the last version whose events are appended.
    pub(crate) seen: BTreeMap<GroupId, u64>,
}

/// The ends that this process has seen lately. Another may have appended since: then the next page's place is taken, and
/// the end has to be read.
#[derive(Debug, Default)]
pub(crate) struct Tails(Mutex<VecDeque<(JobKey, Tail)>>);

impl Tails {
    /// Takes out what is remembered.
    pub(crate) fn take(&self, key: &JobKey) -> Option<Tail> {
        let mut tails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = tails.iter().position(|(other, _)| other == key)?;
        tails.remove(index).map(|(_, tail)| tail)
    }

    /// Remembers an end; the one that was remembered first is forgotten.
    pub(crate) fn put(&self, key: &JobKey, tail: Tail) {
        let mut tails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tails.retain(|(other, _)| other != key);
        if tails.len() >= JOBS_MAX {
            tails.pop_front();
        }
        tails.push_back((key.clone(), tail));
    }
}
