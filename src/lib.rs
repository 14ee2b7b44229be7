//! What happens to a code language model beyond its training length, under each position encoding?
//!
//! Data flows one way, and the modules follow it:
//!
//! | module | what |
//! |---|---|
//! | [`config`] | says what to compare |
//! | [`dataset`], [`task`] | give records, and make samples of them |
//! | [`structure`], [`encoding`] | give each token its hierarchical position, and rotations |
//! | [`checkpoint`], [`model`], [`device`] | read a model's files; score and generate; where it computes, and
//! (`check`) how well |
//! | [`hub`] | finds models and data by name |
//! | `subject` | what a run knows about a model, wherever it computes |
//! | [`run`], [`store`] | drives all that; keeps every sample as it finishes |
//! | [`report`], [`paper`] | makes tables, with intervals from [`longcode_stats`]; the paper's numbers |
//! | [`plan`] | predicts what a run will take |
//! | [`serve`] | answers every client that speaks OpenAI's API, from a checkpoint under an encoding |
//! | [`tune`], [`train`] | searches an encoding's keys; makes models to compare on |
//! | [`cli`], [`error`], [`interrupt`] | what a user types, what they read when something fails, Ctrl-C |

#[macro_use]
extern crate longcode_base;

pub use longcode_base::{error, files, hash, limits, registry};
pub(crate) use longcode_base::{messages, progress, terminal};
pub use longcode_encoding as encoding;
pub use longcode_hub as hub;
pub use longcode_kernels as kernels;
pub use longcode_structure as structure;
pub use longcode_tasks::{dataset, task};
pub use longcode_text as text;

mod bundled;
mod check;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod device;
mod draw;
pub mod interrupt;
pub mod memory;
pub mod model;
pub mod paper;
pub mod plan;
pub mod provenance;
pub mod report;
pub mod run;
pub mod serve;
pub mod store;
mod subject;
pub mod train;
pub mod tune;
