//! Who calls: keys of the API. A key is shown once; the table holds its hash.
//!
//! Keys have 256 bits of randomness and are looked up by the SHA-256 of the whole, so neither a guess nor the time of a
//! comparison tells anything about one.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use convoke_domain::ids::TenantId;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Refused};
use crate::platform::Platform;
use crate::ports::KeyRecord;

/// What every key begins with.
pub const KEY_PREFIX: &str = "cvk_";
/// Characters after the prefix.
const KEY_CHARS: usize = 43;
/// Characters of a key that are stored, to tell keys apart.
const SHOWN_CHARS: usize = 10;
/// Longest name of a key, in characters.
pub const KEY_NAME_CHARS_MAX: usize = 64;

/// A key: `cvk_` and 43 characters of base64url. Never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected cvk_ and 43 letters, digits, hyphens or underscores")]
pub struct ApiKeyError;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose jobs it sees.
    pub tenant: TenantId,
    /// The name of the key that was shown.
    pub key_name: String,
}

/// A key that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The key: it is shown now, and never again.
    pub key: ApiKey,
    /// What is stored beside its hash.
    pub record: KeyRecord,
}

impl ApiKey {
    /// The key made of 32 random bytes.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self(format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)))
    }

    /// The key itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its SHA-256, in hexadecimal: what is stored.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.0))
    }

    /// Its beginning, which opens nothing.
    pub fn shown(&self) -> &str {
        &self.0[..SHOWN_CHARS]
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}...", self.shown())
    }
}

impl FromStr for ApiKey {
    type Err = ApiKeyError;

    fn from_str(text: &str) -> Result<Self, ApiKeyError> {
        let rest = text.strip_prefix(KEY_PREFIX).ok_or(ApiKeyError)?;
        let fits = rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if fits && rest.len() == KEY_CHARS { Ok(Self(text.to_owned())) } else { Err(ApiKeyError) }
    }
}

impl Platform {
    /// Who shows this key. Reads only. [`Refused::Unauthenticated`] for whatever isn't a key that is stored.
    pub async fn authenticate(&self, bearer: &str) -> Result<Caller, Failure> {
        let key: ApiKey = bearer.parse().map_err(|ApiKeyError| Refused::Unauthenticated)?;
        let record = self.ports.keys.key(&key.hash()).await?.ok_or(Refused::Unauthenticated)?;
        let now_s = self.ports.env.now_ms() / 1_000;
        if record.expires_s.is_some_and(|expires_s| expires_s <= now_s) {
            return Err(Refused::Unauthenticated.into());
        }
        Ok(Caller { tenant: record.tenant, key_name: record.name })
    }

    /// Makes a key for a tenant, which is on the list of tenants from then on. Not idempotent: each call makes another.
    pub async fn create_key(&self, tenant: &TenantId, name: &str) -> Result<NewKey, Failure> {
        self.put_new_key(tenant, name, None).await
    }

    /// The same for a key that opens nothing after so many seconds.
    pub async fn lend_key(&self, tenant: &TenantId, name: &str, seconds: u64) -> Result<NewKey, Failure> {
        self.put_new_key(tenant, name, Some(self.ports.env.now_ms() / 1_000 + seconds)).await
    }

    async fn put_new_key(&self, tenant: &TenantId, name: &str, expires_s: Option<u64>) -> Result<NewKey, Failure> {
        let chars = name.chars().count();
        if !(1..=KEY_NAME_CHARS_MAX).contains(&chars) || name.chars().any(char::is_control) {
            let hint = format!("1 to {KEY_NAME_CHARS_MAX} characters");
            return Err(Refused::request("name", "not a name for a key", hint).into());
        }
        let key = ApiKey::from_secret(self.ports.env.secret());
        let record = KeyRecord {
            tenant: tenant.clone(),
            name: name.to_owned(),
            prefix: key.shown().to_owned(),
            created_ms: self.ports.env.now_ms(),
            expires_s,
        };
        self.ports.keys.note_tenant(tenant).await?;
        self.ports.keys.put_key(&key.hash(), &record).await?;
        Ok(NewKey { key, record })
    }

    /// The tenants that ever had a key, by name: for the operator alone.
    pub async fn tenants(&self) -> Result<Vec<TenantId>, Failure> {
        Ok(self.ports.keys.tenants().await?)
    }

    /// The tenant's keys, oldest first.
    pub async fn keys(&self, tenant: &TenantId) -> Result<Vec<KeyRecord>, Failure> {
        let mut keys: Vec<KeyRecord> =
            self.ports.keys.keys(tenant).await?.into_iter().map(|(_, record)| record).collect();
        keys.sort_by_key(|record| record.created_ms);
        Ok(keys)
    }

    /// Forgets the tenant's keys that begin with `shown` ([`KeyRecord::prefix`]); how many there were. Idempotent.
    pub async fn delete_key(&self, tenant: &TenantId, shown: &str) -> Result<u32, Failure> {
        let mut deleted = 0;
        for (hash, record) in self.ports.keys.keys(tenant).await? {
            if record.prefix == shown && self.ports.keys.delete_key(tenant, &hash).await? {
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parsed_strictly_and_never_printed() {
        let key = ApiKey::from_secret([7; 32]);
        assert_eq!(key.expose().len(), 47);
        assert_eq!(key.expose().parse(), Ok(key.clone()));
        assert_eq!(key.hash().len(), 64);
        assert!(!format!("{key:?}").contains(&key.expose()[SHOWN_CHARS..]));
        let long = format!("{}a", key.expose());
        for bad in ["", "cvk_", "abc", &key.expose()[1..], &long, &key.expose().replace("cvk_", "cvk ")] {
            assert_eq!(bad.parse::<ApiKey>(), Err(ApiKeyError), "{bad}");
        }
    }
}
