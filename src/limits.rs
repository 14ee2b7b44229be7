//! How much of what comes from outside is believed: bytes, depth, steps and time, all in one place.
//!
//! Every limit is far beyond what real models, data and results need, and ends what would otherwise take all memory
//! or never end. An error that tells of one names it, and SECURITY.md lists them.

// Files that are read whole, in bytes.

/// A config of ours or a manifest: TOML.
pub const CONFIG_BYTES: u64 = 16 << 20;
/// config.json or generation_config.json; a list of numbers takes two hundred times its bytes once it is parsed.
pub const MODEL_CONFIG_BYTES: u64 = 1 << 20;
/// The index of a sharded checkpoint.
pub const INDEX_BYTES: u64 = 64 << 20;
/// tokenizer_config.json or a chat template.
pub const TOKENIZER_CONFIG_BYTES: u64 = 4 << 20;
/// tokenizer.json.
pub const TOKENIZER_BYTES: u64 = 128 << 20;
/// A source file.
pub const SOURCE_BYTES: u64 = 256 << 20;
/// A file of a results directory.
pub const RESULTS_BYTES: u64 = 64 << 30;

// What the hub sends.

/// Bytes of the list of a repository's files.
pub const LISTING_BYTES: u64 = 64 << 20;
/// Bytes of a file of weights or data.
pub const HUB_FILE_BYTES: u64 = 1 << 40;
/// Redirects that a request follows.
pub const REDIRECTS: usize = 10;
/// Seconds without a byte after which a connection counts as broken, or without an answer to a request.
pub const HUB_SILENCE_SECONDS: u64 = 15;
/// Bytes that have to come in so many seconds, or the connection counts as broken: what drips never ends.
pub const HUB_LEAST_BYTES: u64 = 16 << 10;
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
