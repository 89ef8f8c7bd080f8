//! `Keys`, and the wall between tenants.

use convoke_app::ports::{Applied, EventKind, EventPage, Fetched, JobFilter, KeyRecord, Reads};
use convoke_domain::change::{Change, Field, Set};
use convoke_domain::group::Group;
use convoke_domain::ids::GroupId;

use super::Table;
use super::jobs::tenant;
use crate::samples::{NOW_MS, job, result, root, step, submission, turn};

fn record(owner: &str, name: &str) -> KeyRecord {
    KeyRecord { tenant: tenant(owner), name: name.into(), prefix: "cvk_ab".into(), created_ms: NOW_MS, expires_s: None }
}

/// A key is found by its hash and by its tenant, replaced by the same, deleted by its own tenant alone.
pub async fn keys_are_kept_by_tenant(table: &impl Table) {
    assert_eq!(table.key("h1").await.expect("up"), None);
    for (hash, owner) in [("h1", "acme"), ("h2", "acme"), ("h3", "zen"), ("h1", "acme")] {
        table.put_key(hash, &record(owner, hash)).await.expect("put");
    }
    assert_eq!(table.key("h1").await.expect("up"), Some(record("acme", "h1")));
    let of_acme = table.keys(&tenant("acme")).await.expect("up");
    assert_eq!(of_acme, ["h1", "h2"].map(|hash| (hash.to_owned(), record("acme", hash))));
    let stolen = table.put_key("h3", &record("acme", "mine now")).await.expect_err("another tenant's");
    assert!(!stolen.is_retryable(), "{stolen}");
    assert_eq!(table.key("h3").await.expect("up"), Some(record("zen", "h3")));
    assert!(!table.delete_key(&tenant("zen"), "h1").await.expect("up"));
    assert!(table.delete_key(&tenant("acme"), "h1").await.expect("up"));
    assert!(!table.delete_key(&tenant("acme"), "h1").await.expect("up"), "it is gone");
    assert_eq!(table.key("h1").await.expect("up"), None);
    assert_eq!(table.keys(&tenant("acme")).await.expect("up"), [("h2".to_owned(), record("acme", "h2"))]);
}

/// A key that ends keeps its end, and the list of tenants names each once, by name.
pub async fn tenants_are_listed(table: &impl Table) {
    assert_eq!(table.tenants().await.expect("up"), []);
    let lent = KeyRecord { expires_s: Some(NOW_MS / 1_000 + 60), ..record("acme", "lent") };
    table.put_key("h1", &lent).await.expect("put");
    assert_eq!(table.key("h1").await.expect("up"), Some(lent.clone()));
    assert_eq!(table.keys(&tenant("acme")).await.expect("up"), [("h1".to_owned(), lent)]);
    for name in ["zen", "acme", "zen"] {
        table.note_tenant(&tenant(name)).await.expect("noted");
    }
    assert_eq!(table.tenants().await.expect("up"), [tenant("acme"), tenant("zen")]);
}

/// Nothing that one tenant stores under a job's id is seen or changed by another under the same id.
pub async fn tenants_never_meet(table: &impl Table) {
    let (mine, theirs) = (job("acme", 1), job("zen", 1));
    let id = step("a", None, None);
    table.submit(&submission(&mine)).await.expect("up");
    table.put_result(&mine, &result(&id, "mine")).await.expect("up");
    table.put_turn(&mine, &turn(&id, 1, "mine")).await.expect("up");
    table.put_chunks(&mine, 0, &[vec![1.into()]]).await.expect("up");
    table.append(&mine, &[(GroupId::Root, 1, NOW_MS, vec![EventKind::Submitted])]).await.expect("up");
    table.put_key("h", &record("acme", "mine")).await.expect("up");

    let change = Change::new(GroupId::Root, "x".into(), NOW_MS).set(Set::Bit(Field::Done, 1));
    assert_eq!(table.apply(&theirs, &change).await.expect("up"), Applied::Missing);
    assert!(table.load_groups(&theirs, &[GroupId::Root]).await.expect("up").is_empty());
    assert_eq!(table.job(&theirs).await.expect("up"), None);
    let reads = Reads {
        group: Some(GroupId::Root),
        definition: true,
        results: vec![id.clone()],
        of_parent: Some((mine.job.clone(), vec![id.clone()])),
        chunks: vec![(0, 0)],
    };
    assert_eq!(table.fetch(&theirs, &reads).await.expect("up"), Fetched::default());
    assert_eq!(table.results(&theirs, None, None, 9).await.expect("up"), []);
    assert_eq!(table.turns(&theirs, &id).await.expect("up"), []);
    assert_eq!(table.events(&theirs, 0, 9).await.expect("up"), EventPage::default());
    assert_eq!(table.list(&theirs.tenant, &JobFilter::default(), None, 9).await.expect("up").rows, []);
    assert_eq!(table.keys(&theirs.tenant).await.expect("up"), []);

    let other = Group { last: "theirs".into(), ..root() };
    assert_eq!(table.put_group(&theirs, &other).await.expect("up"), other);
    assert_eq!(table.put_result(&theirs, &result(&id, "theirs")).await.expect("up"), result(&id, "theirs"));
    assert_eq!(table.put_turn(&theirs, &turn(&id, 1, "theirs")).await.expect("up"), turn(&id, 1, "theirs"));
    table.put_chunks(&theirs, 0, &[vec![2.into()]]).await.expect("up");
    table.append(&theirs, &[(GroupId::Root, 9, NOW_MS, vec![EventKind::Working])]).await.expect("up");

    let fetched = table.fetch(&mine, &reads).await.expect("up");
    assert_eq!(fetched.group, Some(root()));
    assert_eq!(fetched.results[&id], result(&id, "mine"));
    assert_eq!(fetched.chunks[&(0, 0)], [1]);
    assert_eq!(table.turns(&mine, &id).await.expect("up"), [turn(&id, 1, "mine")]);
    assert_eq!(table.events(&mine, 0, 9).await.expect("up").events.len(), 1);
}
