//! How many keys queries see.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::checkpoint::NetworkConfig;
use crate::kernels::Sight;

/// Keys that queries saw, and those that causality allows them, summed over queries, layers and key heads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Keys that were seen.
    pub seen: u64,
    /// Keys that come no later than their query.
    pub allowed: u64,
}

impl Seen {
    /// Keys that causality allows the queries at some positions of a text.
    pub(super) fn allowed(config: &NetworkConfig, queries: Range<usize>) -> u64 {
        let before = |query: usize| query * (query + 1) / 2;
        let keys = before(queries.end) - before(queries.start);
        (keys * config.num_hidden_layers * config.num_key_value_heads) as u64
    }

    /// The share of keys that was seen.
    pub fn share(&self) -> f64 {
        self.seen as f64 / self.allowed.max(1) as f64
    }
}

/// Counts the keys that rows see, over layers and key heads.
#[derive(Debug, Default)]
pub(super) struct SeenKeys {
    /// The rows that count; all by default.
    rows: Option<Range<usize>>,
    count: AtomicU64,
}

impl SeenKeys {
    /// Counts keys of these rows alone.
    pub(super) fn of(rows: Range<usize>) -> SeenKeys {
        SeenKeys { rows: Some(rows), count: AtomicU64::new(0) }
    }

    /// Adds what the rows see in a layer.
    pub(super) fn add(&self, sight: &Sight, key_heads: usize) {
        let rows = self.rows.clone().unwrap_or(0..sight.rows());
        self.count.fetch_add(sight.seen(key_heads, rows), Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// A copy counts for itself.
impl Clone for SeenKeys {
    fn clone(&self) -> SeenKeys {
        SeenKeys { rows: self.rows.clone(), count: AtomicU64::new(0) }
    }
}
