//! What the CPU has of its own.
//!
//! | module | what |
//! |---|---|
//! | [`inference`], [`differentiable`] | what burn's CPU backend is extended by, without and with gradients ([`gradients`]: backward passes) |
//! | [`product`] | the product with a weight ([`row`]: of one row); [`processor`] says what bf16 numbers are multiplied with, [`choice`] whether that pays |
//! | [`attention`] | relative attention: by [`block`]s of query rows, or of [`few_queries`] ([`few_rows`]: their products), from [`mod@inputs`], with [`softmax`] as tiles come |
//! | [`tiles`], [`tiled`], [`matrix`] | products in bf16 terms where the processor has them, attention by these; products elsewhere |
//! | [`elementwise`], [`simd`] | what stands between products, and its loops |

mod attention;
mod block;
mod choice;
mod differentiable;
mod elementwise;
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
pub use inference::InferenceKernels;
pub use processor::Bf16Instructions;
pub use product::Operand;
pub(crate) use simd::vectorised;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Shape, TensorData};

fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
}
