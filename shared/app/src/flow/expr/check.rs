//! What can be said of an expression before it runs: that its functions exist, and what it reads.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr as Ast, IdedEntryExpr, IdedExpr, LiteralValue, operators,
};

use super::{COMPREHENSION_DEPTH_MAX, ExprError, Path, TREE_DEPTH_MAX};

/// Functions called as `f(x)`: name and number of arguments.
const GLOBAL: [(&str, usize); 6] = [("size", 1), ("string", 1), ("int", 1), ("double", 1), ("bool", 1), ("type", 1)];
/// Functions called as `x.f(..)`.
const MEMBER: [(&str, usize); 8] = [
    ("size", 0),
    ("contains", 1),
    ("startsWith", 1),
    ("endsWith", 1),
    ("lowerAscii", 0),
    ("trim", 0),
    ("split", 1),
    ("join", 1),
];

/// Paths that the expression reads, sorted, without duplicates.
pub(super) fn reads(root: &IdedExpr) -> Result<Vec<Path>, ExprError> {
    let mut checker = Checker { bound: Vec::new(), reads: Vec::new(), depth: 0 };
    checker.visit(root)?;
    checker.reads.sort();
    checker.reads.dedup();
    Ok(checker.reads)
}

/// Whether recursion over the tree is safe; found without recursion.
pub(super) fn is_shallow(root: &IdedExpr) -> bool {
    let mut open = vec![(root, 0)];
    while let Some((expr, depth)) = open.pop() {
        if depth > TREE_DEPTH_MAX {
            return false;
        }
        open.extend(children(expr).into_iter().map(|child| (child, depth + 1)));
    }
    true
}

fn children(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Ast::Select(select) => vec![&select.operand],
        Ast::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).collect(),
        Ast::Comprehension(it) => vec![&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result],
        Ast::List(list) => list.elements.iter().collect(),
        Ast::Map(map) => map.entries.iter().flat_map(entry_parts).collect(),
        Ast::Ident(_) | Ast::Literal(_) | Ast::Struct(_) | Ast::Unspecified => Vec::new(),
    }
}

fn entry_parts(entry: &IdedEntryExpr) -> Vec<&IdedExpr> {
    match &entry.expr {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

struct Checker<'e> {
    /// Variables of comprehensions, and the path of the items that they stand for, where it is known.
    bound: Vec<(&'e str, Option<Path>)>,
    reads: Vec<Path>,
    depth: usize,
}

impl<'e> Checker<'e> {
    fn visit(&mut self, expr: &'e IdedExpr) -> Result<(), ExprError> {
        if let Some(mut path) = self.path(expr) {
            // Whether a field is there may be asked of any value.
            if matches!(&expr.expr, Ast::Select(select) if select.test) && path.len() > 2 {
                path.pop();
            }
            self.reads.push(path);
            return self.visit_indices(expr);
        }
        match &expr.expr {
            Ast::Select(select) => self.visit(&select.operand),
            Ast::Call(call) => self.call(call),
            Ast::Comprehension(comprehension) => self.comprehension(comprehension),
            Ast::List(list) => list.elements.iter().try_for_each(|element| self.visit(element)),
            Ast::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => self.visit(&entry.key).and_then(|()| self.visit(&entry.value)),
                EntryExpr::StructField(_) => Err(ExprError::Unavailable("a message".to_owned())),
            }),
            Ast::Literal(LiteralValue::Bytes(_)) => Err(ExprError::Unavailable("a bytes literal".to_owned())),
            // A bound name without a path reads nothing itself.
            Ast::Ident(_) | Ast::Literal(_) => Ok(()),
            Ast::Struct(message) => Err(ExprError::Unavailable(format!("the message {}", message.type_name))),
            Ast::Unspecified => Err(ExprError::Syntax("an operand is missing".to_owned())),
        }
    }

    /// The path that a chain of selections spells, if it begins with a free name or the variable of a known list.
    fn path(&self, expr: &'e IdedExpr) -> Option<Path> {
        match &expr.expr {
            Ast::Ident(name) => match self.bound.iter().rev().find(|(bound, _)| bound == name) {
                Some((_, path)) => path.clone(),
                None => Some(vec![name.trim_start_matches('.').to_owned()]),
            },
            Ast::Select(select) => Some(extended(self.path(&select.operand)?, select.field.clone())),
            Ast::Call(call) if call.func_name == operators::INDEX => {
                let [list, index] = call.args.as_slice() else { return None };
                let segment = match &index.expr {
                    Ast::Literal(LiteralValue::String(key)) => key.inner().to_owned(),
                    _ => "[]".to_owned(),
                };
                Some(extended(self.path(list)?, segment))
            }
            _ => None,
        }
    }

    /// Visits what stands in the brackets of a path.
    fn visit_indices(&mut self, expr: &'e IdedExpr) -> Result<(), ExprError> {
        match &expr.expr {
            Ast::Select(select) => self.visit_indices(&select.operand),
            Ast::Call(call) => match call.args.as_slice() {
                [list, index] => self.visit_indices(list).and_then(|()| self.visit(index)),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn call(&mut self, call: &'e CallExpr) -> Result<(), ExprError> {
        let known = match (&call.target, call.args.len()) {
            (None, arguments) => is_operator(&call.func_name) || GLOBAL.contains(&(call.func_name.as_str(), arguments)),
            (Some(_), arguments) => MEMBER.contains(&(call.func_name.as_str(), arguments)),
        };
        if !known {
            return Err(ExprError::UnknownFunction(format!("{}/{}", call.func_name, call.args.len())));
        }
        call.target.iter().try_for_each(|target| self.visit(target))?;
        call.args.iter().try_for_each(|argument| self.visit(argument))
    }

    fn comprehension(&mut self, it: &'e ComprehensionExpr) -> Result<(), ExprError> {
        if it.iter_var2.is_some() {
            return Err(ExprError::Unavailable("a macro with two variables".to_owned()));
        }
        self.visit(&it.iter_range)?;
        self.depth += 1;
        if self.depth > COMPREHENSION_DEPTH_MAX {
            return Err(ExprError::Unavailable(format!(
                "more than {COMPREHENSION_DEPTH_MAX} macros inside each other"
            )));
        }
        let items = self.path(&it.iter_range).map(|path| extended(path, "[]".to_owned()));
        self.bound.push((&it.accu_var, None));
        self.bound.push((&it.iter_var, items));
        for part in [&it.accu_init, &it.loop_cond, &it.loop_step, &it.result] {
            self.visit(part)?;
        }
        self.bound.truncate(self.bound.len() - 2);
        self.depth -= 1;
        Ok(())
    }
}

fn extended(mut path: Path, segment: String) -> Path {
    path.push(segment);
    path
}

fn is_operator(name: &str) -> bool {
    matches!(
        name,
        operators::CONDITIONAL
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::SUBSTRACT
            | operators::ADD
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::EQUALS
            | operators::NOT_EQUALS
            | operators::GREATER_EQUALS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::LESS
            | operators::NEGATE
            | operators::INDEX
            | operators::IN
            | operators::NOT_STRICTLY_FALSE
    )
}
