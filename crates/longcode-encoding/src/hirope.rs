//! `hirope`: hierarchical positions, token level and segment levels (Zhang et al., ACL 2024).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::list::List;
use super::{
    Band, Encoding, EncodingKind, ModelRope, Positions, Rotation, Rotations, Spectrum, check_window,
    default_window, key_error, kind_of, window_notes,
};
use longcode_base::error::Result;
use longcode_structure::Unit;

/// High-frequency pairs keep the token distance; each following group of pairs belongs to a segment level,
/// fine to coarse, with distance `t` if `t < w`, else `(f_i - f_j) + w - 1` (Equations 4 and 5).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HiRope {
    /// `w`, tokens.
    #[serde(default = "default_window")]
    pub window: usize,
    /// Where the pairs are divided, one fraction a level above the token level: `0.5`, or `"0.4/0.7"`
    /// for two levels. Boundary `s = round(split * h)`.
    #[serde(default = "default_split")]
    pub split: List<f64>,
    /// Segment unit of each level above the token level, fine to coarse: `"function"`, or
    /// `"statement/function"`.
    #[serde(default = "default_unit")]
    pub unit: List<Unit>,
    /// Scale logits of queries beyond the trained length by `ln(i + 1) / ln(L0)`.
    #[serde(default)]
    pub logn: bool,
}

fn default_split() -> List<f64> {
    List(vec![0.5])
}

fn default_unit() -> List<Unit> {
    List(vec![Unit::FUNCTION])
}

/// Beyond a window: pairs of the token level, then of each level above, divided by the splits.
pub(super) fn far(splits: &[f64], window: usize, pairs: usize, positions: &Positions) -> Rotation {
    let shift = window as f64 - 1.0;
    let mut ranges = ranges(splits, pairs).into_iter();
    let (query, key) = (positions.by_token(), positions.by_token());
    let mut bands = vec![Band { pairs: ranges.next().unwrap_or(0..0), query, key }];
    for (pairs, level) in ranges.zip(&positions.levels) {
        let key: Arc<[f64]> = level.iter().map(|&f| f64::from(f)).collect();
        let query = key.iter().map(|f| f + shift).collect();
        bands.push(Band { pairs, query, key });
    }
    Rotation { bands }
}

/// Pair ranges of the token level and of each level above.
fn ranges(splits: &[f64], pairs: usize) -> Vec<std::ops::Range<usize>> {
    let mut edges = vec![0];
    edges.extend(splits.iter().map(|split| (split * pairs as f64).round() as usize));
    edges.push(pairs);
    edges.windows(2).map(|edge| edge[0]..edge[1]).collect()
}

impl HiRope {
    /// A note on a split that leaves token positions to pairs that do not turn once within the trained length: those
    /// have not seen the angles of the distances beyond it (Zhang et al., section 3.2).
    fn split_note(&self, model: &ModelRope) -> Option<String> {
        let (pairs, trained) = (model.pairs(), model.trained_length);
        let by_token = ranges(&self.split.0, pairs).first().map_or(0, std::ops::Range::len);
        let turns = |frequency: &&f64| *frequency * trained as f64 >= std::f64::consts::TAU;
        let whole = Spectrum::plain(model.head_dim, model.base).frequencies.iter().filter(turns).count();
        let split = self.split.0.first()?;
        // To two digits, so that what it names makes no note.
        let largest = (100.0 * whole as f64 / pairs as f64).floor() / 100.0;
        (by_token > whole).then(|| {
            format!(
                "split {split} leaves token positions to {} pairs that turn less than once in the trained length of \
                 {trained} tokens; a split of at most {largest} leaves none",
                by_token - whole
            )
        })
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<HiRope>(
    "hirope",
    "hierarchical positions: token and segment levels (Zhang et al. 2024)",
    "window=512, split=0.5, unit=function, logn=false",
);

impl Encoding for HiRope {
    fn check(&self, _model: &ModelRope) -> Result<()> {
        check_window(self.window)?;
        let splits = &self.split.0;
        if let Some(split) = splits.iter().find(|split| !(0.0..=1.0).contains(*split)) {
            return Err(key_error(
                "split",
                format!("split is {split}"),
                "give a fraction of the pairs, 0 to 1",
            ));
        }
        if splits.windows(2).any(|pair| pair[0] > pair[1]) {
            let what = format!("the splits {} go down", self.split);
            return Err(key_error("split", what, "give them in increasing order, token level first"));
        }
        if splits.len() != self.unit.0.len() {
            let what = format!("{} split(s) for {} segment level(s)", splits.len(), self.unit.0.len());
            return Err(key_error(
                "split",
                what,
                "give one split a unit: split = \"0.4/0.7\", unit = \"statement/function\"",
            ));
        }
        Ok(())
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        window_notes(self.window, model).into_iter().chain(self.split_note(model)).collect()
    }

    fn units(&self) -> &[Unit] {
        &self.unit.0
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let far = far(&self.split.0, self.window, model.pairs(), positions);
        let spectrum = model.own_spectrum(positions.sequence_length);
        Rotations::windowed(spectrum, positions, self.window, far).with_logn(
            self.logn,
            positions,
            model.trained_length,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::EncodingSpec;

    #[test]
    fn controls_are_units_in_specs_and_lists() {
        let units = |spec: &EncodingSpec| spec.units().iter().map(ToString::to_string).collect::<Vec<_>>();
        for text in ["hirope:unit=shuffled:function", "hirope:unit=even:tokens:32"] {
            let spec = EncodingSpec::parse(text).unwrap();
            assert_eq!(format!("hirope:unit={}", units(&spec).concat()), text);
            assert_eq!(units(&EncodingSpec::parse(&spec.to_string()).unwrap()), units(&spec));
        }
        let levels = ["statement", "shuffled:function"];
        let spec = EncodingSpec::parse("hirope:split=0.4/0.7,unit=statement/shuffled:function").unwrap();
        assert_eq!(units(&spec), levels);
        let keys =
            toml::from_str("split = [0.4, 0.7]\nunit = [\"statement\", \"shuffled:function\"]").unwrap();
        assert_eq!(units(&EncodingSpec::from_table("hirope", keys).unwrap()), levels);
    }

    #[test]
    fn a_control_of_a_control_is_refused_with_the_choices() {
        for unit in ["even:shuffled:function", "statement/even:even:file"] {
            let error =
                EncodingSpec::parse(&format!("hirope:split=0.4/0.7,unit={unit}")).unwrap_err().to_string();
            assert!(error.contains("control of a control") && error.contains("tokens:N or file"), "{error}");
        }
    }
}
