//! A prompt with the wanted length, and the asked function at the wanted depth.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::layout::{self, Piece, PromptLanguage};
use super::needle::Needles;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_text::{Tokenizer, Tokens};

/// What prompts of one length have in common.
pub(super) struct Recipe<'a> {
    pub tokenizer: &'a Tokenizer,
    pub language: PromptLanguage,
    /// Most tokens of a prompt.
    pub length: usize,
    /// Real functions to choose from.
    pub fillers: &'a [Piece],
    /// Numbers to choose from for what generated functions return.
    pub answers: &'a [i64],
}

impl Recipe<'_> {
    /// The needles among as many real functions as fit, all in a drawn order, the asked one after `depth`
    /// percent of the tokens of the others, at the nearest border between two; then the question.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when no real function fits, [`ErrorKind::Dataset`] when there are too few.
    pub(super) fn prompt(
        &self,
        needles: &Needles,
        depth: u8,
        rng: &mut ChaCha8Rng,
    ) -> Result<(String, Tokens)> {
        let opening = layout::opening(self.language);
        let question = layout::question(needles, self.language);
        let generated = self.generated(needles)?;
        let frame = self.tokenizer.encode(&format!("{opening}{question}"))?.ids.len();
        let taken = frame + tokens(&generated.iter().collect::<Vec<_>>());
        let mut real = self.choose(needles, taken, rng)?;
        let (asked, others) = generated.split_first().expect("a function is asked about");
        while !real.is_empty() {
            let mut order: Vec<&Piece> = others.iter().chain(real.iter().copied()).collect();
            order.shuffle(rng);
            order.insert(border_at(depth, &order), asked);
            let definitions: String = order.iter().map(|piece| piece.text.as_str()).collect();
            let text = format!("{opening}{definitions}{question}");
            let tokens = self.tokenizer.encode(&text)?;
            if tokens.ids.len() <= self.length {
                return Ok((text, tokens));
            }
            // Counted separately, the pieces had fewer tokens than with their borders.
            real.pop();
        }
        Err(self.too_short(needles, taken))
    }

    fn generated(&self, needles: &Needles) -> Result<Vec<Piece>> {
        let piece = |definition: String| Piece::new(&definition, self.language, self.tokenizer);
        needles.functions.iter().map(|needle| piece(needle.definition(self.language))).collect()
    }

    /// Real functions that fit in addition to `taken` tokens, until no other one does.
    fn choose(&self, needles: &Needles, taken: usize, rng: &mut ChaCha8Rng) -> Result<Vec<&Piece>> {
        let names: Vec<String> = needles.functions.iter().map(|needle| needle.name(self.language)).collect();
        let clashes = |piece: &Piece| names.iter().any(|name| piece.text.contains(name));
        let mut chosen: Vec<&Piece> = self.fillers.iter().filter(|piece| !clashes(piece)).collect();
        let there = chosen.len();
        chosen.shuffle(rng);
        let mut room = self.length.saturating_sub(taken);
        chosen.retain(|piece| match room.checked_sub(piece.tokens) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        });
        if chosen.len() == there {
            return Err(self.too_few(&chosen, taken));
        }
        Ok(chosen)
    }

    fn too_short(&self, needles: &Needles, taken: usize) -> Error {
        let (length, count) = (self.length, needles.functions.len());
        let what = format!(
            "length is {length}: {count} generated functions and the question take {taken} tokens and leave no \
             room for a real function"
        );
        Error::new(ErrorKind::Config, what).at_key("length").fix("give a larger `length`, or fewer `needles`")
    }

    fn too_few(&self, all: &[&Piece], taken: usize) -> Error {
        let (length, count, tokens) = (self.length, all.len(), taken + tokens(all));
        let what = format!(
            "length is {length}: with all {count} functions of the data set that can be used, a prompt has \
             {tokens} tokens"
        );
        Error::new(ErrorKind::Dataset, what)
            .at_key("length")
            .fix("give a smaller `length`, or use a larger data set")
    }
}

fn tokens(pieces: &[&Piece]) -> usize {
    pieces.iter().map(|piece| piece.tokens).sum()
}

/// How many of the pieces come before the border that is nearest to `depth` percent of their tokens.
fn border_at(depth: u8, pieces: &[&Piece]) -> usize {
    let wanted = tokens(pieces) * usize::from(depth) / 100;
    (0..=pieces.len()).min_by_key(|before| tokens(&pieces[..*before]).abs_diff(wanted)).unwrap_or(0)
}
