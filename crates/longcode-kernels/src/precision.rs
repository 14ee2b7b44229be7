//! The arithmetic of a model's products.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::is_cpu;
use longcode_base::error::{Error, ErrorKind, Result};

/// The arithmetic of the network's matrix products. Sums, norms, rotations and softmax are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Products as exact as f32: losses within 1e-4 of transformers in f32.
    #[default]
    F32,
    /// Numbers of two bf16 terms, 16 bits: within 1e-3 a token, 1e-4 on average.
    Split,
    /// bf16 numbers: as close to f32 as a model run in bf16.
    Bf16,
    /// Weights kept as f16 on a GPU, whatever the checkpoint has; products in f32.
    F16,
}

impl Precision {
    const ALL: [Precision; 4] = [Precision::F32, Precision::Split, Precision::Bf16, Precision::F16];

    /// Its name in configs and for `--precision`.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Split => "split",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
        }
    }

    /// Refuses a precision that a device does not have.
    ///
    /// # Errors
    /// [`ErrorKind::Device`], naming those that it has.
    pub fn check(self, device: &Device) -> Result<()> {
        let has: &[Precision] = if is_cpu(device) {
            &[Precision::F32, Precision::Split, Precision::Bf16]
        } else {
            &[Precision::F32, Precision::F16]
        };
        if has.contains(&self) {
            return Ok(());
        }
        let what = if is_cpu(device) { "the CPU" } else { "this GPU" };
        let names: Vec<_> = has.iter().map(|precision| precision.name()).collect();
        Err(Error::new(ErrorKind::Device, format!("{what} has no precision {self}"))
            .at("precision")
            .fix(format!("use one of: {}", names.join(", "))))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let known = || Precision::ALL.map(Precision::name).join(", ");
        let found = Precision::ALL.into_iter().find(|precision| precision.name() == text);
        found.ok_or_else(|| format!("`{text}` is not a precision; use one of: {}", known()))
    }
}
