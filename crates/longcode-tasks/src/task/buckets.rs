//! Buckets of samples by length.

use serde::{Deserialize, Serialize};

use super::Span;
use longcode_base::error::{Error, ErrorKind, Result};

/// Lower edges of buckets of lengths; the last has no upper edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Buckets(pub(super) Vec<usize>);

impl Buckets {
    /// Buckets for prompts whose lengths differ by orders of magnitude, tokens.
    pub(super) fn of_long_prompts() -> Buckets {
        Buckets(vec![0, 16 << 10, 32 << 10, 64 << 10])
    }

    /// Refuses an empty list, and edges that do not increase.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] at the key `buckets`.
    pub(super) fn check(&self) -> Result<()> {
        if self.0.is_empty() || self.0.windows(2).any(|edge| edge[0] >= edge[1]) {
            return Err(Error::new(ErrorKind::Config, format!("buckets {:?} do not increase", self.0))
                .at_key("buckets")
                .fix("say where each bucket begins, as [0, 4000, 8000]"));
        }
        Ok(())
    }

    /// The buckets in order.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span> {
        let ends = self.0[1..].iter().copied().chain([Span::OPEN]);
        self.0.iter().zip(ends).map(|(&from, to)| Span { from, to })
    }

    /// The bucket of a length; none below the first.
    pub(super) fn of(&self, length: usize) -> Option<Span> {
        self.spans().find(|span| (span.from..span.to).contains(&length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bucket_is_open() {
        let buckets = Buckets(vec![10, 20]);
        assert_eq!(buckets.spans().map(|span| span.to_string()).collect::<Vec<_>>(), ["10-20", "20+"]);
        assert_eq!(buckets.of(9), None);
        assert_eq!(buckets.of(19).unwrap().to_string(), "10-20");
        assert_eq!(buckets.of(1 << 40).unwrap().to_string(), "20+");
        assert!(
            buckets.check().is_ok()
                && Buckets(vec![]).check().is_err()
                && Buckets(vec![3, 3]).check().is_err()
        );
    }
}
