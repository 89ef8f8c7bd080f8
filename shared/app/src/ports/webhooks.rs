//! Webhooks: where a tenant wants to be told over HTTP.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use convoke_domain::ids::{TargetId, TenantId, WebhookId};
use serde::{Deserialize, Serialize};

use super::PortError;

/// What stands for all types of events.
pub const ALL_EVENTS: &str = "*";

/// The type of the message that tells of a whole run of a schedule, which is no event of a job.
pub const RUN_ENDED: &str = "run.ended";

/// The types of events that somebody wants, or [`ALL_EVENTS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wanted(pub BTreeSet<String>);

impl Wanted {
    /// Whether events of this type are wanted.
    pub fn wants(&self, event_type: &str) -> bool {
        self.0.contains(ALL_EVENTS) || self.0.contains(event_type)
    }

    /// Whether the ends of runs are wanted: whoever wants to hear of ends hears of those, too.
    pub fn wants_runs(&self) -> bool {
        self.wants(RUN_ENDED) || self.wants("job.ended")
    }
}

/// Whom a job's events are told to: as it was when the job was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Who.
    pub id: TargetId,
    /// Which events.
    pub events: Wanted,
}

/// What messages are signed with: `whsec_` and base64 of 32 bytes, as Standard Webhooks has it. `Debug` doesn't show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SigningSecret(String);

impl SigningSecret {
    /// A secret from its text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text: to sign with, and to show once to whom it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A secret that was replaced, and signs for a while beside the new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierSecret {
    /// The secret.
    pub secret: SigningSecret,
    /// Unix milliseconds until which it signs.
    pub until_ms: u64,
}

/// Why and since when a webhook is told nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// In words.
    pub why: String,
}

/// A place that a tenant wants to be told at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Version of the shape: 1.
    pub v: u8,
    /// Its id.
    pub id: WebhookId,
    /// Where.
    pub url: String,
    /// What of; never changed, because jobs hold copies of it.
    pub events: Wanted,
    /// What its owner calls it.
    pub description: String,
    /// What signs.
    pub secret: SigningSecret,
    /// What signed before and still does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierSecret>,
    /// When it was made (Unix milliseconds).
    pub created_ms: u64,
    /// Whether it is told nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Version, +1 with each change.
    pub ver: u64,
    /// Mark of the last change.
    pub mark: String,
}

/// What came of replacing something by its next version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved<T> {
    /// It is stored, now or by an earlier try whose answer was lost.
    Done,
    /// Another version is stored; this one.
    Conflict(T),
    /// There is none to replace.
    Missing,
}

/// The webhooks of tenants.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Stores the next version of a webhook in one conditional write: version 1 where there is none, a later one over the
    /// one before it. Idempotent by its mark.
    async fn save_webhook(&self, tenant: &TenantId, webhook: &Webhook) -> Result<Saved<Webhook>, PortError>;

    /// A webhook, strongly read; `None` where this tenant has none of that id.
    async fn webhook(&self, tenant: &TenantId, id: &WebhookId) -> Result<Option<Webhook>, PortError>;

    /// The tenant's webhooks, oldest first, strongly read; bounded by what a tenant may have.
    async fn webhooks(&self, tenant: &TenantId) -> Result<Vec<Webhook>, PortError>;

    /// Forgets a webhook; `false` where the tenant has none of that id.
    async fn delete_webhook(&self, tenant: &TenantId, id: &WebhookId) -> Result<bool, PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_wants_all_and_a_name_itself() {
        let wanted = |types: &[&str]| Wanted(types.iter().map(|&text| text.to_owned()).collect());
        assert!(wanted(&["*"]).wants("job.cost") && wanted(&["job.ended"]).wants("job.ended"));
        assert!(!wanted(&["job.ended"]).wants("job.ending") && !wanted(&[]).wants("job.ended"));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = SigningSecret::new("whsec_c2VjcmV0".into());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[secret] Some([secret])");
    }
}
