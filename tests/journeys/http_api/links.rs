//! Links as their owner meets them.

use convoke_app::chat::Redeemed;
use convoke_app::ports::Requester;
use serde_json::{Value, json};

use super::api::Api;

/// Ada types a code in a chat.
pub async fn typed(api: &Api, code: &str, realm: &str) -> Redeemed {
    let ada = Requester { person: "tgu_5".parse().expect("a person"), name: "Ada".into() };
    let realm = realm.parse().expect("a realm");
    api.platform.redeem_link_code(code, realm, "Office", ada).await.expect("up")
}

#[tokio::test]
async fn a_group_is_linked_by_a_code_listed_and_unlinked() {
    let api = Api::new().await;
    let made = api.post("/v1/links", &json!({"who_may": "admins"})).await;
    assert_eq!(made.status, 201);
    let code = made.json()["code"].as_str().expect("a code").to_owned();
    assert_eq!(made.json()["discord"], format!("/crew link {code}"));
    assert_eq!(made.json()["telegram"], format!("/link {code}"));
    assert_eq!(api.get("/v1/links").await.json(), json!({"links": []}), "nobody has typed it");

    assert!(matches!(typed(&api, &code, "tgg_-5").await, Redeemed::Linked(_)));
    let listed = api.get("/v1/links").await.json();
    let link = &listed["links"][0];
    let told = ["realm", "title", "who_may", "linked_by", "href"].map(|name| link[name].as_str().unwrap_or_default());
    assert_eq!(told, ["tgg_-5", "Office", "admins", "Ada", "/v1/links/tgg_-5"]);
    let theirs = [("authorization", &*format!("Bearer {}", api.other_key))];
    let of_other = api.send(api.request("GET", "/v1/links", &theirs, None)).await.json();
    assert_eq!(of_other, json!({"links": []}));
    api.send(api.request("DELETE", "/v1/links/tgg_-5", &theirs, None)).await.problem(404, "link_not_found");

    let delete = || api.send(api.request("DELETE", "/v1/links/tgg_-5", &[], None));
    assert_eq!(delete().await.status, 204);
    delete().await.problem(404, "link_not_found");
    assert_eq!(api.get("/v1/links").await.json(), json!({"links": []}));
}

#[tokio::test]
async fn what_is_wrong_with_a_link_is_told() {
    let api = Api::new().await;
    for wrong in [json!({"who_may": "nobody"}), json!({"whom": 1}), json!(7)] {
        assert_eq!(api.post("/v1/links", &wrong).await.wrong("invalid_request"), [""], "{wrong}");
    }
    let nothing: Value = api.send(api.request("POST", "/v1/links", &[], None)).await.json();
    assert_eq!(nothing["who_may"], "everybody");
}
