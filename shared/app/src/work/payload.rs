//! Values that stand in their item while they are small, and in object storage when they aren't.

use bytes::Bytes;
use convoke_domain::ids::JobKey;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::WorkError;
use crate::ports::{BlobKey, Blobs, Payload};

/// Longest JSON that stands in an item.
pub const INLINE_BYTES_MAX: usize = 4_096;

/// Stores a value under a name that is unique within the job. A repeat replaces it by the same.
pub async fn store_value<T: Serialize + Sync>(
    blobs: &dyn Blobs,
    key: &JobKey,
    (step, attempt, name): (&str, u32, &str),
    value: &T,
) -> Result<Payload, WorkError> {
    let corrupt = |error: serde_json::Error| WorkError::Corrupt { job: key.to_string(), detail: error.to_string() };
    let json = serde_json::to_vec(value).map_err(corrupt)?;
    if json.len() <= INLINE_BYTES_MAX {
        return serde_json::to_value(value).map(Payload::Inline).map_err(corrupt);
    }
    let blob = BlobKey::of_job(key, step, attempt, name);
    let bytes = json.len() as u64;
    blobs.put(&blob, Bytes::from(json), "application/json").await?;
    Ok(Payload::Blob { key: blob, bytes })
}

/// Loads a value.
pub async fn load_value<T: DeserializeOwned>(
    blobs: &dyn Blobs,
    job: &JobKey,
    payload: &Payload,
) -> Result<T, WorkError> {
    let corrupt = |detail: String| WorkError::Corrupt { job: job.to_string(), detail };
    match payload {
        Payload::Inline(value) => serde_json::from_value(value.clone()).map_err(|error| corrupt(error.to_string())),
        Payload::Blob { key, .. } => {
            let bytes = blobs.get(key).await?.ok_or_else(|| corrupt(format!("object {key} is missing")))?;
            serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))
        }
    }
}
