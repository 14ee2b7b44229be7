//! Documents with a gap, from which a model learns to fill one in: pieces of a document that fit into a sample, of which
//! a share becomes what comes before the gap, what comes after it and, last, what fills it, between markers
//! (Bavarian et al. 2022, "Efficient training of language models to fill in the middle").

use std::ops::Range;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::config::FillInKeys;
use crate::error::{Error, ErrorKind, Result};
use crate::text::{FillMarkers, FillPart, Tokenizer};

/// Most lines of a gap of whole lines.
const LINES: usize = 3;

/// Tokens of a sample that are kept free for markers, BOS and EOS, and for the tokens that a gap's borders divide.
const KEPT_FREE: usize = 12;

/// The shortest sample that a piece fits into.
pub const SHORTEST: usize = 2 * KEPT_FREE;

/// Makes gaps.
pub struct FillIn<'a> {
    tokenizer: &'a Tokenizer,
    markers: FillMarkers,
    /// Ends what fills a gap.
    end: u32,
    keys: &'a FillInKeys,
    /// Tokens of a piece.
    room: usize,
}

impl<'a> FillIn<'a> {
    /// Gaps for samples of `length` tokens.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] for a tokenizer without markers, or without a token that ends a text.
    pub fn new(tokenizer: &'a Tokenizer, keys: &'a FillInKeys, length: usize) -> Result<FillIn<'a>> {
        let markers = FillMarkers::of(tokenizer)?;
        let end = tokenizer.end_of_sequence().ok_or_else(|| {
            Error::new(ErrorKind::Tokenizer, "the tokenizer has no EOS, which ends what fills a gap")
                .at_key("corpus.fill_in")
                .fix("name eos_token in tokenizer_config.json")
        })?;
        Ok(FillIn { tokenizer, markers, end, keys, room: length.saturating_sub(KEPT_FREE).max(1) })
    }

    /// The ids of document `number` of the corpus, piece by piece, each with its own BOS.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when the text cannot be tokenized.
    pub fn document(&self, text: &str, number: usize) -> Result<Vec<u32>> {
        let mut random = ChaCha8Rng::seed_from_u64(self.keys.seed);
        random.set_stream(number as u64);
        let mut ids = Vec::new();
        for piece in self.pieces(text)? {
            ids.extend(self.piece(&text[piece], &mut random)?);
        }
        Ok(ids)
    }

    /// The bytes of the pieces that a text is cut into.
    fn pieces(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let tokens = self.tokenizer.encode(text)?;
        let begins = tokens.offsets.iter().filter(|(start, end)| start < end).map(|(start, _)| *start);
        let mut starts: Vec<usize> =
            begins.step_by(self.room).map(|start| text.floor_char_boundary(start)).collect();
        starts.dedup();
        let ends = starts.iter().skip(1).copied().chain([text.len()]);
        Ok(starts.iter().zip(ends).map(|(&start, end)| start..end).collect())
    }

    /// A piece, with a gap if it is one of the share that gets one.
    fn piece(&self, text: &str, random: &mut ChaCha8Rng) -> Result<Vec<u32>> {
        let drawn = random.random_bool(self.keys.rate);
        // Text that holds a marker would be read as another gap.
        let gap = if drawn && !self.markers.all().any(|marker| text.contains(marker)) {
            self.gap(text, random)
        } else {
            None
        };
        let Some(gap) = gap else { return Ok(self.tokenizer.encode(text)?.ids) };
        let mut whole = String::new();
        for part in self.markers.parts() {
            whole.push_str(match part {
                FillPart::Marker(marker) => marker,
                FillPart::Left => &text[..gap.start],
                FillPart::Right => &text[gap.end..],
            });
        }
        whole.push_str(&text[gap]);
        let mut ids = self.tokenizer.encode(&whole)?.ids;
        ids.push(self.end);
        Ok(ids)
    }

    /// A gap of whole lines from the first character that is not white space, as benchmarks ask for, or one that begins
    /// and ends anywhere; none in a text without either.
    fn gap(&self, text: &str, random: &mut ChaCha8Rng) -> Option<Range<usize>> {
        if random.random_bool(self.keys.lines) { lines(text, random) } else { anywhere(text, random) }
    }
}

/// One to [`LINES`] lines, the first and the last not empty, without the last's line break.
fn lines(text: &str, random: &mut ChaCha8Rng) -> Option<Range<usize>> {
    let mut at = 0;
    let mut full = Vec::new();
    for line in text.split_inclusive('\n') {
        let blank = line.len() - line.trim_start().len();
        if blank < line.len() {
            full.push(at + blank..at + line.trim_end_matches(['\n', '\r']).len());
        }
        at += line.len();
    }
    let numbers: Vec<usize> = (0..full.len()).collect();
    let first = *numbers.choose(random)?;
    let last = (first + random.random_range(0..LINES)).min(full.len() - 1);
    Some(full[first].start..full[last].end)
}

/// Between two places, both drawn evenly over the characters.
fn anywhere(text: &str, random: &mut ChaCha8Rng) -> Option<Range<usize>> {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut place = || places[random.random_range(0..places.len())];
    let (one, other) = (place(), place());
    (one != other).then(|| one.min(other)..one.max(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::read_tokenizer;
    use crate::train::tokenizer;

    const CODE: &str = "def größe(a):\n\n    b = a + 1\n    return b * 2\n\nclass C:\n    pass\n";

    fn made() -> (tempfile::TempDir, Tokenizer) {
        let dir = tempfile::tempdir().unwrap();
        tokenizer::make(&[CODE], 260, 64, 0, dir.path()).unwrap();
        assert!(tokenizer::add_markers(dir.path()).unwrap());
        assert!(!tokenizer::add_markers(dir.path()).unwrap(), "once");
        let tokenizer = read_tokenizer(dir.path()).unwrap();
        (dir, tokenizer)
    }

    fn keys(rate: f64, lines: f64) -> FillInKeys {
        FillInKeys { rate, lines, seed: 5 }
    }

    /// The three parts of a document with one gap, as text: before, after, and what fills it.
    fn parts(ids: &[u32], tokenizer: &Tokenizer) -> Option<[String; 3]> {
        let at = |name: &str| ids.iter().position(|id| Some(*id) == tokenizer.id(name));
        let [prefix, suffix, middle] = FillMarkers::ADDED.map(at);
        let (prefix, suffix, middle) = (prefix?, suffix?, middle?);
        assert_eq!((prefix, ids[0]), (1, 0), "BOS, then the first marker");
        assert_eq!(ids.last(), Some(&tokenizer.end_of_sequence().unwrap()));
        let text = |ids: &[u32]| tokenizer.decode(ids).unwrap();
        let end = ids.len() - 1;
        Some([text(&ids[prefix + 1..suffix]), text(&ids[suffix + 1..middle]), text(&ids[middle + 1..end])])
    }

    #[test]
    fn a_gap_takes_nothing_away() {
        let (_dir, tokenizer) = made();
        let text = CODE;
        for (share, number) in [0.0, 1.0].into_iter().flat_map(|share| (0..50).map(move |n| (share, n))) {
            let keys = keys(1.0, share);
            let ids = FillIn::new(&tokenizer, &keys, 500).unwrap().document(text, number).unwrap();
            let Some([left, right, middle]) = parts(&ids, &tokenizer) else { continue };
            assert_eq!(format!("{left}{middle}{right}"), text);
            if share == 1.0 {
                assert!(right.starts_with('\n') && !middle.ends_with('\n'), "{middle:?} | {right:?}");
                assert!(left.is_empty() || left.ends_with([' ', '\n']), "{left:?}");
                let count = middle.lines().filter(|line| !line.trim().is_empty()).count();
                assert!((1..=LINES).contains(&count), "{middle:?}");
            }
        }
    }

    #[test]
    fn the_rate_is_the_share_of_pieces_and_the_seed_decides_them() {
        let (_dir, tokenizer) = made();
        let with = |keys: &FillInKeys, number| {
            FillIn::new(&tokenizer, keys, 500).unwrap().document(CODE, number).unwrap()
        };
        let plain = tokenizer.encode(CODE).unwrap().ids;
        let share = |rate| {
            let keys = keys(rate, 1.0);
            (0..400).filter(|&n| with(&keys, n) != plain).count()
        };
        assert_eq!((share(0.0), share(1.0)), (0, 400));
        // Four standard deviations of 400 draws.
        assert!((60..=140).contains(&share(0.25)));
        let (one, other) = (keys(1.0, 0.5), FillInKeys { seed: 6, ..keys(1.0, 0.5) });
        assert_eq!(with(&one, 3), with(&one, 3));
        assert_ne!(
            (0..9).map(|n| with(&one, n)).collect::<Vec<_>>(),
            (0..9).map(|n| with(&other, n)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn long_documents_become_pieces_that_fit_and_miss_nothing() {
        let (_dir, tokenizer) = made();
        let text = CODE.repeat(9);
        let none = keys(0.0, 0.5);
        let ids = FillIn::new(&tokenizer, &none, 40).unwrap().document(&text, 0).unwrap();
        let pieces: Vec<&[u32]> = ids.split(|id| *id == 0).skip(1).collect();
        assert!(pieces.len() > 5 && pieces.iter().all(|piece| piece.len() < 40));
        let back: String = pieces.iter().map(|piece| tokenizer.decode(piece).unwrap()).collect();
        assert_eq!(back, text);
    }

    #[test]
    fn text_with_a_marker_gets_no_gap() {
        let (_dir, tokenizer) = made();
        let keys = keys(1.0, 0.5);
        let text = format!("a = '{}'\n", FillMarkers::ADDED[0]);
        let ids = FillIn::new(&tokenizer, &keys, 500).unwrap().document(&text, 0).unwrap();
        assert_eq!(ids, tokenizer.encode(&text).unwrap().ids);
    }
}
