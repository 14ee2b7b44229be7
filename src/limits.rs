//! How much of what comes from outside is believed: bytes, depth, steps and time, all in one place.
//!
//! Every limit is far beyond what real models, data and results need, and ends what would otherwise take all memory
//! or never end. An error that tells of one names it, and SECURITY.md lists them.

// Configs and results.

/// Rows that the `[[encoding]]` or `[[task]]` tables of a config make at most, lists multiplied.
pub const ROWS: usize = 10_000;

/// Most bytes of a line of samples.jsonl.
pub const STORED_LINE: usize = 256 << 20;

/// Most characters of each part of an error (what, where, fix) that are shown.
pub const ERROR_CHARACTERS: usize = 2000;

/// Most bytes of a file's name that is made of names in a config, without its ending.
pub const FILE_NAME: usize = 120;

/// Bytes of addresses (`ulimit -v`) below which the program does not start.
pub const LEAST_ADDRESSES: u64 = 256 << 20;

/// Most bytes of a run's name, which names its directory.
pub const RUN_NAME: usize = 200;
