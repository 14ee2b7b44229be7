//! `blocks`: a window, and the best blocks of the keys before it, by content (InfLLM, MoBA, Quest).

use serde::{Deserialize, Serialize};

use super::far::Far;
use super::{
    BlockChoice, BlockScore, Border, Choice, Encoding, EncodingKind, ModelRope, Positions, Rotations, Zone,
    check_window, first_within, key_error, kind_of, window_notes,
};
use longcode_base::error::Result;
use longcode_structure::{BlockRule, Blocks as TextBlocks, Unit, Wanted};

/// Query `i` sees its window, the keys from the block on that the window's border cuts, the first `sinks` keys, and the
/// `top` best of the blocks before. Chosen for one query at a time, from what precedes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blocks {
    /// Blocks are made of its segments.
    #[serde(default = "default_unit")]
    pub unit: Unit,
    /// `w`, tokens; by default half the trained length.
    pub window: Option<usize>,
    /// Keys from the start of the sequence that are always seen.
    #[serde(default = "default_sinks")]
    pub sinks: usize,
    /// Most blocks that a query sees.
    #[serde(default = "default_top")]
    pub top: usize,
    /// How a block is scored.
    #[serde(default)]
    pub score: Score,
    /// Who chooses.
    #[serde(default)]
    pub by: By,
    /// What far distances count.
    #[serde(default)]
    pub far: Far,
    /// Where `far = "hirope"` divides the pairs; 0.5 by default.
    pub split: Option<f64>,
    /// Keys that speak for a block of `score = "attended"`; 4 by default.
    pub representatives: Option<usize>,
    /// Tokens that a block has before a segment ends it; 32, or 1 of `tokens:N`.
    pub shortest: Option<usize>,
    /// Most tokens of a block; 512, or N of `tokens:N`, at least `shortest`.
    pub longest: Option<usize>,
    /// Scale logits of queries beyond the trained length by `ln(i + 1) / ln(L0)`.
    #[serde(default)]
    pub logn: bool,
}

/// [`BlockScore`] as it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Score {
    #[default]
    Mean,
    Bounds,
    Attended,
    Random,
}

/// Who chooses blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    /// Each key head.
    #[default]
    Head,
    /// All key heads of a layer together.
    Layer,
}

fn default_unit() -> Unit {
    Unit::FALLBACK
}

fn default_sinks() -> usize {
    4
}

fn default_top() -> usize {
    16
}

const DEFAULT_REPRESENTATIVES: usize = 4;

pub(super) const ENTRY: EncodingKind = kind_of::<Blocks>(
    "blocks",
    "a window and the best blocks of keys before it (Xiao et al. 2024, InfLLM; Lu et al. 2025, MoBA; Tang et al. 2024, Quest)",
    "unit=tokens:128, window=L0/2, sinks=4, top=16, score=mean, by=head, far=clip, split=0.5, representatives=4, \
     shortest=32, longest=512, logn=false",
);

impl Blocks {
    fn window(&self, model: &ModelRope) -> usize {
        self.window.unwrap_or(model.trained_length / 2)
    }

    fn rule(&self) -> BlockRule {
        let of_tokens = self.unit.number().map(|number| number.get());
        let shortest = self.shortest.unwrap_or(if of_tokens.is_some() { 1 } else { 32 });
        let longest = self.longest.unwrap_or(of_tokens.unwrap_or(512).max(shortest));
        BlockRule { unit: self.unit, shortest, longest }
    }

    fn score(&self) -> BlockScore {
        match self.score {
            Score::Mean => BlockScore::Mean,
            Score::Bounds => BlockScore::Bounds,
            Score::Attended => BlockScore::Attended(self.representatives.unwrap_or(DEFAULT_REPRESENTATIVES)),
            Score::Random => BlockScore::Random,
        }
    }

    fn check_lengths(&self) -> Result<()> {
        let BlockRule { shortest, longest, .. } = self.rule();
        if longest < shortest.max(1) {
            let what = format!("longest {longest} is below shortest {shortest}");
            return Err(key_error("longest", what, format!("give at least {}", shortest.max(1))));
        }
        Ok(())
    }

    fn check_representatives(&self) -> Result<()> {
        match self.representatives {
            Some(0) => Err(key_error("representatives", "no key speaks for a block", "give at least 1")),
            Some(count) if self.score != Score::Attended => Err(key_error(
                "representatives",
                format!("{count} representatives are of score = \"attended\" alone"),
                "leave them out, or give score = \"attended\"",
            )),
            _ => Ok(()),
        }
    }
}

impl Encoding for Blocks {
    fn check(&self, model: &ModelRope) -> Result<()> {
        check_window(self.window(model))?;
        self.far.check(self.split)?;
        self.check_lengths()?;
        self.check_representatives()
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        window_notes(self.window(model), model)
    }

    fn units(&self) -> &[Unit] {
        std::slice::from_ref(&self.unit)
    }

    fn wanted(&self) -> Wanted {
        Wanted { blocks: Some(self.rule()), references: None }
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let window = self.window(model);
        let unknown = || TextBlocks::even(self.rule().longest.min(128), positions.sequence_length);
        let blocks = positions.blocks.clone().unwrap_or_else(unknown);
        let starts = blocks.starts.clone();
        // The end of the last block that ends at the window's first key or before.
        let closed = |i: usize| {
            let after = starts.partition_point(|&start| start <= first_within(window)(i));
            after.checked_sub(1).map_or(0, |last| starts[last])
        };
        let far = self.far.rotation(window, self.split, model, positions);
        let zones = vec![
            Zone::turned(Border::start(positions), far.clone()),
            Zone::chosen(Border::new(positions, |i| closed(i).min(self.sinks)), far.clone()),
            Zone::turned(Border::new(positions, closed), far),
            Zone::near(model.pairs(), positions, window),
        ];
        let choice = BlockChoice {
            starts: blocks.starts,
            first: blocks.first,
            top: self.top,
            window,
            score: self.score(),
            together: self.by == By::Layer,
            seed: positions.seed,
            hash: positions.hash.clone(),
        };
        Rotations::new(model.own_spectrum(positions.sequence_length), positions, zones)
            .with_choice(Choice::Blocks(choice))
            .with_logn(self.logn, positions, model.trained_length)
    }
}

#[cfg(test)]
mod tests {
    use crate::{EncodingSpec, ModelRope};

    #[test]
    fn what_does_not_apply_is_refused() {
        let model = ModelRope::plain(16, 10000.0, 64);
        for (keys, named) in [
            ("split=0.5", "split"),
            ("far=hirope,split=1.5", "split"),
            ("representatives=4", "representatives"),
            ("score=attended,representatives=0", "representatives"),
            ("unit=function,longest=20", "longest"),
            ("shortest=9,longest=8", "longest"),
            ("longest=0", "longest"),
            ("window=0", "window"),
        ] {
            let error = EncodingSpec::parse(&format!("blocks:{keys}")).unwrap().check(&model).unwrap_err();
            assert!(error.to_string().contains(&format!("key `{named}`")), "{keys}: {error}");
            assert!(error.fix.is_some());
        }
        for keys in ["score=best", "by=query", "far=near", "unit=nothing", "top=-1", "groups=2"] {
            assert!(EncodingSpec::parse(&format!("blocks:{keys}")).is_err(), "{keys}");
        }
        for keys in
            ["far=hirope,split=0.3", "score=attended,representatives=2", "shortest=600", "unit=tokens:8"]
        {
            EncodingSpec::parse(&format!("blocks:{keys}")).unwrap().check(&model).unwrap();
        }
        assert!(EncodingSpec::parse("rope:top=4").is_err());
    }

    #[test]
    fn a_window_beyond_the_trained_length_is_noted() {
        let notes =
            EncodingSpec::parse("blocks:window=65").unwrap().notes(&ModelRope::plain(16, 10000.0, 64));
        assert!(notes.len() == 1 && notes[0].contains("beyond the trained length"), "{notes:?}");
    }
}
