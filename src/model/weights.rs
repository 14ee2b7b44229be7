//! A checkpoint's weights, taken by their Hugging Face names from wherever they lie.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use burn::module::{Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};
use half::f16;

use super::Precision;
use super::kernels::is_cpu;
use super::matrix::{Matrix, Stored};
use super::safetensors::SafetensorsDir;
use super::stored::StoredTensor;
use crate::error::{Error, ErrorKind, Result};

/// Files that hold tensors, by names of their own.
pub(super) trait TensorSource {
    /// The names of its tensors.
    fn names(&self) -> Vec<String>;

    /// What it calls the tensor of a Hugging Face name.
    fn own_name(&self, name: &str) -> String;

    /// The shape of the tensor that it calls so, which is one of [`TensorSource::names`], and the file that it
    /// is in. Its values are not read.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming file and tensor: of a type that cannot be read.
    fn shape(&self, own_name: &str) -> Result<(Vec<usize>, &Path)>;

    /// The tensor that it calls so, as it is stored.
    ///
    /// # Errors
    /// As [`TensorSource::shape`].
    fn tensor(&self, own_name: &str) -> Result<StoredTensor>;

    /// What says the shape of the network, in words.
    fn shape_is_from(&self) -> &'static str;

    /// The file or directory.
    fn path(&self) -> &Path;
}

/// How a network holds its matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// As the checkpoint stores them, multiplied by the CPU's own kernels.
    Stored(Precision),
    /// As f32 tensors of the device.
    Tensors,
    /// As f16 tensors of the device.
    Half,
    /// Not at all: names, shapes and types are looked at.
    Headers,
}

impl Hold {
    /// How a device holds them under a precision that it has.
    pub fn on(device: &Device, precision: Precision) -> Hold {
        match precision {
            Precision::F16 => Hold::Half,
            _ if is_cpu(device) => Hold::Stored(precision),
            _ => Hold::Tensors,
        }
    }
}

/// The tensors of a checkpoint, taken one by one.
pub struct Weights {
    source: Box<dyn TensorSource>,
    /// The source's names of tensors that were not taken yet.
    left: BTreeSet<String>,
    hold: Hold,
}

impl Weights {
    /// The tensors of a source, to be held so.
    pub(super) fn open(source: Box<dyn TensorSource>, hold: Hold) -> Weights {
        let left = source.names().into_iter().collect();
        Weights { source, left, hold }
    }

    /// The tensors of a directory of safetensors files, to train on.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file: missing, unreadable, cut short, or a tensor given twice.
    pub fn of_directory(dir: &Path) -> Result<Weights> {
        Ok(Weights::open(Box::new(SafetensorsDir::open(dir)?), Hold::Tensors))
    }

    /// How matrices are held.
    pub(super) fn hold(&self) -> Hold {
        self.hold
    }

    /// Takes the matrix of that name and shape.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the tensor: missing, of another shape, of a type that cannot be read, or
    /// beyond what f16 numbers hold.
    pub(super) fn take_matrix(&mut self, name: &str, shape: [usize; 2], device: &Device) -> Result<Matrix> {
        let name = self.find(name, &shape)?;
        let tensor = match self.hold {
            Hold::Headers => return Ok(Matrix::Tensor(unread(shape, device))),
            _ => self.source.tensor(&name)?,
        };
        Ok(match self.hold {
            Hold::Stored(precision) => Matrix::Stored(Stored::new(Arc::new(tensor), precision)),
            Hold::Half => {
                let values = TensorData::new(halves(&name, &tensor)?, shape);
                Matrix::Tensor(Param::from_tensor(Tensor::from_data(values, (device, DType::F16))))
            }
            _ => Matrix::Tensor(parameter(&tensor, shape, device)),
        })
    }

    /// Takes the vector of that name and length, as f32 numbers of the device.
    ///
    /// # Errors
    /// As [`Weights::take_matrix`].
    pub(crate) fn take_vector(
        &mut self,
        name: &str,
        length: usize,
        device: &Device,
    ) -> Result<Param<Tensor<1>>> {
        let name = self.find(name, &[length])?;
        match self.hold {
            Hold::Headers => Ok(unread([length], device)),
            _ => Ok(parameter(&self.source.tensor(&name)?, [length], device)),
        }
    }

    /// The source's name of a tensor that is there, of that shape, and was not taken yet.
    fn find(&mut self, name: &str, shape: &[usize]) -> Result<String> {
        let name = self.source.own_name(name);
        if !self.left.remove(&name) {
            let missing = self.misfit(format!("tensor `{name}` is missing"));
            return Err(missing.in_file(self.source.path()));
        }
        let (stored, file) = self.source.shape(&name)?;
        if stored != shape {
            let asking = self.source.shape_is_from();
            let what = format!("tensor `{name}` has shape {stored:?}, {asking} asks for {shape:?}");
            return Err(self.misfit(what).in_file(file));
        }
        Ok(name)
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
            .in_file(self.source.path())
            .fix(format!("check that {asking} belongs to these weights (attention_bias, num_hidden_layers)")))
    }
}

/// A stored tensor as an f32 parameter.
fn parameter<const D: usize>(tensor: &StoredTensor, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(tensor.values(), shape), device))
}

/// Stands for a parameter that is not read.
fn unread<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    let zeros = move |device: &Device, _: bool| Tensor::zeros(shape, device);
    Param::uninitialized(ParamId::new(), zeros, device.clone(), false, shape.into())
}

/// A stored tensor's values as f16 numbers.
fn halves(name: &str, tensor: &StoredTensor) -> Result<Vec<f16>> {
    let values = tensor.values();
    let beyond = values.iter().find(|value| value.is_finite() && !f16::from_f32(**value).is_finite());
    match beyond {
        None => Ok(values.into_iter().map(f16::from_f32).collect()),
        Some(value) => {
            Err(Error::new(ErrorKind::Model, format!("tensor `{name}` holds {value}, beyond what f16 holds"))
                .in_file(&tensor.file)
                .fix("use --precision f32"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::stored::{Bytes, Format};

    #[test]
    fn what_f16_does_not_hold_is_named() {
        let tensor = |value: f32| StoredTensor {
            file: "model.safetensors".into(),
            shape: vec![2],
            format: Format::f32(),
            bytes: Bytes::Owned([1.0, value].into_iter().flat_map(f32::to_le_bytes).collect()),
        };
        assert_eq!(halves("w", &tensor(-65504.0)).unwrap()[1].to_f32(), -65504.0);
        let error = halves("w", &tensor(1e5)).unwrap_err().to_string();
        assert!(
            ["`w`", "100000", "f16", "model.safetensors", "f32"].iter().all(|part| error.contains(part)),
            "{error}"
        );
    }
}
