//! Loading a checkpoint's weights into a network.

use burn::tensor::Device;

use super::Network;
use super::matrix::Parts;
use super::weights::{WeightStorage, Weights};
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::kernels::Precision;
use crate::kernels::stored::Mapped;

impl Checkpoint {
    /// Loads the weights on a device, to score and generate in a precision.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Device`] for a precision that the device does not have;
    /// [`crate::error::ErrorKind::Model`], naming the file and the tensor.
    pub fn load(&self, device: &Device, precision: Precision) -> Result<Network> {
        precision.check(device)?;
        self.take_all(Weights::open(self.tensors()?, WeightStorage::on(device, precision)), device)
    }

    /// Loads the weights on a device as f32 tensors, which training can change.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the file and the tensor.
    pub fn load_to_train(&self, device: &Device) -> Result<Network> {
        self.take_all(Weights::open(self.tensors()?, WeightStorage::Tensors), device)
    }

    /// Refuses weights that [`Checkpoint::load`] would refuse, from the files' headers alone.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn check_weights(&self) -> Result<()> {
        self.take_all(Weights::open(self.tensors()?, WeightStorage::Headers), &Device::flex()).map(drop)
    }

    /// Bytes of the weights on a GPU in a precision, from the files' headers.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the file and the tensor.
    pub fn bytes_on_gpu(&self, precision: Precision) -> Result<f64> {
        let source = self.tensors()?;
        let mut bytes = 0;
        for name in source.names() {
            let tensor = source.tensor(&name)?;
            let numbers: usize = tensor.shape.iter().product();
            bytes += size_of::<u32>() * numbers / Parts::kept(tensor.format, precision).values_per_word();
        }
        Ok(bytes as f64)
    }

    fn take_all(&self, mut weights: Weights, device: &Device) -> Result<Network> {
        let model = Network::load(&self.config, &mut weights, device).map_err(|mut e| {
            if !self.config.assumed.is_empty() {
                e.what = format!("{}; config.json leaves out {}", e.what, self.config.assumed.join(", "));
            }
            e
        })?;
        weights.finish(&self.config)?;
        Mapped::check_whole()?;
        Ok(model)
    }
}
