//! The environment that functions get: what they read, and nothing that they don't.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use convoke_runtime::config::{Stores, Strings, limits};
use convoke_runtime::emf;
use convoke_runtime::models::{Extras, settings};
use convoke_runtime::outbound;
use convoke_runtime::secrets;
use serde_json::Value;

use convoke_tests::template::Template;

/// Read before anything else, by the runtime's start.
const OF_THE_START: [&str; 3] = ["RUST_LOG", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"];

/// Settings that note what is asked for.
#[derive(Default)]
struct Asked {
    values: BTreeMap<String, String>,
    names: RefCell<BTreeSet<String>>,
}

impl Strings for Asked {
    fn get(&self, name: &str) -> Option<String> {
        self.names.borrow_mut().insert(name.to_owned());
        self.values.get(name).cloned()
    }
}

fn environment() -> BTreeMap<String, Value> {
    let template = Template::read();
    let own = template.functions().into_iter().filter(|function| !function.property("Environment").is_null());
    assert_eq!(own.map(|function| function.name).collect::<Vec<_>>(), Vec::<&str>::new(), "this test looks in Globals");
    let variables = template.at("/Globals/Function/Environment/Variables").as_object().expect("variables");
    variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The names that a function's start asks for, where settings have these values.
fn asked_for(values: BTreeMap<String, String>) -> BTreeSet<String> {
    let asked = Asked { values, ..Asked::default() };
    secrets::named(&asked, &secrets::SECRETS);
    secrets::named(&asked, &secrets::OF_DISCORD);
    secrets::named(&asked, &secrets::OF_TELEGRAM);
    assert!(convoke_telegram::settings::Settings::read(&asked).is_ok(), "Telegram");
    assert!(convoke_discord::settings::Settings::read(&asked).is_ok(), "Discord");
    assert!(settings(&asked, Extras::default()).is_ok(), "models");
    assert!(Stores::read(&asked).is_ok(), "stores");
    assert!(limits(&asked).is_ok(), "limits");
    assert!(outbound::allowed(&asked).is_ok(), "places outside");
    emf::read(&asked);
    asked.names.into_inner()
}

#[test]
fn functions_get_what_they_read_and_nothing_else() {
    let environment = environment();
    // Any value will do for those that are names.
    let values = ["TABLE", "QUEUE_URL", "SOLO_QUEUE_URL", "DELIVERY_QUEUE_URL", "BUCKET", "CONVOKE_MODEL"];
    let values = values.map(|name| (name.to_owned(), "a/b".to_owned()));
    for (name, _) in &values {
        assert!(environment.contains_key(name), "{name} has to be set");
    }
    let asked = asked_for(values.clone().into());
    // Some are asked for only where a provider has its key.
    let keys = secrets::SECRETS.map(|name| (name.to_owned(), "key".to_owned()));
    let asked_with_keys = asked_for(values.into_iter().chain(keys).collect());
    let asked: BTreeSet<String> = asked.union(&asked_with_keys).cloned().collect();
    let unread: Vec<&String> =
        environment.keys().filter(|name| !asked.contains(*name) && !OF_THE_START.contains(&name.as_str())).collect();
    assert_eq!(unread, Vec::<&String>::new(), "nothing reads these");
}

#[test]
fn keys_are_named_and_never_given() {
    let environment = environment();
    for name in secrets::SECRETS.into_iter().chain(secrets::OF_DISCORD).chain(secrets::OF_TELEGRAM) {
        assert!(!environment.contains_key(name), "{name} would stand in the function's configuration");
        assert!(environment.contains_key(&secrets::parameter_of(name)), "{name} can be named");
    }
}

#[test]
fn the_defaults_are_settings_that_a_function_starts_with() {
    let template = Template::read();
    let default = |value: &Value| {
        let parameter = value["Ref"].as_str()?;
        let default = template.at("/Parameters").get(parameter)?.get("Default")?.clone();
        Some(default.as_str().map_or_else(|| default.to_string(), str::to_owned))
    };
    let values = environment().into_iter().filter_map(|(name, value)| Some((name, default(&value)?)));
    let mut values: BTreeMap<String, String> = values.filter(|(_, value)| !value.is_empty()).collect();
    assert!(values.contains_key("CONVOKE_BUDGET_USD"), "{values:?}");
    for name in ["TABLE", "QUEUE_URL", "SOLO_QUEUE_URL", "DELIVERY_QUEUE_URL", "BUCKET", "CONVOKE_MODEL"] {
        values.insert(name.to_owned(), "a/b".to_owned());
    }
    asked_for(values);
}
