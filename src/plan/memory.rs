//! The memory that a sequence needs, from the tensors that are alive at once.

use burn::tensor::Device;

use crate::checkpoint::{Checkpoint, NetworkConfig};
use crate::config::EncodingEntry;
use crate::encoding::Positions;
use crate::error::Result;
use crate::kernels::{Precision, is_cpu};
use crate::model::{MAX_ELEMENTS, RotaryTables, TOGETHER};
use crate::run::{Account, kept};

/// Bytes of a number in the network's own tensors.
const F32: f64 = 4.0;

/// Longest sequence that is considered.
const LONGEST: usize = 1 << 40;

/// Bytes of a checkpoint's weights on a device: on the CPU as stored in its files.
///
/// # Errors
/// [`crate::error::ErrorKind::Model`] when a file is gone.
pub(super) fn weights(checkpoint: &Checkpoint, device: &Device, precision: Precision) -> Result<f64> {
    if is_cpu(device) { Ok(checkpoint.stored_bytes()? as f64) } else { checkpoint.bytes_on_gpu(precision) }
}

/// What a sequence under an encoding needs besides the weights.
pub(super) struct Need<'a> {
    config: &'a NetworkConfig,
    account: &'a Account,
    encoding: &'a EncodingEntry,
    /// How many different rotations of queries, and of keys.
    turns: [usize; 2],
    /// Tokens that there is room for after a prompt; none if the sequence is scored.
    room: Option<usize>,
}

impl<'a> Need<'a> {
    /// What sequences of about `length` tokens need.
    pub(super) fn new(
        account: &'a Account,
        encoding: &'a EncodingEntry,
        room: Option<usize>,
        length: usize,
    ) -> Need<'a> {
        let config = account.config();
        let levels = encoding.spec.units().iter().map(|_| vec![0; length]).collect();
        let positions = Positions::whole(length, levels);
        let rotations = encoding.spec.by_layer(&config.rope, &positions);
        Need { config, account, encoding, turns: RotaryTables::turns(&rotations, &positions), room }
    }

    /// Bytes for a sequence of `length` tokens, at their peak.
    pub(super) fn bytes(&self, length: usize) -> f64 {
        let rows = self.rows(length);
        let config = self.config;
        let [queries, keys] = self.turns.map(|turns| turns as f64);
        let (query, key, hidden) =
            (config.query_width() as f64, config.key_width() as f64, config.hidden_size as f64);
        let tables = (queries + keys) * config.attention.head_dim as f64;
        // The rows themselves, queries and keys before and after they turn, values; then the result of
        // attention takes the place of the first queries.
        let attention = rows * (tables + hidden + (queries + 1.0) * query + (keys + 2.0) * key);
        let predicted = if self.room.is_some() { 1.0 } else { rows };
        let logits = (predicted * config.vocab_size as f64).min(MAX_ELEMENTS as f64);
        // The final rows before the norm, after it, and without the last.
        let scored = rows * (tables + 3.0 * hidden) + logits;
        let kept = self.room.map_or(0.0, |room| {
            (keys + 1.0) * key * self.account.cached(self.encoding, rows as usize + room)
        });
        F32 * (attention.max(scored) + kept)
    }

    /// Rows that go through the network at once.
    fn rows(&self, length: usize) -> f64 {
        let rows = match (self.room, self.encoding.spec.context) {
            (Some(room), _) => kept(&self.encoding.spec, length, room),
            (None, Some(context)) => length.min(context.tokens.max(TOGETHER)),
            (None, None) => length,
        };
        rows as f64
    }

    /// The longest sequence that needs at most this many bytes; none if length makes no difference.
    pub(super) fn longest(&self, bytes: f64) -> Option<usize> {
        if self.bytes(LONGEST) <= bytes {
            return None;
        }
        let (mut fits, mut beyond) = (0, LONGEST);
        while beyond - fits > 1 {
            let middle = fits + (beyond - fits) / 2;
            if self.bytes(middle) <= bytes { fits = middle } else { beyond = middle }
        }
        Some(fits)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::encoding::EncodingSpec;

    /// Bytes of a scored sequence of the bundled model's shape, and the longest that fits into 1 GB.
    fn need(spec: &str, room: Option<usize>, length: usize) -> (f64, Option<usize>) {
        let config = NetworkConfig::from_json(json!({
            "model_type": "llama", "vocab_size": 4096, "hidden_size": 192, "intermediate_size": 512,
            "num_hidden_layers": 4, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 64,
            "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 1000.0, "hidden_act": "silu",
        }))
        .unwrap();
        let spec = EncodingSpec::parse(spec).unwrap();
        let encoding = EncodingEntry::new("one".into(), spec);
        let account = Account::new(&config, std::slice::from_ref(&encoding), length);
        let need = Need::new(&account, &encoding, room, length);
        (need.bytes(length), need.longest(1e9))
    }

    /// Peak resident memory of `longcode bench` with `models/nano` beyond that of 4,096 tokens, MB: 36.0 for
    /// rope at 16,384 tokens, 41.6 for hirope.
    #[test]
    fn growth_as_measured() {
        for (spec, measured) in [("rope", 36.0), ("hirope:window=128", 41.6)] {
            let growth = (need(spec, None, 16384).0 - need(spec, None, 4096).0) / 1e6;
            assert!((growth / measured - 1.0).abs() < 0.25, "{spec}: {growth}, measured {measured}");
        }
    }

    #[test]
    fn what_fits() {
        for (spec, room) in [("rope", None), ("rope", Some(64)), ("rerope:window=128", Some(64))] {
            let longest = need(spec, room, 4096).1.unwrap();
            assert!(need(spec, room, longest).0 <= 1e9 && need(spec, room, longest + 1).0 > 1e9, "{spec}");
        }
        assert_eq!(need("rope:context=512", None, 4096).1, None);
        // What an encoding of bounded sight keeps does not grow; what reading a prompt takes does.
        let bounded = need("streaming_llm:window=128", Some(64), 4096).1.unwrap();
        assert!(bounded > need("rope", Some(64), 4096).1.unwrap());
    }
}
