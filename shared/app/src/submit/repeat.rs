//! Repeats of a request: the same key and body get the first answer.

use std::str::FromStr;

use convoke_domain::ids::TenantId;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::Idempotency;

/// How long a key is kept, in seconds.
const KEPT_S: u64 = 24 * 3_600;
/// Longest key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// A caller's `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to {KEY_CHARS_MAX} visible ascii characters")]
pub struct IdempotencyKeyError;

impl FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;

    fn from_str(text: &str) -> Result<Self, IdempotencyKeyError> {
        let fits = (1..=KEY_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(IdempotencyKeyError) }
    }
}

impl IdempotencyKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.0))
    }

    /// What is stored of this key with a request: `about` tells requests to different places apart.
    pub(super) fn stored(&self, about: &str, body: &Value, now_ms: u64) -> Idempotency {
        let mut hash = Sha256::new();
        hash.update(about);
        hash.update([0]);
        digest(body, &mut hash);
        Idempotency {
            key_hash: self.hash(),
            body_hash: hex::encode(hash.finalize()),
            expires_s: now_ms / 1_000 + KEPT_S,
        }
    }
}

impl Platform {
    /// Whether a submission with that key has made a job of the tenant's within the last 24 hours: then a repeat makes none,
    /// and is no more to be counted. Reads only.
    pub async fn is_repeat(&self, tenant: &TenantId, repeat: &IdempotencyKey) -> Result<bool, Failure> {
        Ok(self.ports.jobs.submitted(tenant, &repeat.hash()).await?.is_some())
    }
}

/// Takes in a value whatever the order of its fields and the space between them.
fn digest(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            hash.update("{");
            for name in names {
                hash.update(Value::from(name.as_str()).to_string());
                hash.update(":");
                digest(&fields[name], hash);
            }
            hash.update("}");
        }
        Value::Array(items) => {
            hash.update("[");
            for item in items {
                digest(item, hash);
                hash.update(",");
            }
            hash.update("]");
        }
        scalar => hash.update(scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hash(text: &str) -> String {
        let key: IdempotencyKey = "k".parse().expect("a key");
        key.stored("jobs", &serde_json::from_str(text).expect("json"), 0).body_hash
    }

    #[test]
    fn bodies_are_the_same_whatever_their_order_and_space() {
        assert_eq!(hash(r#"{"a":1,"b":[1,{"c":2,"d":"x"}]}"#), hash(r#"{ "b": [1, {"d":"x","c":2}], "a": 1 }"#));
        for other in [r#"{"a":1,"b":[{"c":2,"d":"x"},1]}"#, r#"{"a":1}"#, r#"{"a":"1","b":[1,{"c":2,"d":"x"}]}"#] {
            assert_ne!(hash(r#"{"a":1,"b":[1,{"c":2,"d":"x"}]}"#), hash(other));
        }
        assert_ne!(hash(r#"["a","b"]"#), hash(r#"["a,b"]"#));
        assert_ne!(hash("[[1],2]"), hash("[1,[2]]"));
    }

    #[test]
    fn the_place_counts_and_a_key_is_kept_a_day() {
        let key: IdempotencyKey = "order-66".parse().expect("a key");
        let (one, other) = (key.stored("a", &json!({}), 5_000), key.stored("b", &json!({}), 5_000));
        assert_eq!(one.key_hash, other.key_hash);
        assert_ne!(one.body_hash, other.body_hash);
        assert_eq!(one.expires_s, 5 + 86_400);
    }

    #[test]
    fn keys_are_visible_ascii() {
        assert!("3f2a-\"x\"".parse::<IdempotencyKey>().is_ok());
        for bad in ["", "a b", "é", "a\n", &"x".repeat(256)] {
            assert_eq!(bad.parse::<IdempotencyKey>(), Err(IdempotencyKeyError), "{bad}");
        }
    }
}
