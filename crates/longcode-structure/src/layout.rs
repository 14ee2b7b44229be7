//! What an encoding needs to know of a text, besides its tokens.

use std::ops::Range;
use std::sync::Arc;

use super::{BlockRule, Blocks, Draw, References, Source, Unit, blocks, references};

/// What an encoding asks of a text beyond the segments of its levels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its blocks.
    pub blocks: Option<BlockRule>,
    /// Its references between the segments of a unit, and whether their ends are drawn by chance.
    pub references: Option<(Unit, bool)>,
}

impl Wanted {
    /// The same for prose ([`Unit::in_prose`]).
    pub fn in_prose(self) -> Wanted {
        Wanted {
            blocks: self.blocks.map(|rule| BlockRule { unit: rule.unit.in_prose(), ..rule }),
            references: self.references.map(|(unit, is_shuffled)| (unit.in_prose(), is_shuffled)),
        }
    }
}

/// The divisions of a text, or of a part of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    /// For each level of an encoding the segment of each token.
    pub levels: Vec<Vec<u32>>,
    /// The blocks, if they were asked for.
    pub blocks: Option<Blocks>,
    /// The references, if they were asked for.
    pub references: Option<Arc<References>>,
    /// The run's seed, for what is drawn while keys are chosen.
    pub seed: u64,
    /// SHA-256 of the text, for the same.
    pub hash: Arc<str>,
}

impl Layout {
    /// What is asked of a tokenised text with the segments of the levels.
    pub fn of(
        source: &Source,
        tokens: &[(usize, usize)],
        levels: Vec<Vec<u32>>,
        wanted: Wanted,
        draw: Draw,
    ) -> Layout {
        let found = |(unit, is_shuffled)| {
            let own = references(source, tokens, unit, draw);
            Arc::new(if is_shuffled { own.shuffled(draw) } else { own })
        };
        Layout {
            levels,
            blocks: wanted.blocks.map(|rule| blocks(source, tokens, rule, draw)),
            references: wanted.references.map(found),
            seed: draw.seed,
            hash: draw.hash.into(),
        }
    }

    /// The same for some of the tokens.
    pub fn part(&self, tokens: Range<usize>) -> Layout {
        Layout {
            levels: self.levels.iter().map(|level| level[tokens.clone()].to_vec()).collect(),
            blocks: self.blocks.as_ref().map(|blocks| blocks.part(tokens.clone())),
            references: self.references.as_ref().map(|references| Arc::new(references.part(tokens.clone()))),
            seed: self.seed,
            hash: self.hash.clone(),
        }
    }
}

/// Segments alone.
impl From<Vec<Vec<u32>>> for Layout {
    fn from(levels: Vec<Vec<u32>>) -> Layout {
        Layout { levels, ..Layout::default() }
    }
}
