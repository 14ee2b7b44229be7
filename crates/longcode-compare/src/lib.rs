//! Two sets of stored results, compared sample by sample, whichever harness stored them.
//!
//! A [`Side`] holds what each sample has in each figure of one row: of a model, or of a model under an encoding. It
//! is read from lm-evaluation-harness's `samples_*.jsonl` ([`lm_eval`]) or inspect_ai's JSON logs ([`inspect`]);
//! whoever stores results otherwise makes one. [`compare()`] pairs the samples that both have, and gives for every
//! figure that both have the difference with its interval, a permutation test, how many samples decide it, and which
//! differ most. [`text`] and [`html`] show it; it serializes as JSON.
//!
//! What cannot be paired is named and counted, and never stops the rest.
//!
//! ```
//! use longcode_compare::{Figure, Options, Side, compare};
//! use longcode_stats::Scale;
//!
//! let side = |name: &str, hits: [f64; 8]| {
//!     let mut figure = Figure::new("tests", "acc");
//!     figure.scale = Some(Scale::Share(1.0));
//!     for (n, hit) in hits.into_iter().enumerate() {
//!         figure.values.insert(n.to_string(), (hit, 1.0));
//!     }
//!     Side { figures: vec![figure], ..Side::new(name) }
//! };
//! let (a, b) = (side("a", [1., 1., 1., 1., 1., 1., 1., 0.]), side("b", [0., 0., 0., 0., 0., 0., 1., 0.]));
//! let found = compare(a, b, &Options::default())?;
//! assert_eq!(found.figures[0].a_more, 6);
//! # Ok::<(), longcode_base::error::Error>(())
//! ```
//!
//! [`Side`], [`Figure`], [`Sample`], [`Options`], [`compare()`] and [`Compared`] are the stable face of this crate.

mod compare;
mod found;
pub mod html;
pub mod inspect;
pub mod lm_eval;
mod side;
pub mod text;

pub use compare::{Options, compare};
pub use found::{Compared, Differing, Ends, FigureCompared, Named, SideShown};
pub use side::{Figure, Higher, Sample, Side, Wanted};
