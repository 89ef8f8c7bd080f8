//! From a document to nodes.
//!
//! A node is made for each schema that another one leads to, the first one from the root: a reference may lead anywhere
//! in the document, and in circles.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Number, Value};

use crate::draft::Draft;
use crate::node::{Anchors, Ask, Bound, Count, Node, NodeId, Properties, Rule, Type};
use crate::pattern::Pattern;
use crate::resources::{Resources, Room, child};
use crate::text::brief;
use crate::{PATTERNS_BYTES_MAX, Schema, SchemaError, number, same};

type Rules = Result<Option<Ask>, SchemaError>;

/// Compiles a document.
pub fn compile(document: &Value) -> Result<Schema, SchemaError> {
    let draft = Draft::of(document)?;
    let resources = Resources::of(document, draft)?;
    let mut compiler = Compiler {
        document,
        draft,
        resources,
        known: HashMap::new(),
        open: VecDeque::new(),
        room: Room::default(),
        refused: None,
        patterns: 0,
    };
    compiler.node(String::new());
    let anchors = compiler.anchors();
    let mut nodes = Vec::new();
    while let Some(pointer) = compiler.open.pop_front() {
        nodes.push(compiler.compile(pointer)?);
        compiler.refused.take().map_or(Ok(()), Err)?;
    }
    let asks = |node: &Node| node.rules.iter().any(|rule| rule.keyword.starts_with("unevaluated"));
    let tracks = nodes.iter().any(asks);
    Ok(Schema { nodes, anchors, tracks })
}

struct Compiler<'v> {
    document: &'v Value,
    draft: Draft,
    resources: Resources,
    known: HashMap<String, NodeId>,
    open: VecDeque<String>,
    room: Room,
    /// Why a node was not made.
    refused: Option<SchemaError>,
    /// Bytes that the patterns take.
    patterns: usize,
}

/// A schema that is being compiled.
#[derive(Clone, Copy)]
struct Here<'v> {
    schema: &'v Map<String, Value>,
    pointer: &'v str,
}

impl<'v> Here<'v> {
    fn place(&self, keyword: &str) -> String {
        child(self.pointer, keyword)
    }

    fn fault(&self, keyword: &str, problem: impl Into<String>) -> SchemaError {
        SchemaError { pointer: self.place(keyword), problem: problem.into() }
    }

    fn number(&self, keyword: &str) -> Result<&'v Number, SchemaError> {
        let value = &self.schema[keyword];
        value.as_number().ok_or_else(|| self.fault(keyword, format!("{} is not a number", brief(value))))
    }

    fn count(&self, keyword: &str) -> Result<Option<u64>, SchemaError> {
        if !self.schema.contains_key(keyword) {
            return Ok(None);
        }
        let number = self.number(keyword)?;
        let count = number::as_count(number);
        count.map(Some).ok_or_else(|| self.fault(keyword, format!("{number} is not a whole number of 0 or more")))
    }

    fn list(&self, keyword: &str) -> Result<&'v Vec<Value>, SchemaError> {
        let value = &self.schema[keyword];
        value.as_array().ok_or_else(|| self.fault(keyword, format!("{} is not a list", brief(value))))
    }

    fn map(&self, keyword: &str) -> Result<&'v Map<String, Value>, SchemaError> {
        let value = &self.schema[keyword];
        value.as_object().ok_or_else(|| self.fault(keyword, format!("{} is not an object", brief(value))))
    }

    fn text(&self, keyword: &str) -> Result<&'v str, SchemaError> {
        let value = &self.schema[keyword];
        value.as_str().ok_or_else(|| self.fault(keyword, format!("{} is not a text", brief(value))))
    }

    fn names(&self, keyword: &str, value: &Value) -> Result<Vec<String>, SchemaError> {
        let names =
            value.as_array().and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        names.ok_or_else(|| self.fault(keyword, format!("{} is not a list of names", brief(value))))
    }
}

impl Compiler<'_> {
    /// The node of what stands there, which is compiled later where it isn't yet. Where there is no room for it nothing
    /// will come of the schema.
    fn node(&mut self, pointer: String) -> NodeId {
        if let Some(known) = self.known.get(&pointer) {
            return *known;
        }
        let next = NodeId(self.known.len());
        if self.refused.is_some() {
            return next;
        }
        self.refused = self.room.take(&pointer).err();
        self.open.push_back(pointer.clone());
        self.known.insert(pointer, next);
        next
    }

    /// The nodes that a reference may find at run time.
    fn anchors(&mut self) -> Anchors {
        let (mut dynamic, mut recursive) = (Vec::new(), Vec::new());
        for (id, resource) in self.resources.all() {
            dynamic.extend(resource.dynamic.iter().map(|(name, pointer)| (name.clone(), id, pointer.clone())));
            recursive.extend(resource.is_recursive.then(|| (id, resource.pointer.clone())));
        }
        let mut anchors = Anchors::default();
        for (name, id, pointer) in dynamic {
            anchors.dynamic.entry(name).or_default().insert(id, self.node(pointer));
        }
        anchors.recursive = recursive.into_iter().map(|(id, pointer)| (id, self.node(pointer))).collect();
        anchors
    }

    fn nodes(&mut self, here: Here<'_>, keyword: &str) -> Result<Vec<NodeId>, SchemaError> {
        let count = here.list(keyword)?.len();
        Ok((0..count).map(|at| self.node(format!("{}/{at}", here.place(keyword)))).collect())
    }

    fn compile(&mut self, pointer: String) -> Result<Node, SchemaError> {
        let resource = self.resources.around(&pointer);
        let value = self.document.pointer(&pointer);
        let Some(value) = value else {
            return Err(SchemaError {
                problem: "there is no schema, though something refers to it".to_owned(),
                pointer,
            });
        };
        let rules = match value {
            Value::Bool(_) => Vec::new(),
            Value::Object(schema) => self.rules(Here { schema, pointer: &pointer })?,
            _ => {
                return Err(SchemaError {
                    problem: format!("{} is not a schema: write an object", brief(value)),
                    pointer,
                });
            }
        };
        Ok(Node { pointer, resource, rules, is_never: *value == Value::Bool(false) })
    }

    fn rules(&mut self, here: Here<'_>) -> Result<Vec<Rule>, SchemaError> {
        if self.draft.ref_stands_alone() && here.schema.contains_key("$ref") {
            let ask = self.reference(here, "$ref")?;
            return Ok(vec![Rule { keyword: "$ref", ask }]);
        }
        let (mut rules, mut last) = (Vec::new(), Vec::new());
        let draft = self.draft;
        for keyword in here.schema.keys().filter(|keyword| draft.knows(keyword)) {
            let Some((keyword, ask)) = self.rule(here, keyword)? else { continue };
            let place = if keyword.starts_with("unevaluated") { &mut last } else { &mut rules };
            place.push(Rule { keyword, ask });
        }
        rules.append(&mut last);
        Ok(rules)
    }

    /// The rule of a keyword; none where it says nothing, or where another one says it with it.
    fn rule(&mut self, here: Here<'_>, keyword: &str) -> Result<Option<(&'static str, Ask)>, SchemaError> {
        let keyword = KEYWORDS.iter().copied().find(|known| *known == keyword);
        let Some(keyword) = keyword else { return Ok(None) };
        let ask = match keyword {
            "type" | "const" | "enum" | "multipleOf" | "uniqueItems" | "required" => plain(here, keyword)?,
            "pattern" => Some(Ask::Pattern(self.pattern(here.text(keyword)?, here.place(keyword))?)),
            "maximum" | "exclusiveMaximum" | "minimum" | "exclusiveMinimum" => bound(here, keyword, self.draft)?,
            "maxLength" | "minLength" | "maxItems" | "minItems" | "maxProperties" | "minProperties" => {
                count(here, keyword)?
            }
            "$ref" | "$dynamicRef" | "$recursiveRef" => Some(self.reference(here, keyword)?),
            "allOf" => Some(Ask::AllOf(self.some(here, keyword)?)),
            "anyOf" => Some(Ask::AnyOf(self.some(here, keyword)?)),
            "oneOf" => Some(Ask::OneOf(self.some(here, keyword)?)),
            "not" => Some(Ask::Not(self.node(here.place(keyword)), brief(&here.schema[keyword]))),
            "if" => Some(self.choice(here)),
            "dependentRequired" | "dependentSchemas" | "dependencies" => Some(self.dependent(here, keyword)?),
            "propertyNames" => Some(Ask::PropertyNames(self.node(here.place(keyword)))),
            "contains" => Some(self.contains(here)?),
            "unevaluatedItems" => Some(Ask::UnevaluatedItems(self.node(here.place(keyword)))),
            "unevaluatedProperties" => Some(Ask::UnevaluatedProperties(self.node(here.place(keyword)))),
            "properties" | "patternProperties" | "additionalProperties" => return self.properties(here, keyword),
            _ => return self.items(here, keyword),
        };
        Ok(ask.map(|ask| (keyword, ask)))
    }

    fn pattern(&mut self, text: &str, pointer: String) -> Result<Pattern, SchemaError> {
        let pattern = Pattern::new(text).map_err(|problem| SchemaError { pointer: pointer.clone(), problem })?;
        self.patterns += pattern.memory();
        if self.patterns > PATTERNS_BYTES_MAX {
            let problem = "the patterns of the schema are too many, or repeat too much".to_owned();
            return Err(SchemaError { pointer, problem });
        }
        Ok(pattern)
    }

    fn some(&mut self, here: Here<'_>, keyword: &str) -> Result<Vec<NodeId>, SchemaError> {
        let nodes = self.nodes(here, keyword)?;
        if nodes.is_empty() { Err(here.fault(keyword, "the list is empty")) } else { Ok(nodes) }
    }

    fn reference(&mut self, here: Here<'_>, keyword: &str) -> Result<Ask, SchemaError> {
        let from = self.resources.around(here.pointer);
        let (pointer, anchor) =
            self.resources.resolve(here.text(keyword)?, from).map_err(|problem| here.fault(keyword, problem))?;
        if self.document.pointer(&pointer).is_none() {
            return Err(here.fault(keyword, format!("{} points to nothing", brief(&here.schema[keyword]))));
        }
        let node = self.node(pointer);
        Ok(match (keyword, anchor) {
            ("$dynamicRef", Some(anchor)) => Ask::DynamicRef(node, anchor),
            ("$recursiveRef", _) => Ask::RecursiveRef(node),
            _ => Ask::Ref(node),
        })
    }

    fn choice(&mut self, here: Here<'_>) -> Ask {
        let mut branch = |keyword: &str| here.schema.contains_key(keyword).then(|| self.node(here.place(keyword)));
        let (then, otherwise) = (branch("then"), branch("else"));
        Ask::If { condition: self.node(here.place("if")), then, otherwise }
    }

    /// `dependencies` of the older drafts has lists of names among its schemas.
    fn dependent(&mut self, here: Here<'_>, keyword: &str) -> Result<Ask, SchemaError> {
        let (mut names, mut schemas) = (Vec::new(), Vec::new());
        for (name, value) in here.map(keyword)? {
            if keyword == "dependentRequired" || keyword == "dependencies" && value.is_array() {
                names.push((name.clone(), here.names(keyword, value)?));
            } else {
                schemas.push((name.clone(), self.node(child(&here.place(keyword), name))));
            }
        }
        Ok(Ask::Dependent { names, schemas })
    }

    fn contains(&mut self, here: Here<'_>) -> Result<Ask, SchemaError> {
        let node = self.node(here.place("contains"));
        let bounds = |keyword| if self.draft >= Draft::Y2019 { here.count(keyword) } else { Ok(None) };
        let (least, most) = (bounds("minContains")?.unwrap_or(1), bounds("maxContains")?);
        Ok(Ask::Contains { node, least, most, evaluates: self.draft == Draft::Y2020 })
    }

    /// Three keywords that know of each other, as one rule in the place of the first that is there.
    fn properties(&mut self, here: Here<'_>, keyword: &str) -> Result<Option<(&'static str, Ask)>, SchemaError> {
        let first = here.schema.keys().find(|keyword| PROPERTIES.contains(&keyword.as_str()));
        if first.is_none_or(|first| first != keyword) {
            return Ok(None);
        }
        let mut properties = Properties::default();
        if here.schema.contains_key("properties") {
            let place = here.place("properties");
            let names = here.map("properties")?.keys();
            properties.named = names.map(|name| (name.clone(), self.node(child(&place, name)))).collect();
        }
        if here.schema.contains_key("patternProperties") {
            for name in here.map("patternProperties")?.keys() {
                let place = child(&here.place("patternProperties"), name);
                let pattern = self.pattern(name, place.clone())?;
                properties.matching.push((pattern, self.node(place)));
            }
        }
        if here.schema.contains_key("additionalProperties") {
            properties.rest = Some(self.node(here.place("additionalProperties")));
        }
        Ok(Some(("additionalProperties", Ask::Properties(properties))))
    }

    /// The items of a list: the first ones, which are called differently from draft to draft, and the others.
    fn items(&mut self, here: Here<'_>, keyword: &str) -> Result<Option<(&'static str, Ask)>, SchemaError> {
        let items = here.schema.get("items");
        if self.draft < Draft::Y2020 && items.is_some_and(Value::is_array) {
            let is_more = here.schema.contains_key("additionalItems");
            return Ok(match keyword {
                "items" => {
                    let rest = is_more.then(|| self.node(here.place("additionalItems")));
                    Some(("additionalItems", Ask::Items { prefix: self.nodes(here, "items")?, rest }))
                }
                _ => None,
            });
        }
        Ok(match keyword {
            "items" if here.schema.contains_key("prefixItems") && self.draft == Draft::Y2020 => None,
            "items" => {
                if items.is_some_and(Value::is_array) {
                    return Err(here.fault(keyword, "a list of schemas is written as \"prefixItems\""));
                }
                Some(("items", Ask::Items { prefix: Vec::new(), rest: Some(self.node(here.place("items"))) }))
            }
            "prefixItems" => {
                let rest = items.is_some().then(|| self.node(here.place("items")));
                Some(("items", Ask::Items { prefix: self.some(here, "prefixItems")?, rest }))
            }
            _ => None,
        })
    }
}

const PROPERTIES: [&str; 3] = ["properties", "patternProperties", "additionalProperties"];

/// The keywords that ask for something.
const KEYWORDS: &[&str] = &[
    "$dynamicRef",
    "$recursiveRef",
    "$ref",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "if",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "required",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

fn plain(here: Here<'_>, keyword: &str) -> Rules {
    let value = &here.schema[keyword];
    Ok(Some(match keyword {
        "type" => Ask::Type(types(here, value)?),
        "const" => Ask::Const(value.clone(), same::size(value)),
        "enum" => Ask::Enum(here.list(keyword)?.clone(), same::size(value)),
        "multipleOf" => {
            let number = here.number(keyword)?;
            if number.as_f64().is_none_or(|number| number <= 0.0) {
                return Err(here.fault(keyword, format!("{number} is not greater than 0")));
            }
            Ask::MultipleOf(number.clone())
        }
        "required" => Ask::Required(here.names(keyword, value)?),
        _ => match value.as_bool() {
            Some(true) => Ask::UniqueItems,
            Some(false) => return Ok(None),
            None => return Err(here.fault(keyword, format!("{} is neither true nor false", brief(value)))),
        },
    }))
}

fn types(here: Here<'_>, value: &Value) -> Result<Vec<Type>, SchemaError> {
    let named = |value: &Value| {
        let found = Type::ALL.into_iter().find(|(name, _)| value.as_str() == Some(name)).map(|(_, of)| of);
        let known = Type::ALL.map(|(name, _)| name).join(", ");
        found.ok_or_else(|| here.fault("type", format!("{} is not a type: write one of {known}", brief(value))))
    };
    match value {
        Value::Array(values) if values.is_empty() => Err(here.fault("type", "the list is empty")),
        Value::Array(values) => {
            let mut types = Vec::new();
            for of in values.iter().map(named) {
                let of = of?;
                if !types.contains(&of) {
                    types.push(of);
                }
            }
            Ok(types)
        }
        _ => Ok(vec![named(value)?]),
    }
}

/// Draft 4 says by a second keyword that a bound is exclusive.
fn bound(here: Here<'_>, keyword: &str, draft: Draft) -> Rules {
    let is_exclusive = |other: &str| draft == Draft::Four && here.schema.get(other) == Some(&Value::Bool(true));
    let bound = match keyword {
        "exclusiveMaximum" | "exclusiveMinimum" if draft == Draft::Four => return Ok(None),
        "maximum" if is_exclusive("exclusiveMaximum") => Bound::ExclusiveMaximum,
        "minimum" if is_exclusive("exclusiveMinimum") => Bound::ExclusiveMinimum,
        "maximum" => Bound::Maximum,
        "minimum" => Bound::Minimum,
        "exclusiveMaximum" => Bound::ExclusiveMaximum,
        _ => Bound::ExclusiveMinimum,
    };
    Ok(Some(Ask::Bound(bound, here.number(keyword)?.clone())))
}

fn count(here: Here<'_>, keyword: &str) -> Rules {
    let of = if keyword.ends_with("Length") {
        Count::Characters
    } else if keyword.ends_with("Items") {
        Count::Items
    } else {
        Count::Properties
    };
    let limit = here.count(keyword)?;
    Ok(limit.map(|limit| if keyword.starts_with("max") { Ask::AtMost(of, limit) } else { Ask::AtLeast(of, limit) }))
}
