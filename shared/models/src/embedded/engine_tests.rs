use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{Value, write};
use convoke_schema::Schema;
use serde_json::json;
use tempfile::TempDir;

use super::super::kernels::tests::numbers;
use super::*;

/// Tokens beyond the single bytes: some that close and open several things at once, some that are long.
const WORDS: [&str; 10] = ["\",\"", "\"}", "\"]", "]}", "},{", "\":", "item", "needs", "00", "name"];

/// A tokenizer of all bytes and some words.
fn tokenizer() -> Arc<Tokenizer> {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("tokens.gguf");
    let text = |text: String| Value::String(text);
    let mut tokens = vec![text("<|im_end|>".into())];
    let shown = (0..=255_u8).map(|byte| match byte {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        0..=0x20 => char::from_u32(0x100 + u32::from(byte)).expect("a character"),
        0x7f..=0xa0 => char::from_u32(0x121 + u32::from(byte) - 0x7f).expect("a character"),
        0xad => '\u{143}',
    });
    tokens.extend(shown.map(|shown| text(shown.to_string())));
    tokens.extend(WORDS.iter().map(|word| text((*word).to_owned())));
    let kinds = (0..tokens.len()).map(|at| Value::I32(if at == 0 { 3 } else { 1 })).collect();
    let metadata = [
        ("general.architecture", text("llama".into())),
        ("tokenizer.ggml.model", text("gpt2".into())),
        ("tokenizer.ggml.pre", text("default".into())),
        ("tokenizer.ggml.tokens", Value::Array(tokens)),
        ("tokenizer.ggml.token_type", Value::Array(kinds)),
        ("tokenizer.ggml.merges", Value::Array(Vec::new())),
        ("tokenizer.ggml.eos_token_id", Value::U32(0)),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let none: [(&str, &QTensor); 0] = [];
    write(&mut std::fs::File::create(&path).expect("a file"), &metadata, &none).expect("written");
    Arc::new(Tokenizer::load(&Gguf::open(&path).expect("a GGUF file")).expect("a tokenizer"))
}

/// What a model that talks at random says.
fn babble(grammars: &Grammars, tokenizer: &Arc<Tokenizer>, bounded: &Bounded, room: usize, seed: u32) -> String {
    let sampling = Sampling { temperature: 1.0, top_p: 1.0, repetition_penalty: 1.0, recent_tokens: 0 };
    let mut writer = Writer {
        tokenizer: Arc::clone(tokenizer),
        sampler: Sampler::new(sampling, u64::from(seed)),
        tokens: Vec::new(),
        bytes: Vec::new(),
        shown: 0,
        room,
    };
    let constraint = grammars.begin(bounded).expect("a grammar");
    let mut closing = Closing { constraint, bounded: bounded.clone() };
    let mut step = seed;
    while !closing.constraint.is_over() {
        step += 1;
        let logits = numbers(tokenizer.len(), step);
        match writer.constrained(&mut closing, &logits).expect("the grammar holds") {
            Next::Tokens(tokens) => writer.take(&tokens, &mut |_| {}),
            Next::End => break,
        }
        assert!(writer.tokens.len() <= room, "{} of {room} tokens", writer.tokens.len());
    }
    String::from_utf8(writer.bytes).expect("UTF-8")
}

#[test]
fn whatever_a_model_says_ends_in_time_and_is_valid() {
    let text = json!({ "type": "string" });
    let node = json!({ "type": "object", "required": ["name"], "properties": {
        "name": text, "size": { "type": "integer", "minimum": 10, "maximum": 99 },
        "parts": { "type": "array", "items": { "$ref": "#/$defs/node" } },
    }});
    let schemas = [
        json!({ "type": "array", "items": { "type": "array", "items": text } }),
        json!({ "type": "array", "minItems": 3, "items": { "type": "number" } }),
        json!({ "type": "object", "required": ["b"], "properties": {
            "a": { "type": "string", "minLength": 30 }, "b": { "enum": ["item", "needs", 7, null] },
            "c": { "type": ["boolean", "null", "string"] }, "d": { "const": "name" } } }),
        json!({ "$ref": "#/$defs/node", "$defs": { "node": node } }),
        json!({ "oneOf": [text, { "type": "object" }, { "type": "array", "items": {} }] }),
        json!({ "type": "string", "pattern": "^[a-z]+(/[a-z]+)*\\.md$", "maxLength": 40 }),
        json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
        json!({ "type": "string", "minLength": 400 }),
        json!({ "type": "array", "minItems": 2, "items": { "type": "string", "minLength": 101, "maxLength": 102 } }),
        json!({ "type": "array", "minItems": 4, "items": { "anyOf": [{ "type": "number", "minimum": 7 },
            { "type": "integer", "exclusiveMaximum": -3 }, { "type": "number", "maximum": 1e20 }] } }),
    ];
    let tokenizer = tokenizer();
    let grammars = Grammars::new(&tokenizer).expect("grammars");
    for schema in &schemas {
        let compiled = Schema::compile(schema).expect("a schema");
        let count = |text: &str| tokenizer.encode_plain(text).len();
        let closing = bounds::bound(schema, 100_000, &count).expect("it can be bounded").closing_tokens;
        for (seed, room) in (1..).zip([closing + 1, closing + 2, closing + 9, closing + 40, closing + 150].repeat(3)) {
            let bounded = bounds::bound(schema, room, &count).expect("there is room");
            let text = babble(&grammars, &tokenizer, &bounded, room, seed * 1_000);
            let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} ({schema})"));
            assert!(compiled.is_valid(&value), "{text} isn't of {schema}");
        }
    }
}

#[test]
fn characters_are_emitted_whole() {
    let tokenizer = tokenizer();
    let mut writer = Writer {
        tokenizer: Arc::clone(&tokenizer),
        sampler: Sampler::new(Sampling::default(), 0),
        tokens: Vec::new(),
        bytes: Vec::new(),
        shown: 0,
        room: 10,
    };
    let mut pieces = Vec::new();
    for token in tokenizer.encode_plain("aä€") {
        writer.take(&[token], &mut |piece| pieces.push(piece.to_owned()));
    }
    assert_eq!(pieces, ["a", "ä", "€"]);
    assert_eq!(writer.tokens.len(), 6);
}
