//! How much of what comes from outside is believed: bytes, depth, steps and time, all in one place.
//!
//! Every limit is far beyond what real models, data and results need, and ends what would otherwise take all memory
//! or never end. An error that tells of one names it, and SECURITY.md lists them.

// Models' shapes and sequences.

/// Decoder layers of a model.
pub const LAYERS: usize = 1 << 16;

/// Rows or columns of a matrix, and heads, of a model.
pub const WIDTH: usize = (1 << 31) - 1;

/// Numbers of a model's weights in all.
pub const WEIGHTS: u128 = 1 << 46;

/// Tokens that a checkpoint says it was trained for.
pub const TRAINED_LENGTH: usize = 1 << 32;

/// Tokens of a sequence, those that are generated among them.
pub const SEQUENCE: usize = 1 << 30;
