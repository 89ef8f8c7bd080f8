//! A GGUF file: its metadata by key, its tensors by name.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};

use super::kernels::Q8Matrix;

/// Why a model's file can't be used. Final: another file is needed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It can't be opened or read.
    #[error("{path} can't be read", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is no GGUF, or a broken one.
    #[error("{path} is no sound GGUF file ({detail})", path = path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// It is a model of a kind that isn't built in.
    #[error("{path} holds a model that isn't supported: {what}", path = path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What isn't supported, and what is.
        what: String,
    },
}

/// An opened GGUF file.
pub struct Gguf {
    path: PathBuf,
    reader: BufReader<File>,
    content: Content,
    architecture: String,
}

impl Gguf {
    /// Reads the metadata; tensors stay in the file until they are asked for.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let unreadable = |source| LoadError::Unreadable { path: path.to_owned(), source };
        let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
        let broken = |detail: String| LoadError::Broken { path: path.to_owned(), detail };
        let content = Content::read(&mut reader).map_err(|error| broken(error.to_string()))?;
        let architecture = match content.metadata.get("general.architecture") {
            Some(Value::String(name)) => name.clone(),
            _ => return Err(broken("general.architecture is missing".to_owned())),
        };
        Ok(Self { path: path.to_owned(), reader, content, architecture })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `general.architecture`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Gives up the file's parts, for a reader that wants to own them.
    pub fn into_parts(self) -> (Content, BufReader<File>) {
        (self.content, self.reader)
    }

    /// The error for a file that lacks something or contradicts itself.
    pub fn broken(&self, detail: impl Into<String>) -> LoadError {
        LoadError::Broken { path: self.path.clone(), detail: detail.into() }
    }

    /// The error for a file whose model isn't built in.
    pub fn unsupported(&self, what: impl Into<String>) -> LoadError {
        LoadError::Unsupported { path: self.path.clone(), what: what.into() }
    }

    /// A whole number, of whatever width.
    pub fn number(&self, key: &str) -> Option<usize> {
        let value = self.content.metadata.get(key)?;
        let wide = match value {
            Value::I8(value) => u64::try_from(*value).ok()?,
            Value::I16(value) => u64::try_from(*value).ok()?,
            Value::I32(value) => u64::try_from(*value).ok()?,
            Value::I64(value) => u64::try_from(*value).ok()?,
            Value::U16(value) => u64::from(*value),
            other => other.to_u64().ok()?,
        };
        usize::try_from(wide).ok()
    }

    /// A whole number of the architecture: `llama.block_count` is `block_count`.
    pub fn own_number(&self, key: &str) -> Option<usize> {
        self.number(&self.own_key(key))
    }

    /// A number of the architecture that has to be there.
    pub fn required(&self, key: &str) -> Result<usize, LoadError> {
        self.own_number(key).ok_or_else(|| self.broken(format!("{} is missing", self.own_key(key))))
    }

    /// A float of the architecture.
    pub fn own_float(&self, key: &str) -> Option<f32> {
        self.content.metadata.get(&self.own_key(key))?.to_f32().ok()
    }

    /// A text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.content.metadata.get(key)?.to_string().ok().map(String::as_str)
    }

    /// A flag.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.content.metadata.get(key)?.to_bool().ok()
    }

    /// A list.
    pub fn list(&self, key: &str) -> Option<&[Value]> {
        self.content.metadata.get(key)?.to_vec().ok().map(Vec::as_slice)
    }

    /// A key of the architecture.
    pub fn own_key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// Weights of all tensors together.
    pub fn parameters(&self) -> usize {
        self.content.tensor_infos.values().map(|info| info.shape.elem_count()).sum()
    }

    /// A tensor as it is stored.
    pub fn tensor(&mut self, name: &str) -> Result<QTensor, LoadError> {
        let read = self.content.tensor(&mut self.reader, name, &Device::Cpu);
        read.map_err(|error| self.broken(format!("tensor {name}: {error}")))
    }

    /// A tensor as floats.
    pub fn floats(&mut self, name: &str) -> Result<Vec<f32>, LoadError> {
        let tensor = self.tensor(name)?;
        let floats = tensor.dequantize(&Device::Cpu).and_then(|tensor| tensor.flatten_all()?.to_vec1());
        floats.map_err(|error| self.broken(format!("tensor {name}: {error}")))
    }

    /// A tensor as floats, where there is one.
    pub fn floats_if_any(&mut self, name: &str) -> Result<Option<Vec<f32>>, LoadError> {
        if self.has(name) { self.floats(name).map(Some) } else { Ok(None) }
    }

    /// A matrix in 8 bits; one that is stored otherwise is rounded to them.
    pub fn matrix(&mut self, name: &str) -> Result<Q8Matrix, LoadError> {
        let tensor = self.tensor(name)?;
        let (rows, cols) = tensor.shape().dims2().map_err(|error| self.broken(format!("tensor {name}: {error}")))?;
        let matrix = if tensor.dtype() == GgmlDType::Q8_0 {
            let bytes = tensor.data().map_err(|error| self.broken(format!("tensor {name}: {error}")))?;
            Q8Matrix::from_q8_0(rows, cols, &bytes)
        } else {
            Q8Matrix::quantize(rows, cols, &self.floats(name)?)
        };
        matrix.ok_or_else(|| self.unsupported(format!("tensor {name} of {rows} x {cols} isn't in blocks of 32")))
    }
}
