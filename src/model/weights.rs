//! A checkpoint's weights, taken by their Hugging Face names from wherever they are stored.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};

use super::matrix::{Matrix, Parts, Stored};
use crate::checkpoint::{HEAD, NetworkConfig, PARTS, TensorSource};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::stored::StoredTensor;
use crate::kernels::{Precision, is_cpu, largest_binding};

/// How a network holds its matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightStorage {
    /// As the checkpoint stores them, multiplied by the CPU's own kernels.
    Stored(Precision),
    /// On a GPU, packed, in as many parts as it takes to bind them.
    OnGpu(Precision),
    /// As f32 tensors of the device, which can have gradients.
    Tensors,
    /// Not at all: only names, shapes and types are read.
    Headers,
}

impl WeightStorage {
    /// How a device holds them in a precision that it has.
    pub fn on(device: &Device, precision: Precision) -> WeightStorage {
        if is_cpu(device) { WeightStorage::Stored(precision) } else { WeightStorage::OnGpu(precision) }
    }
}

/// The tensors of a checkpoint, taken one by one.
pub struct Weights {
    source: Box<dyn TensorSource>,
    /// The source's names of tensors that have not been taken yet.
    left: BTreeSet<String>,
    hold: WeightStorage,
    /// Names and shapes that were asked for, if that is all that is wanted.
    asked: Option<Vec<(String, Vec<usize>)>>,
}

/// A source without tensors.
struct Nothing;

impl TensorSource for Nothing {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn own_name(&self, name: &str) -> String {
        name.into()
    }

    fn shape(&self, _own_name: &str) -> Result<(Vec<usize>, &Path)> {
        unreachable!("nothing has a name here")
    }

    fn tensor(&self, _own_name: &str) -> Result<StoredTensor> {
        unreachable!("nothing has a name here")
    }

    fn shape_is_from(&self) -> &'static str {
        "config.json"
    }

    fn path(&self) -> &Path {
        Path::new("")
    }
}

/// Some rows of a tensor: one of several stacked weights, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorRows {
    rows: usize,
    /// The order that they are put in, if it is another.
    order: Option<Order>,
}

/// An order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Dimensions of heads.
    Heads(Turning),
    /// Every second row of all, from this one on.
    EverySecond(usize),
}

/// Which dimensions of a head turn, and with which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turning {
    head_dim: usize,
    /// The first so many turn, or the last.
    rotated: usize,
    last: bool,
    /// Dimension `2p` with `2p + 1`, instead of `p` with `p + rotated / 2`.
    neighbours: bool,
}

impl TensorRows {
    /// This many rows, in their order.
    pub fn rows(rows: usize) -> TensorRows {
        TensorRows { rows, order: None }
    }

    /// How many rows.
    pub fn count(&self) -> usize {
        self.rows
    }

    /// Rows of heads of `head_dim` dimensions, of which the first `rotated` turn: dimension `p` with `p +
    /// rotated / 2`, or neighbours. They are put in the order in which heads turn here, `p` with `p + head_dim /
    /// 2`, with the dimensions that do not turn after each half: queries and keys in the same order have the same
    /// products.
    pub fn heads(rows: usize, head_dim: usize, rotated: usize, neighbours: bool) -> TensorRows {
        let turning = Turning { head_dim, rotated, neighbours, last: false };
        TensorRows { rows, order: (rotated < head_dim || neighbours).then_some(Order::Heads(turning)) }
    }

    /// The same for heads whose last `rotated` dimensions turn.
    pub fn heads_turning_last(rows: usize, head_dim: usize, rotated: usize, neighbours: bool) -> TensorRows {
        let turning = Turning { head_dim, rotated, neighbours, last: true };
        TensorRows { rows, order: (rotated < head_dim || neighbours).then_some(Order::Heads(turning)) }
    }

    /// Every second row of all, from number `first` on, `rows` of them.
    pub fn every_second(rows: usize, first: usize) -> TensorRows {
        TensorRows { rows, order: Some(Order::EverySecond(first)) }
    }

    /// Which row of the piece each row becomes, if they are put in another order.
    fn order_of_heads(&self) -> Option<Vec<usize>> {
        let Turning { head_dim: dim, rotated, neighbours, last } = match self.order? {
            Order::EverySecond(_) => return None,
            Order::Heads(turning) => turning,
        };
        let (half, turning) = (dim / 2, rotated / 2);
        let (first_turning, first_standing) = if last { (dim - rotated, 0) } else { (0, rotated) };
        let source_row = |n: usize| match (n / half, n % half) {
            (upper, p) if p < turning && neighbours => first_turning + 2 * p + upper,
            (upper, p) if p < turning => first_turning + upper * turning + p,
            (upper, p) => first_standing + upper * (half - turning) + p - turning,
        };
        Some((0..self.rows).map(|row| row / dim * dim + source_row(row % dim)).collect())
    }
}

/// A tensor's pieces, from its first row on.
fn cut(tensor: StoredTensor, pieces: &[TensorRows]) -> impl Iterator<Item = StoredTensor> {
    let mut first = 0;
    pieces.iter().map(move |piece| {
        let rows = first..first + piece.rows;
        first = rows.end;
        match (piece.order, piece.order_of_heads()) {
            (Some(Order::EverySecond(first)), _) => tensor.reordered((first..).step_by(2).take(piece.rows)),
            (_, Some(order)) => tensor.reordered(order.iter().map(|row| rows.start + row)),
            (_, None) => tensor.some_rows(rows),
        }
    })
}

impl Weights {
    /// The tensors of a source, to be stored this way.
    pub(crate) fn open(source: Box<dyn TensorSource>, hold: WeightStorage) -> Weights {
        let left = source.names().into_iter().collect();
        Weights { source, left, hold, asked: None }
    }

    /// The names and shapes of the tensors that `load` takes, in that order.
    ///
    /// # Errors
    /// Those of `load` that are not about tensors.
    pub(super) fn listed<T>(
        load: impl FnOnce(&mut Weights) -> Result<T>,
    ) -> Result<Vec<(String, Vec<usize>)>> {
        let mut weights = Weights::open(Box::new(Nothing), WeightStorage::Headers);
        weights.asked = Some(Vec::new());
        load(&mut weights)?;
        Ok(weights.asked.unwrap_or_default())
    }

    /// Whether a tensor is there and has not been taken yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.contains(&self.source.own_name(name))
    }

    /// How matrices are held.
    pub(super) fn hold(&self) -> WeightStorage {
        self.hold
    }

    /// Takes the matrix with that name and shape.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the tensor: missing, of another shape, of a type that cannot be read, or
    /// beyond what f16 numbers hold.
    pub(super) fn take_matrix(&mut self, name: &str, shape: [usize; 2], device: &Device) -> Result<Matrix> {
        Ok(self.take_matrices(name, &[TensorRows::rows(shape[0])], shape[1], device)?.remove(0))
    }

    /// Takes matrices of `columns` columns that are stacked under one name.
    ///
    /// # Errors
    /// As [`Weights::take_matrix`].
    pub(super) fn take_matrices(
        &mut self,
        name: &str,
        pieces: &[TensorRows],
        columns: usize,
        device: &Device,
    ) -> Result<Vec<Matrix>> {
        let name = self.find(name, &[height(pieces), columns])?;
        if self.hold == WeightStorage::Headers {
            return Ok(unread_matrices(pieces, columns, device));
        }
        self.matrices(&name, self.source.tensor(&name)?, pieces, columns, device)
    }

    /// Takes a stack of `count` matrices of one shape, each of which is several that are stacked themselves.
    ///
    /// # Errors
    /// As [`Weights::take_matrix`].
    pub(super) fn take_stack(
        &mut self,
        name: &str,
        count: usize,
        pieces: &[TensorRows],
        columns: usize,
        device: &Device,
    ) -> Result<Vec<Vec<Matrix>>> {
        let name = self.find(name, &[count, height(pieces), columns])?;
        if self.hold == WeightStorage::Headers {
            return Ok((0..count).map(|_| unread_matrices(pieces, columns, device)).collect());
        }
        let stack = self.source.tensor(&name)?;
        (0..count).map(|n| self.matrices(&name, stack.matrix(n), pieces, columns, device)).collect()
    }

    /// [`Weights::take_stack`] of gpt-oss's stacks of `[count, rows, columns]`: in MXFP4 under a name of its own,
    /// otherwise each matrix transposed.
    ///
    /// # Errors
    /// As [`Weights::take_matrix`].
    pub(super) fn take_turned_stack(
        &mut self,
        name: &str,
        [count, rows, columns]: [usize; 3],
        pieces: &[TensorRows],
        device: &Device,
    ) -> Result<Vec<Vec<Matrix>>> {
        let blocks = format!("{name}_blocks");
        if self.has(&blocks) {
            return self.take_stack(&blocks, count, pieces, columns, device);
        }
        let name = self.find(name, &[count, columns, rows])?;
        if self.hold == WeightStorage::Headers {
            return Ok((0..count).map(|_| unread_matrices(pieces, columns, device)).collect());
        }
        let stack = self.source.tensor(&name)?;
        (0..count)
            .map(|n| self.matrices(&name, stack.matrix(n).transposed(), pieces, columns, device))
            .collect()
    }

    /// The pieces of a tensor, as matrices.
    fn matrices(
        &self,
        name: &str,
        tensor: StoredTensor,
        pieces: &[TensorRows],
        columns: usize,
        device: &Device,
    ) -> Result<Vec<Matrix>> {
        cut(tensor, pieces)
            .map(|tensor| {
                Ok(match self.hold {
                    WeightStorage::Stored(precision) => {
                        Matrix::Stored(Stored::new(Arc::new(tensor), precision))
                    }
                    WeightStorage::OnGpu(precision) => {
                        Matrix::Parts(Parts::new(name, &tensor, precision, device)?)
                    }
                    _ => {
                        refuse_unbound(name, &tensor, device)?;
                        Matrix::Tensor(parameter(&tensor, [tensor.shape[0], columns], device))
                    }
                })
            })
            .collect()
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
        Ok(self.take_vectors(name, &[TensorRows::rows(length)], device)?.remove(0))
    }

    /// Takes the numbers of a tensor of that shape; zeros of a source whose values are not read.
    ///
    /// # Errors
    /// As [`Weights::take_matrix`].
    pub(super) fn take_numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let name = self.find(name, shape)?;
        if self.hold == WeightStorage::Headers {
            return Ok(vec![0.0; shape.iter().product()]);
        }
        Ok(self.source.tensor(&name)?.values())
    }

    /// Takes vectors that are stored one after another under one name.
    ///
    /// # Errors
    /// As [`Weights::take_matrix`].
    pub(super) fn take_vectors(
        &mut self,
        name: &str,
        pieces: &[TensorRows],
        device: &Device,
    ) -> Result<Vec<Param<Tensor<1>>>> {
        let name = self.find(name, &[height(pieces)])?;
        if self.hold == WeightStorage::Headers {
            return Ok(pieces.iter().map(|piece| unread([piece.rows], device)).collect());
        }
        let pieces = cut(self.source.tensor(&name)?, pieces);
        Ok(pieces.map(|piece| parameter(&piece, [piece.shape[0]], device)).collect())
    }

    /// The source's name for a tensor that is there, has this shape, and has not been taken yet.
    fn find(&mut self, name: &str, shape: &[usize]) -> Result<String> {
        if let Some(asked) = &mut self.asked {
            asked.push((name.into(), shape.to_vec()));
            return Ok(name.into());
        }
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

    /// Refuses tensors that nothing took: they belong to a part of the model that would be ignored. Those
    /// beside a text model inside a larger one are parts of that, and those of layers that draft further tokens
    /// are not needed.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the tensors.
    pub fn finish(mut self, config: &NetworkConfig) -> Result<()> {
        // Buffers that older exports hold, and the copy of a tied head.
        const BUFFERS: [&str; 3] = ["rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached"];
        // Of layers that only draft, in files of Mellum.
        const DRAFTING: &str = "mtp.";
        let (head, inside) = (self.source.own_name(HEAD), self.source.own_name(PARTS));
        let layers = config.num_hidden_layers;
        let drafting = (layers..layers + config.drafting_layers)
            .map(|layer| self.source.own_name(&format!("{PARTS}layers.{layer}.")))
            .collect::<Vec<_>>();
        let ignored = |name: &str| {
            BUFFERS.iter().any(|buffer| name.ends_with(buffer))
                || (config.tie_word_embeddings && name == head)
                || (config.is_inside && !name.starts_with(&inside))
                || drafting.iter().any(|layer| name.starts_with(layer))
                || (config.drafting_layers > 0 && name.starts_with(DRAFTING))
        };
        self.left.retain(|name| !ignored(name));
        if self.left.is_empty() {
            return Ok(());
        }
        let (count, asking) = (self.left.len(), self.source.shape_is_from());
        let names: Vec<_> = self.left.iter().take(4).cloned().collect();
        let what = format!("{count} tensor(s) that {asking} does not account for: {}", names.join(", "));
        Err(Error::new(ErrorKind::Model, what).in_file(self.source.path()).fix(format!(
            "check that {asking} belongs to these weights (attention_bias, mlp_bias, num_hidden_layers, num_experts)"
        )))
    }
}

/// A stored tensor as an f32 parameter.
fn parameter<const D: usize>(tensor: &StoredTensor, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(tensor.values(), shape), device))
}

/// Rows of some pieces together.
fn height(pieces: &[TensorRows]) -> usize {
    pieces.iter().map(|piece| piece.rows).sum()
}

fn unread_matrices(pieces: &[TensorRows], columns: usize, device: &Device) -> Vec<Matrix> {
    pieces.iter().map(|piece| Matrix::Tensor(unread([piece.rows, columns], device))).collect()
}

/// Stands in for a parameter that is not read.
fn unread<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    let zeros = move |device: &Device, _: bool| Tensor::zeros(shape, device);
    Param::uninitialized(ParamId::new(), zeros, device.clone(), false, shape.into())
}

/// Refuses a tensor that a device cannot bind whole, as training needs it.
fn refuse_unbound(name: &str, tensor: &StoredTensor, device: &Device) -> Result<()> {
    let bytes = size_of::<f32>() * tensor.shape.iter().product::<usize>();
    match largest_binding(device).filter(|most| bytes > *most) {
        None => Ok(()),
        Some(most) => {
            let what =
                format!("tensor `{name}` takes {bytes} bytes, and the adapter binds at most {most} at once");
            Err(Error::new(ErrorKind::Device, what).in_file(&tensor.file).fix("train with --device cpu"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_that_turn_come_first_in_each_half() {
        assert_eq!(TensorRows::heads(16, 8, 8, false).order_of_heads(), None);
        let order = TensorRows::heads(16, 8, 4, false).order_of_heads().unwrap();
        assert_eq!(order, [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]);
        let order = TensorRows::heads(8, 8, 8, true).order_of_heads().unwrap();
        assert_eq!(order, [0, 2, 4, 6, 1, 3, 5, 7]);
        let order = TensorRows::heads(8, 8, 4, true).order_of_heads().unwrap();
        assert_eq!(order, [0, 2, 4, 5, 1, 3, 6, 7]);
    }
}
