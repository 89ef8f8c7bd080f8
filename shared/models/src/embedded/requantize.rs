//! A model's file in 8 bits, made once.
//!
//! Files in GGUF's `Q4_0`, `Q4_1`, `Q5_0` and `Q5_1` compute at half the speed or have to be converted at each start;
//! rewritten as `Q8_0` they load five times as fast. Others stay as they are. Beside the new file lies its SHA-256, so
//! that a damaged one is noticed and made again.

use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Content};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result};
use tempfile::NamedTempFile;

use super::gguf::LoadError;
use super::weights::{Progress, ProgressSink, WeightsError, sha256};

/// Files above stay as they are: they'd double, and aren't loaded in 8 bits anyway.
const SOURCE_BYTES_MAX: u64 = 1 << 30;

/// The file to load for a checked one: itself, or its 8-bit form, made if need be (1 s, blocking).
pub fn ready(path: &Path, progress: &ProgressSink) -> std::result::Result<PathBuf, WeightsError> {
    let broken = |error: candle_core::Error| {
        WeightsError::Unusable(LoadError::Broken { path: path.to_owned(), detail: error.to_string() })
    };
    let file = std::fs::File::open(path).map_err(WeightsError::cache(path))?;
    let bytes = file.metadata().map_err(WeightsError::cache(path))?.len();
    let mut reader = BufReader::new(file);
    let content = Content::read(&mut reader).map_err(broken)?;
    let ready = if bytes <= SOURCE_BYTES_MAX && is_slow(&content) { in_8_bits(path) } else { path.to_owned() };
    if ready != path && !is_sound(&ready) {
        progress(Progress::Requantizing);
        let folder = path.parent().unwrap_or(Path::new("."));
        let new = NamedTempFile::new_in(folder).map_err(WeightsError::cache(folder))?;
        write(&content, &mut reader, new.as_file()).map_err(broken)?;
        put(new, &ready)?;
    }
    progress(Progress::Ready);
    Ok(ready)
}

fn in_8_bits(path: &Path) -> PathBuf {
    path.with_extension("q8_0.gguf")
}

fn is_slow(content: &Content) -> bool {
    use GgmlDType::{Q4_0, Q4_1, Q5_0, Q5_1};
    content.tensor_infos.values().any(|tensor| matches!(tensor.ggml_dtype, Q4_0 | Q4_1 | Q5_0 | Q5_1))
}

/// Whether the file has the SHA-256 that lies beside it.
fn is_sound(path: &Path) -> bool {
    let written = std::fs::read_to_string(beside(path)).unwrap_or_default();
    path.is_file() && sha256(path).is_ok_and(|sha256| sha256 == written.trim())
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("gguf.sha256")
}

/// The SHA-256 first: between the two renames the old file is unsound and made again.
fn put(new: NamedTempFile, path: &Path) -> std::result::Result<(), WeightsError> {
    let cache = |path: &Path| WeightsError::cache(path);
    new.as_file().sync_all().map_err(cache(path))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let hash = NamedTempFile::new_in(folder).map_err(cache(folder))?;
    std::fs::write(hash.path(), sha256(new.path())?).map_err(cache(path))?;
    hash.persist(beside(path)).map_err(|error| error.error).map_err(cache(path))?;
    new.persist(path).map_err(|error| error.error).map_err(cache(path))?;
    Ok(())
}

fn write(content: &Content, reader: &mut BufReader<std::fs::File>, out: &std::fs::File) -> Result<()> {
    let mut names: Vec<&String> = content.tensor_infos.keys().collect();
    names.sort();
    let read = |name: &&String| content.tensor(reader, name, &Device::Cpu).and_then(rounded);
    let tensors: Vec<QTensor> = names.iter().map(read).collect::<Result<_>>()?;
    let tensors: Vec<(&str, &QTensor)> = names.iter().map(|name| name.as_str()).zip(&tensors).collect();
    let mut metadata: Vec<(&str, &gguf_file::Value)> =
        content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    metadata.sort_by_key(|(key, _)| *key);
    let mut out = BufWriter::new(out);
    gguf_file::write(&mut out, &metadata, &tensors)?;
    std::io::Write::flush(&mut out)?;
    Ok(())
}

fn rounded(tensor: QTensor) -> Result<QTensor> {
    match tensor.dtype() {
        GgmlDType::F32 | GgmlDType::Q8_0 => Ok(tensor),
        _ => QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0),
    }
}
