//! The decoder that Llama, Qwen 2 and Qwen 3 share, on one core.
//!
//! Written for a small model beside other work on a small machine: no threads, no spinning, keys and values kept in
//! place, and the prompt's beginning remembered. Prompts are read in chunks of [`CHUNK`] tokens at fixed positions;
//! a chunk that the last prompt had at the same place isn't computed again. Only whole chunks are kept, so what comes
//! out never depends on what came before, to the last bit.

use super::attention::{Heads, Past};
use super::gguf::{Gguf, LoadError};
use super::kernels::{BLOCK, Kernels, Q8Matrix};

/// Tokens of a prompt that are read at once.
pub const CHUNK: usize = 128;

/// Given up between two layers, because the caller asked for it.
#[derive(Debug)]
pub struct Stopped;

/// Asked between two layers whether to stop.
pub type StopCheck<'a> = &'a dyn Fn() -> bool;

/// A loaded model and what it has read.
pub struct Transformer {
    shape: Shape,
    kernels: Kernels,
    embeddings: Q8Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// `None` where the embeddings are the output, too.
    output: Option<Q8Matrix>,
    rope: Rope,
    /// Tokens read so far.
    position: usize,
    /// The tokens of the whole chunks at the beginning of what was read.
    chunks: Vec<u32>,
}

struct Shape {
    heads: Heads,
    epsilon: f32,
}

struct Layer {
    attention_norm: Vec<f32>,
    query: Linear,
    key: Linear,
    value: Linear,
    query_norm: Option<Vec<f32>>,
    key_norm: Option<Vec<f32>>,
    attention_output: Q8Matrix,
    feed_norm: Vec<f32>,
    gate: Q8Matrix,
    up: Q8Matrix,
    down: Q8Matrix,
    past: Past,
}

struct Linear {
    weights: Q8Matrix,
    bias: Option<Vec<f32>>,
}

/// Which two numbers of a head are turned together.
#[derive(Clone, Copy)]
enum Pairs {
    /// 2i and 2i + 1.
    Neighbours,
    /// i and i + half.
    Halves,
}

struct Rope {
    pairs: Pairs,
    /// Radians per position, for each pair.
    speeds: Vec<f32>,
}

impl Transformer {
    /// Whether [`Self::load`] knows the file's architecture.
    pub fn knows(file: &Gguf) -> bool {
        let plain = file.own_number("expert_count").unwrap_or(0) == 0;
        let scaling = file.text(&file.own_key("rope.scaling.type")).unwrap_or("none");
        let head = file.own_number("attention.key_length").unwrap_or(BLOCK);
        let known = matches!(file.architecture(), "llama" | "qwen2" | "qwen3");
        known && plain && head.is_multiple_of(BLOCK) && matches!(scaling, "none" | "linear")
    }

    /// Reads all weights into memory, 1.125 bytes each.
    pub fn load(file: &mut Gguf) -> Result<Self, LoadError> {
        let heads = heads(file)?;
        let epsilon = file.own_float("attention.layer_norm_rms_epsilon").unwrap_or(1e-5);
        let rope = Rope::load(file, heads.dim)?;
        let embeddings = file.matrix("token_embd.weight")?;
        let output = if file.has("output.weight") { Some(file.matrix("output.weight")?) } else { None };
        let norm = file.floats("output_norm.weight")?;
        let count = file.required("block_count")?;
        let layers = (0..count).map(|layer| Layer::load(file, layer, heads)).collect::<Result<Vec<_>, _>>()?;
        let model = Self {
            shape: Shape { heads, epsilon },
            kernels: Kernels::detect(),
            embeddings,
            layers,
            norm,
            output,
            rope,
            position: 0,
            chunks: Vec::new(),
        };
        if model.fits() { Ok(model) } else { Err(file.broken("its tensors don't fit each other")) }
    }

    /// Reads a prompt from its beginning and says how likely each token is next (logits).
    pub fn start(&mut self, prompt: &[u32], stop: StopCheck<'_>) -> Result<Vec<f32>, Stopped> {
        let limit = prompt.len().saturating_sub(1) / CHUNK;
        let (known, _) = self.chunks.as_chunks::<CHUNK>();
        let (wanted, _) = prompt.as_chunks::<CHUNK>();
        let same = known.iter().zip(wanted).take(limit).take_while(|(known, wanted)| known == wanted).count();
        self.position = same * CHUNK;
        self.chunks.truncate(self.position);
        let mut last = Vec::new();
        for chunk in prompt[self.position..].chunks(CHUNK) {
            last = self.read(chunk, stop)?;
            if chunk.len() == CHUNK {
                self.chunks.extend_from_slice(chunk);
            }
        }
        Ok(self.logits(&last))
    }

    /// Reads tokens after those that were read, and says how likely each token is next (logits).
    pub fn advance(&mut self, tokens: &[u32], stop: StopCheck<'_>) -> Result<Vec<f32>, Stopped> {
        let mut last = Vec::new();
        for chunk in tokens.chunks(CHUNK) {
            last = self.read(chunk, stop)?;
        }
        Ok(self.logits(&last))
    }

    /// The last token's state after all layers. Nothing counts as read if it is stopped.
    fn read(&mut self, tokens: &[u32], stop: StopCheck<'_>) -> Result<Vec<f32>, Stopped> {
        let width = self.embeddings.cols();
        let mut state = vec![0.0; tokens.len() * width];
        for (token, row) in tokens.iter().zip(state.chunks_exact_mut(width)) {
            self.embeddings.read_row(*token as usize, row);
        }
        let turns = self.rope.turns(self.position, tokens.len());
        let context = Context { shape: &self.shape, kernels: self.kernels, rope: &self.rope, turns: &turns };
        for layer in &mut self.layers {
            if stop() {
                return Err(Stopped);
            }
            layer.past.truncate(self.position);
            layer.forward(&context, &mut state);
        }
        self.position += tokens.len();
        Ok(state.split_off(state.len() - width))
    }

    fn logits(&self, state: &[f32]) -> Vec<f32> {
        let normed = rms_norm(state, &self.norm, self.shape.epsilon);
        let output = self.output.as_ref().unwrap_or(&self.embeddings);
        let mut logits = vec![0.0; output.rows()];
        self.kernels.linear(output, &normed, &mut logits);
        logits
    }

    fn fits(&self) -> bool {
        let width = self.embeddings.cols();
        let output = self.output.as_ref().is_none_or(|output| output.cols() == width);
        output && self.norm.len() == width && self.layers.iter().all(|layer| layer.fits(width, self.shape.heads))
    }
}

fn heads(file: &Gguf) -> Result<Heads, LoadError> {
    let queries = file.required("attention.head_count")?;
    let keys = file.own_number("attention.head_count_kv").unwrap_or(queries);
    if queries == 0 || keys == 0 || !queries.is_multiple_of(keys) {
        return Err(file.broken(format!("{queries} heads don't share {keys} keys")));
    }
    let dim = match file.own_number("attention.key_length") {
        Some(dim) => dim,
        None => file.required("embedding_length")? / queries,
    };
    if dim == 0 || !dim.is_multiple_of(BLOCK) {
        return Err(file.unsupported(format!("heads of {dim} numbers; a multiple of {BLOCK} is needed")));
    }
    Ok(Heads { queries, keys, dim })
}

struct Context<'a> {
    shape: &'a Shape,
    kernels: Kernels,
    rope: &'a Rope,
    turns: &'a [(f32, f32)],
}

impl Context<'_> {
    fn linear(&self, weights: &Q8Matrix, input: &[f32]) -> Vec<f32> {
        let mut output = vec![0.0; input.len() / weights.cols() * weights.rows()];
        self.kernels.linear(weights, input, &mut output);
        output
    }

    /// Queries or keys: projected, perhaps normed head by head, and turned by their positions.
    fn heads(&self, linear: &Linear, norm: Option<&Vec<f32>>, input: &[f32]) -> Vec<f32> {
        let mut heads = linear.apply(self, input);
        if let Some(norm) = norm {
            heads = rms_norm(&heads, norm, self.shape.epsilon);
        }
        let rows = input.len() / linear.weights.cols();
        let width = heads.len() / rows;
        let pairs = self.rope.speeds.len();
        for (row, turns) in heads.chunks_exact_mut(width).zip(self.turns.chunks_exact(pairs)) {
            for head in row.chunks_exact_mut(self.shape.heads.dim) {
                self.rope.pairs.turn(head, turns);
            }
        }
        heads
    }
}

impl Layer {
    fn load(file: &mut Gguf, layer: usize, heads: Heads) -> Result<Self, LoadError> {
        let name = |part: &str| format!("blk.{layer}.{part}");
        Ok(Self {
            attention_norm: file.floats(&name("attn_norm.weight"))?,
            query: Linear::load(file, &name("attn_q"))?,
            key: Linear::load(file, &name("attn_k"))?,
            value: Linear::load(file, &name("attn_v"))?,
            query_norm: file.floats_if_any(&name("attn_q_norm.weight"))?,
            key_norm: file.floats_if_any(&name("attn_k_norm.weight"))?,
            attention_output: file.matrix(&name("attn_output.weight"))?,
            feed_norm: file.floats(&name("ffn_norm.weight"))?,
            gate: file.matrix(&name("ffn_gate.weight"))?,
            up: file.matrix(&name("ffn_up.weight"))?,
            down: file.matrix(&name("ffn_down.weight"))?,
            past: Past::new(heads),
        })
    }

    fn fits(&self, width: usize, heads: Heads) -> bool {
        let (queries, keys) = (heads.queries * heads.dim, heads.keys * heads.dim);
        let is = |matrix: &Q8Matrix, rows: usize, cols: usize| matrix.rows() == rows && matrix.cols() == cols;
        let per_head = |norm: &Option<Vec<f32>>| norm.as_ref().is_none_or(|norm| norm.len() == heads.dim);
        let hidden = self.gate.rows();
        self.attention_norm.len() == width
            && self.feed_norm.len() == width
            && self.query.fits(queries, width)
            && self.key.fits(keys, width)
            && self.value.fits(keys, width)
            && per_head(&self.query_norm)
            && per_head(&self.key_norm)
            && is(&self.attention_output, width, queries)
            && is(&self.gate, hidden, width)
            && is(&self.up, hidden, width)
            && is(&self.down, width, hidden)
    }

    fn forward(&mut self, context: &Context<'_>, state: &mut [f32]) {
        let epsilon = context.shape.epsilon;
        let normed = rms_norm(state, &self.attention_norm, epsilon);
        let queries = context.heads(&self.query, self.query_norm.as_ref(), &normed);
        let keys = context.heads(&self.key, self.key_norm.as_ref(), &normed);
        self.past.extend(&keys, &self.value.apply(context, &normed));
        let attended = self.past.attend(context.kernels, &queries);
        add(state, &context.linear(&self.attention_output, &attended));

        let normed = rms_norm(state, &self.feed_norm, epsilon);
        let mut gate = context.linear(&self.gate, &normed);
        context.kernels.gated(&mut gate, &context.linear(&self.up, &normed));
        add(state, &context.linear(&self.down, &gate));
    }
}

impl Linear {
    fn load(file: &mut Gguf, name: &str) -> Result<Self, LoadError> {
        Ok(Self {
            weights: file.matrix(&format!("{name}.weight"))?,
            bias: file.floats_if_any(&format!("{name}.bias"))?,
        })
    }

    fn fits(&self, rows: usize, cols: usize) -> bool {
        let bias = self.bias.as_ref().is_none_or(|bias| bias.len() == rows);
        bias && self.weights.rows() == rows && self.weights.cols() == cols
    }

    fn apply(&self, context: &Context<'_>, input: &[f32]) -> Vec<f32> {
        let mut output = context.linear(&self.weights, input);
        if let Some(bias) = &self.bias {
            for row in output.chunks_exact_mut(bias.len()) {
                add(row, bias);
            }
        }
        output
    }
}

impl Rope {
    fn load(file: &mut Gguf, head: usize) -> Result<Self, LoadError> {
        let dims = file.own_number("rope.dimension_count").unwrap_or(head);
        if dims > head || !dims.is_multiple_of(2) {
            return Err(file.broken(format!("{dims} of a head's {head} numbers can't be turned")));
        }
        let base = file.own_float("rope.freq_base").unwrap_or(10_000.0);
        let linear = file.text(&file.own_key("rope.scaling.type")) == Some("linear");
        let factor = if linear { file.own_float("rope.scaling.factor").unwrap_or(1.0) } else { 1.0 };
        let slower = file.floats_if_any("rope_freqs.weight")?.unwrap_or_else(|| vec![1.0; dims / 2]);
        #[expect(clippy::cast_precision_loss, reason = "a head's length is far below 2^24")]
        let speeds = slower
            .iter()
            .take(dims / 2)
            .enumerate()
            .map(|(pair, slower)| base.powf(-2.0 * pair as f32 / dims as f32) / (slower * factor));
        let pairs = if file.architecture() == "llama" { Pairs::Neighbours } else { Pairs::Halves };
        Ok(Self { pairs, speeds: speeds.collect() })
    }

    /// Cosine and sine for each position and pair.
    fn turns(&self, position: usize, count: usize) -> Vec<(f32, f32)> {
        let mut turns = Vec::with_capacity(count * self.speeds.len());
        for position in position..position + count {
            #[expect(clippy::cast_precision_loss, reason = "positions are far below 2^24")]
            let position = position as f32;
            turns.extend(self.speeds.iter().map(|speed| {
                let (sin, cos) = (position * speed).sin_cos();
                (cos, sin)
            }));
        }
        turns
    }
}

impl Pairs {
    fn turn(self, head: &mut [f32], turns: &[(f32, f32)]) {
        for (pair, (cos, sin)) in turns.iter().enumerate() {
            let (first, second) = match self {
                Self::Neighbours => (2 * pair, 2 * pair + 1),
                Self::Halves => (pair, pair + turns.len()),
            };
            let (x, y) = (head[first], head[second]);
            head[first] = x * cos - y * sin;
            head[second] = x * sin + y * cos;
        }
    }
}

/// Each row, as long as `weights`, divided by its root mean square and multiplied with `weights`.
fn rms_norm(rows: &[f32], weights: &[f32], epsilon: f32) -> Vec<f32> {
    let mut normed = Vec::with_capacity(rows.len());
    for row in rows.chunks_exact(weights.len()) {
        #[expect(clippy::cast_precision_loss, reason = "a row's length is far below 2^24")]
        let mean = row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32;
        let scale = 1.0 / (mean + epsilon).sqrt();
        normed.extend(row.iter().zip(weights).map(|(x, weight)| x * scale * weight));
    }
    normed
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

#[cfg(test)]
#[path = "transformer_tests.rs"]
mod tests;
