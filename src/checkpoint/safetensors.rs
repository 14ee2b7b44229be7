//! safetensors weights of a directory, one file or sharded.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors};

use super::{PARTS as USUAL_PREFIX, TensorSource};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::weight_files;
use crate::kernels::stored::{Bytes, Format, Mapped, StoredTensor};

/// The weight files of a directory, mapped from disk.
pub struct SafetensorsDir {
    dir: PathBuf,
    files: Vec<Arc<Mapped>>,
    places: BTreeMap<String, Place>,
    /// The scales of tensors in MXFP4, by the names of their blocks.
    scales: BTreeMap<String, Place>,
    /// Prefix of the names of the network's parts, usually `model.`.
    prefix: String,
}

/// Where a tensor is stored.
struct Place {
    /// The number of the file.
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
        let scales = take_scales(&mut places);
        Ok(SafetensorsDir { dir: dir.to_path_buf(), files, places, scales, prefix })
    }
}

/// Ends of the names of a tensor in MXFP4: its values, and their scales.
const BLOCKS: &str = "_blocks";
const SCALES: &str = "_scales";

/// Takes the scales of tensors in MXFP4 (`NAME_scales` beside `NAME_blocks`), each as its blocks' part.
fn take_scales(places: &mut BTreeMap<String, Place>) -> BTreeMap<String, Place> {
    let is_bytes = |place: &Place| place.dtype == Dtype::U8;
    let blocks = places.iter().filter(|(name, place)| name.ends_with(BLOCKS) && is_bytes(place));
    let names: Vec<String> = blocks.map(|(name, _)| name.clone()).collect();
    let scales = |blocks: String| {
        let name = format!("{}{SCALES}", blocks.strip_suffix(BLOCKS)?);
        Some((blocks, places.remove(&name)?))
    };
    names.into_iter().filter_map(scales).collect()
}

/// Blocks of MXFP4 as ggml has them: a scale, and 16 bytes with value `i` of a block beside value `i + 16`. Here
/// neighbours share a byte.
fn mxfp4(blocks: &[u8], scales: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; scales.len() * 17];
    let parts = bytes.par_chunks_exact_mut(17).zip(blocks.par_chunks_exact(16)).zip(scales);
    parts.with_min_len(1024).for_each(|((out, block), scale)| {
        out[0] = *scale;
        let value = |n: usize| (block[n / 2] >> (n % 2 * 4)) & 15;
        for (n, byte) in out[1..].iter_mut().enumerate() {
            *byte = value(n) | (value(n + 16) << 4);
        }
    });
    bytes
}

/// Prefix of the names of layers and of the last norm: `model.`; empty if the network was saved without its
/// head, `language_model.model.`, `model.language_model.` and others if it was a part of something.
fn prefix<T>(places: &BTreeMap<String, T>) -> String {
    let of_layers = places.keys().filter_map(|name| name.split_once("layers.0.")).map(|(before, _)| before);
    let with_norm = of_layers.filter(|prefix| places.contains_key(&format!("{prefix}norm.weight")));
    let found: BTreeSet<&str> = with_norm.collect();
    let of_text = found.iter().find(|prefix| prefix.contains("language_model"));
    match of_text.or(found.first()) {
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
            // The head is next to `model.`, wherever that is.
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
        if let Some(scales) = self.scales.get(name) {
            return Ok((shape_of_blocks(name, place, scales).map_err(|e| e.in_file(file))?, file));
        }
        format(name, place.dtype).map_err(|e| e.in_file(file))?;
        Ok((place.shape.clone(), file))
    }

    fn tensor(&self, name: &str) -> Result<StoredTensor> {
        let Place { file, dtype, shape, bytes } = &self.places[name];
        let file = &self.files[*file];
        if let Some(scales) = self.scales.get(name) {
            let shape =
                shape_of_blocks(name, &self.places[name], scales).map_err(|e| e.in_file(file.path()))?;
            let scales = &self.files[scales.file][scales.bytes.clone()];
            return Ok(StoredTensor {
                file: file.path().to_path_buf(),
                shape,
                format: Format::mxfp4(),
                bytes: Bytes::Owned(mxfp4(&file[bytes.clone()], scales).into()),
            });
        }
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

/// The shape of a tensor in MXFP4: blocks of 16 bytes along its rows, and a scale each.
fn shape_of_blocks(name: &str, blocks: &Place, scales: &Place) -> Result<Vec<usize>> {
    match (&blocks.shape[..], &scales.shape[..]) {
        ([of_blocks @ .., 16], of_scales) if of_blocks == of_scales && scales.dtype == Dtype::U8 => {
            let (count, rows) = of_scales.split_last().unwrap_or((&0, &[]));
            Ok(rows.iter().copied().chain([32 * count]).collect())
        }
        (of_blocks, of_scales) => {
            let what = format!("tensor `{name}` has shape {of_blocks:?}, and its scales have {of_scales:?}");
            Err(Error::new(ErrorKind::Model, what).fix("download or copy the file again"))
        }
    }
}

/// The format of a safetensors type.
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
        let prefix_of = |names: &[&str]| prefix(&names.iter().map(|name| (name.to_string(), ())).collect());
        assert_eq!(prefix_of(&["model.layers.0.x.weight", "model.norm.weight", "lm_head.weight"]), "model.");
        assert_eq!(prefix_of(&["layers.0.x.weight", "norm.weight", "embed_tokens.weight"]), "");
        assert_eq!(prefix_of(&["transformer.layers.0.x.weight", "transformer.norm.weight"]), "transformer.");
        let both = [
            "language_model.model.layers.0.x.weight",
            "language_model.model.norm.weight",
            "vision_tower.encoder.layers.0.x.weight",
        ];
        assert_eq!(prefix_of(&both), "language_model.model.");
        assert_eq!(prefix_of(&[]), "model.");
        assert_eq!(
            prefix_of(&["layers.0.x.weight", "norm.weight", "model.layers.0.x", "model.norm.weight"]),
            "model."
        );
    }
}
