//! What the CPU has of its own.
//!
//! [`inference`] and [`differentiable`] are what burn's CPU backend is extended by, without and with gradients, whose
//! backward passes are in [`gradients`]. Behind them [`processor`] says what bf16 numbers are multiplied with, [`choice`] whether that pays; [`product`] is the product with a weight ([`row`]:
//! of one row),
//! [`attention`] relative attention, both on [`tiles`] where there are any, else on [`matrix`]
//! ([`few_queries`]: of few rows);
//! [`elementwise`] is what stands between them, [`simd`] its loops.

mod attention;
mod choice;
mod differentiable;
mod elementwise;
mod few_queries;
mod gradients;
mod inference;
mod matrix;
mod processor;
mod product;
#[cfg(target_arch = "x86_64")]
mod row;
mod shared;
mod simd;
mod tiled;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use choice::Measured;
pub use differentiable::DifferentiableKernels;
pub use inference::InferenceKernels;
pub use processor::Products;
pub use product::Operand;
pub(crate) use simd::vectorised;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Shape, TensorData};

fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
}
