//! The HTTP API: its routes are those of the documentation and of the local host.

use std::collections::{BTreeMap, BTreeSet};

use convoke::routes::ROUTES;
use serde_json::Value;

use convoke_tests::template::{Resource, Template, names_in};

/// Route keys and the packages of the functions that answer them.
fn routes(template: &Template) -> BTreeMap<String, String> {
    let route = |route: Resource<'_>| {
        let integration = template.target(route.property("Target"));
        assert_eq!(integration.property("PayloadFormatVersion"), "2.0", "{}", integration.name);
        let function = template.target(integration.property("IntegrationUri"));
        let folder = function.property("CodeUri").as_str().expect("a folder").to_owned();
        let key = route.property("RouteKey").as_str().expect("a key").to_owned();
        (key, folder.trim_start_matches("functions/").to_owned())
    };
    let found: Vec<Resource<'_>> =
        template.of("AWS::ApiGatewayV2::Route").into_iter().filter(|of| !is_of_bots(of)).collect();
    let routes: BTreeMap<_, _> = found.iter().copied().map(route).collect();
    assert_eq!(routes.len(), found.len(), "no route stands there twice");
    routes
}

/// Bots are called by their platforms alone: on one machine they call, and the document of the API leaves them out.
fn is_of_bots(resource: &Resource<'_>) -> bool {
    resource.whole().get("Condition").is_some()
}

#[test]
fn bots_are_called_where_they_listen_and_only_with_their_parameters() {
    let template = Template::read();
    for (name, path, parameters) in [
        ("Discord", convoke_discord::endpoint::PATH, &["DiscordPublicKey", "DiscordTokenParameter"][..]),
        ("Telegram", convoke_telegram::webhook::PATH, &["TelegramTokenParameter"]),
    ] {
        let condition = format!("Has{name}");
        let routes = template.of("AWS::ApiGatewayV2::Route");
        let own: Vec<_> = routes.iter().filter(|route| route.whole()["Condition"] == condition).collect();
        let [route] = own.as_slice() else { panic!("one route of {name}") };
        assert_eq!(route.property("RouteKey"), &format!("POST {path}"));
        let integration = template.target(route.property("Target"));
        let function = template.target(integration.property("IntegrationUri"));
        assert_eq!(function.property("CodeUri"), &format!("bots/{}", name.to_lowercase()));
        for part in template.resources().filter(|part| part.name.starts_with(name)) {
            let also = if part.kind == "AWS::CloudWatch::Alarm" { "Alarms" } else { "" };
            assert_eq!(part.whole()["Condition"], format!("{condition}{also}"), "{}", part.name);
        }
        let asked: BTreeSet<String> = names_in(template.at(&format!("/Conditions/{condition}")));
        assert_eq!(asked, parameters.iter().map(|name| (*name).to_owned()).collect());
    }
}

#[test]
fn the_routes_are_those_of_the_local_host() {
    // There the events have a function of their own, which streams; here `status` answers them piece by piece.
    let here = |function: &str| if function == "events" { "status".to_owned() } else { function.to_owned() };
    let local: BTreeMap<_, _> = ROUTES.iter().map(|(key, function)| ((*key).to_owned(), here(function))).collect();
    assert_eq!(routes(&Template::read()), local);
}

#[test]
fn the_routes_are_those_that_are_documented() {
    let document: Value = serde_json::from_str(convoke_api::openapi::DOCUMENT).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let verbs = ["get", "post", "put", "patch", "delete"];
    let keys = |(path, operations): (&String, &Value)| {
        let operations = operations.as_object().expect("operations").clone();
        let path = path.replace("/artifacts/{path}", "/artifacts/{path+}");
        let verbs = operations.into_iter().map(|(verb, _)| verb).filter(|verb| verbs.contains(&verb.as_str()));
        verbs.map(move |verb| format!("{} {path}", verb.to_uppercase())).collect::<Vec<_>>()
    };
    let mut documented: Vec<String> = paths.iter().flat_map(keys).collect();
    documented.sort();
    let deployed: Vec<String> = routes(&Template::read()).into_keys().filter(|key| key != "$default").collect();
    assert_eq!(deployed, documented);
}

#[test]
fn the_api_may_invoke_each_function_that_it_leads_to() {
    let template = Template::read();
    let permissions = template.of("AWS::Lambda::Permission");
    for integration in template.of("AWS::ApiGatewayV2::Integration") {
        let function = template.target(integration.property("IntegrationUri"));
        let allows = |permission: &&Resource<'_>| {
            permission.property("Principal") == "apigateway.amazonaws.com"
                && template.target(permission.property("FunctionName")).name == function.name
        };
        let permission = permissions.iter().find(allows);
        let permission = permission.unwrap_or_else(|| panic!("the API may not invoke {}", function.name));
        assert!(names_in(permission.property("SourceArn")).contains("Api"), "{} for this API alone", permission.name);
    }
}
