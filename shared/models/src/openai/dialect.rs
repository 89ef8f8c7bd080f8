//! What a server takes, as far as it has said so by refusing.

use super::failure::Refusal;
use crate::structured::envelope::SchemaMode;

/// Which field bounds the answer: the old name, or the one that reasoning models want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenField {
    MaxTokens,
    MaxCompletionTokens,
}

impl TokenField {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// The way to ask one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) schema: SchemaMode,
    pub(super) token_field: TokenField,
    pub(super) temperature: bool,
    pub(super) seed: bool,
    pub(super) stream_usage: bool,
}

impl Dialect {
    /// This dialect without what the provider refuses; `None` where it refuses something that can't be left out.
    pub(super) fn without(self, refusal: &Refusal, has_schema: bool) -> Option<Self> {
        if refusal.names("max_completion_tokens") && !refusal.says_too_large() {
            let token_field = match self.token_field {
                TokenField::MaxTokens => TokenField::MaxCompletionTokens,
                TokenField::MaxCompletionTokens => TokenField::MaxTokens,
            };
            return Some(Self { token_field, ..self });
        }
        if self.temperature && refusal.names("temperature") {
            return Some(Self { temperature: false, ..self });
        }
        if self.stream_usage && refusal.names("stream_options") {
            return Some(Self { stream_usage: false, ..self });
        }
        if has_schema && self.refuses_schema(refusal) {
            return self.schema.next().map(|schema| Self { schema, ..self });
        }
        if self.seed && refusal.names("seed") {
            return Some(Self { seed: false, ..self });
        }
        None
    }

    fn refuses_schema(self, refusal: &Refusal) -> bool {
        let signs: &[&str] = match self.schema {
            SchemaMode::Native => &[
                "response_format",
                "response format",
                "json_schema",
                "schema",
                "structured output",
                "grammar",
                "requested parameters",
            ],
            SchemaMode::ForcedTool => &["tool", "function", "requested parameters"],
            SchemaMode::Instructed => &[],
        };
        signs.iter().any(|sign| refusal.names(sign))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FULL: Dialect = Dialect {
        schema: SchemaMode::Native,
        token_field: TokenField::MaxCompletionTokens,
        temperature: true,
        seed: true,
        stream_usage: true,
    };

    fn said(message: &str) -> Refusal {
        Refusal::told(400, &json!({"message": message}), str::to_owned)
    }

    #[test]
    fn what_is_refused_is_left_out() {
        let without = |message: &str| FULL.without(&said(message), true);
        for (message, next) in [
            ("Unrecognized argument: max_completion_tokens", Dialect { token_field: TokenField::MaxTokens, ..FULL }),
            ("'temperature' does not support 0.2 with this model", Dialect { temperature: false, ..FULL }),
            ("unknown field `stream_options`", Dialect { stream_usage: false, ..FULL }),
            ("This response_format type is unavailable now", Dialect { schema: SchemaMode::ForcedTool, ..FULL }),
            (
                "No endpoints found that can handle the requested parameters",
                Dialect { schema: SchemaMode::ForcedTool, ..FULL },
            ),
            ("seed is not supported", Dialect { seed: false, ..FULL }),
        ] {
            assert_eq!(without(message), Some(next), "{message}");
        }
        let old = Dialect { token_field: TokenField::MaxTokens, ..FULL };
        let hint = said("'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.");
        assert_eq!(old.without(&hint, false), Some(FULL));
    }

    #[test]
    fn what_cannot_be_left_out_is_final() {
        assert_eq!(FULL.without(&said("messages: must not be empty"), true), None);
        assert_eq!(FULL.without(&said("response_format is unknown"), false), None);
        assert_eq!(FULL.without(&said("max_completion_tokens is too large: 99999"), true), None);
        let last = Dialect { schema: SchemaMode::Instructed, ..FULL };
        assert_eq!(last.without(&said("bad tool schema"), true), None);
    }
}
