//! What the CPU has of its own.
//!
//! [`processor`] says what bf16 numbers are multiplied with; [`product`] is the product with a weight ([`row`]:
//! of one row),
//! [`attention`] relative attention, both on [`tiles`] where there are any, else on [`matrix`]
//! ([`few_queries`]: of few rows);
//! [`elementwise`] is what stands between them, [`simd`] its loops.

pub(super) mod attention;
pub(super) mod elementwise;
mod few_queries;
pub(super) mod matrix;
mod processor;
pub(super) mod product;
#[cfg(target_arch = "x86_64")]
mod row;
mod shared;
pub(super) mod simd;
mod tiled;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use processor::Products;
pub use product::Operand;
pub(crate) use simd::vectorised;
