//! `Webhooks`.

use convoke_app::ports::{Disabled, EarlierSecret, Saved, Webhook};

use super::Table;
use super::groups::at_once;
use super::jobs::tenant;
use crate::samples::{NOW_MS, webhook, webhook_id};

/// A webhook is found, listed and deleted by its own tenant alone.
pub async fn webhooks_are_kept_by_tenant(table: &impl Table) {
    let (acme, zen) = (tenant("acme"), tenant("zen"));
    assert_eq!(table.webhook(&acme, &webhook_id(1)).await.expect("up"), None);
    for n in [3, 1, 2] {
        assert_eq!(table.save_webhook(&acme, &webhook(n)).await.expect("up"), Saved::Done);
    }
    let theirs = Webhook { description: "theirs".into(), ..webhook(1) };
    assert_eq!(table.save_webhook(&zen, &theirs).await.expect("up"), Saved::Done);
    assert_eq!(table.webhook(&acme, &webhook_id(1)).await.expect("up"), Some(webhook(1)));
    assert_eq!(table.webhook(&zen, &webhook_id(2)).await.expect("up"), None);
    assert_eq!(table.webhooks(&acme).await.expect("up"), [webhook(1), webhook(2), webhook(3)]);
    assert_eq!(table.webhooks(&zen).await.expect("up"), [theirs]);
    assert!(!table.delete_webhook(&zen, &webhook_id(2)).await.expect("up"), "it has no such webhook");
    assert!(table.delete_webhook(&acme, &webhook_id(1)).await.expect("up"));
    assert!(!table.delete_webhook(&acme, &webhook_id(1)).await.expect("up"), "gone already");
    assert_eq!(table.webhooks(&acme).await.expect("up").len(), 2);
    assert_eq!(table.webhooks(&zen).await.expect("up").len(), 1);
}

/// Each version replaces the one before it and no other; a repeat says the same; what is gone isn't made again.
pub async fn webhooks_are_replaced_version_by_version(table: &impl Table) {
    let acme = tenant("acme");
    let first = webhook(1);
    let second = Webhook {
        earlier: vec![EarlierSecret { secret: first.secret.clone(), until_ms: NOW_MS + 1 }],
        disabled: Some(Disabled { at_ms: NOW_MS, why: "410".into() }),
        ver: 2,
        mark: "second".into(),
        ..first.clone()
    };
    assert_eq!(table.save_webhook(&acme, &second).await.expect("up"), Saved::Missing, "there is none to replace");
    for version in [&first, &first, &second, &second] {
        assert_eq!(table.save_webhook(&acme, version).await.expect("up"), Saved::Done);
    }
    for late in [&first, &Webhook { mark: "other".into(), ..second.clone() }] {
        assert_eq!(table.save_webhook(&acme, late).await.expect("up"), Saved::Conflict(second.clone()));
    }
    let racers = (0..8).map(|n| {
        let (table, acme) = (table.clone(), acme.clone());
        let next = Webhook { ver: 3, mark: format!("racer {n}"), ..second.clone() };
        async move { table.save_webhook(&acme, &next).await.expect("up") }
    });
    let won = at_once(racers).await.into_iter().filter(|saved| *saved == Saved::Done).count();
    assert_eq!(won, 1);
    assert!(table.delete_webhook(&acme, &webhook_id(1)).await.expect("up"));
    let fourth = Webhook { ver: 4, mark: "fourth".into(), ..second };
    assert_eq!(table.save_webhook(&acme, &fourth).await.expect("up"), Saved::Missing);
    assert_eq!(table.webhook(&acme, &webhook_id(1)).await.expect("up"), None);
}
