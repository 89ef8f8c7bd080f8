//! Evaluates a checked expression over JSON, counting.

use std::borrow::Cow;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr as Ast, IdedExpr, LiteralValue, operators};
use serde_json::{Map, Value};

use super::{BYTES_MAX, ExprError, STEPS_MAX, ops};

/// Names that stand before those of the scope, innermost last.
pub(crate) type Locals<'a> = &'a [(&'a str, &'a Value)];

pub(super) fn run(root: &IdedExpr, scope: &Map<String, Value>, locals: Locals<'_>) -> Result<Value, ExprError> {
    let locals = locals.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))).collect();
    let mut machine = Machine { scope, locals, meter: Meter::default() };
    let value = machine.eval(root)?;
    machine.owned(value)
}

/// What an evaluation may still take.
pub(super) struct Meter {
    steps: u64,
    bytes: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { steps: STEPS_MAX, bytes: BYTES_MAX }
    }
}

impl Meter {
    /// Charges work: nodes, items, 64 bytes looked at.
    pub(super) fn steps(&mut self, count: u64) -> Result<(), ExprError> {
        self.steps = self.steps.checked_sub(count).ok_or(ExprError::Exhausted)?;
        Ok(())
    }

    /// Charges looking at all of `value`.
    pub(super) fn look(&mut self, value: &Value) -> Result<(), ExprError> {
        self.steps(size(value) / 64 + 1)
    }

    /// Charges making so many bytes.
    pub(super) fn make(&mut self, bytes: u64) -> Result<(), ExprError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(ExprError::Exhausted)?;
        self.steps(bytes / 64)
    }
}

/// Bytes that a value takes, roughly.
pub(super) fn size(value: &Value) -> u64 {
    let own = size_of::<Value>() as u64;
    own + match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(key, value)| key.len() as u64 + 32 + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

type Result1<'a> = Result<Cow<'a, Value>, ExprError>;

struct Machine<'a> {
    scope: &'a Map<String, Value>,
    locals: Vec<(&'a str, Cow<'a, Value>)>,
    meter: Meter,
}

impl<'a> Machine<'a> {
    fn eval(&mut self, expr: &'a IdedExpr) -> Result1<'a> {
        self.meter.steps(1)?;
        match &expr.expr {
            Ast::Literal(literal) => Ok(Cow::Owned(literal_value(literal)?)),
            Ast::Ident(name) => self.ident(name.trim_start_matches('.')),
            Ast::Select(select) => {
                let operand = self.eval(&select.operand)?;
                if select.test {
                    let has = operand.as_object().is_some_and(|fields| fields.contains_key(&select.field));
                    return Ok(Cow::Owned(Value::Bool(has)));
                }
                field(operand, &select.field)
            }
            Ast::Call(call) => self.call(call),
            Ast::Comprehension(comprehension) => self.comprehension(comprehension),
            Ast::List(list) => {
                let items = list.elements.iter().map(|item| self.eval_owned(item)).collect::<Result<_, _>>()?;
                Ok(Cow::Owned(Value::Array(items)))
            }
            Ast::Map(map) => {
                let mut fields = Map::new();
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err(ExprError::Unavailable("a message".to_owned()));
                    };
                    let key = self.eval(&entry.key)?;
                    let Value::String(key) = &*key else {
                        return Err(ops::mismatch("a map's key", &[&key]));
                    };
                    fields.insert(key.clone(), self.eval_owned(&entry.value)?);
                }
                Ok(Cow::Owned(Value::Object(fields)))
            }
            Ast::Struct(_) | Ast::Unspecified => Err(ExprError::Unavailable("a message".to_owned())),
        }
    }

    fn eval_owned(&mut self, expr: &'a IdedExpr) -> Result<Value, ExprError> {
        let value = self.eval(expr)?;
        self.owned(value)
    }

    /// Copies what is borrowed, for which it is charged.
    fn owned(&mut self, value: Cow<'a, Value>) -> Result<Value, ExprError> {
        if let Cow::Borrowed(value) = &value {
            self.meter.make(size(value))?;
        }
        Ok(value.into_owned())
    }

    fn ident(&mut self, name: &str) -> Result1<'a> {
        if let Some(index) = self.locals.iter().rposition(|(local, _)| *local == name) {
            return match &self.locals[index].1 {
                Cow::Borrowed(value) => Ok(Cow::Borrowed(value)),
                Cow::Owned(value) => {
                    self.meter.make(size(value))?;
                    Ok(Cow::Owned(value.clone()))
                }
            };
        }
        let value = self.scope.get(name).ok_or_else(|| ExprError::UnknownName(name.to_owned()))?;
        Ok(Cow::Borrowed(value))
    }

    fn call(&mut self, call: &'a CallExpr) -> Result1<'a> {
        let name = call.func_name.as_str();
        match (&call.target, call.args.as_slice()) {
            (None, [condition, yes, no]) if name == operators::CONDITIONAL => {
                let branch = if self.truth(condition)? { yes } else { no };
                self.eval(branch)
            }
            (None, [left, right]) if name == operators::LOGICAL_AND => self.logical([left, right], false),
            (None, [left, right]) if name == operators::LOGICAL_OR => self.logical([left, right], true),
            (None, [operand]) if name == operators::NOT_STRICTLY_FALSE => match self.truth(operand) {
                Err(ExprError::Exhausted) => Err(ExprError::Exhausted),
                outcome => Ok(Cow::Owned(Value::Bool(outcome != Ok(false)))),
            },
            (None, [list, position]) if name == operators::INDEX => {
                let list = self.eval(list)?;
                let position = self.eval(position)?;
                index(list, &position)
            }
            (target, arguments) => {
                let operands = target.iter().map(|target| &**target).chain(arguments);
                let operands: Vec<_> = operands.map(|operand| self.eval(operand)).collect::<Result<_, _>>()?;
                let operands: Vec<&Value> = operands.iter().map(AsRef::as_ref).collect();
                ops::apply(name, &operands, &mut self.meter).map(Cow::Owned)
            }
        }
    }

    fn truth(&mut self, expr: &'a IdedExpr) -> Result<bool, ExprError> {
        let value = self.eval(expr)?;
        value.as_bool().ok_or_else(|| ops::mismatch("a condition", &[&value]))
    }

    /// `&&` (decided by `false`) and `||` (decided by `true`): one side may fail if the other decides.
    fn logical(&mut self, [left, right]: [&'a IdedExpr; 2], decisive: bool) -> Result1<'a> {
        let outcome = match self.truth(left) {
            Err(ExprError::Exhausted) => return Err(ExprError::Exhausted),
            Ok(left) if left == decisive => decisive,
            Ok(_) => self.truth(right)?,
            Err(error) => match self.truth(right)? {
                right if right == decisive => decisive,
                _ => return Err(error),
            },
        };
        Ok(Cow::Owned(Value::Bool(outcome)))
    }

    fn comprehension(&mut self, it: &'a ComprehensionExpr) -> Result1<'a> {
        let items = match self.eval(&it.iter_range)? {
            Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
            Cow::Owned(Value::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
            Cow::Borrowed(Value::Object(fields)) => fields.keys().map(|key| Cow::Owned(key.as_str().into())).collect(),
            Cow::Owned(Value::Object(fields)) => fields.into_iter().map(|(key, _)| Cow::Owned(key.into())).collect(),
            other => return Err(ops::mismatch("a macro over a list", &[&other])),
        };
        let accumulator = self.eval(&it.accu_init)?;
        self.locals.push((&it.accu_var, accumulator));
        let outcome = self.iterate(it, items);
        let result = outcome.and_then(|()| self.eval(&it.result));
        self.locals.pop();
        result
    }

    fn iterate(&mut self, it: &'a ComprehensionExpr, items: Vec<Cow<'a, Value>>) -> Result<(), ExprError> {
        let accumulator = self.locals.len() - 1;
        for item in items {
            if !self.truth(&it.loop_cond)? {
                break;
            }
            self.locals.push((&it.iter_var, item));
            let step = self.step(&it.loop_step, &it.accu_var, accumulator);
            self.locals.pop();
            step?;
        }
        Ok(())
    }

    /// One step of a comprehension: a `map` or `filter` appends in place.
    fn step(&mut self, step: &'a IdedExpr, name: &str, accumulator: usize) -> Result<(), ExprError> {
        let is_accumulator = |expr: &IdedExpr| matches!(&expr.expr, Ast::Ident(ident) if ident == name);
        match &step.expr {
            Ast::Ident(ident) if ident == name => return Ok(()),
            Ast::Call(call) if call.func_name == operators::CONDITIONAL && call.args.len() == 3 => {
                let branch = if self.truth(&call.args[0])? { &call.args[1] } else { &call.args[2] };
                return self.step(branch, name, accumulator);
            }
            Ast::Call(call) if call.func_name == operators::ADD => {
                if let [first, IdedExpr { expr: Ast::List(list), .. }] = call.args.as_slice()
                    && is_accumulator(first)
                {
                    let made = list.elements.iter().map(|item| self.eval_owned(item)).collect::<Result<Vec<_>, _>>()?;
                    if let Value::Array(items) = self.locals[accumulator].1.to_mut() {
                        items.extend(made);
                    }
                    return Ok(());
                }
            }
            _ => {}
        }
        let value = self.eval(step)?;
        self.locals[accumulator].1 = value;
        Ok(())
    }
}

fn field<'a>(operand: Cow<'a, Value>, field: &str) -> Result1<'a> {
    let found = match operand {
        Cow::Borrowed(Value::Object(fields)) => fields.get(field).map(Cow::Borrowed),
        Cow::Owned(Value::Object(mut fields)) => fields.swap_remove(field).map(Cow::Owned),
        other => return Err(ops::mismatch(&format!(".{field}"), &[&other])),
    };
    found.ok_or_else(|| ExprError::NoField(field.to_owned()))
}

fn index<'a>(list: Cow<'a, Value>, index: &Value) -> Result1<'a> {
    match (&*list, index) {
        (Value::Object(_), Value::String(key)) => field(list, key),
        (Value::Array(_), Value::Number(number)) => {
            let position = number.as_u64().and_then(|n| usize::try_from(n).ok());
            let found = position.and_then(|position| match list {
                Cow::Borrowed(value) => value.get(position).map(Cow::Borrowed),
                Cow::Owned(value) => value.get(position).cloned().map(Cow::Owned),
            });
            found.ok_or_else(|| ExprError::NoItem(number.to_string()))
        }
        _ => Err(ops::mismatch("[]", &[&list, index])),
    }
}

fn literal_value(literal: &LiteralValue) -> Result<Value, ExprError> {
    Ok(match literal {
        LiteralValue::Boolean(value) => Value::Bool(*value.inner()),
        LiteralValue::Int(value) => Value::from(*value.inner()),
        LiteralValue::UInt(value) => Value::from(*value.inner()),
        LiteralValue::Double(value) => Value::from(*value.inner()),
        LiteralValue::String(value) => Value::from(value.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::Bytes(_) => return Err(ExprError::Unavailable("a bytes literal".to_owned())),
    })
}
