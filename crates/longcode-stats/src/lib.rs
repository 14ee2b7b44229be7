//! How certain figures over samples are: 95% intervals, and which rows of a table are told apart.
//!
//! A figure is a ratio of sums over samples (losses over tokens, hits over questions), or exp of one. Samples
//! come in strata, a fixed number of each (the buckets of a task). Every row of a table sees the same
//! samples, so differences are paired.
//!
//! | what | how |
//! |---|---|
//! | a mean, a loss, a perplexity, their paired differences | studentised bootstrap of pooled residuals
//! ([`Bootstrap`]) |
//! | a share of hits | Clopper and Pearson's exact interval ([`share`]) |
//! | a paired difference of two shares | Newcombe's square-and-add of exact limits, McNemar's exact test |
//! | the part of a ceiling's gain that a row has | Fieller's interval by the paired one ([`recovered()`]) |
//! | rows of different samples | square-and-add of both intervals ([`unpaired()`]) |
//! | all rows of a table at once | one threshold for every pair of rows, marks and sentences ([`family`]) |
//! | the steps of a curve | the same thresholds; a step counts only where all before it gain ([`mod@curve`]) |
//! | a pair of rows alone, without an interval | the paired permutation test ([`permutation()`]) |
//! | how few samples carry a difference | those that pull its way most, left out ([`decisive()`]) |
//!
//! Below [`FEWEST`] samples no distribution-free two-sided test reaches 5%, so nothing is told apart there.
//! `tests/coverage.rs` checks by simulation how often each of these holds.
//!
//! ```
//! use longcode_stats::{Among, Bootstrap, Design, Scale};
//!
//! // Two strata of four documents each: loss and tokens of every document, under two encodings.
//! let one: [(f64, f64); 8] = [
//!     (210., 100.), (190., 90.), (260., 120.), (220., 110.), // the first stratum
//!     (150., 100.), (140., 90.), (170., 120.), (160., 110.), // the second
//! ];
//! let other = one.map(|(loss, tokens)| (loss + 0.05 * tokens + 0.001 * loss, tokens));
//! let bootstrap = Bootstrap::new(Design::new([4, 4]), 0);
//! let found = bootstrap.compare(&other, &one, Scale::Plain, Among::Baseline(2));
//! assert!((found.estimate.value - 0.05).abs() < 0.01 && found.told_apart());
//! ```
//!
//! [`Bootstrap`], [`Design`], [`Scale`], [`Among`], [`Estimate`], [`Comparison`] and [`told_apart`] are the
//! stable face of this crate.

mod bootstrap;
pub mod curve;
mod decisive;
mod design;
mod estimate;
pub mod family;
mod permutation;
mod recovered;
mod sensitivity;
pub mod share;
mod student;
mod unpaired;

pub use bootstrap::{Bootstrap, RESAMPLES};
pub use decisive::{Decisive, decisive};
pub use design::{Design, Pair, ratio};
pub use estimate::{Comparison, Estimate, Scale};
pub use family::{Among, told_apart};
pub use permutation::permutation;
pub use recovered::recovered;
pub use sensitivity::{Sensitivity, sensitivity};
pub use unpaired::unpaired;

/// Fewest samples with which anything is told apart: the smallest two-sided level of a sign test of `n`
/// differences is 2^(1 - n).
pub const FEWEST: usize = 6;

/// Chance of an error that intervals, marks and sentences allow.
const LEVEL: f64 = 0.05;

/// Beyond this many samples Student's distribution replaces a resampled one.
const MANY: usize = 100;
