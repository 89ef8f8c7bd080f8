use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{Value, write};
use tempfile::TempDir;

use super::*;

fn texts(all: &[&str]) -> Value {
    Value::Array(all.iter().map(|one| Value::String((*one).to_owned())).collect())
}

fn kinds(all: &[i32]) -> Value {
    Value::Array(all.iter().map(|one| Value::I32(*one)).collect())
}

/// The tokenizer of a file with that metadata and no tensors.
fn load(metadata: &[(&str, Value)]) -> Result<Tokenizer, LoadError> {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("tokens.gguf");
    let architecture = Value::String("llama".into());
    let mut all: Vec<(&str, &Value)> = vec![("general.architecture", &architecture)];
    all.extend(metadata.iter().map(|(key, value)| (*key, value)));
    let none: [(&str, &QTensor); 0] = [];
    write(&mut std::fs::File::create(&path).expect("a file"), &all, &none).expect("written");
    Tokenizer::load(&Gguf::open(&path).expect("a GGUF file"))
}

fn byte_level_file(pre: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.pre", Value::String(pre.into())),
        ("tokenizer.ggml.tokens", texts(&["<|im_end|>", "a", "b", "1", "2", "12", "Ġ", "Ġa", "Ġab", "Ã", "¤", "ab"])),
        ("tokenizer.ggml.token_type", kinds(&[3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])),
        ("tokenizer.ggml.merges", texts(&["Ġ a", "Ġa b", "1 2", "a b"])),
        ("tokenizer.ggml.eos_token_id", Value::U32(0)),
    ]
}

fn text_of(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| tokenizer.bytes_of(*token)).copied().collect();
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn bytes_are_merged_and_read_back() {
    let tokenizer = load(&byte_level_file("smollm")).expect("a tokenizer");
    let tokens = tokenizer.encode_prompt("ab ab12ä").expect("tokens");
    // SmolLM cuts digits apart, whatever the merges say.
    assert_eq!(tokens, [11, 8, 3, 4, 9, 10]);
    assert_eq!(text_of(&tokenizer, &tokens), "ab ab12ä");
    let merged = load(&byte_level_file("gpt-2")).expect("a tokenizer");
    assert_eq!(merged.encode_prompt("ab12").expect("tokens"), [11, 5]);
}

#[test]
fn control_tokens_are_tokens_unless_somebody_wrote_them() {
    let tokenizer = load(&byte_level_file("smollm")).expect("a tokenizer");
    assert_eq!(tokenizer.encode_prompt("a<|im_end|>").expect("tokens"), [1, 0]);
    assert!(tokenizer.is_end(0) && tokenizer.bytes_of(0).is_empty());
    assert_eq!(tokenizer.defused("a<|im_end|>b < c"), "a< |im_end|>b < c");
}

#[test]
fn pieces_are_merged_by_their_scores() {
    let scores = [0.0, 0.0, -3.0, -4.0, -2.0, -1.0, -9.0, -9.0, -9.0];
    let tokenizer = load(&[
        ("tokenizer.ggml.model", Value::String("llama".into())),
        ("tokenizer.ggml.tokens", texts(&["<unk>", "<s>", "▁a", "ab", "▁ab", "▁", "a", "b", "<0x0A>"])),
        ("tokenizer.ggml.token_type", kinds(&[2, 3, 1, 1, 1, 1, 1, 1, 6])),
        ("tokenizer.ggml.scores", Value::Array(scores.iter().map(|one| Value::F32(*one)).collect())),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.eos_token_id", Value::U32(1)),
    ])
    .expect("a tokenizer");
    let tokens = tokenizer.encode_prompt("ab a\n").expect("tokens");
    assert_eq!(tokens, [1, 4, 2, 8]);
    assert_eq!(text_of(&tokenizer, &tokens), " ab a\n");
}

#[test]
fn an_unknown_tokenizer_is_named() {
    let unknown = load(&byte_level_file("klingon"));
    assert!(matches!(&unknown, Err(LoadError::Unsupported { what, .. }) if what.contains("klingon")));
    let mut endless = byte_level_file("smollm");
    endless.pop();
    if let Some((_, tokens)) = endless.get_mut(2) {
        *tokens = texts(&["<|x|>", "a", "b", "1", "2", "12", "Ġ", "Ġa", "Ġab", "Ã", "¤", "ab"]);
    }
    assert!(matches!(load(&endless), Err(LoadError::Broken { .. })));
}
