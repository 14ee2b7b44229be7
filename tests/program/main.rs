//! The real program, end to end: what users type, what they get, and what goes wrong.

#[path = "../common/mod.rs"]
mod common;

mod bad_disk;
mod bad_input;
mod ceiling;
mod commands;
mod compare;
mod configs;
mod failures;
#[cfg(target_os = "linux")]
mod faults;
mod fill_in;
mod grow;
mod hub;
mod install;
mod key_tokens;
mod misled;
mod mutations;
mod names;
mod report;
mod resume;
mod serve;
mod served;
mod stand_ins;
mod table;
mod tasks;
mod train;
mod tune;
#[cfg(unix)]
mod untrusted;
#[cfg(unix)]
mod walk;
mod wild_configs;
