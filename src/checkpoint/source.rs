//! Where weights are stored.

use std::path::Path;

use crate::error::Result;
use crate::kernels::stored::StoredTensor;

/// Files that hold tensors, under names of their own.
pub(crate) trait TensorSource {
    /// The names of its tensors.
    fn names(&self) -> Vec<String>;

    /// Its own name for the tensor with a Hugging Face name.
    fn own_name(&self, name: &str) -> String;

    /// The shape of a tensor, given by one of [`TensorSource::names`], and the file that it is in. Its values
    /// are not read.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming file and tensor, for a type that cannot be read.
    fn shape(&self, own_name: &str) -> Result<(Vec<usize>, &Path)>;

    /// The tensor with this name, as it is stored.
    ///
    /// # Errors
    /// As [`TensorSource::shape`].
    fn tensor(&self, own_name: &str) -> Result<StoredTensor>;

    /// What gives the shape of the network, in words.
    fn shape_is_from(&self) -> &'static str;

    /// The file or directory.
    fn path(&self) -> &Path;
}
