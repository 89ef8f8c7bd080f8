use std::path::Path;

use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use tempfile::TempDir;

use super::super::kernels::tests::numbers;
use super::super::network::CandleModel;
use super::*;

const WIDTH: usize = 64;
const HIDDEN: usize = 96;
const VOCABULARY: usize = 50;
const HEADS: Heads = Heads { queries: 2, keys: 1, dim: 32 };

/// Writes a model with made-up weights.
fn make(path: &Path, architecture: &str) {
    let mut tensors: Vec<(String, QTensor)> = Vec::new();
    let mut add = |name: String, shape: &[usize], kind: GgmlDType| {
        let seed = u32::try_from(tensors.len()).expect("few") + 1;
        let mut values = numbers(shape.iter().product(), seed);
        if name.ends_with("norm.weight") {
            values = values.iter().map(|value| 1.0 + value / 4.0).collect();
        } else {
            values = values.iter().map(|value| value / 4.0).collect();
        }
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor");
        tensors.push((name, QTensor::quantize(&tensor, kind).expect("quantised")));
    };
    add("token_embd.weight".into(), &[VOCABULARY, WIDTH], GgmlDType::Q8_0);
    add("output_norm.weight".into(), &[WIDTH], GgmlDType::F32);
    for layer in 0..2 {
        let (queries, keys) = (HEADS.queries * HEADS.dim, HEADS.keys * HEADS.dim);
        let matrices = [
            ("attn_q", queries, WIDTH),
            ("attn_k", keys, WIDTH),
            ("attn_v", keys, WIDTH),
            ("attn_output", WIDTH, queries),
            ("ffn_gate", HIDDEN, WIDTH),
            ("ffn_up", HIDDEN, WIDTH),
            ("ffn_down", WIDTH, HIDDEN),
        ];
        for (name, rows, cols) in matrices {
            add(format!("blk.{layer}.{name}.weight"), &[rows, cols], GgmlDType::Q8_0);
        }
        for name in ["attn_norm", "ffn_norm"] {
            add(format!("blk.{layer}.{name}.weight"), &[WIDTH], GgmlDType::F32);
        }
        if architecture == "qwen2" {
            for (name, length) in [("attn_q", queries), ("attn_k", keys), ("attn_v", keys)] {
                add(format!("blk.{layer}.{name}.bias"), &[length], GgmlDType::F32);
            }
        }
        if architecture == "qwen3" {
            for name in ["attn_q_norm", "attn_k_norm"] {
                add(format!("blk.{layer}.{name}.weight"), &[HEADS.dim], GgmlDType::F32);
            }
        }
    }
    let number = |value: usize| Value::U32(u32::try_from(value).expect("small"));
    let metadata = [
        ("general.architecture".to_owned(), Value::String(architecture.to_owned())),
        (format!("{architecture}.attention.head_count"), number(HEADS.queries)),
        (format!("{architecture}.attention.head_count_kv"), number(HEADS.keys)),
        (format!("{architecture}.attention.key_length"), number(HEADS.dim)),
        (format!("{architecture}.attention.layer_norm_rms_epsilon"), Value::F32(1e-5)),
        (format!("{architecture}.block_count"), number(2)),
        (format!("{architecture}.context_length"), number(512)),
        (format!("{architecture}.embedding_length"), number(WIDTH)),
        (format!("{architecture}.feed_forward_length"), number(HIDDEN)),
        (format!("{architecture}.rope.dimension_count"), number(HEADS.dim)),
        (format!("{architecture}.rope.freq_base"), Value::F32(10_000.0)),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    write(&mut std::fs::File::create(path).expect("a file"), &metadata, &tensors).expect("written");
}

fn tokens(count: u32) -> Vec<u32> {
    (0..count).map(|at| (at * 7 + at / 3) % 50).collect()
}

fn never() -> bool {
    false
}

fn load(path: &Path) -> Transformer {
    Transformer::load(&mut Gguf::open(path).expect("a GGUF file")).expect("a model")
}

/// Of the logits, relative to their spread: candle rounds activations to 8 bits.
fn difference(left: &[f32], right: &[f32]) -> f32 {
    let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    let apart: Vec<f32> = left.iter().zip(right).map(|(a, b)| a - b).collect();
    norm(&apart) / norm(right)
}

#[test]
fn the_logits_are_those_of_another_implementation() {
    let folder = TempDir::new().expect("a folder");
    for architecture in ["llama", "qwen2", "qwen3"] {
        let path = folder.path().join(architecture);
        make(&path, architecture);
        let mut own = load(&path);
        let mut other = CandleModel::load(Gguf::open(&path).expect("a GGUF file")).expect("a model");
        let prompt = tokens(40);
        let first = own.start(&prompt, &never).expect("not stopped");
        let expected = other.forward(&prompt, 0).expect("logits");
        assert!(difference(&first, &expected) < 0.05, "{architecture}: {}", difference(&first, &expected));
        let next = own.advance(&[3, 4], &never).expect("not stopped");
        other.forward(&[3], 40).expect("logits");
        let expected = other.forward(&[4], 41).expect("logits");
        assert!(difference(&next, &expected) < 0.05, "{architecture}: {}", difference(&next, &expected));
        assert!(difference(&next, &first) > 0.3, "{architecture}: it doesn't depend on the tokens");
    }
}

#[test]
fn what_was_read_before_changes_nothing() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("model");
    make(&path, "llama");
    let long = tokens(300);
    let fresh = load(&path).start(&long, &never).expect("not stopped");
    let mut used = load(&path);
    used.start(&tokens(290), &never).expect("not stopped");
    used.advance(&[1, 2, 3], &never).expect("not stopped");
    assert_eq!(used.chunks.len(), 2 * CHUNK);
    assert_eq!(used.start(&long, &never).expect("not stopped"), fresh);
    let mut other = long.clone();
    other[CHUNK] += 1;
    used.start(&other, &never).expect("not stopped");
    assert_eq!(used.start(&long, &never).expect("not stopped"), fresh);
    // A prompt that is all known still needs its last chunk's logits.
    let exact = &long[..2 * CHUNK];
    let again = used.start(exact, &never).expect("not stopped");
    assert_eq!(again, load(&path).start(exact, &never).expect("not stopped"));
}

#[test]
fn stopping_leaves_it_usable() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("model");
    make(&path, "llama");
    let mut model = load(&path);
    let calls = std::cell::Cell::new(0);
    let later = || {
        calls.set(calls.get() + 1);
        calls.get() > 3
    };
    assert!(model.start(&tokens(300), &later).is_err());
    assert_eq!(calls.get(), 4);
    let fresh = load(&path).start(&tokens(300), &never).expect("not stopped");
    assert_eq!(model.start(&tokens(300), &never).expect("not stopped"), fresh);
}
