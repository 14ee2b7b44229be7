//! `structure`: a window, and what the code itself points at (after SabreCoder; LongCoder's memory tokens).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::far::Far;
use super::{
    Border, Choice, Encoding, EncodingKind, Listed, ModelRope, Positions, Rotations, Zone, check_window,
    first_within, key_error, kind_of, window_notes,
};
use longcode_base::error::Result;
use longcode_structure::{References, Unit, Wanted};

/// Query `i` sees its window, the first `sinks` keys, and what the text says: its own unit, imports, signatures, globals,
/// and the units that its own uses by name before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Structure {
    /// `w`, tokens.
    #[serde(default = "default_window")]
    pub window: usize,
    /// Keys from the start of the sequence that are always seen.
    #[serde(default = "default_sinks")]
    pub sinks: usize,
    /// Whether a query sees its own unit.
    #[serde(default = "yes")]
    pub own: bool,
    /// Whether import statements are seen.
    #[serde(default = "yes")]
    pub imports: bool,
    /// Whether lines with the name of a definition are seen.
    #[serde(default = "yes")]
    pub signatures: bool,
    /// Whether statements at module level that assign to or declare variables are seen.
    #[serde(default = "yes")]
    pub globals: bool,
    /// Whether the units that the query's own unit uses are seen.
    #[serde(default = "yes")]
    pub uses: bool,
    /// Whether these units are drawn by chance instead: the control.
    #[serde(default)]
    pub shuffled: bool,
    /// What far distances count.
    #[serde(default)]
    pub far: Far,
    /// Where `far = "hirope"` divides the pairs; 0.5 by default.
    pub split: Option<f64>,
    /// What a unit is.
    #[serde(default = "default_unit")]
    pub unit: Unit,
    /// Scale logits of queries beyond the trained length by `ln(i + 1) / ln(L0)`.
    #[serde(default)]
    pub logn: bool,
}

fn default_window() -> usize {
    64
}

fn default_sinks() -> usize {
    4
}

fn yes() -> bool {
    true
}

fn default_unit() -> Unit {
    Unit::FUNCTION
}

pub(super) const ENTRY: EncodingKind = kind_of::<Structure>(
    "structure",
    "a window and what the code points at (after SabreCoder, ACL 2026)",
    "window=64, sinks=4, own=true, imports=true, signatures=true, globals=true, uses=true, shuffled=false, far=clip, \
     split=0.5, unit=function, logn=false",
);

impl Encoding for Structure {
    fn check(&self, _model: &ModelRope) -> Result<()> {
        check_window(self.window)?;
        self.far.check(self.split)?;
        if self.shuffled && !self.uses {
            let what = "shuffled draws the units that uses point at, and uses is false";
            return Err(key_error("shuffled", what, "leave it out, or give uses = true"));
        }
        Ok(())
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        window_notes(self.window, model)
    }

    fn units(&self) -> &[Unit] {
        std::slice::from_ref(&self.unit)
    }

    fn wanted(&self) -> Wanted {
        Wanted { blocks: None, references: Some((self.unit, self.shuffled)) }
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let unknown = || Arc::new(References::stand_in(positions.sequence_length));
        let references = positions.references.clone().unwrap_or_else(unknown);
        let units = UnitTokens::of(&references);
        let behind = first_within(self.window);
        // The keys of the query's own unit come right before its window.
        let own = |i: usize| if self.own { units.of_token(i).start.min(behind(i)) } else { behind(i) };
        let far = self.far.rotation(self.window, self.split, model, positions);
        let zones = vec![
            Zone::turned(Border::start(positions), far.clone()),
            Zone::chosen(Border::new(positions, |i| own(i).min(self.sinks)), far.clone()),
            Zone::turned(Border::new(positions, own), far),
            Zone::near(model.pairs(), positions, self.window),
        ];
        Rotations::new(model.own_spectrum(positions.sequence_length), positions, zones)
            .with_choice(Choice::Listed(self.listed(&references, &units, &positions.tokens)))
            .with_logn(self.logn, positions, model.trained_length)
    }
}

impl Structure {
    /// What some tokens see as queries, besides their own unit.
    fn listed(&self, references: &References, units: &UnitTokens, tokens: &Range<usize>) -> Listed {
        let flagged = self.flagged(references);
        let mut uses: HashMap<u32, Vec<(usize, u32)>> = HashMap::new();
        for &(from, target) in references.uses.iter().filter(|_| self.uses) {
            if let Some(unit) = references.units.get(from) {
                uses.entry(*unit).or_default().push((from, target));
            }
        }
        let mut listed = Listed::default();
        let mut last = None;
        for token in tokens.clone() {
            let unit = units.number_of(token);
            let of_unit = unit.and_then(|unit| uses.get(&unit)).map_or(&[][..], Vec::as_slice);
            // In the order of the tokens from which they count.
            let counting = of_unit.partition_point(|&(from, _)| from <= token);
            // Tokens of units that use nothing see the same.
            let state = (unit.filter(|_| counting > 0), counting);
            if last != Some(state) {
                last = Some(state);
                let targets = of_unit[..counting].iter().filter_map(|(_, target)| units.tokens.get(target));
                let mut list: Vec<Range<usize>> = flagged.iter().chain(targets).cloned().collect();
                list.sort_unstable_by_key(|range| range.start);
                listed.lists.push(list);
            }
            listed.list_of.push(listed.lists.len() as u32 - 1);
        }
        listed
    }

    /// The runs of tokens that every query sees.
    fn flagged(&self, references: &References) -> Vec<Range<usize>> {
        let flags = [
            (self.imports, &references.imports),
            (self.signatures, &references.signatures),
            (self.globals, &references.globals),
        ];
        let is_seen = |token: usize| flags.iter().any(|(wanted, flags)| *wanted && flags[token]);
        let mut runs: Vec<Range<usize>> = Vec::new();
        for token in (0..references.units.len()).filter(|&token| is_seen(token)) {
            match runs.last_mut() {
                Some(run) if run.end == token => run.end += 1,
                _ => runs.push(token..token + 1),
            }
        }
        runs
    }
}

/// The tokens of each unit. Tokens after the text are of its last one.
struct UnitTokens<'a> {
    units: &'a [u32],
    tokens: HashMap<u32, Range<usize>>,
}

impl<'a> UnitTokens<'a> {
    fn of(references: &'a References) -> UnitTokens<'a> {
        let mut tokens: HashMap<u32, Range<usize>> = HashMap::new();
        for (token, unit) in references.units.iter().enumerate() {
            tokens.entry(*unit).or_insert(token..token).end = token + 1;
        }
        UnitTokens { units: &references.units, tokens }
    }

    fn number_of(&self, token: usize) -> Option<u32> {
        self.units.get(token).or(self.units.last()).copied()
    }

    fn of_token(&self, token: usize) -> Range<usize> {
        self.number_of(token).and_then(|unit| self.tokens.get(&unit)).cloned().unwrap_or(0..0)
    }
}

#[cfg(test)]
mod tests {
    use crate::{EncodingSpec, ModelRope};

    #[test]
    fn what_does_not_apply_is_refused() {
        let model = ModelRope::plain(16, 10000.0, 64);
        for (keys, named) in
            [("uses=false,shuffled=true", "shuffled"), ("split=0.5", "split"), ("window=0", "window")]
        {
            let error = EncodingSpec::parse(&format!("structure:{keys}")).unwrap().check(&model).unwrap_err();
            assert!(error.to_string().contains(&format!("key `{named}`")), "{keys}: {error}");
        }
        assert!(EncodingSpec::parse("structure:top=4").is_err());
        EncodingSpec::parse("structure:far=hirope,split=0,shuffled=true").unwrap().check(&model).unwrap();
    }
}
