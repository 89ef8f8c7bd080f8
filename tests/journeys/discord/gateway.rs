//! The gateway: what comes in there is what comes in over HTTP.

use convoke_discord::gateway;
use convoke_discord::interaction::{Asks, Interaction};
use convoke_tests::discord::Clicks;
use serde_json::{Value, json};

/// Everything that people do.
fn everything(who: &Clicks) -> Vec<Value> {
    let file = json!({
        "id": "31", "filename": "a.txt", "url": "https://cdn.discordapp.com/a.txt", "proxy_url": "https://cdn.discordapp.com/a.txt",
        "size": 3, "content_type": "text/plain"
    });
    vec![
        who.command(&["run"], &[("prompt", "a todo API".into()), ("budget", "1.50".into())]),
        who.command_with_file(&["run"], &[("prompt", "as it says".into())], ("file", file)),
        who.command(&["schedule", "pause"], &[("schedule", "sch".into())]),
        who.typing(&["run"], ("flow", "soft")),
        who.press("dAb3_-fGh1JkLmNoPqRsT"),
        who.on_message("Follow up", &["dAb3_-fGh1JkLmNoPqRsT"]),
        who.modal("Rsoftware/", "a todo API"),
        who.modal_of_button("cAb3_-fGh1JkLmNoPqRsT", "say more of rivers"),
    ]
}

#[test]
fn what_comes_over_the_gateway_is_what_comes_over_http() {
    for who in [Clicks::owner(), Clicks::member(), Clicks::direct(), Clicks::elsewhere()] {
        for sent in everything(&who) {
            let over_http = Interaction::parse(sent.to_string().as_bytes()).expect("an interaction");
            let event: serenity::all::Interaction = serde_json::from_value(sent.clone()).expect("an event");
            let read = gateway::interaction(&event).expect("an interaction");
            // Of a window that is sent off serenity doesn't say who has installed the bot.
            let place = match over_http.asks {
                Asks::Typed { .. } => read.place,
                _ => over_http.place,
            };
            assert_eq!(read, Interaction { place, ..over_http }, "{sent:#}");
        }
    }
}
