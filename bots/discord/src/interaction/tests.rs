use serde_json::json;

use super::*;

/// An interaction in a guild, in a text channel where the bot may post, by somebody who decides nothing there.
fn in_guild(kind: u8, data: &Value) -> Value {
    json!({
        "id": "900", "application_id": "77", "type": kind, "token": "aW50", "version": 1, "data": data,
        "guild_id": "5", "channel_id": "6", "channel": {"id": "6", "type": 0},
        "member": {"user": {"id": "42", "username": "ada", "global_name": "Ada"}, "nick": null, "permissions": "2048"},
        "app_permissions": (VIEW_CHANNEL | SEND_MESSAGES | EMBED_LINKS).to_string(),
        "authorizing_integration_owners": {"0": "5"}, "context": 0, "locale": "de"
    })
}

fn parse(value: &Value) -> Interaction {
    Interaction::parse(value.to_string().as_bytes()).expect("an interaction")
}

#[test]
fn a_subcommand_comes_with_its_options_and_files() {
    let data = json!({
        "id": "1", "name": "crew", "type": 1,
        "options": [{"name": "run", "type": 1, "options": [
            {"name": "prompt", "type": 3, "value": "Build it"}, {"name": "budget", "type": 10, "value": 1.5},
            {"name": "file", "type": 11, "value": "31"}
        ]}],
        "resolved": {"attachments": {"31": {
            "id": "31", "filename": "a.txt", "url": "https://cdn.discordapp.com/a.txt", "size": 3, "content_type": "text/plain"
        }}}
    });
    let parsed = parse(&in_guild(2, &data));
    let text = |name: &str, text: &str| Given { name: name.into(), value: GivenValue::Text(text.into()) };
    let file = Attached {
        name: "a.txt".into(),
        media_type: Some("text/plain".into()),
        bytes: 3,
        source: "https://cdn.discordapp.com/a.txt".into(),
    };
    let options = vec![
        text("prompt", "Build it"),
        text("budget", "1.5"),
        Given { name: "file".into(), value: GivenValue::File(file) },
    ];
    assert_eq!(parsed.asks, Asks::Command { path: vec!["crew".into(), "run".into()], options });
    assert_eq!((parsed.id, parsed.application, parsed.token.expose()), (900, 77, "aW50"));
    assert_eq!(parsed.from, From { user: 42, name: "Ada".into(), is_admin: false });
    assert_eq!(parsed.place, Place::Guild { guild: 5, channel: 6, may_post: true });
}

#[test]
fn groups_of_subcommands_are_gone_through() {
    let data = json!({"name": "crew", "type": 1, "options": [
        {"name": "schedule", "type": 2, "options": [{"name": "pause", "type": 1, "options": [
            {"name": "id", "type": 3, "value": "sch", "focused": true}
        ]}]}
    ]});
    let Asks::Complete { path, option, typed } = parse(&in_guild(4, &data)).asks else { panic!("autocomplete") };
    assert_eq!((path.join(" "), option.as_str(), typed.as_str()), ("crew schedule pause".into(), "id", "sch"));
}

#[test]
fn a_modals_values_are_found_in_rows_and_under_labels() {
    let rows = json!([{"type": 1, "components": [{"type": 4, "custom_id": "prompt", "value": "in a row"}]}]);
    let labels = json!([
        {"type": 18, "id": 1, "component": {"type": 4, "id": 2, "custom_id": "prompt", "value": "under a label"}},
        {"type": 10, "id": 3, "content": "some text"}
    ]);
    for (components, expected) in [(rows, "in a row"), (labels, "under a label")] {
        let data = json!({"custom_id": "p1", "components": components});
        let asks = parse(&in_guild(5, &data)).asks;
        let values = vec![("prompt".to_owned(), expected.to_owned())];
        assert_eq!(asks, Asks::Typed { custom_id: "p1".into(), values });
    }
}

#[test]
fn a_command_on_a_message_knows_its_buttons() {
    let data = json!({
        "name": "Follow up", "type": 3, "target_id": "8",
        "resolved": {"messages": {"8": {"id": "8", "content": "x", "components": [
            {"type": 1, "components": [
                {"type": 2, "style": 2, "custom_id": "fAAAA", "label": "Follow up"},
                {"type": 2, "style": 5, "url": "https://example.com", "label": "Look"}
            ]}
        ]}}}
    });
    let asks = parse(&in_guild(2, &data)).asks;
    assert_eq!(asks, Asks::OnMessage { name: "Follow up".into(), buttons: vec!["fAAAA".into()] });
}

#[test]
fn who_may_decide_is_read_from_their_permissions_there() {
    for (permissions, is_admin) in [("8", true), ("32", true), ("2147483680", true), ("2048", false), ("", false)] {
        let mut value = in_guild(3, &json!({"custom_id": "sX", "component_type": 2}));
        value["member"]["permissions"] = permissions.into();
        value["member"]["nick"] = "Countess".into();
        let parsed = parse(&value);
        assert_eq!((parsed.from.is_admin, parsed.from.name.as_str()), (is_admin, "Countess"), "{permissions}");
    }
}

#[test]
fn a_place_that_never_invited_the_bot_is_elsewhere() {
    let mut value = in_guild(2, &json!({"name": "crew", "type": 1}));
    value["authorizing_integration_owners"] = json!({"1": "42"});
    let parsed = parse(&value);
    assert_eq!((parsed.place, parsed.place.chat()), (Place::Elsewhere { channel: 6 }, None));
    assert_eq!(parsed.place.realm(&parsed.from), RealmId::Person(PersonId::Discord(42)));
    assert!(parsed.from.is_admin, "they decide for themselves");

    let mut direct = in_guild(2, &json!({"name": "crew", "type": 1}));
    for name in ["guild_id", "member"] {
        direct.as_object_mut().expect("an object").remove(name);
    }
    direct["user"] = json!({"id": "42", "username": "ada", "global_name": null});
    direct["context"] = 1.into();
    let parsed = parse(&direct);
    assert_eq!(parsed.place.chat(), Some(ChatId::Discord(6)));
    assert_eq!(parsed.from.name, "ada");
    direct["context"] = 2.into();
    assert_eq!(parse(&direct).place, Place::Elsewhere { channel: 6 }, "somebody else's direct messages");
}

#[test]
fn where_the_bot_may_not_post_there_is_no_chat() {
    let mut value = in_guild(2, &json!({"name": "crew", "type": 1}));
    value["channel"]["type"] = 11.into();
    assert_eq!(parse(&value).place.chat(), None, "messages, but not in threads");
    value["app_permissions"] = (VIEW_CHANNEL | EMBED_LINKS | SEND_MESSAGES_IN_THREADS).to_string().into();
    assert_eq!(parse(&value).place.chat(), Some(ChatId::Discord(6)));
    value["app_permissions"] = "8".into();
    assert_eq!(parse(&value).place.chat(), Some(ChatId::Discord(6)), "an administrator may everything");
}

#[test]
fn a_ping_says_little_and_what_is_new_is_no_mistake() {
    let ping = json!({"id": "1", "application_id": "77", "type": 1, "token": "t", "version": 1});
    assert_eq!(parse(&ping).asks, Asks::Ping);
    assert_eq!(parse(&in_guild(9, &json!({"whatever": [1, {}]}))).asks, Asks::Unknown(9));
}

#[test]
fn what_is_no_interaction_is_refused() {
    let mut nobody = in_guild(2, &json!({"name": "crew", "type": 1}));
    nobody.as_object_mut().expect("an object").remove("member");
    for bad in ["", "{}", "[]", r#"{"id": "x", "type": 1}"#, &nobody.to_string()] {
        assert!(Interaction::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn the_token_is_not_told() {
    let parsed = parse(&in_guild(3, &json!({"custom_id": "sX"})));
    assert!(!format!("{parsed:?}").contains("aW50"));
}
