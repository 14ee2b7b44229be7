//! What happens to a code language model beyond its training length, under each position encoding?
//!
//! Data flows one way, and the modules follow it: [`config`] says what to compare; a [`dataset`] gives
//! records; a [`task`] makes samples; [`structure`] gives each token its hierarchical position; an
//! [`encoding`] gives rotations; a [`model`] on a [`device`] scores; [`hub`] finds models and data by name; [`run`] drives all that; [`store`]
//! keeps every sample as it finishes; [`report`] makes tables, with intervals from [`longcode_stats`] and the
//! [`paper`]'s numbers. [`plan`] says before what a run will take; [`tune`] searches an encoding's keys; [`train`] makes models to compare on. [`cli`] is what a user types, [`error`] what
//! they read when something is wrong, [`interrupt`] what Ctrl-C does.

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
pub mod store;
pub mod train;
pub mod tune;
