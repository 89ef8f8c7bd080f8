//! Expressions with placeholders for every name and value, so that no attribute collides with a reserved word and no
//! value with the syntax.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// Names by placeholder.
pub(crate) type Names = HashMap<String, String>;

/// Values by placeholder.
pub(crate) type Values = HashMap<String, AttributeValue>;

/// The placeholders of one request. They are as short as can be: an expression has 4 KB.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    names: Names,
    values: Values,
}

impl Placeholders {
    /// The placeholder of an attribute's name.
    pub(crate) fn name(&mut self, attribute: &str) -> String {
        let next = self.names.len();
        self.names.entry(attribute.to_owned()).or_insert_with(|| format!("#{}", short(next))).clone()
    }

    /// The placeholder of a path to an entry of a map attribute.
    pub(crate) fn path(&mut self, attribute: &str, key: &str) -> String {
        format!("{}.{}", self.name(attribute), self.name(key))
    }

    /// The placeholder of a value.
    pub(crate) fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":{}", short(self.values.len()));
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// Names and values as a request takes them; no empty map, which is an error to the service.
    pub(crate) fn finish(self) -> (Option<Names>, Option<Values>) {
        let names: HashMap<_, _> = self.names.into_iter().map(|(name, placeholder)| (placeholder, name)).collect();
        ((!names.is_empty()).then_some(names), (!self.values.is_empty()).then_some(self.values))
    }
}

/// A number in base 36.
fn short(mut number: usize) -> String {
    const DIGITS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::new();
    loop {
        text.insert(0, char::from(DIGITS[number % 36]));
        number /= 36;
        if number == 0 {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_placeholder_and_each_value_its_own() {
        let mut some = Placeholders::default();
        assert_eq!(some.path("run", "3"), "#a.#b");
        assert_eq!(some.path("done", "3"), "#c.#b");
        assert_eq!(some.value(AttributeValue::Bool(true)), ":a");
        assert_eq!(some.value(AttributeValue::Bool(true)), ":b");
        let (names, values) = some.finish();
        assert_eq!(names.expect("names")["#b"], "3");
        assert_eq!(values.expect("values").len(), 2);
    }

    #[test]
    fn placeholders_never_repeat() {
        let all: std::collections::BTreeSet<_> = (0..5_000).map(short).collect();
        assert_eq!(all.len(), 5_000);
    }
}
