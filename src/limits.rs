//! How much of what comes from outside is believed: bytes, depth, steps and time, all in one place.
//!
//! Every limit is far beyond what real models, data and results need, and ends what would otherwise take all memory
//! or never end. An error that tells of one names it, and SECURITY.md lists them.

// Data sets.

/// Bytes of one record: a line of JSON lines, an object of a JSON document, a row of a table.
pub const RECORD_BYTES: usize = 256 << 20;
/// Bytes of all that is kept of a data set: the fields that are asked for, with [`RECORD_COST`] for each record.
pub const DATA_BYTES: usize = 2 << 30;
/// Bytes that a record counts for besides its texts.
pub const RECORD_COST: usize = 1 << 10;
/// Bytes that a number, a text or another value of a record counts for besides what it holds.
pub const VALUE_COST: usize = 96;
/// Bytes that any gzip file may unpack to; beyond them no more than [`GZIP_RATIO`] times its own.
pub const GZIP_BYTES: u64 = 256 << 20;
/// How many times its own bytes a gzip file may unpack to. Sources and JSON of them reach 4 to 10.
pub const GZIP_RATIO: u64 = 100;
/// Bytes of white space behind the last line.
pub const BLANK_BYTES: usize = 1 << 20;
/// Bytes of a page of a parquet file, unpacked. Writers make them of some MB.
pub const PAGE_BYTES: usize = 256 << 20;
/// Bytes of the footer of a parquet file, which says where its columns lie.
pub const FOOTER_BYTES: u64 = 64 << 20;
/// Files that a data set of several has.
pub const SHARDS: usize = 100_000;
/// Files and folders that a source tree has.
pub const TREE_ENTRIES: usize = 4_000_000;

// Source texts.

/// Bytes of the name that a region has of its function or class.
pub const REGION_NAME_BYTES: usize = 256;
/// How often a parser may move to another place of a text, and for each KiB of it.
pub const PARSE_READS: [usize; 2] = [1 << 17, 64];
/// Hundreds of steps that a parser may take, and for each KiB. Of 1,341 real files none took more than 24 a KiB.
pub const PARSE_STEPS: [usize; 2] = [20_000, 64];
/// Hundreds of steps that a parser may take in all: some megabytes of source.
pub const MOST_PARSE_STEPS: usize = 100_000;
/// Things that a parser may have to do for a text: some seconds. Some megabytes of source are as much.
pub const PARSE_WORK: u64 = 20_000_000;
/// Bytes from which on a text's work is looked at before it is parsed.
pub const PARSE_LOOK_FROM: usize = 128 << 10;
/// The same before it is mended, that is, parsed up to eight times more.
pub const MEND_LOOK_FROM: usize = 16 << 10;
/// Bytes of a text whose segments are found from what stands before each token: that takes time quadratic in it.
pub const PREFIX_BYTES: usize = 256 << 10;
