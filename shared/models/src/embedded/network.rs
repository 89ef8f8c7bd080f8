//! What computes: our own decoder for the architectures that small models have, candle's for others.

use candle_core::{Device, Tensor};
use candle_transformers::models::{
    quantized_gemma3, quantized_llama, quantized_phi3, quantized_qwen2, quantized_qwen3,
};

use super::gguf::{Gguf, LoadError};
use super::transformer::{StopCheck, Stopped, Transformer};

/// Models of more weights are left to candle: it keeps them packed as they are stored, and uses all cores.
const OWN_PARAMETERS_MAX: usize = 1_500_000_000;
/// Candle's Llama turns no positions beyond.
const CANDLE_LLAMA_CONTEXT: usize = 4_096;

/// Why there are no logits.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
    /// A tensor of the file doesn't fit the others.
    #[error("the model can't be computed")]
    Broken(#[source] candle_core::Error),
}

impl From<Stopped> for NetworkError {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// A loaded model and what it has read.
pub enum Network {
    /// Llama, Qwen 2 and Qwen 3 of up to 1.5 G weights.
    Own(Box<Transformer>),
    /// Anything else.
    Candle(Box<CandleNetwork>),
}

/// A model of candle's.
pub struct CandleNetwork {
    model: CandleModel,
    position: usize,
}

pub(super) enum CandleModel {
    Llama(quantized_llama::ModelWeights),
    Qwen2(quantized_qwen2::ModelWeights),
    Qwen3(quantized_qwen3::ModelWeights),
    Phi3(quantized_phi3::ModelWeights),
    Gemma3(quantized_gemma3::ModelWeights),
}

impl Network {
    /// Loads the weights.
    pub fn load(mut file: Gguf) -> Result<Self, LoadError> {
        if Transformer::knows(&file) && file.parameters() <= OWN_PARAMETERS_MAX {
            return Ok(Self::Own(Box::new(Transformer::load(&mut file)?)));
        }
        let model = CandleModel::load(file)?;
        Ok(Self::Candle(Box::new(CandleNetwork { model, position: 0 })))
    }

    /// Tokens that the model was made for, and that can be computed.
    pub fn context_tokens(file: &Gguf) -> usize {
        let trained = file.own_number("context_length").unwrap_or(2_048);
        let own = Transformer::knows(file) && file.parameters() <= OWN_PARAMETERS_MAX;
        if own || file.architecture() != "llama" { trained } else { trained.min(CANDLE_LLAMA_CONTEXT) }
    }

    /// Reads a prompt from its beginning and says how likely each token is next (logits).
    pub fn start(&mut self, prompt: &[u32], stop: StopCheck<'_>) -> Result<Vec<f32>, NetworkError> {
        match self {
            Self::Own(model) => Ok(model.start(prompt, stop)?),
            Self::Candle(model) => {
                model.position = 0;
                model.model.forget();
                model.read(prompt)
            }
        }
    }

    /// Reads tokens after those that were read, and says how likely each token is next (logits).
    pub fn advance(&mut self, tokens: &[u32], stop: StopCheck<'_>) -> Result<Vec<f32>, NetworkError> {
        match self {
            Self::Own(model) => Ok(model.advance(tokens, stop)?),
            // One by one: not each of candle's models masks several tokens after others rightly.
            Self::Candle(model) => {
                let mut logits = Vec::new();
                for token in tokens {
                    if stop() {
                        return Err(NetworkError::Stopped);
                    }
                    logits = model.read(&[*token])?;
                }
                Ok(logits)
            }
        }
    }
}

impl CandleNetwork {
    fn read(&mut self, tokens: &[u32]) -> Result<Vec<f32>, NetworkError> {
        let logits = self.model.forward(tokens, self.position).map_err(NetworkError::Broken)?;
        self.position += tokens.len();
        Ok(logits)
    }
}

impl CandleModel {
    pub(super) fn load(file: Gguf) -> Result<Self, LoadError> {
        let architecture = file.architecture().to_owned();
        let unsupported = file.unsupported(format!("{architecture}; llama, qwen2, qwen3, phi3 and gemma3 are"));
        let path = file.path().to_owned();
        let (content, mut reader) = file.into_parts();
        let reader = &mut reader;
        let device = &Device::Cpu;
        let model = match architecture.as_str() {
            "llama" => quantized_llama::ModelWeights::from_gguf(content, reader, device).map(Self::Llama),
            "qwen2" => quantized_qwen2::ModelWeights::from_gguf(content, reader, device).map(Self::Qwen2),
            "qwen3" => quantized_qwen3::ModelWeights::from_gguf(content, reader, device).map(Self::Qwen3),
            "phi3" => quantized_phi3::ModelWeights::from_gguf(false, content, reader, device).map(Self::Phi3),
            "gemma3" => quantized_gemma3::ModelWeights::from_gguf(content, reader, device).map(Self::Gemma3),
            _ => return Err(unsupported),
        };
        model.map_err(|error| LoadError::Broken { path, detail: error.to_string() })
    }

    fn forget(&mut self) {
        match self {
            Self::Llama(model) => model.clear_kv_cache(),
            Self::Qwen2(model) => model.clear_kv_cache(),
            Self::Qwen3(model) => model.clear_kv_cache(),
            // These forget when they are at position 0.
            Self::Phi3(_) | Self::Gemma3(_) => {}
        }
    }

    pub(super) fn forward(&mut self, tokens: &[u32], position: usize) -> candle_core::Result<Vec<f32>> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = match self {
            Self::Llama(model) => model.forward(&input, position),
            Self::Qwen2(model) => model.forward(&input, position),
            Self::Qwen3(model) => model.forward(&input, position),
            Self::Phi3(model) => model.forward(&input, position),
            Self::Gemma3(model) => model.forward(&input, position),
        };
        logits?.flatten_all()?.to_vec1()
    }
}
