//! Links as callers of the HTTP API see them.

use convoke_api::flow::FlowIssue;
use convoke_api::link::{LinkCodeView, LinkList, LinkRequest, LinkView, WhoMay as WhoMayView};
use convoke_api::time::Time;
use convoke_domain::ids::TenantId;
use serde_json::Value;

use super::CODE_TTL_S;
use crate::failure::{Failure, Part, Refused};
use crate::platform::Platform;
use crate::ports::{Link, WhoMay};

impl Platform {
    /// A code, and what to type. Not idempotent: each is another, and all are good. What isn't valid is
    /// [`Refused::Invalid`].
    pub async fn ask_for_link(&self, tenant: &TenantId, body: &Value) -> Result<LinkCodeView, Failure> {
        let request = read(body)?;
        let expires_ms = self.ports.env.now_ms() + CODE_TTL_S * 1_000;
        let code = self.new_link_code(tenant, stored(request.who_may)).await?;
        Ok(LinkCodeView {
            discord: format!("/crew link {code}"),
            telegram: format!("/link {code}"),
            code,
            expires_at: Time(expires_ms),
            who_may: request.who_may,
        })
    }

    /// All links of a tenant.
    pub async fn link_views(&self, tenant: &TenantId) -> Result<LinkList, Failure> {
        Ok(LinkList { links: self.links(tenant).await?.into_iter().map(view).collect() })
    }

    /// Takes a link away, by its realm's id. [`Refused::LinkNotFound`] where the tenant has none to that, also after it was
    /// taken away.
    pub async fn delete_link(&self, tenant: &TenantId, realm: &str) -> Result<(), Failure> {
        let was_there = match realm.parse() {
            Ok(realm) => self.unlink(tenant, &realm).await?,
            Err(_) => false,
        };
        let not_found = || Refused::LinkNotFound { realm: realm.chars().take(64).collect() };
        if was_there { Ok(()) } else { Err(not_found().into()) }
    }
}

fn read(body: &Value) -> Result<LinkRequest, Refused> {
    if body.is_null() {
        return Ok(LinkRequest::default());
    }
    serde_json::from_value(body.clone()).map_err(|error| {
        let hint = "{\"who_may\": \"everybody\"} or {\"who_may\": \"admins\"}";
        let issue = FlowIssue::new("", error.to_string(), hint);
        Refused::Invalid { what: Part::Request, issues: vec![issue] }
    })
}

fn view(link: Link) -> LinkView {
    LinkView {
        href: format!("/v1/links/{}", link.realm),
        realm: link.realm.to_string(),
        title: link.title,
        who_may: match link.who_may {
            WhoMay::Everybody => WhoMayView::Everybody,
            WhoMay::Admins => WhoMayView::Admins,
        },
        linked_by: link.by.name,
        created_at: Time(link.created_ms),
    }
}

const fn stored(who_may: WhoMayView) -> WhoMay {
    match who_may {
        WhoMayView::Everybody => WhoMay::Everybody,
        WhoMayView::Admins => WhoMay::Admins,
    }
}
