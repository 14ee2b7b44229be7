//! What happens to a code language model beyond its training length, under each position encoding?
//!
//! Data flows one way, and the modules follow it: [`config`] says what to compare; a [`dataset`] gives
//! records; a [`task`] makes samples; [`structure`] gives each token its hierarchical position; an
//! [`encoding`] gives rotations; a [`model`] on a [`device`] scores; [`hub`] finds models and data by name; [`run`] drives all that; [`store`]
//! keeps every sample as it finishes; [`report`] makes tables, with intervals from [`longcode_stats`] and the
//! [`paper`]'s numbers. [`plan`] says before what a run will take; [`tune`] searches an encoding's keys; [`train`] makes models to compare on. [`cli`] is what a user types, [`error`] what
//! they read when something is wrong, [`interrupt`] what Ctrl-C does.

// First: its macro is used by all.
#[macro_use]
mod terminal;

pub mod cli;
pub mod config;
pub mod dataset;
pub mod device;
pub mod encoding;
pub mod error;
pub mod files;
mod guard;
pub mod hash;
pub mod hub;
pub mod interrupt;
pub mod limits;
pub mod memory;
pub mod model;
mod notes;
pub mod paper;
pub mod plan;
pub mod progress;
pub mod registry;
pub mod report;
pub mod run;
pub mod store;
pub mod structure;
pub mod task;
pub mod train;
pub mod tune;
