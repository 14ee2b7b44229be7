//! How much of what comes from outside is believed: bytes, depth, steps and time, all in one place.
//!
//! Every limit is far beyond what real models, data and results need, and ends what would otherwise take all memory
//! or never end. An error that tells of one names it, and SECURITY.md lists them.
