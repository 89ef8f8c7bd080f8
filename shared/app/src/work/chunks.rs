//! Chunks of maps' lists that a process has at hand. The lanes of a map go through its list side by side, so each chunk is
//! read once for all of them, not once per item.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::lock;
use serde_json::Value;

use super::WorkError;
use super::flow::JobFlow;
use crate::platform::Platform;
use crate::ports::Reads;

/// Most chunks of a job that are kept; one has about 8 KiB.
const KEPT_MAX: usize = 16;

/// Where a chunk stands: the map's node, and the chunk's number.
pub(super) type Place = (u16, u32);

/// The chunks of a job that were read lately; the oldest goes first. What is stored never changes.
#[derive(Default)]
pub(super) struct Chunks {
    kept: Mutex<VecDeque<(Place, Arc<Vec<Value>>)>>,
    /// Held while one is read: who wants the same one waits for it.
    reading: lock::Mutex<()>,
}

impl Chunks {
    fn get(&self, place: Place) -> Option<Arc<Vec<Value>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(other, _)| *other == place).map(|(_, chunk)| Arc::clone(chunk))
    }

    /// Keeps the beginning of a list that was just put: its lanes start there.
    pub fn keep_first(&self, node: u16, list: Vec<Vec<Value>>) {
        for (number, chunk) in (0..).zip(list).take(KEPT_MAX).filter(|(_, chunk)| chunk.len() > 1) {
            self.keep((node, number), Arc::new(chunk));
        }
    }

    fn keep(&self, place: Place, chunk: Arc<Vec<Value>>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, _)| *other != place);
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back((place, chunk));
    }
}

impl Platform {
    /// A chunk of one of the job's lists. One item alone may be large, and is read by one lane alone: it isn't kept.
    pub(super) async fn chunk(&self, job: &JobFlow, place: Place, size: u32) -> Result<Arc<Vec<Value>>, WorkError> {
        if size <= 1 {
            return self.read_chunk(job, place).await;
        }
        if let Some(chunk) = job.chunks.get(place) {
            return Ok(chunk);
        }
        let _alone = job.chunks.reading.lock().await;
        if let Some(chunk) = job.chunks.get(place) {
            return Ok(chunk);
        }
        let chunk = self.read_chunk(job, place).await?;
        job.chunks.keep(place, Arc::clone(&chunk));
        Ok(chunk)
    }

    async fn read_chunk(&self, job: &JobFlow, place: Place) -> Result<Arc<Vec<Value>>, WorkError> {
        let reads = Reads { chunks: vec![place], ..Reads::default() };
        let chunk = self.ports.steps.fetch(&job.key, &reads).await?.chunks.remove(&place);
        chunk.map(Arc::new).ok_or_else(|| WorkError::Corrupt {
            job: job.key.to_string(),
            detail: format!("chunk {} of map {} is missing", place.1, place.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_chunk_goes_first() {
        let chunks = Chunks::default();
        for number in 0..=16 {
            chunks.keep((1, number), Arc::new(vec![Value::from(number)]));
        }
        assert_eq!(chunks.get((1, 0)), None);
        assert_eq!(chunks.get((1, 16)).map(|chunk| chunk[0].clone()), Some(Value::from(16)));
        assert_eq!(chunks.get((2, 16)), None);
    }
}
