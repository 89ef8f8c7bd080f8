//! Codes, links, leaves, buttons, updates: what hosts ask before they act.

use convoke_app::chat::{BUTTON_TTL_S, CODE_TTL_S, Leave, Rank, Redeemed, UPDATE_LEASE_MS, Whose};
use convoke_app::failure::{Failure, Refused};
use convoke_app::ports::{Claimed, Link, UpdateId, WhoMay};
use convoke_domain::chat::{Bot, RealmId};
use convoke_domain::ids::TargetId;
use serde_json::json;

use super::rig::{World, acme, ada, chat};

async fn linked(world: &World, realm: RealmId, who_may: WhoMay) -> Link {
    let code = world.platform.new_link_code(&acme(), who_may).await.expect("a code");
    match world.platform.redeem_link_code(&code, realm, "Office\n", ada()).await.expect("up") {
        Redeemed::Linked(link) => link,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_a_quarter_of_an_hour_however_it_is_typed() {
    let world = World::new(Bot::Discord);
    let code = world.platform.new_link_code(&acme(), WhoMay::Everybody).await.expect("a code");
    assert!(code.len() == 10 && code.chars().all(|c| c.is_ascii_alphanumeric()), "{code}");
    let typed = format!(" {}-{} ", &code[..5].to_lowercase(), &code[5..]);
    let redeem = |code: String, realm| {
        let platform = world.platform.clone();
        async move { platform.redeem_link_code(&code, realm, "Office", ada()).await.expect("up") }
    };
    for _ in 0..2 {
        assert!(
            matches!(redeem(typed.clone(), RealmId::Guild(7)).await, Redeemed::Linked(link) if link.tenant == acme())
        );
    }
    assert_eq!(redeem(code, RealmId::Guild(8)).await, Redeemed::NoCode, "it is used up");
    let late = world.platform.new_link_code(&acme(), WhoMay::Everybody).await.expect("a code");
    world.env.wind((CODE_TTL_S + 1) * 1_000);
    assert_eq!(redeem(late, RealmId::Guild(8)).await, Redeemed::NoCode);
    let theirs = world.platform.new_link_code(&"zen".parse().expect("a tenant"), WhoMay::Everybody).await.expect("up");
    assert_eq!(redeem(theirs, RealmId::Guild(7)).await, Redeemed::Foreign);
}

#[tokio::test]
async fn a_person_and_a_realm_submit_so_often_an_hour() {
    let world = World::new(Bot::Discord);
    let link = linked(&world, RealmId::Guild(7), WhoMay::Everybody).await;
    let ask = |person: &str| {
        let (platform, link, person) = (world.platform.clone(), link.clone(), person.parse().expect("a person"));
        async move { platform.may_submit(&link, person, Rank::Member).await.expect("up") }
    };
    for person in ["dcu_1", "dcu_2"] {
        for _ in 0..10 {
            assert_eq!(ask(person).await, Leave::Granted);
        }
        assert!(matches!(ask(person).await, Leave::TooMany { whose: Whose::Person, most: 10, .. }));
    }
    for _ in 0..10 {
        assert_eq!(ask("dcu_3").await, Leave::Granted);
    }
    let Leave::TooMany { whose: Whose::Realm, most: 30, retry_after_s } = ask("dcu_4").await else {
        panic!("too many")
    };
    world.env.wind(retry_after_s * 1_000);
    assert_eq!(ask("dcu_4").await, Leave::Granted, "another hour");
    let closed = linked(&world, RealmId::Guild(8), WhoMay::Admins).await;
    let person = "dcu_1".parse().expect("a person");
    let leave = |rank| world.platform.may_submit(&closed, person, rank);
    assert_eq!(leave(Rank::Member).await.expect("up"), Leave::AdminsOnly);
    assert_eq!(leave(Rank::Admin).await.expect("up"), Leave::Granted);
}

#[tokio::test]
async fn a_button_stands_for_its_job_for_half_a_year() {
    let world = World::new(Bot::Discord);
    let key = world.submit(&chat("dc_5")).await;
    let token = world.platform.new_button(&key, &chat("dc_5"), Some("approve")).await.expect("up");
    assert_eq!(token.len(), 20);
    let button = world.platform.button(&token).await.expect("up").expect("it stands for something");
    assert_eq!((button.key, button.review.as_deref()), (key, Some("approve")));
    assert_eq!(world.platform.button("guessed").await.expect("up"), None);
    world.env.wind(BUTTON_TTL_S * 1_000);
    assert_eq!(world.platform.button(&token).await.expect("up"), None);
}

#[tokio::test]
async fn an_update_is_handled_once_and_not_lost_with_its_handler() {
    let world = World::new(Bot::Telegram);
    let update = UpdateId { bot: Bot::Telegram, id: "9".into() };
    let claim = || world.platform.claim_update(&update);
    assert_eq!(claim().await.expect("up"), Claimed::Mine);
    assert_eq!(claim().await.expect("up"), Claimed::Taken);
    world.env.wind(UPDATE_LEASE_MS);
    assert_eq!(claim().await.expect("up"), Claimed::Mine, "the first handler died");
    world.platform.end_update(&update).await.expect("up");
    world.env.wind(UPDATE_LEASE_MS);
    assert_eq!(claim().await.expect("up"), Claimed::Done);
}

#[tokio::test]
async fn only_chats_of_the_tenants_own_realms_are_told() {
    let world = World::new(Bot::Discord);
    let notify = json!([{"discord": {"channel": "5"}}, {"telegram": {"chat": -5, "thread": 7}}]);
    let flow = json!({"name": "f", "nodes": [{"kind": "agent", "id": "a",
        "agent": {"role": "r", "goal": "g", "backstory": "b"}, "task": {"description": "d", "expected_output": "e"}}]});
    let body = json!({"flow": flow, "input": {}, "notify": notify});
    let submit = |tenant: &str| {
        let (platform, tenant, body) = (world.platform.clone(), tenant.parse().expect("a tenant"), body.clone());
        async move { platform.submit_from_chat(&tenant, &body, None, ada()).await }
    };
    let paths = |failure: Failure| match failure {
        Failure::Refused(Refused::Invalid { issues, .. }) => issues.into_iter().map(|issue| issue.path).collect(),
        other => vec![other.to_string()],
    };
    let refused = submit("acme").await.expect_err("nothing is linked");
    assert_eq!(paths(refused), ["notify[0]", "notify[1]"]);
    linked(&world, RealmId::Guild(7), WhoMay::Everybody).await;
    linked(&world, RealmId::Group(-5), WhoMay::Everybody).await;
    let refused = submit("acme").await.expect_err("nobody knows whose the channel is");
    assert_eq!(paths(refused), ["notify[0]"]);
    world.platform.enter_chat(&chat("dc_5"), &RealmId::Guild(7)).await.expect("up").expect("linked");
    let accepted = submit("acme").await.expect("both are linked").job.id;
    let key = world.platform.job_key(&acme(), accepted.as_str()).expect("a job");
    for at in ["dc_5", "tg_-5_7"] {
        assert_eq!(world.delivery(&key, &chat(at)).await.target, TargetId::Chat(chat(at)));
    }
    assert_eq!(paths(submit("zen").await.expect_err("another tenant's")), ["notify[0]", "notify[1]"]);
}
