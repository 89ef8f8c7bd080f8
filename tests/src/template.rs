//! `template.yaml` as a tree of JSON, `CloudFormation`'s tags as the functions that they stand for.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use serde_saphyr::Tagged;

/// The template.
#[derive(Debug)]
pub struct Template(Value);

/// A resource of it.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// Its name in the template.
    pub name: &'a str,
    /// Its type.
    pub kind: &'a str,
    value: &'a Value,
}

impl Template {
    /// Reads the file.
    pub fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        Self::parse(&std::fs::read_to_string(path).expect("there is a template"))
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Self {
        let Node(tree) = serde_saphyr::from_str(text).expect("YAML");
        Self(tree)
    }

    /// What is at a path, such as `/Globals/Function`.
    pub fn at(&self, path: &str) -> &Value {
        self.0.pointer(path).unwrap_or_else(|| panic!("the template has no {path}"))
    }

    /// All resources.
    pub fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        self.at("/Resources").as_object().expect("resources by name").iter().map(|(name, value)| Resource {
            name,
            kind: value["Type"].as_str().expect("a type"),
            value,
        })
    }

    /// The resources of a type, of which there is at least one.
    pub fn of(&self, kind: &str) -> Vec<Resource<'_>> {
        let found: Vec<_> = self.resources().filter(|resource| resource.kind == kind).collect();
        assert!(!found.is_empty(), "the template has no {kind}");
        found
    }

    /// The functions.
    pub fn functions(&self) -> Vec<Resource<'_>> {
        self.of("AWS::Serverless::Function")
    }

    /// A resource by its name.
    pub fn resource(&self, name: &str) -> Resource<'_> {
        self.resources().find(|resource| resource.name == name).unwrap_or_else(|| panic!("there is no resource {name}"))
    }

    /// The resource that a property refers to.
    pub fn target(&self, reference: &Value) -> Resource<'_> {
        let names = names_in(reference);
        assert_eq!(names.len(), 1, "{reference} refers to one thing");
        self.resource(names.first().expect("there is one"))
    }
}

impl<'a> Resource<'a> {
    /// A property of it, or what stands in `Globals` for its kind; null where there is none.
    pub fn property(&self, path: &str) -> &'a Value {
        self.value.pointer(&format!("/Properties/{path}")).unwrap_or(&Value::Null)
    }

    /// All of it.
    pub const fn whole(&self) -> &'a Value {
        self.value
    }
}

/// Names of parameters and resources that stand anywhere in a value.
pub fn names_in(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(map) => map.iter().flat_map(|(key, value)| names_of(key, value)).collect(),
        Value::Array(list) => list.iter().flat_map(names_in).collect(),
        _ => BTreeSet::new(),
    }
}

fn names_of(key: &str, value: &Value) -> BTreeSet<String> {
    let own = match (key, value) {
        ("Ref", Value::String(name)) => vec![name.clone()],
        ("Fn::GetAtt", Value::String(place)) => vec![place.split('.').next().unwrap_or_default().to_owned()],
        ("Fn::Sub", Value::String(text)) => placeholders(text),
        ("Fn::Sub", Value::Array(list)) => {
            let [Value::String(text), Value::Object(own)] = list.as_slice() else { return names_in(value) };
            let of_text = placeholders(text).into_iter().filter(|name| !own.contains_key(name));
            of_text.chain(own.values().flat_map(names_in)).collect()
        }
        _ => return names_in(value),
    };
    own.into_iter().filter(|name| !name.starts_with("AWS::")).collect()
}

/// `Bucket` of `${Bucket.Arn}/*`.
fn placeholders(text: &str) -> Vec<String> {
    let inside = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    inside.map(|place| place.split('.').next().unwrap_or_default().to_owned()).collect()
}

struct Node(Value);

impl Node {
    fn tagged(Tagged(Self(value), tag): Tagged<Self>) -> Self {
        Self(match tag.as_deref().and_then(|tag| tag.strip_prefix('!')) {
            Some(name @ ("Ref" | "Condition")) => json!({ name: value }),
            Some(name) => json!({ format!("Fn::{name}"): value }),
            None => value,
        })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Self)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML that JSON can say")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(node) = list.next_element::<Tagged<Node>>()? {
            values.push(Node::tagged(node).0);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some((name, node)) = map.next_entry::<String, Tagged<Node>>()? {
            if values.insert(name.clone(), Node::tagged(node).0).is_some() {
                return Err(A::Error::custom(format!("{name} stands there twice")));
            }
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_the_functions_that_they_stand_for() {
        let template = Template::parse(
            "Resources:\n  A:\n    Type: T\n    Properties:\n      Name: !If [Is, !Ref P, !Sub \"${B.Arn}/*\"]\n      \
             Many: [!GetAtt C.Arn, 1, true]\n      Note: !Ref AWS::NoValue\n      Text: !Sub ['${D}${Own}', {Own: !Ref E}]\n",
        );
        let a = template.resource("A");
        assert_eq!(a.property("Name"), &json!({"Fn::If": ["Is", {"Ref": "P"}, {"Fn::Sub": "${B.Arn}/*"}]}));
        assert_eq!(a.property("Many"), &json!([{"Fn::GetAtt": "C.Arn"}, 1, true]));
        assert_eq!(names_in(a.whole()), BTreeSet::from(["B", "C", "D", "E", "P"].map(str::to_owned)));
    }
}
