//! The resources of a document, its anchors, and what a reference points to.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::Url;

use crate::draft::Draft;
use crate::text::cut;
use crate::{POINTER_BYTES_MAX, POINTERS_BYTES_MAX, SCHEMAS_MAX, SchemaError};

/// The base of a document that doesn't name itself.
const BASE: &str = "schema:///";

/// Keywords with a schema.
const ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords with a list of schemas.
const LISTS: [&str; 5] = ["allOf", "anyOf", "items", "oneOf", "prefixItems"];
/// Keywords with schemas by name.
const MAPS: [&str; 6] = ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// The number of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceId(pub usize);

/// A schema with a name of its own, and all in it that has none.
#[derive(Debug)]
pub struct Resource {
    uri: Url,
    /// Where it stands, as a JSON pointer.
    pub pointer: String,
    /// Where its anchors stand.
    anchors: HashMap<String, String>,
    /// Where those of them stand that are dynamic.
    pub dynamic: HashMap<String, String>,
    /// Whether it is a recursive anchor.
    pub is_recursive: bool,
}

/// A step deeper into a JSON pointer.
pub fn child(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}

/// All resources of a document; the first is the document.
pub struct Resources {
    draft: Draft,
    all: Vec<Resource>,
    by_uri: HashMap<Url, ResourceId>,
    by_pointer: HashMap<String, ResourceId>,
}

impl Resources {
    /// Looks through a document.
    pub fn of(document: &Value, draft: Draft) -> Result<Self, SchemaError> {
        let base = Url::parse(BASE).map_err(|error| fault("", error.to_string()))?;
        let (by_uri, by_pointer) = (HashMap::new(), HashMap::new());
        let mut resources = Self { draft, all: Vec::new(), by_uri, by_pointer };
        resources.add(base, String::new());
        let mut open = vec![(String::new(), document, ResourceId(0))];
        let mut room = Room::default();
        while let Some((pointer, schema, within)) = open.pop() {
            let Some(object) = schema.as_object() else { continue };
            let within = resources.note(object, &pointer, within)?;
            for (keyword, value) in object {
                for (pointer, schema) in subschemas(keyword, value, &child(&pointer, keyword)) {
                    room.take(&pointer)?;
                    open.push((pointer, schema, within));
                }
            }
        }
        Ok(resources)
    }

    /// What was found, by number.
    pub fn all(&self) -> impl Iterator<Item = (ResourceId, &Resource)> {
        self.all.iter().enumerate().map(|(id, resource)| (ResourceId(id), resource))
    }

    /// The resource that what stands there belongs to.
    pub fn around(&self, pointer: &str) -> ResourceId {
        let mut around = pointer;
        loop {
            match (self.by_pointer.get(around), around.rsplit_once('/')) {
                (Some(found), _) => return *found,
                (None, Some((parent, _))) => around = parent,
                (None, None) => return ResourceId(0),
            }
        }
    }

    /// Where a reference points to, from somewhere in a resource; and its anchor, where it has one.
    pub fn resolve(&self, reference: &str, from: ResourceId) -> Result<(String, Option<String>), String> {
        let mut uri = self.all[from.0]
            .uri
            .join(reference)
            .map_err(|error| format!("{:?} is no reference: {error}", cut(reference)))?;
        let fragment = uri.fragment().unwrap_or_default();
        let fragment = percent_decode_str(fragment).decode_utf8_lossy().into_owned();
        uri.set_fragment(None);
        let resource = self.by_uri.get(&uri).map(|id| &self.all[id.0]);
        let resource = resource.ok_or_else(|| {
            format!(
                "{:?} points out of the schema: write what it means below \"$defs\", and \"#/$defs/...\"",
                cut(reference)
            )
        })?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return Ok((format!("{}{fragment}", resource.pointer), None));
        }
        let there = resource.anchors.get(&fragment);
        let there =
            there.ok_or_else(|| format!("{:?} names an anchor that the schema doesn't have", cut(reference)))?;
        Ok((there.clone(), Some(fragment)))
    }

    fn add(&mut self, uri: Url, pointer: String) -> ResourceId {
        let id = ResourceId(self.all.len());
        self.by_uri.insert(uri.clone(), id);
        self.by_pointer.insert(pointer.clone(), id);
        let (anchors, dynamic) = (HashMap::new(), HashMap::new());
        self.all.push(Resource { uri, pointer, anchors, dynamic, is_recursive: false });
        id
    }

    /// Notes what a schema is called; answers the resource that it and what is in it belong to.
    fn note(
        &mut self,
        schema: &Map<String, Value>,
        pointer: &str,
        within: ResourceId,
    ) -> Result<ResourceId, SchemaError> {
        if self.draft.ref_stands_alone() && schema.contains_key("$ref") {
            return Ok(within);
        }
        let within = match schema.get(self.draft.id()).and_then(Value::as_str) {
            Some(id) => self.named(id, pointer, within)?,
            None => within,
        };
        let resource = &mut self.all[within.0];
        let anchor = |keyword: &str| {
            let name = schema.get(keyword).and_then(Value::as_str).filter(|name| name.len() <= POINTER_BYTES_MAX);
            name.map(str::to_owned)
        };
        if self.draft >= Draft::Y2019 {
            resource.anchors.extend(anchor("$anchor").map(|name| (name, pointer.to_owned())));
        }
        if self.draft == Draft::Y2019 && resource.pointer == pointer {
            resource.is_recursive = schema.get("$recursiveAnchor") == Some(&Value::Bool(true));
        }
        if self.draft == Draft::Y2020 {
            let name = anchor("$dynamicAnchor");
            resource.anchors.extend(name.clone().map(|name| (name, pointer.to_owned())));
            resource.dynamic.extend(name.map(|name| (name, pointer.to_owned())));
        }
        Ok(within)
    }

    fn named(&mut self, id: &str, pointer: &str, within: ResourceId) -> Result<ResourceId, SchemaError> {
        let place = child(pointer, self.draft.id());
        if let Some(anchor) = id.strip_prefix('#').filter(|anchor| !anchor.is_empty())
            && self.draft.ref_stands_alone()
        {
            self.all[within.0].anchors.insert(anchor.to_owned(), pointer.to_owned());
            return Ok(within);
        }
        let uri = self.all[within.0].uri.join(id);
        let mut uri = uri.map_err(|error| fault(&place, format!("{:?} is no name of a schema: {error}", cut(id))))?;
        uri.set_fragment(None);
        if uri.as_str().len() > POINTER_BYTES_MAX {
            return Err(fault(&place, format!("the name is longer than {POINTER_BYTES_MAX} bytes")));
        }
        if pointer.is_empty() {
            self.by_uri = HashMap::from([(uri.clone(), ResourceId(0))]);
            self.all[0].uri = uri;
            return Ok(ResourceId(0));
        }
        if self.by_uri.contains_key(&uri) {
            return Err(fault(&place, format!("{:?} is the name of two schemas", cut(id))));
        }
        Ok(self.add(uri, pointer.to_owned()))
    }
}

fn fault(pointer: &str, problem: String) -> SchemaError {
    SchemaError { pointer: pointer.to_owned(), problem }
}

/// What a schema may still take of memory: it is looked after before anything is kept.
#[derive(Default)]
pub struct Room {
    schemas: usize,
    bytes: usize,
}

impl Room {
    /// Takes the room of one schema more.
    pub fn take(&mut self, pointer: &str) -> Result<(), SchemaError> {
        self.schemas += 1;
        self.bytes += pointer.len();
        let problem = if self.schemas > SCHEMAS_MAX {
            format!("there are more than {SCHEMAS_MAX} schemas in it")
        } else if pointer.len() > POINTER_BYTES_MAX || self.bytes > POINTERS_BYTES_MAX {
            "the names that lead to the schemas in it are too long".to_owned()
        } else {
            return Ok(());
        };
        Err(fault(&cut(pointer), problem))
    }
}

/// The schemas that stand in a keyword's value, and where.
fn subschemas<'v>(keyword: &str, value: &'v Value, place: &str) -> Box<dyn Iterator<Item = (String, &'v Value)> + 'v> {
    let place = place.to_owned();
    match value {
        Value::Object(entries) if MAPS.contains(&keyword) => {
            Box::new(entries.iter().map(move |(name, schema)| (child(&place, name), schema)))
        }
        Value::Array(entries) if LISTS.contains(&keyword) => {
            Box::new(entries.iter().enumerate().map(move |(at, schema)| (format!("{place}/{at}"), schema)))
        }
        Value::Object(_) if ONE.contains(&keyword) => Box::new(std::iter::once((place, value))),
        _ => Box::new(std::iter::empty()),
    }
}
