//! `Links`, `Inbox` and `Rooms`.

use convoke_app::ports::{Button, Claimed, Link, LinkCode, Linked, Requester, Saved, Standing, UpdateId, WhoMay, Wish};
use convoke_domain::chat::{Bot, ChatId, RealmId};
use convoke_domain::money::MicroUsd;
use convoke_domain::room::{Dead, Ended, Room};

use super::Table;
use super::jobs::tenant;
use crate::samples::{NOW_MS, job};

const NOW_S: u64 = NOW_MS / 1_000;

fn realm(text: &str) -> RealmId {
    text.parse().expect("a realm")
}

fn chat(text: &str) -> ChatId {
    text.parse().expect("a chat")
}

fn link(owner: &str, of: &str, code: &str) -> Link {
    Link {
        v: 1,
        realm: realm(of),
        tenant: tenant(owner),
        title: "Büro".into(),
        who_may: WhoMay::Admins,
        by: Requester { person: "dcu_5".parse().expect("a person"), name: "Ada".into() },
        created_ms: NOW_MS,
        code: code.into(),
    }
}

async fn put_code(table: &impl Table, owner: &str, hash: &str) -> LinkCode {
    let code = LinkCode { v: 1, tenant: tenant(owner), who_may: WhoMay::Admins, expires_s: NOW_S + 60 };
    table.put_link_code(hash, &code).await.expect("up");
    code
}

/// A code links the first realm that uses it in time, and no other; whoever asks again gets the same answer.
pub async fn a_code_links_once(table: &impl Table) {
    assert_eq!(table.link_code("c1").await.expect("up"), None);
    let code = put_code(table, "acme", "c1").await;
    assert_eq!(table.link_code("c1").await.expect("up"), Some(code));
    assert_eq!(table.use_link_code(&link("acme", "dcg_1", "c2"), NOW_S).await.expect("up"), Linked::NoCode);
    assert_eq!(table.use_link_code(&link("zen", "dcg_1", "c1"), NOW_S).await.expect("up"), Linked::NoCode);
    assert_eq!(table.use_link_code(&link("acme", "dcg_1", "c1"), NOW_S + 61).await.expect("up"), Linked::NoCode);
    assert_eq!(table.link(&realm("dcg_1")).await.expect("up"), None);
    for _ in 0..2 {
        assert_eq!(table.use_link_code(&link("acme", "dcg_1", "c1"), NOW_S).await.expect("up"), Linked::Done);
    }
    assert_eq!(table.link(&realm("dcg_1")).await.expect("up"), Some(link("acme", "dcg_1", "c1")));
    assert_eq!(table.link_code("c1").await.expect("up"), None, "it is used up");
    assert_eq!(table.use_link_code(&link("acme", "dcg_2", "c1"), NOW_S).await.expect("up"), Linked::NoCode);
}

/// A code that is forgotten links nothing, and there may be none to forget.
pub async fn a_code_is_forgotten(table: &impl Table) {
    put_code(table, "acme", "c1").await;
    for _ in 0..2 {
        table.drop_link_code("c1").await.expect("up");
    }
    assert_eq!(table.link_code("c1").await.expect("up"), None);
    assert_eq!(table.use_link_code(&link("acme", "dcg_1", "c1"), NOW_S).await.expect("up"), Linked::NoCode);
}

/// A realm has one tenant, who may link it anew; another one can't, and keeps the code.
pub async fn links_are_kept_by_tenant(table: &impl Table) {
    for (hash, of) in [("c1", "tgg_-5"), ("c2", "dcg_1")] {
        put_code(table, "acme", hash).await;
        assert_eq!(table.use_link_code(&link("acme", of, hash), NOW_S).await.expect("up"), Linked::Done);
    }
    put_code(table, "zen", "z1").await;
    assert_eq!(table.use_link_code(&link("zen", "dcg_1", "z1"), NOW_S).await.expect("up"), Linked::Foreign);
    assert!(table.link_code("z1").await.expect("up").is_some());
    assert_eq!(table.use_link_code(&link("zen", "tgu_7", "z1"), NOW_S).await.expect("up"), Linked::Done);
    put_code(table, "acme", "c3").await;
    assert_eq!(table.use_link_code(&link("acme", "dcg_1", "c3"), NOW_S).await.expect("up"), Linked::Done);

    let of_acme = table.links(&tenant("acme")).await.expect("up");
    assert_eq!(of_acme, [link("acme", "dcg_1", "c3"), link("acme", "tgg_-5", "c1")]);
    assert_eq!(table.links(&tenant("zen")).await.expect("up"), [link("zen", "tgu_7", "z1")]);

    assert!(!table.unlink(&tenant("zen"), &realm("dcg_1")).await.expect("up"), "another's");
    assert!(table.unlink(&tenant("acme"), &realm("dcg_1")).await.expect("up"));
    assert!(!table.unlink(&tenant("acme"), &realm("dcg_1")).await.expect("up"), "it is gone");
    assert_eq!(table.link(&realm("dcg_1")).await.expect("up"), None);
    assert_eq!(table.links(&tenant("acme")).await.expect("up"), [link("acme", "tgg_-5", "c1")]);
}

/// A link moves whole, once, and onto nobody else's.
pub async fn a_link_moves_with_its_group(table: &impl Table) {
    for (owner, hash, of) in [("acme", "c1", "tgg_-5"), ("zen", "z1", "tgg_-9")] {
        put_code(table, owner, hash).await;
        table.use_link_code(&link(owner, of, hash), NOW_S).await.expect("up");
    }
    let moved = link("acme", "tgg_-1005", "c1");
    for _ in 0..2 {
        assert!(table.move_link(&moved, &realm("tgg_-5")).await.expect("up"));
    }
    assert_eq!(table.link(&realm("tgg_-5")).await.expect("up"), None);
    assert_eq!(table.link(&realm("tgg_-1005")).await.expect("up"), Some(moved.clone()));
    assert_eq!(table.links(&tenant("acme")).await.expect("up"), std::slice::from_ref(&moved));
    assert!(!table.move_link(&link("acme", "tgg_-9", "c1"), &moved.realm).await.expect("up"), "onto another's");
    assert!(!table.move_link(&link("acme", "tgg_-8", "c1"), &realm("tgg_-9")).await.expect("up"), "of another's");
    assert_eq!(table.link(&moved.realm).await.expect("up"), Some(moved));
}

/// A token stands for what it was made for, whoever puts it again.
pub async fn buttons_are_kept(table: &impl Table) {
    let key = job("acme", 1);
    let wish = Wish { prompt: "Add tests\nfor \u{e9}".into(), budget: Some(MicroUsd::from_usd(2)) };
    let button = Button {
        v: 1,
        key,
        chat: chat("tg_-5_7"),
        review: Some("approve@2".into()),
        wish: Some(wish),
        expires_s: NOW_S + 9,
    };
    assert_eq!(table.button("h").await.expect("up"), None);
    table.put_button("h", &button).await.expect("up");
    table.put_button("h", &Button { review: None, ..button.clone() }).await.expect("up");
    assert_eq!(table.button("h").await.expect("up"), Some(button));
}

/// An update is one handler's: another gets it after the lease of whoever died, and nobody once it is done.
pub async fn updates_are_claimed_once(table: &impl Table) {
    let update = UpdateId { bot: Bot::Telegram, id: "77".into() };
    let times = (NOW_MS, NOW_MS + 60_000);
    assert_eq!(table.claim_update(&update, "a", times).await.expect("up"), Claimed::Mine);
    assert_eq!(table.claim_update(&update, "a", times).await.expect("up"), Claimed::Mine, "the answer was lost");
    assert_eq!(table.claim_update(&update, "b", times).await.expect("up"), Claimed::Taken);
    let other = UpdateId { bot: Bot::Discord, ..update.clone() };
    assert_eq!(
        table.claim_update(&other, "b", times).await.expect("up"),
        Claimed::Mine,
        "another bot counts for itself"
    );
    let later = (NOW_MS + 60_000, NOW_MS + 120_000);
    assert_eq!(table.claim_update(&update, "b", later).await.expect("up"), Claimed::Mine, "the first one died");
    assert_eq!(table.claim_update(&update, "a", later).await.expect("up"), Claimed::Taken);
    for _ in 0..2 {
        table.end_update(&update, NOW_MS).await.expect("up");
    }
    for at in [later, (NOW_MS + 3_600_000, NOW_MS + 3_700_000)] {
        assert_eq!(table.claim_update(&update, "c", at).await.expect("up"), Claimed::Done);
    }
    let tries = (0..8).map(|n| {
        let (table, update) = (table.clone(), UpdateId { bot: Bot::Discord, id: "race".into() });
        tokio::spawn(async move { table.claim_update(&update, &format!("n{n}"), times).await.expect("up") })
    });
    let mut mine = 0;
    for claimed in tries.collect::<Vec<_>>() {
        mine += usize::from(claimed.await.expect("no panic") == Claimed::Mine);
    }
    assert_eq!(mine, 1);
}

/// Counts go up by one, however many count at once, each for its tenant, its name, its second.
pub async fn counts_add_up(table: &impl Table) {
    let counts = (0..20).map(|_| {
        let table = table.clone();
        tokio::spawn(async move { table.count(&tenant("acme"), "dcg_1#5", NOW_S).await.expect("up") })
    });
    let mut all = Vec::new();
    for count in counts.collect::<Vec<_>>() {
        all.push(count.await.expect("no panic"));
    }
    all.sort_unstable();
    assert_eq!(all, (1..=20).collect::<Vec<u64>>());
    assert_eq!(table.count(&tenant("zen"), "dcg_1#5", NOW_S).await.expect("up"), 1);
    assert_eq!(table.count(&tenant("acme"), "dcg_1#6", NOW_S).await.expect("up"), 1);
    for (bot, second, expected) in
        [(Bot::Discord, 7, 1), (Bot::Discord, 7, 2), (Bot::Telegram, 7, 1), (Bot::Discord, 8, 1)]
    {
        assert_eq!(table.count_call(bot, second).await.expect("up"), expected, "{bot} {second}");
    }
}

/// A room is replaced by its next version alone; a bot's silence only grows, and is told with every room of it.
pub async fn rooms_are_replaced_version_by_version(table: &impl Table) {
    let (acme, group) = (tenant("acme"), chat("tg_-5"));
    assert_eq!(table.standing(&acme, &group).await.expect("up"), Standing::default());
    let first = Room::new(chat("tg_-5_7"), realm("tgg_-5"), "a".into());
    for _ in 0..2 {
        assert_eq!(table.save_room(&acme, &first).await.expect("up"), Saved::Done, "its own mark");
    }
    let other = Room { mark: "b".into(), ..first.clone() };
    assert_eq!(table.save_room(&acme, &other).await.expect("up"), Saved::Conflict(first.clone()));
    let dead = Some(Dead { at_ms: NOW_MS, why: "kicked".into() });
    let second = Room { dead, ..first.sending("c".into(), NOW_MS) };
    assert_eq!(table.save_room(&acme, &second).await.expect("up"), Saved::Done);
    assert_eq!(
        table.save_room(&tenant("zen"), &second).await.expect("up"),
        Saved::Missing,
        "another tenant's is another"
    );
    let expected = Standing { room: Some(second.clone()), bot_not_before_ms: 0 };
    assert_eq!(table.standing(&acme, &group).await.expect("up"), expected);

    for until_ms in [NOW_MS + 9, NOW_MS + 5, NOW_MS + 9] {
        table.halt_bot(Bot::Telegram, until_ms).await.expect("up");
    }
    let expected = Standing { room: Some(second), bot_not_before_ms: NOW_MS + 9 };
    assert_eq!(table.standing(&acme, &group).await.expect("up"), expected);
    assert_eq!(table.standing(&acme, &chat("dc_5")).await.expect("up"), Standing::default(), "the other bot's");
}

/// Ends wait by chat and tenant, oldest first, until they are told.
pub async fn ends_wait_in_their_chat(table: &impl Table) {
    let (acme, here, there) = (tenant("acme"), chat("tg_-5"), chat("tg_-5_7"));
    let ended: Vec<_> = (1..=30).map(|n| Ended { job: job("acme", n).job, target: chat("tg_-4") }).collect();
    for one in ended.iter().rev() {
        table.put_waiting(&acme, &here, one, NOW_S + 60).await.expect("up");
    }
    table.put_waiting(&acme, &here, &ended[0], NOW_S + 60).await.expect("a repeat");
    let theirs = Ended { job: job("zen", 1).job, target: here };
    table.put_waiting(&tenant("zen"), &here, &theirs, NOW_S + 60).await.expect("up");
    table.put_waiting(&acme, &there, &ended[0], NOW_S + 60).await.expect("up");
    let ids: Vec<_> = ended.iter().map(|one| one.job.clone()).collect();
    assert_eq!(table.waiting(&acme, &here, 20).await.expect("up"), ended[..20]);
    for _ in 0..2 {
        table.drop_waiting(&acme, &here, &ids[..28]).await.expect("up");
    }
    assert_eq!(table.waiting(&acme, &here, 20).await.expect("up"), ended[28..]);
    assert_eq!(table.waiting(&tenant("zen"), &here, 20).await.expect("up"), [theirs]);
    assert_eq!(table.waiting(&acme, &there, 20).await.expect("up"), ended[..1]);
}
