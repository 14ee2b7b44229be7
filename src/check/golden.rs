//! Losses of a small model, as transformers computes them in f32.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::Held;
use crate::checkpoint::Checkpoint;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::files::unwritable;
use crate::kernels::Precision;
use crate::model::EncodedModel;
use burn::tensor::Device;

macro_rules! file {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/transformers/llama-gqa-tied-float16/",
                $name
            ))
            .as_slice(),
        )
    };
}

/// The model's files: 100 kB.
const FILES: [(&str, &[u8]); 4] = [
    file!("config.json"),
    file!("model.safetensors"),
    file!("tokenizer.json"),
    file!("tokenizer_config.json"),
];

const EXPECTED: (&str, &[u8]) = file!("expected.json");

/// Losses in every precision that the device has, to 1e-4.
pub(super) fn losses(device: &Device) -> Result<Vec<Held>> {
    let folder = Folder::new()?;
    let checkpoint = Checkpoint::open(&folder.0)?;
    let expected: Value = serde_json::from_slice(EXPECTED.1)
        .map_err(|e| Error::new(ErrorKind::Model, format!("{}: {e}", EXPECTED.0)))?;
    let numbers = |key: &str| -> Vec<f64> {
        expected[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let (ids, nll) = (numbers("ids"), numbers("nll"));
    let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
    let encoding = EncodingSpec::parse("rope")?;
    let mut held = Vec::new();
    for precision in [Precision::F32, Precision::F16] {
        if precision.check(device).is_err() {
            continue;
        }
        let model = checkpoint.load(device, precision)?;
        let under =
            EncodedModel { model: &model, config: &checkpoint.config, encoding: &encoding, bos: None };
        let ours = under.score(&ids, Vec::new())?.nll;
        let difference = |(ours, expected): (&f32, &f64)| (f64::from(*ours) - expected).abs();
        let worst = ours.iter().zip(&nll).map(difference).fold(0.0, f64::max);
        held.push(Held { what: format!("losses in {precision}"), worst, bound: 1e-4 });
    }
    Ok(held)
}

/// A folder of our own with the files, taken away in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let path = std::env::temp_dir().join(format!("longcode-check-{}", std::process::id()));
        fs::create_dir(&path).map_err(|e| unwritable(&path, &e))?;
        let folder = Folder(path);
        for (name, bytes) in FILES {
            let path = folder.0.join(name);
            fs::write(&path, bytes).map_err(|e| unwritable(&path, &e))?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be taken away stays among the system's temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
