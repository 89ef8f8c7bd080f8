//! Holding a value against a schema.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use crate::node::{Ask, Node, NodeId, Properties, Rule};
use crate::resources::{ResourceId, child};
use crate::violation::{Said, Violation, Violations};
use crate::{DEPTH_MAX, Schema, WORK_MAX, plain};

/// One value that is held against a schema.
pub struct Run<'s> {
    schema: &'s Schema,
    /// The resources that led here, the outermost first.
    scope: Vec<ResourceId>,
    depth: usize,
    work: usize,
    /// A limit was met: what was found says nothing.
    is_over: bool,
}

/// What rules have looked at, of one object or list.
#[derive(Default)]
struct Seen<'i> {
    /// Every property and item there is.
    all: bool,
    names: HashSet<&'i str>,
    items: BTreeSet<usize>,
}

impl Seen<'_> {
    /// Takes in what another rule has looked at, and answers how much work that was.
    fn merge(&mut self, mut other: Self) -> usize {
        if other.names.len() + other.items.len() > self.names.len() + self.items.len() {
            std::mem::swap(self, &mut other);
        }
        let work = other.names.len() + other.items.len();
        self.all |= other.all;
        self.names.extend(other.names);
        self.items.extend(other.items);
        work
    }
}

/// What was found wrong.
struct Found<'i> {
    violations: Vec<Violation<'i>>,
    count: usize,
    /// How many violations are kept; the others are counted.
    max: usize,
}

impl<'i> Found<'i> {
    fn up_to(max: usize) -> Self {
        Self { violations: Vec::new(), count: 0, max }
    }

    /// Whether nobody asks for more than that something is wrong.
    fn is_enough(&self) -> bool {
        self.max == 0 && self.count > 0
    }

    fn add(&mut self, at: At<'_, 'i, '_>, keyword: &'static str, said: impl FnOnce() -> Said) {
        self.add_all(at, keyword, (1, || [said()]));
    }

    /// So many violations, which are put into words where they are kept.
    fn add_all<S: IntoIterator<Item = Said>>(
        &mut self,
        at: At<'_, 'i, '_>,
        keyword: &'static str,
        (count, said): (usize, impl FnOnce() -> S),
    ) {
        self.count += count;
        let room = self.max - self.violations.len();
        if count == 0 || room == 0 {
            return;
        }
        let (place, schema, value) = (at.place.pointer(), &at.node.pointer, Cow::Borrowed(at.value));
        let said = said().into_iter().take(room);
        self.violations.extend(said.map(|said| Violation {
            place: place.clone(),
            schema: schema.clone(),
            keyword,
            is_limit: false,
            value: value.clone(),
            said,
        }));
    }

    /// Takes over what was found of a value that doesn't live as long.
    fn take(&mut self, other: Found<'_>) {
        self.count += other.count;
        let room = self.max - self.violations.len();
        self.violations.extend(other.violations.into_iter().take(room).map(Violation::owned));
    }
}

/// Where a value stands, from the root.
#[derive(Clone, Copy)]
enum Place<'p> {
    Root,
    Name(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

impl Place<'_> {
    fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Name(parent, name) => child(&parent.pointer(), name),
            Self::Item(parent, at) => format!("{}/{at}", parent.pointer()),
        }
    }
}

/// A value, and the node that is asked about it.
#[derive(Clone, Copy)]
struct At<'n, 'i, 'p> {
    node: &'n Node,
    value: &'i Value,
    place: &'p Place<'p>,
}

impl<'s> Run<'s> {
    /// To be used once.
    pub fn new(schema: &'s Schema) -> Self {
        Self { schema, scope: Vec::new(), depth: 0, work: 0, is_over: false }
    }

    /// Holds a whole value against a whole schema, and tells the first `max` violations.
    pub fn root(mut self, value: &Value, max: usize) -> Violations<'_> {
        let mut found = Found::up_to(max);
        self.visit(NodeId(0), value, &Place::Root, &mut found);
        if self.is_over {
            found = Found::up_to(max);
            let at = At { node: self.schema.node(NodeId(0)), value, place: &Place::Root };
            let said = "holding the value against the schema takes too long: make one of them simpler";
            found.add(at, "", || Said::sentence(said.to_owned()));
            found.violations.iter_mut().for_each(|limit| limit.is_limit = true);
        }
        let more = found.count - found.violations.len();
        Violations { first: found.violations, more }
    }

    /// Asks one node about a value. Answers what was looked at of it, which counts where nothing was found wrong.
    fn visit<'i>(&mut self, id: NodeId, value: &'i Value, place: &Place<'_>, found: &mut Found<'i>) -> Seen<'i> {
        if self.depth >= DEPTH_MAX || !self.spend(1) {
            self.is_over = true;
            return Seen::default();
        }
        let node = self.schema.node(id);
        let is_elsewhere = self.scope.last() != Some(&node.resource);
        self.scope.extend(is_elsewhere.then_some(node.resource));
        self.depth += 1;
        let seen = self.rules(At { node, value, place }, found);
        self.depth -= 1;
        if is_elsewhere {
            self.scope.pop();
        }
        seen
    }

    /// Whether there is so much work left; nothing counts once there isn't.
    fn spend(&mut self, work: usize) -> bool {
        self.work = self.work.saturating_add(work);
        self.is_over |= self.work > WORK_MAX;
        !self.is_over
    }

    fn merge<'i>(&mut self, seen: &mut Seen<'i>, other: Seen<'i>) {
        let work = seen.merge(other);
        self.spend(work);
    }

    /// Asks another node about the same value.
    fn also<'i>(&mut self, id: NodeId, at: At<'_, 'i, '_>, seen: &mut Seen<'i>, found: &mut Found<'i>) {
        let of_other = self.visit(id, at.value, at.place, found);
        self.merge(seen, of_other);
    }

    fn rules<'i>(&mut self, at: At<'s, 'i, '_>, found: &mut Found<'i>) -> Seen<'i> {
        let mut seen = Seen::default();
        if at.node.is_never {
            found.add(at, "", || Said::around("False schema does not allow ", ""));
        }
        let before = found.count;
        for rule in &at.node.rules {
            if self.is_over || found.is_enough() {
                break;
            }
            match &rule.ask {
                // What was evaluated is only known where all else is valid.
                Ask::UnevaluatedItems(_) | Ask::UnevaluatedProperties(_) if found.count > before => {}
                Ask::UnevaluatedItems(id) => self.unevaluated_items(at, *id, &mut seen, found),
                Ask::UnevaluatedProperties(id) => self.unevaluated_properties(at, *id, &mut seen, found),
                _ => self.rule(at, rule, &mut seen, found),
            }
        }
        seen
    }

    fn rule<'i>(&mut self, at: At<'s, 'i, '_>, rule: &Rule, seen: &mut Seen<'i>, found: &mut Found<'i>) {
        match &rule.ask {
            Ask::Ref(id) => self.also(*id, at, seen, found),
            Ask::DynamicRef(id, anchor) => {
                let id = self.dynamic(*id, anchor);
                self.also(id, at, seen, found);
            }
            Ask::RecursiveRef(id) => {
                let id = self.recursive(*id);
                self.also(id, at, seen, found);
            }
            Ask::AllOf(ids) => {
                for id in ids {
                    if found.is_enough() {
                        break;
                    }
                    self.also(*id, at, seen, found);
                }
            }
            Ask::AnyOf(_) | Ask::OneOf(_) | Ask::Not(..) => self.combined(at, rule, seen, found),
            Ask::If { condition, then, otherwise } => {
                let decided = self.valid(*condition, at);
                let branch = if decided.is_some() { then } else { otherwise };
                if let Some(of_condition) = decided {
                    self.merge(seen, of_condition);
                }
                if let Some(id) = branch {
                    self.also(*id, at, seen, found);
                }
            }
            Ask::Dependent { names, schemas } => {
                let Some(object) = at.value.as_object() else { return };
                if !self.spend(names.len() + schemas.len()) {
                    return;
                }
                for (_, names) in names.iter().filter(|(name, _)| object.contains_key(name)) {
                    if !self.spend(names.len()) {
                        break;
                    }
                    let count = plain::missing(object, names).count();
                    let said = || plain::missing(object, names).map(|name| plain::required(name)).collect::<Vec<_>>();
                    found.add_all(at, rule.keyword, (count, said));
                }
                for (_, id) in schemas.iter().filter(|(name, _)| object.contains_key(name)) {
                    self.also(*id, at, seen, found);
                }
            }
            Ask::Properties(properties) => self.properties(at, properties, seen, found),
            Ask::PropertyNames(id) => self.property_names(at, *id, found),
            Ask::Items { .. } => self.items(at, rule, seen, found),
            Ask::Contains { .. } => self.contains(at, rule, seen, found),
            ask if self.spend(plain::work(ask, at.value)) => {
                let count = plain::violations(ask, at.value);
                found.add_all(at, rule.keyword, (count, || plain::said(ask, at.value)));
            }
            _ => {}
        }
    }

    /// What was looked at where a node is valid.
    fn valid<'i>(&mut self, id: NodeId, at: At<'_, 'i, '_>) -> Option<Seen<'i>> {
        let mut found = Found::up_to(0);
        let seen = self.visit(id, at.value, at.place, &mut found);
        (found.count == 0).then_some(seen)
    }

    fn combined<'i>(&mut self, at: At<'s, 'i, '_>, rule: &Rule, seen: &mut Seen<'i>, found: &mut Found<'i>) {
        match &rule.ask {
            Ask::Not(id, schema) if self.valid(*id, at).is_some() => {
                found.add(at, rule.keyword, || Said::around(&format!("{schema} is not allowed for "), ""));
            }
            Ask::AnyOf(ids) => {
                // Each of them that is valid has looked at something; where nobody asks, one is enough.
                let wanted = if self.schema.tracks { ids.len() } else { 1 };
                if self.count_valid(ids, wanted, at, seen) == 0 {
                    found.add(at, rule.keyword, || none_of_them("anyOf"));
                }
            }
            Ask::OneOf(ids) => match self.count_valid(ids, 2, at, seen) {
                0 => found.add(at, rule.keyword, || none_of_them("oneOf")),
                1 => {}
                _ => found.add(at, rule.keyword, || {
                    Said::around("", " is valid under more than one of the schemas listed in the 'oneOf' keyword")
                }),
            },
            _ => {}
        }
    }

    /// How many nodes a value is valid by, counted up to what is wanted.
    fn count_valid<'i>(&mut self, ids: &[NodeId], wanted: usize, at: At<'_, 'i, '_>, seen: &mut Seen<'i>) -> usize {
        let mut count = 0;
        for id in ids {
            if count == wanted || self.is_over {
                break;
            }
            if let Some(of_one) = self.valid(*id, at) {
                self.merge(seen, of_one);
                count += 1;
            }
        }
        count
    }

    /// The outermost schema in the dynamic scope with that anchor, where the reference leads to such an anchor at all.
    fn dynamic(&mut self, id: NodeId, anchor: &str) -> NodeId {
        self.outermost(id, self.schema.anchors.dynamic.get(anchor))
    }

    fn recursive(&mut self, id: NodeId) -> NodeId {
        self.outermost(id, Some(&self.schema.anchors.recursive))
    }

    fn outermost(&mut self, id: NodeId, anchors: Option<&HashMap<ResourceId, NodeId>>) -> NodeId {
        let Some(anchors) = anchors.filter(|all| all.get(&self.schema.node(id).resource) == Some(&id)) else {
            return id;
        };
        self.spend(self.scope.len());
        self.scope.iter().find_map(|resource| anchors.get(resource).copied()).unwrap_or(id)
    }

    fn is_never(&self, id: NodeId) -> bool {
        self.schema.node(id).is_never
    }

    fn properties<'i>(
        &mut self,
        at: At<'s, 'i, '_>,
        properties: &Properties,
        seen: &mut Seen<'i>,
        found: &mut Found<'i>,
    ) {
        let Some(object) = at.value.as_object() else { return };
        let mut unexpected = Vec::new();
        for (name, value) in object {
            if found.is_enough() || !self.spend(1 + name.len() / 16) {
                return;
            }
            let place = Place::Name(at.place, name);
            let mut is_known = false;
            if let Some(id) = properties.named.get(name) {
                is_known = true;
                self.visit(*id, value, &place, found);
            }
            for (pattern, id) in &properties.matching {
                if self.spend(pattern.work(name)) && pattern.is_in(name) {
                    is_known = true;
                    self.visit(*id, value, &place, found);
                }
            }
            match properties.rest {
                None if !is_known => continue,
                Some(id) if !is_known && self.is_never(id) => {
                    unexpected.push(name.as_str());
                    continue;
                }
                Some(id) if !is_known => drop(self.visit(id, value, &place, found)),
                _ => {}
            }
            if self.schema.tracks {
                seen.names.insert(name);
            }
        }
        if !unexpected.is_empty() {
            found.add(at, "additionalProperties", || {
                Said::unexpected("Additional properties", unexpected.iter().map(|name| (*name).to_owned()))
            });
        }
    }

    fn property_names<'i>(&mut self, at: At<'s, 'i, '_>, id: NodeId, found: &mut Found<'i>) {
        for name in at.value.as_object().into_iter().flat_map(|object| object.keys()) {
            if found.is_enough() || !self.spend(name.len() / 16) {
                return;
            }
            let name = Value::String(name.clone());
            let mut of_name = Found::up_to(found.max - found.violations.len());
            self.visit(id, &name, at.place, &mut of_name);
            found.take(of_name);
        }
    }

    fn items<'i>(&mut self, at: At<'s, 'i, '_>, rule: &Rule, seen: &mut Seen<'i>, found: &mut Found<'i>) {
        let Ask::Items { prefix, rest } = &rule.ask else { return };
        let Some(items) = at.value.as_array() else { return };
        for (index, (id, item)) in prefix.iter().zip(items).enumerate() {
            self.visit(*id, item, &Place::Item(at.place, index), found);
            if self.schema.tracks {
                seen.items.insert(index);
            }
        }
        let Some(rest) = *rest else { return };
        seen.all = true;
        if self.is_never(rest) && items.len() > prefix.len() {
            found.add(at, rule.keyword, || Said::more_than(prefix.len() as u64, "item"));
            return;
        }
        for (index, item) in items.iter().enumerate().skip(prefix.len()) {
            if self.is_over || found.is_enough() {
                return;
            }
            self.visit(rest, item, &Place::Item(at.place, index), found);
        }
    }

    fn contains<'i>(&mut self, at: At<'s, 'i, '_>, rule: &Rule, seen: &mut Seen<'i>, found: &mut Found<'i>) {
        let Ask::Contains { node, least, most, evaluates } = rule.ask else { return };
        let Some(items) = at.value.as_array() else { return };
        let mut count = 0_u64;
        for (index, item) in items.iter().enumerate() {
            if self.is_over {
                return;
            }
            let place = Place::Item(at.place, index);
            if self.valid(node, At { value: item, place: &place, ..at }).is_none() {
                continue;
            }
            count += 1;
            if evaluates && self.schema.tracks {
                seen.items.insert(index);
            }
        }
        if count < least {
            found.add(at, rule.keyword, || match least {
                1 => Said::around("None of ", " are valid under the given schema"),
                _ => Said::around(
                    "Fewer than ",
                    &format!(" of the items are valid under the given schema: at least {least}"),
                ),
            });
        }
        if most.is_some_and(|most| count > most) {
            found.add(at, rule.keyword, || {
                Said::around("", " has too many items that are valid under the given schema")
            });
        }
    }

    fn unevaluated_properties<'i>(
        &mut self,
        at: At<'s, 'i, '_>,
        id: NodeId,
        seen: &mut Seen<'i>,
        found: &mut Found<'i>,
    ) {
        let Some(object) = at.value.as_object().filter(|_| !seen.all) else { return };
        if !self.spend(object.len()) {
            return;
        }
        let left: Vec<(&String, &Value)> =
            object.iter().filter(|(name, _)| !seen.names.contains(name.as_str())).collect();
        seen.all = true;
        if self.is_never(id) && !left.is_empty() {
            found.add(at, "unevaluatedProperties", || {
                Said::unexpected("Unevaluated properties", left.iter().map(|(name, _)| (*name).clone()))
            });
            return;
        }
        for (name, value) in left {
            self.visit(id, value, &Place::Name(at.place, name), found);
        }
    }

    fn unevaluated_items<'i>(&mut self, at: At<'s, 'i, '_>, id: NodeId, seen: &mut Seen<'i>, found: &mut Found<'i>) {
        let Some(items) = at.value.as_array().filter(|_| !seen.all) else { return };
        if !self.spend(items.len()) {
            return;
        }
        let left: Vec<(usize, &Value)> =
            items.iter().enumerate().filter(|(index, _)| !seen.items.contains(index)).collect();
        seen.all = true;
        if self.is_never(id) && !left.is_empty() {
            found.add(at, "unevaluatedItems", || {
                Said::unexpected("Unevaluated items", left.iter().map(|(index, _)| index.to_string()))
            });
            return;
        }
        for (index, item) in left {
            self.visit(id, item, &Place::Item(at.place, index), found);
        }
    }
}

fn none_of_them(keyword: &str) -> Said {
    Said::around("", &format!(" is not valid under any of the schemas listed in the '{keyword}' keyword"))
}
