//! Webhooks of a tenant: made, listed, deleted, given new secrets, tested; what came of telling them, and telling again.

mod log;
mod request;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use convoke_api::flow::FlowIssue;
use convoke_api::time::Time;
use convoke_api::webhook::{DeliveryView, WebhookList, WebhookView, WebhookWithSecret};
use convoke_domain::ids::{TargetId, TenantId, WebhookId};
use serde_json::Value;

use crate::chat::{chat_of, chat_target, not_linked};
use crate::deliver::{Message, SECRET_PREFIX};
use crate::failure::{Failure, Part, Refused};
use crate::platform::Platform;
use crate::ports::{Disabled, EarlierSecret, PortError, Saved, SigningSecret, Target, Webhook};
use crate::submit::NOTIFY_MAX;
use crate::work::WorkError;

pub use request::{DESCRIPTION_CHARS_MAX, EVENT_DEFAULT};

/// Most webhooks of a tenant; callers at the same moment may make a few more.
pub const WEBHOOKS_MAX: usize = 20;
/// How long a secret that was replaced signs beside the new one, in milliseconds: a day.
pub const EARLIER_SECRET_MS: u64 = 24 * 3_600_000;
/// Most replaced secrets that still sign; the oldest goes first.
const EARLIER_MAX: usize = 4;
/// How long a try is kept, in seconds: 30 days.
pub(crate) const ATTEMPTS_KEPT_S: u64 = 30 * 86_400;
/// How often a change is tried that others get in the way of.
pub(crate) const RACES_MAX: u32 = 8;

impl Platform {
    /// Makes a webhook; its secret is in the answer and is never shown again. Not idempotent. What isn't valid is
    /// [`Refused::Invalid`]; one over [`WEBHOOKS_MAX`] is [`Refused::LimitReached`].
    pub async fn create_webhook(&self, tenant: &TenantId, body: &Value) -> Result<WebhookWithSecret, Failure> {
        let mut asked = request::read(body);
        if let Ok(asked) = &asked
            && let Err(refused) = self.ports.outbound.check_url(&asked.url)
        {
            return Err(invalid(vec![FlowIssue::new("url", refused.message, refused.hint)]));
        }
        if let Err((issues, Some(url))) = &mut asked
            && let Err(refused) = self.ports.outbound.check_url(url)
        {
            issues.insert(0, FlowIssue::new("url", refused.message, refused.hint));
        }
        let asked = asked.map_err(|(issues, _)| invalid(issues))?;
        if self.ports.webhooks.webhooks(tenant).await?.len() >= WEBHOOKS_MAX {
            return Err(Refused::LimitReached { what: "webhooks", most: WEBHOOKS_MAX }.into());
        }
        let webhook = Webhook {
            v: 1,
            id: self.new_webhook_id()?,
            url: asked.url,
            events: asked.events,
            description: asked.description,
            secret: self.new_signing_secret(),
            earlier: Vec::new(),
            created_ms: self.ports.env.now_ms(),
            disabled: None,
            ver: 1,
            mark: self.ports.env.nonce(),
        };
        // Ids are fresh: nothing is in the way.
        self.ports.webhooks.save_webhook(tenant, &webhook).await?;
        tracing::info!(%tenant, webhook = %webhook.id, "webhook made");
        Ok(self.with_secret(webhook))
    }

    /// The tenant's webhooks, oldest first.
    pub async fn webhooks(&self, tenant: &TenantId) -> Result<WebhookList, Failure> {
        let webhooks = self.ports.webhooks.webhooks(tenant).await?;
        Ok(WebhookList { webhooks: webhooks.into_iter().map(|webhook| self.webhook_view(webhook)).collect() })
    }

    /// One webhook; what is no id is none.
    pub async fn webhook(&self, tenant: &TenantId, id: &str) -> Result<WebhookView, Failure> {
        Ok(self.webhook_view(self.known_webhook(tenant, id).await?))
    }

    /// Deletes a webhook: nothing more is sent to it, and its tries can't be seen any more. [`Refused::WebhookNotFound`]
    /// where there is none (any more).
    pub async fn delete_webhook(&self, tenant: &TenantId, id: &str) -> Result<(), Failure> {
        let parsed: WebhookId = id.parse().map_err(|_| no_webhook(id))?;
        if !self.ports.webhooks.delete_webhook(tenant, &parsed).await? {
            return Err(no_webhook(id));
        }
        tracing::info!(%tenant, webhook = id, "webhook deleted");
        Ok(())
    }

    /// Gives a webhook a new secret, which is shown this once; the one before signs beside it for [`EARLIER_SECRET_MS`].
    /// Not idempotent.
    pub async fn rotate_webhook(&self, tenant: &TenantId, id: &str) -> Result<WebhookWithSecret, Failure> {
        let (secret, now_ms) = (self.new_signing_secret(), self.ports.env.now_ms());
        let rotated = self
            .change_webhook(tenant, id, |webhook| {
                let replaced = EarlierSecret { secret: webhook.secret, until_ms: now_ms + EARLIER_SECRET_MS };
                let earlier = webhook.earlier.into_iter().filter(|earlier| earlier.until_ms > now_ms);
                let earlier = std::iter::once(replaced).chain(earlier).take(EARLIER_MAX).collect();
                Webhook { secret: secret.clone(), earlier, ..webhook }
            })
            .await?;
        tracing::info!(%tenant, webhook = id, "webhook has a new secret");
        Ok(self.with_secret(rotated))
    }

    /// Sends a webhook a message now and tells what came back. Where it is acknowledged, a webhook that was disabled is
    /// told again from now on.
    pub async fn test_webhook(&self, tenant: &TenantId, id: &str) -> Result<DeliveryView, Failure> {
        let webhook = self.known_webhook(tenant, id).await?;
        let began_ms = self.ports.env.now_ms();
        let message = Message::of_test(&webhook, &self.ports.env.nonce(), began_ms);
        let answer = self.ports.outbound.post(message.outgoing(&webhook, began_ms)).await;
        let attempt = self.attempt(&message, began_ms, &answer);
        self.log_attempt(tenant, &webhook.id, &attempt).await;
        if attempt.error.is_none() && webhook.disabled.is_some() {
            self.change_webhook(tenant, id, |webhook| Webhook { disabled: None, ..webhook }).await?;
        }
        Ok(log::view(attempt))
    }

    /// The targets of a submission's `notify`, each once, and an issue for each webhook that the tenant doesn't have and
    /// each chat that isn't linked to it. What has another form is another's to refuse.
    pub(crate) async fn targets(
        &self,
        tenant: &TenantId,
        body: &Value,
    ) -> Result<(Vec<Target>, Vec<FlowIssue>), PortError> {
        let (mut targets, mut issues): (Vec<Target>, Vec<FlowIssue>) = Default::default();
        let notify = body.get("notify").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (index, entry) in notify.iter().take(NOTIFY_MAX).enumerate() {
            let found = match (entry.get("webhook").and_then(Value::as_str), chat_of(entry)) {
                (Some(id), _) => self.webhook_target(tenant, id).await?.ok_or_else(|| no_such_webhook(index)),
                (None, Some(chat)) if self.chat_is_linked(tenant, &chat).await? => Ok(chat_target(chat)),
                (None, Some(chat)) => Err(not_linked(index, &chat)),
                (None, None) => continue,
            };
            match found {
                Ok(target) if targets.iter().any(|other| other.id == target.id) => {}
                Ok(target) => targets.push(target),
                Err(issue) => issues.push(issue),
            }
        }
        Ok((targets, issues))
    }

    async fn webhook_target(&self, tenant: &TenantId, id: &str) -> Result<Option<Target>, PortError> {
        let Ok(id) = id.parse() else { return Ok(None) };
        let webhook = self.ports.webhooks.webhook(tenant, &id).await?;
        Ok(webhook.map(|webhook| Target { id: TargetId::Webhook(webhook.id), events: webhook.events }))
    }

    /// Those of an earlier job's targets that there still are.
    pub(crate) async fn standing_targets(
        &self,
        tenant: &TenantId,
        earlier: &[Target],
    ) -> Result<Vec<Target>, PortError> {
        let mut standing = Vec::new();
        for target in earlier {
            let stands = match &target.id {
                TargetId::Webhook(id) => self.ports.webhooks.webhook(tenant, id).await?.is_some(),
                TargetId::Chat(chat) => self.chat_is_linked(tenant, chat).await?,
            };
            if stands {
                standing.push(target.clone());
            }
        }
        Ok(standing)
    }

    /// A webhook of the tenant by its id as a caller writes it.
    /// Tells a webhook nothing any more: its place has answered that it is gone for good. Idempotent.
    pub(crate) async fn disable_webhook(
        &self,
        tenant: &TenantId,
        id: &WebhookId,
        status: u16,
    ) -> Result<(), PortError> {
        let at_ms = self.ports.env.now_ms();
        for _ in 0..RACES_MAX {
            let Some(webhook) = self.ports.webhooks.webhook(tenant, id).await? else { return Ok(()) };
            if webhook.disabled.is_some() {
                return Ok(());
            }
            let disabled = Disabled { at_ms, why: format!("it answered with {status}") };
            let mark = self.ports.env.nonce();
            let next = Webhook { disabled: Some(disabled), ver: webhook.ver + 1, mark, ..webhook };
            match self.ports.webhooks.save_webhook(tenant, &next).await? {
                Saved::Done | Saved::Missing => return Ok(()),
                Saved::Conflict(_) => {}
            }
        }
        Ok(())
    }

    async fn known_webhook(&self, tenant: &TenantId, id: &str) -> Result<Webhook, Failure> {
        let parsed = id.parse().map_err(|_| no_webhook(id))?;
        self.ports.webhooks.webhook(tenant, &parsed).await?.ok_or_else(|| no_webhook(id))
    }

    /// Replaces a webhook as `change` says, also when others have changed it meanwhile.
    async fn change_webhook(
        &self,
        tenant: &TenantId,
        id: &str,
        change: impl Fn(Webhook) -> Webhook,
    ) -> Result<Webhook, Failure> {
        let mut webhook = self.known_webhook(tenant, id).await?;
        for _ in 0..RACES_MAX {
            let (ver, mark) = (webhook.ver + 1, self.ports.env.nonce());
            let next = Webhook { ver, mark, ..change(webhook) };
            match self.ports.webhooks.save_webhook(tenant, &next).await? {
                Saved::Done => return Ok(next),
                Saved::Conflict(now) => webhook = now,
                Saved::Missing => return Err(no_webhook(id)),
            }
        }
        Err(WorkError::Contended { job: format!("webhook {id}") }.into())
    }

    fn new_webhook_id(&self) -> Result<WebhookId, Failure> {
        let id = format!("wh_{}", self.ports.env.ulid());
        let parsed = id.parse::<WebhookId>();
        parsed.map_err(|error| WorkError::Corrupt { job: id, detail: error.to_string() }.into())
    }

    fn new_signing_secret(&self) -> SigningSecret {
        SigningSecret::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(self.ports.env.secret())))
    }

    fn with_secret(&self, webhook: Webhook) -> WebhookWithSecret {
        WebhookWithSecret { secret: webhook.secret.expose().to_owned(), webhook: self.webhook_view(webhook) }
    }

    fn webhook_view(&self, webhook: Webhook) -> WebhookView {
        let now_ms = self.ports.env.now_ms();
        let earlier_until_ms = webhook.earlier.iter().map(|earlier| earlier.until_ms).filter(|until| *until > now_ms);
        let (disabled_at, disabled_because) =
            webhook.disabled.map(|disabled| (Time(disabled.at_ms), disabled.why)).unzip();
        WebhookView {
            href: format!("/v1/webhooks/{}", webhook.id),
            id: webhook.id,
            url: webhook.url,
            events: webhook.events.0.into_iter().collect(),
            description: webhook.description,
            created_at: Time(webhook.created_ms),
            disabled_at,
            disabled_because,
            earlier_secret_until: earlier_until_ms.max().map(Time),
        }
    }
}

const fn invalid(issues: Vec<FlowIssue>) -> Failure {
    Failure::Refused(Refused::Invalid { what: Part::Request, issues })
}

fn no_such_webhook(index: usize) -> FlowIssue {
    FlowIssue::new(format!("notify[{index}].webhook"), "there is no such webhook", "POST /v1/webhooks makes one")
}

fn no_webhook(id: &str) -> Failure {
    Refused::WebhookNotFound { webhook: id.chars().take(64).collect() }.into()
}
