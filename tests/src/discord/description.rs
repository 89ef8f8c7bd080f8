//! Discord's own description of its API, by which every body is judged that is sent there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use convoke_schema::Schema;
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

const FILE: &[u8] = include_bytes!("../../data/discord-openapi.json.gz");

/// The description. Its schemas are taken strictly: what they don't name isn't allowed, as Discord ignores it in silence.
pub struct Description {
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
    compiled: Mutex<BTreeMap<String, Arc<Schema>>>,
}

impl Description {
    /// The one description of this process.
    pub fn read() -> &'static Self {
        static READ: OnceLock<Description> = OnceLock::new();
        READ.get_or_init(|| {
            let mut text = String::new();
            GzDecoder::new(FILE).read_to_string(&mut text).expect("a gzipped text");
            let mut whole: Value = serde_json::from_str(&text).expect("JSON");
            let mut take = |pointer: &str| match whole.pointer_mut(pointer).map(Value::take) {
                Some(Value::Object(object)) => object,
                other => panic!("{pointer} is {other:?}"),
            };
            let (paths, mut schemas) = (take("/paths"), take("/components/schemas"));
            schemas.values_mut().for_each(close);
            Self { paths, schemas, compiled: Mutex::default() }
        })
    }

    /// What is wrong with a call: with its path and method, or with its body.
    pub fn faults(&self, method: &str, path: &str, body: &Value) -> Vec<String> {
        let Some((template, operations)) = self.paths.iter().find(|(template, _)| matches(template, path)) else {
            return vec![format!("there is no {path}")];
        };
        let Some(operation) = operations.get(method.to_lowercase()) else {
            return vec![format!("there is no {method} {template}")];
        };
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        match (schema.is_null(), body.is_null()) {
            (true, true) => Vec::new(),
            (true, false) => vec![format!("{method} {template} takes no body")],
            (false, _) => self.wrong(&format!("{method} {template}"), schema, body),
        }
    }

    fn wrong(&self, name: &str, schema: &Value, body: &Value) -> Vec<String> {
        let schema = self.compiled(name, schema);
        schema.violations(body, 16).first.iter().map(|wrong| format!("{}: {wrong}", wrong.place)).collect()
    }

    /// Compiled once, with the schemas that it leads to and no others.
    fn compiled(&self, name: &str, schema: &Value) -> Arc<Schema> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let made = compiled.entry(name.to_owned()).or_insert_with(|| {
            let mut needed = BTreeSet::new();
            self.collect(schema, &mut needed);
            let schemas: Map<String, Value> =
                needed.iter().map(|name| (name.clone(), self.schemas[name].clone())).collect();
            let whole = json!({"allOf": [schema], "components": {"schemas": schemas}});
            Arc::new(Schema::compile(&whole).expect("a schema"))
        });
        Arc::clone(made)
    }

    fn collect(&self, value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.collect(value, into)),
            Value::Object(fields) => {
                let named = fields.get("$ref").and_then(Value::as_str);
                if let Some(name) = named.and_then(|name| name.strip_prefix("#/components/schemas/"))
                    && into.insert(name.to_owned())
                {
                    self.collect(&self.schemas[name], into);
                }
                fields.values().for_each(|value| self.collect(value, into));
            }
            _ => {}
        }
    }
}

/// Allows no properties but those that are named.
fn close(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
        fields.insert("additionalProperties".to_owned(), false.into());
    }
}

/// Whether a path is one of a template such as `/channels/{channel_id}/messages`.
fn matches(template: &str, path: &str) -> bool {
    let (wanted, given): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let fits = |(wanted, given): (&&str, &&str)| {
        if wanted.starts_with('{') { !given.is_empty() && !given.starts_with('@') } else { wanted == given }
    };
    wanted.len() == given.len() && wanted.iter().zip(&given).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_judged_by_the_operation_that_it_is_for() {
        let description = Description::read();
        let faults = |body: Value| description.faults("POST", "/channels/5/messages", &body);
        let none: Vec<String> = Vec::new();
        assert_eq!(faults(json!({"content": "x", "allowed_mentions": {"parse": []}})), none);
        for bad in [
            json!({"contents": "x"}),
            json!({"content": "x".repeat(4_001)}),
            json!({"nonce": "x".repeat(26)}),
            json!({"embeds": [{"title": "x".repeat(257)}]}),
            json!({"components": [{"type": 1, "components": [{"type": 2, "style": 9, "label": "x"}]}]}),
            json!([]),
        ] {
            assert_ne!(faults(bad.clone()), none, "{bad}");
        }
        assert_ne!(description.faults("PUT", "/channels/5/messages", &json!({})), none);
        assert_ne!(description.faults("POST", "/channels/5/letters", &json!({})), none);
        assert_eq!(description.faults("PUT", "/channels/5/thread-members/7", &Value::Null), none);
    }
}
