//! safetensors weights of a directory, one file or sharded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;

use super::weights::{StoredTensor, TensorSource};
use crate::error::{Error, ErrorKind, Result, read_text};

/// The weight files of a directory, mapped from disk.
pub struct SafetensorsDir {
    files: Vec<MappedFile>,
    /// Which of `files` holds each tensor.
    location: BTreeMap<String, usize>,
}

struct MappedFile {
    path: PathBuf,
    map: Mmap,
}

impl MappedFile {
    fn open(path: PathBuf) -> Result<MappedFile> {
        let unreadable = |e: std::io::Error| {
            Error::new(ErrorKind::Model, format!("cannot read the weights: {e}"))
                .in_file(&path)
                .fix("check the path and its permissions")
        };
        let file = File::open(&path).map_err(unreadable)?;
        // SAFETY: the map is read only; a checkpoint that another program rewrites while it is read
        // gives wrong numbers or a fault, as with every memory-mapped loader.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        Ok(MappedFile { path, map })
    }

    fn tensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.map).map_err(|e| {
            Error::new(ErrorKind::Model, format!("not a whole safetensors file: {e}"))
                .in_file(&self.path)
                .fix("the file may be cut short; download or copy it again")
        })
    }
}

/// The weight files of a directory: model.safetensors, or the shards that its index names.
///
/// # Errors
/// [`ErrorKind::Model`] when there are none, or when the index is unreadable or names a file that is
/// not there.
pub fn weight_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let single = dir.join("model.safetensors");
    if single.exists() {
        return Ok(vec![single]);
    }
    let index = dir.join("model.safetensors.index.json");
    if !index.exists() {
        return Err(Error::new(ErrorKind::Model, "no model.safetensors and no model.safetensors.index.json")
            .in_file(dir)
            .fix("save the model with save_pretrained(DIR, safe_serialization=True)"));
    }
    let bad =
        |what: String| Error::new(ErrorKind::Model, what).in_file(&index).fix("download the index again");
    let json: Value = serde_json::from_str(&read_text(&index, ErrorKind::Model)?)
        .map_err(|e| bad(format!("not valid JSON: {e}")))?;
    let map = json.get("weight_map").and_then(Value::as_object).ok_or_else(|| bad("no weight_map".into()))?;
    let names: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
    let files: Vec<PathBuf> = names.iter().map(|name| dir.join(name)).collect();
    match files.iter().find(|file| !file.exists()) {
        Some(missing) => Err(Error::new(ErrorKind::Model, "a shard named by the index is missing")
            .in_file(missing)
            .fix("download the missing shard")),
        None if files.is_empty() => Err(bad("weight_map is empty".into())),
        None => Ok(files),
    }
}

impl SafetensorsDir {
    /// Maps the weight files of a directory and reads their headers.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file: missing, unreadable, cut short, or a tensor given twice.
    pub fn open(dir: &Path) -> Result<SafetensorsDir> {
        let files = weight_files(dir)?.into_iter().map(MappedFile::open).collect::<Result<Vec<_>>>()?;
        let mut location = BTreeMap::new();
        for (number, file) in files.iter().enumerate() {
            for name in file.tensors()?.names() {
                if location.insert(name.to_string(), number).is_some() {
                    return Err(Error::new(ErrorKind::Model, format!("tensor `{name}` is in two files"))
                        .in_file(&file.path)
                        .fix("remove the stale shards of an earlier download"));
                }
            }
        }
        Ok(SafetensorsDir { files, location })
    }
}

impl TensorSource for SafetensorsDir {
    fn names(&self) -> Vec<String> {
        self.location.keys().cloned().collect()
    }

    fn own_name(&self, name: &str) -> String {
        name.to_string()
    }

    fn tensor(&self, name: &str) -> Result<StoredTensor<'_>> {
        let file = &self.files[self.location[name]];
        let view = file.tensors()?.tensor(name).map_err(|e| {
            Error::new(ErrorKind::Model, format!("tensor `{name}` cannot be read: {e}")).in_file(&file.path)
        })?;
        let to_f32 = decoder(name, view.dtype()).map_err(|e| e.in_file(&file.path))?;
        let (shape, data) = (view.shape().to_vec(), view.data());
        Ok(StoredTensor { file: &file.path, shape, read: Box::new(move || to_f32(data)) })
    }

    fn shape_is_from(&self) -> &'static str {
        "config.json"
    }
}

/// Reads a tensor's bytes as f32.
type Decoder = fn(&[u8]) -> Vec<f32>;

/// The decoder of a type.
fn decoder(name: &str, dtype: Dtype) -> Result<Decoder> {
    Ok(match dtype {
        Dtype::F32 => {
            |bytes| bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        Dtype::F16 => {
            |bytes| bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
        }
        Dtype::BF16 => {
            |bytes| bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
        }
        other => {
            return Err(Error::new(ErrorKind::Model, format!("tensor `{name}` has type {other:?}"))
                .fix("save the model as f32, bf16 or f16"));
        }
    })
}
