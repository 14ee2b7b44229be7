//! safetensors weights of a directory, one file or sharded.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;

use super::stored::{Bytes, Format, Mapped, StoredTensor};
use super::weights::TensorSource;
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_text;

/// What stands before the names of the network's parts where it was saved with its head.
const USUAL_PREFIX: &str = "model.";

/// The weight files of a directory, mapped from disk.
pub struct SafetensorsDir {
    dir: PathBuf,
    files: Vec<Arc<Mapped>>,
    places: BTreeMap<String, Place>,
    /// What stands before the names of the network's parts, `model.` as a rule.
    prefix: String,
}

/// Where a tensor lies.
struct Place {
    /// Which of the files.
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

fn tensors(file: &Mapped) -> Result<SafeTensors<'_>> {
    SafeTensors::deserialize(file).map_err(|e| {
        Error::new(ErrorKind::Model, format!("not a whole safetensors file: {e}"))
            .in_file(file.path())
            .fix("the file may be cut short; download or copy it again")
    })
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
    let files: Vec<PathBuf> = shard_names(&index)?.iter().map(|name| dir.join(name)).collect();
    match files.iter().find(|file| !file.exists()) {
        Some(missing) => Err(Error::new(ErrorKind::Model, "a shard named by the index is missing")
            .in_file(missing)
            .fix("download the missing shard")),
        None => Ok(files),
    }
}

/// The shards that a model.safetensors.index.json names, each a file beside it.
///
/// # Errors
/// [`ErrorKind::Model`], naming the index: it cannot be read, or names none, or no file beside it.
pub(crate) fn shard_names(index: &Path) -> Result<BTreeSet<String>> {
    let bad = |what: String| Error::new(ErrorKind::Model, what).in_file(index).fix("get the index again");
    let json: Value = serde_json::from_str(&read_text(index, ErrorKind::Model)?)
        .map_err(|e| bad(format!("not valid JSON: {e}")))?;
    let map = json.get("weight_map").and_then(Value::as_object).ok_or_else(|| bad("no weight_map".into()))?;
    let names: BTreeSet<String> = map.values().filter_map(Value::as_str).map(Into::into).collect();
    match names.iter().find(|name| name.contains(['/', '\\']) || name.contains("..")) {
        Some(name) => Err(bad(format!("weight_map names `{name}`, which is no file beside it"))),
        None if names.is_empty() => Err(bad("weight_map is empty".into())),
        None => Ok(names),
    }
}

impl SafetensorsDir {
    /// Maps the weight files of a directory and reads their headers.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file: missing, unreadable, cut short, or a tensor given twice.
    pub fn open(dir: &Path) -> Result<SafetensorsDir> {
        let files = weight_files(dir)?.iter().map(|file| Mapped::open(file)).collect::<Result<Vec<_>>>()?;
        let mut places = BTreeMap::new();
        for (number, file) in files.iter().enumerate() {
            for (name, view) in tensors(file)?.tensors() {
                let start = view.data().as_ptr() as usize - file.as_ptr() as usize;
                let place = Place {
                    file: number,
                    dtype: view.dtype(),
                    shape: view.shape().to_vec(),
                    bytes: start..start + view.data().len(),
                };
                if places.insert(name.clone(), place).is_some() {
                    return Err(Error::new(ErrorKind::Model, format!("tensor `{name}` is in two files"))
                        .in_file(file.path())
                        .fix("remove the stale shards of an earlier download"));
                }
            }
        }
        let prefix = prefix(&places);
        Ok(SafetensorsDir { dir: dir.to_path_buf(), files, places, prefix })
    }
}

/// What stands before the names of layers and of the last norm: `model.`; nothing where the network was saved without
/// its head, `language_model.model.` and others where it was a part of something.
fn prefix<T>(places: &BTreeMap<String, T>) -> String {
    let of_layers = places.keys().filter_map(|name| name.split_once("layers.0.")).map(|(before, _)| before);
    let with_norm = of_layers.filter(|prefix| places.contains_key(&format!("{prefix}norm.weight")));
    let found: BTreeSet<&str> = with_norm.collect();
    match found.first() {
        Some(first) if !found.contains(USUAL_PREFIX) => first.to_string(),
        _ => USUAL_PREFIX.to_string(),
    }
}

impl TensorSource for SafetensorsDir {
    fn names(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }

    fn own_name(&self, name: &str) -> String {
        if self.prefix == USUAL_PREFIX {
            return name.to_string();
        }
        match name.strip_prefix(USUAL_PREFIX) {
            Some(part) => format!("{}{part}", self.prefix),
            // The head stands beside `model.`, wherever that is.
            None => {
                let beside = self.prefix.strip_suffix(USUAL_PREFIX).unwrap_or_default();
                let named = format!("{beside}{name}");
                if self.places.contains_key(&named) { named } else { name.to_string() }
            }
        }
    }

    fn shape(&self, name: &str) -> Result<(Vec<usize>, &Path)> {
        let place = &self.places[name];
        let file = self.files[place.file].path();
        format(name, place.dtype).map_err(|e| e.in_file(file))?;
        Ok((place.shape.clone(), file))
    }

    fn tensor(&self, name: &str) -> Result<StoredTensor> {
        let Place { file, dtype, shape, bytes } = &self.places[name];
        let file = &self.files[*file];
        Ok(StoredTensor {
            file: file.path().to_path_buf(),
            shape: shape.clone(),
            format: format(name, *dtype).map_err(|e| e.in_file(file.path()))?,
            bytes: Bytes::Mapped(file.clone(), bytes.clone()),
        })
    }

    fn shape_is_from(&self) -> &'static str {
        "config.json"
    }

    fn path(&self) -> &Path {
        &self.dir
    }
}

/// The format of a type.
fn format(name: &str, dtype: Dtype) -> Result<&'static Format> {
    match dtype {
        Dtype::F32 => Ok(Format::f32()),
        Dtype::F16 => Ok(Format::f16()),
        Dtype::BF16 => Ok(Format::bf16()),
        other => Err(Error::new(ErrorKind::Model, format!("tensor `{name}` has type {other:?}"))
            .fix("save the model as f32, bf16 or f16")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let of = |names: &[&str]| prefix(&names.iter().map(|name| (name.to_string(), ())).collect());
        assert_eq!(of(&["model.layers.0.x.weight", "model.norm.weight", "lm_head.weight"]), "model.");
        assert_eq!(of(&["layers.0.x.weight", "norm.weight", "embed_tokens.weight"]), "");
        assert_eq!(of(&["transformer.layers.0.x.weight", "transformer.norm.weight"]), "transformer.");
        let both = [
            "language_model.model.layers.0.x.weight",
            "language_model.model.norm.weight",
            "vision_tower.encoder.layers.0.x.weight",
        ];
        assert_eq!(of(&both), "language_model.model.");
        assert_eq!(of(&[]), "model.");
        assert_eq!(
            of(&["layers.0.x.weight", "norm.weight", "model.layers.0.x", "model.norm.weight"]),
            "model."
        );
    }
}
