//! Where weights lie.

use std::path::Path;

use crate::error::Result;
use crate::kernels::stored::StoredTensor;

/// Files that hold tensors, by names of their own.
pub(crate) trait TensorSource {
    /// The names of its tensors.
    fn names(&self) -> Vec<String>;

    /// What it calls the tensor of a Hugging Face name.
    fn own_name(&self, name: &str) -> String;

    /// The shape of the tensor that it calls so, which is one of [`TensorSource::names`], and the file that it
    /// is in. Its values are not read.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming file and tensor: of a type that cannot be read.
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
