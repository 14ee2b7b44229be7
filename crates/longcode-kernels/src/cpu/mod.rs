//! Kernels of the CPU.
//!
//! | module | what |
//! |---|---|
//! | [`inference`], [`differentiable`] | operations added to burn's CPU backend, without and with gradients
//! ([`gradients`]) |
//! | [`product`], [`row`] | the product of a weight with rows, and with one row |
//! | [`experts`] | feed-forward parts of which each row goes through a few |
//! | [`processor`], [`choice`] | which instructions multiply bf16 numbers, and whether that pays |
//! | [`attention`], [`mod@inputs`] | relative attention: by [`block`]s of query rows, or of [`few_queries`]
//! ([`few_rows`]), with [`softmax`] by tiles; of keys that are [`chosen`] by gathered rows |
//! | [`tiles`], [`tiled`], [`matrix`] | products in bf16 terms if the processor has them, attention with
//! these; other products |

mod attention;
mod block;
mod choice;
mod chosen;
mod differentiable;
mod elementwise;
mod experts;
mod few_queries;
mod few_rows;
mod gradients;
mod inference;
mod inputs;
mod matrix;
mod processor;
mod product;
#[cfg(target_arch = "x86_64")]
mod row;
mod shared;
mod simd;
mod softmax;
mod tiled;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use choice::Measured;
pub use differentiable::DifferentiableKernels;
pub use experts::{ExpertGate, StoredExpert};
pub use inference::InferenceKernels;
pub(crate) use matrix::{Matrix, multiply};
pub use processor::Bf16Instructions;
pub use product::Operand;
pub(crate) use simd::{exp_sum, soft_cap, vectorised};

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Shape, TensorData};

fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
}
