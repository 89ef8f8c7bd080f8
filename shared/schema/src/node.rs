//! A compiled schema: nodes that refer to each other by number, so that a schema may refer to itself.

use std::collections::HashMap;

use serde_json::{Number, Value};

use crate::pattern::Pattern;
use crate::resources::ResourceId;

/// The number of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(pub usize);

/// One schema of a document.
#[derive(Debug)]
pub struct Node {
    /// Where it stands, as a JSON pointer.
    pub pointer: String,
    /// The resource that it belongs to.
    pub resource: ResourceId,
    /// What it asks for; what needs to know what was evaluated comes last.
    pub rules: Vec<Rule>,
    /// It is `false`.
    pub is_never: bool,
}

/// What references find at run time, by resource.
#[derive(Debug, Default)]
pub struct Anchors {
    /// The dynamic anchors, by name.
    pub dynamic: HashMap<String, HashMap<ResourceId, NodeId>>,
    /// The resources that are recursive anchors.
    pub recursive: HashMap<ResourceId, NodeId>,
}

/// One keyword, or several that only mean something together.
#[derive(Debug)]
pub struct Rule {
    /// The keyword that is told where it isn't kept.
    pub keyword: &'static str,
    /// What it asks for.
    pub ask: Ask,
}

/// What a rule asks for. Most of it asks only of values of one type.
#[derive(Debug)]
pub enum Ask {
    /// One of these types.
    Type(Vec<Type>),
    /// Exactly this, of that size.
    Const(Value, usize),
    /// One of these, of that size together.
    Enum(Vec<Value>, usize),
    /// A multiple.
    MultipleOf(Number),
    /// A number on one side of another.
    Bound(Bound, Number),
    /// So many of something at most.
    AtMost(Count, u64),
    /// So many of something at least.
    AtLeast(Count, u64),
    /// A text in which this is found.
    Pattern(Pattern),
    /// No item twice.
    UniqueItems,
    /// These properties.
    Required(Vec<String>),
    /// Another schema, too.
    Ref(NodeId),
    /// Another schema, or the outermost in the dynamic scope with that anchor.
    DynamicRef(NodeId, String),
    /// Another schema, or the outermost in the dynamic scope that is a recursive anchor.
    RecursiveRef(NodeId),
    /// All of these.
    AllOf(Vec<NodeId>),
    /// At least one of these.
    AnyOf(Vec<NodeId>),
    /// Exactly one of these.
    OneOf(Vec<NodeId>),
    /// Not this. With the beginning of the schema as it is written.
    Not(NodeId, String),
    /// One or the other.
    If {
        /// Decides.
        condition: NodeId,
        /// Where it is valid.
        then: Option<NodeId>,
        /// Where it isn't.
        otherwise: Option<NodeId>,
    },
    /// More for an object that has a property.
    Dependent {
        /// It has these, too.
        names: Vec<(String, Vec<String>)>,
        /// It is valid by this.
        schemas: Vec<(String, NodeId)>,
    },
    /// Schemas for properties.
    Properties(Properties),
    /// A schema for the names of properties.
    PropertyNames(NodeId),
    /// Schemas for items.
    Items {
        /// For the first, in their order.
        prefix: Vec<NodeId>,
        /// For those after them.
        rest: Option<NodeId>,
    },
    /// A number of items that are valid.
    Contains {
        /// For each.
        node: NodeId,
        /// So many at least.
        least: u64,
        /// So many at most.
        most: Option<u64>,
        /// Whether such an item counts as evaluated.
        evaluates: bool,
    },
    /// A schema for items that no other has evaluated.
    UnevaluatedItems(NodeId),
    /// A schema for properties that no other has evaluated.
    UnevaluatedProperties(NodeId),
}

/// `properties`, `patternProperties` and `additionalProperties`.
#[derive(Debug, Default)]
pub struct Properties {
    /// By name.
    pub named: HashMap<String, NodeId>,
    /// By a pattern of the name.
    pub matching: Vec<(Pattern, NodeId)>,
    /// All others.
    pub rest: Option<NodeId>,
}

/// A type of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A list.
    Array,
    /// True or false.
    Boolean,
    /// A number without a fraction, `1.0` included.
    Integer,
    /// Nothing.
    Null,
    /// Any number.
    Number,
    /// Names with values.
    Object,
    /// A text.
    String,
}

impl Type {
    /// By name.
    pub const ALL: [(&'static str, Self); 7] = [
        ("array", Self::Array),
        ("boolean", Self::Boolean),
        ("integer", Self::Integer),
        ("null", Self::Null),
        ("number", Self::Number),
        ("object", Self::Object),
        ("string", Self::String),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, of)| *of == self).map_or("", |(name, _)| name)
    }
}

/// A side of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// That or less.
    Maximum,
    /// Less.
    ExclusiveMaximum,
    /// That or more.
    Minimum,
    /// More.
    ExclusiveMinimum,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Of a text; code points.
    Characters,
    /// Of a list.
    Items,
    /// Of an object.
    Properties,
}
