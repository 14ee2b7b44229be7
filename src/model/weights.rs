//! A checkpoint's weights, read by their Hugging Face names from wherever they lie.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};

use super::gguf::Gguf;
use super::safetensors::SafetensorsDir;
use crate::error::{Error, ErrorKind, Result};

/// Files that hold tensors, by names of their own.
pub(super) trait TensorSource {
    /// The names of its tensors.
    fn names(&self) -> Vec<String>;

    /// What it calls the tensor of a Hugging Face name.
    fn own_name(&self, name: &str) -> String;

    /// The tensor that it calls so, which is one of [`TensorSource::names`].
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming file and tensor: of a type that cannot be read.
    fn tensor(&self, own_name: &str) -> Result<StoredTensor<'_>>;

    /// What says the shape of the network, in words.
    fn shape_is_from(&self) -> &'static str;
}

/// A tensor as it lies in a file.
pub(super) struct StoredTensor<'a> {
    /// The file.
    pub file: &'a Path,
    /// Rows first.
    pub shape: Vec<usize>,
    /// Reads its values, row by row.
    pub read: Box<dyn FnOnce() -> Vec<f32> + 'a>,
}

/// The tensors of a checkpoint, mapped from disk, turned to f32 one by one as they are taken.
pub struct Weights {
    path: PathBuf,
    source: Box<dyn TensorSource>,
    /// The source's names of tensors that were not taken yet.
    left: BTreeSet<String>,
    /// Whether tensors are looked at only, not read.
    headers_only: bool,
}

impl Weights {
    /// Maps the weight files of a directory, or a GGUF file, and reads their headers.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file: missing, unreadable, cut short, or a tensor given twice.
    pub fn open(path: &Path) -> Result<Weights> {
        let source: Box<dyn TensorSource> = match path.is_file() {
            true => Box::new(Gguf::open(path)?),
            false => Box::new(SafetensorsDir::open(path)?),
        };
        let left = source.names().into_iter().collect();
        Ok(Weights { path: path.to_path_buf(), source, left, headers_only: false })
    }

    /// As [`Weights::open`], to check names, shapes and types without reading the tensors: those that
    /// are taken stand for zeros.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn open_headers(path: &Path) -> Result<Weights> {
        Ok(Weights { headers_only: true, ..Weights::open(path)? })
    }

    /// Takes the tensor of that name and shape as an f32 parameter.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the tensor: missing, of another shape, or of a type that cannot be
    /// read.
    pub fn take<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Param<Tensor<D>>> {
        let name = self.source.own_name(name);
        if !self.left.remove(&name) {
            return Err(self.misfit(format!("tensor `{name}` is missing")).in_file(&self.path));
        }
        let stored = self.source.tensor(&name)?;
        if stored.shape != shape {
            let asking = self.source.shape_is_from();
            let what = format!("tensor `{name}` has shape {:?}, {asking} asks for {shape:?}", stored.shape);
            return Err(self.misfit(what).in_file(stored.file));
        }
        if self.headers_only {
            let zeros = move |device: &Device, _: bool| Tensor::zeros(shape, device);
            return Ok(Param::uninitialized(ParamId::new(), zeros, device.clone(), false, shape.into()));
        }
        let values = (stored.read)();
        Ok(Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device)))
    }

    /// The weights are not those of the network.
    fn misfit(&self, what: String) -> Error {
        let fix = format!("check that {} belongs to these weights", self.source.shape_is_from());
        Error::new(ErrorKind::Model, what).fix(fix)
    }

    /// Refuses tensors that nothing took: they belong to a part of the model that would be left out.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the tensors.
    pub fn finish(mut self, tied: bool) -> Result<()> {
        // Buffers that older exports hold, and the copy of a tied head.
        let ignored =
            |name: &str| name.ends_with("rotary_emb.inv_freq") || (tied && name == "lm_head.weight");
        self.left.retain(|name| !ignored(name));
        if self.left.is_empty() {
            return Ok(());
        }
        let (count, asking) = (self.left.len(), self.source.shape_is_from());
        let names: Vec<_> = self.left.iter().take(4).cloned().collect();
        let what = format!("{count} tensor(s) that {asking} does not account for: {}", names.join(", "));
        Err(Error::new(ErrorKind::Model, what)
            .in_file(&self.path)
            .fix(format!("check that {asking} belongs to these weights (attention_bias, num_hidden_layers)")))
    }
}
