//! How much of external input is accepted: bytes, depth, steps and time, all in one place.
//!
//! Every limit is far beyond what real models, data and results need, and stops what would otherwise take all
//! memory or never end. An error caused by a limit names it, and SECURITY.md lists them.

// Files that are read whole, in bytes.

/// One of our configs or a manifest: TOML.
pub const CONFIG_BYTES: u64 = 16 << 20;
/// config.json or generation_config.json; a list of numbers takes two hundred times its bytes once parsed.
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
/// A log of another harness.
pub const HARNESS_LOG_BYTES: u64 = 8 << 30;
/// The texts of a results directory, unpacked.
pub const TEXTS_BYTES: u64 = 1 << 30;

/// The file of a `table` encoding as safetensors; its numbers take up to twice its bytes.
pub const TABLE_BYTES: u64 = 1 << 30;
/// The same as JSON: a parsed number takes some ten times its bytes.
pub const TABLE_JSON_BYTES: u64 = 64 << 20;

// What the hub sends.

/// Bytes of the list of a repository's files.
pub const LISTING_BYTES: u64 = 64 << 20;
/// Bytes of a file of weights or data.
pub const HUB_FILE_BYTES: u64 = 1 << 40;
/// Redirects that a request follows.
pub const REDIRECTS: usize = 10;
/// Seconds without a byte after which a connection counts as broken, or without an answer to a request.
pub const HUB_SILENCE_SECONDS: u64 = 15;
/// Bytes that must arrive in that many seconds, or the connection counts as broken: a trickle never ends.
pub const HUB_LEAST_BYTES: u64 = 16 << 10;

// What a model's server sends.

/// Seconds for the whole answer to a request, unless a config says otherwise.
pub const SERVED_ANSWER_SECONDS: u64 = 600;
/// How often a request is made that fails in a way that passes.
pub const SERVED_TRIES: usize = 8;
/// Longest wait between two of them, in seconds, also where the server asks for more.
pub const SERVED_WAIT_SECONDS: u64 = 120;
/// Bytes of an answer. Log-probabilities of 262,144 tokens take some 20 MB.
pub const SERVED_ANSWER_BYTES: u64 = 1 << 30;
/// Requests at once.
pub const SERVED_CONCURRENCY: usize = 1024;

// What clients of `longcode serve` send.

/// Connections at once; others wait.
pub const SERVE_CONNECTIONS: usize = 1024;
/// Bytes of a request's body.
pub const SERVE_BODY_BYTES: usize = 16 << 20;
/// Seconds in which it must have come.
pub const SERVE_BODY_SECONDS: u64 = 60;
/// Seconds in which a request's head must have come.
pub const SERVE_HEADER_SECONDS: u64 = 30;
/// Seconds in which requests under way may finish when the server ends.
pub const SERVE_END_SECONDS: u64 = 30;
/// Choices of a request: prompts times `n`.
pub const SERVE_CHOICES: usize = 128;
/// Tokens of a request: prompts and new ones of all its choices.
pub const SERVE_REQUEST_TOKENS: usize = 1 << 18;
/// Stop strings of a request.
pub const SERVE_STOPS: usize = 16;
/// Most likely tokens that are shown with each token.
pub const SERVE_LOGPROBS: usize = 20;

// Models' shapes and sequences.

/// Decoder layers of a model.
pub const LAYERS: usize = 1 << 16;

/// Rows or columns of a matrix, and heads, of a model.
pub const WIDTH: usize = (1 << 31) - 1;

/// Most experts of a layer.
pub const EXPERTS: usize = 1 << 12;

/// Numbers of a model's weights in all.
pub const WEIGHTS: u128 = 1 << 46;

/// Tokens that a checkpoint says it was trained for.
pub const TRAINED_LENGTH: usize = 1 << 32;

/// Tokens of a sequence, including generated ones.
pub const SEQUENCE: usize = 1 << 30;

// Tokenizers and chat templates

/// Bytes of a text that is made into tokens: each token takes some 180 bytes while it is made. This many bytes of code are
/// some 5 million tokens.
pub const TEXT_BYTES: usize = 16 << 20;

/// How many times longer a tokenizer's normalizers or decoders may make a text. SentencePiece's `▁` for a
/// space: 3.
pub const TOKENIZER_GROWTH: f64 = 32.0;

/// Bytes that a tokenizer's normalizers may put before a text. SentencePiece: 3.
pub const PREPENDED_BYTES: f64 = 64.0;

/// Added tokens of a tokenizer. The most seen: some 10,000.
pub const ADDED_TOKENS: usize = 100_000;

/// Bytes of a chat template. The longest seen: some 40,000.
pub const CHAT_TEMPLATE_BYTES: usize = 1 << 20;

/// How deep a chat template's expressions may nest, in tokens of a tag between two commas; also for its
/// `elif`s.
pub const CHAT_TEMPLATE_DEPTH: usize = 2_000;

/// How deep a value may nest that a chat template writes as JSON.
pub const CHAT_JSON_DEPTH: usize = 200;

/// Steps of rendering a chat template; 64 bytes of output count as one more, and so do eight values that are
/// walked through. Published ones take some hundreds.
pub const CHAT_STEPS: u64 = 500_000;

/// Additional steps for each byte of a conversation.
pub const CHAT_STEPS_A_BYTE: u64 = 1;

/// Seconds of rendering a chat template. Published ones take some milliseconds, and steps end the others
/// before: this is for what may have escaped the count.
pub const CHAT_SECONDS: u64 = 20;

/// Bytes of stack for rendering a chat template: reserved, but only used if it nests as deep as it may.
pub const CHAT_STACK_BYTES: usize = 64 << 20;

/// Additional bytes of that stack for each step, as steps may make nested values.
pub const CHAT_STACK_BYTES_A_STEP: usize = 256;

// Data sets.

/// Bytes of one record: a line of JSON lines, an object of a JSON document, a row of a table.
pub const RECORD_BYTES: usize = 256 << 20;
/// Bytes of all that is kept of a data set: the fields that are asked for, plus [`RECORD_COST`] for each
/// record.
pub const DATA_BYTES: usize = 2 << 30;
/// Bytes that a record counts for besides its texts.
pub const RECORD_COST: usize = 1 << 10;
/// Bytes that a number, a text or another value of a record counts for besides what it holds.
pub const VALUE_COST: usize = 96;
/// Bytes that any gzip file may unpack to; beyond them at most [`GZIP_RATIO`] times its own.
pub const GZIP_BYTES: u64 = 256 << 20;
/// How many times its own bytes a gzip file may unpack to. Sources and JSON of sources reach 4 to 10.
pub const GZIP_RATIO: u64 = 100;
/// Bytes of white space after the last line.
pub const BLANK_BYTES: usize = 1 << 20;
/// Bytes of a page of a parquet file, unpacked. Writers make pages of some MB.
pub const PAGE_BYTES: usize = 256 << 20;
/// Bytes of the footer of a parquet file, which says where its columns are.
pub const FOOTER_BYTES: u64 = 64 << 20;
/// Files of a data set with several.
pub const SHARDS: usize = 100_000;
/// Files and folders of a source tree.
pub const TREE_ENTRIES: usize = 4_000_000;

// Source texts.

/// Bytes of a region's name, taken from its function or class.
pub const REGION_NAME_BYTES: usize = 256;
/// How often a parser may move to another place in a text, and how much more often for each KiB of it.
pub const PARSE_READS: [usize; 2] = [1 << 17, 64];
/// Hundreds of steps that a parser may take, and how many more for each KiB. Of 1,341 real files none took
/// more than 24 a KiB.
pub const PARSE_STEPS: [usize; 2] = [20_000, 64];
/// Hundreds of steps that a parser may take in all: some megabytes of source.
pub const MOST_PARSE_STEPS: usize = 100_000;
/// Operations that a parser may need for a text: some seconds. Some megabytes of source need as many.
pub const PARSE_WORK: u64 = 20_000_000;
/// Symbols of a text that may wait for their end at a time, in all readings of it: some 300 MB.
pub const PARSE_OPEN: u64 = 250_000;
/// Bytes from which on a text's work is estimated before it is parsed.
pub const PARSE_LOOK_FROM: usize = 128 << 10;
/// The same before it is repaired, which means parsing it up to eight more times.
pub const MEND_LOOK_FROM: usize = 16 << 10;
/// Bytes of a text whose segments are found from each token's prefix: that takes time quadratic in it.
pub const PREFIX_BYTES: usize = 256 << 10;

// Configs and results.

/// Most rows that the `[[encoding]]` or `[[task]]` tables of a config make, with lists multiplied out.
pub const ROWS: usize = 10_000;

/// Most models times encodings times tasks of a config.
pub const CELLS: usize = 200_000;

/// Most bytes of a line of samples.jsonl or evaluator.jsonl.
pub const STORED_LINE: usize = 256 << 20;

/// Most characters of each part of an error (what, where, fix) that are shown.
pub const ERROR_CHARACTERS: usize = 2000;

/// Most bytes of a file's name that is made from names in a config, without its extension.
pub const FILE_NAME: usize = 120;

/// Bytes of address space (`ulimit -v`) below which the program does not start.
pub const LEAST_ADDRESSES: u64 = 256 << 20;

/// Most bytes of a run's name, which names its directory.
pub const RUN_NAME: usize = 200;
