//! `layers`: which layers an encoding replaces, and what all layers of a model do under it.
//!
//! Layers of one model may turn by ropes of their own, slide, or not turn at all. An encoding replaces the
//! rope of some of them; each of these keeps its own base and scaling, where the kind does not replace them.

use std::collections::BTreeSet;

use super::{ModelRope, OwnWindow, Rotations, key_error};
use longcode_base::error::Result;

/// The layers that an encoding replaces. Those that do not turn (NoPE) are never among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Layers {
    /// Those that see everything; of a model in which every layer slides, all.
    #[default]
    Full,
    /// Every layer.
    All,
    /// These, from 0.
    Numbered(BTreeSet<usize>),
}

impl Layers {
    /// Takes the key out of an encoding's keys.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Encoding`], naming the key.
    pub(super) fn take(keys: &mut toml::Table) -> Result<Option<Layers>> {
        let Some(value) = keys.remove("layers") else { return Ok(None) };
        let bad = || {
            let fix = "give \"full\", \"all\", or numbers from 0, as [0, 4, 8] or \"0/4/8\"";
            key_error("layers", format!("layers is {value}"), fix)
        };
        let numbers: Option<Vec<usize>> = match &value {
            toml::Value::String(word) if word == "full" => return Ok(Some(Layers::Full)),
            toml::Value::String(word) if word == "all" => return Ok(Some(Layers::All)),
            toml::Value::String(list) => list.split('/').map(|number| number.trim().parse().ok()).collect(),
            toml::Value::Integer(number) => usize::try_from(*number).ok().map(|number| vec![number]),
            toml::Value::Array(numbers) => numbers
                .iter()
                .map(|number| number.as_integer().and_then(|number| usize::try_from(number).ok()))
                .collect(),
            _ => None,
        };
        let numbers = numbers.filter(|numbers| !numbers.is_empty()).ok_or_else(bad)?;
        let count = numbers.len();
        let layers: BTreeSet<usize> = numbers.into_iter().collect();
        if layers.len() < count {
            return Err(key_error("layers", "layers names one of them twice", "name each layer once"));
        }
        Ok(Some(Layers::Numbered(layers)))
    }

    /// The key's value, as it could be given again.
    pub(super) fn value(&self) -> toml::Value {
        match self {
            Layers::Full => "full".into(),
            Layers::All => "all".into(),
            Layers::Numbered(layers) => {
                layers.iter().map(usize::to_string).collect::<Vec<_>>().join("/").into()
            }
        }
    }

    /// The layers of a model, in order. `full_attention`: the model's own window is lifted.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Encoding`] for the number of a layer that is not there, or does not
    /// turn.
    pub(super) fn of(&self, model: &ModelRope, full_attention: bool) -> Result<Vec<usize>> {
        let turns = |&layer: &usize| model.rope_of(layer).is_some();
        let own = model.own_window.as_ref().filter(|_| !full_attention);
        let slides = |layer: usize| own.is_some_and(|own| own.layers[layer]);
        let all = 0..model.layers;
        Ok(match self {
            Layers::Full if !all.clone().all(slides) => {
                all.filter(|&layer| !slides(layer)).filter(turns).collect()
            }
            Layers::Full | Layers::All => all.filter(turns).collect(),
            Layers::Numbered(layers) => {
                let beyond = layers.iter().find(|layer| **layer >= model.layers);
                let still = layers.iter().find(|layer| **layer < model.layers && !turns(layer));
                let what = match (beyond, still) {
                    (Some(layer), _) => {
                        format!("layers names {layer}, and this model has 0 to {}", model.layers - 1)
                    }
                    (None, Some(layer)) => {
                        format!("layers names {layer}, which does not turn in this model (NoPE)")
                    }
                    (None, None) => return Ok(layers.iter().copied().collect()),
                };
                return Err(key_error("layers", what, "name layers that turn"));
            }
        })
    }
}

/// Numbers of layers, in order, as words: `0, 4 to 7, 9`.
pub fn in_words(layers: &[usize]) -> String {
    let runs = layers.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [one] => one.to_string(),
        [one, .., last] => format!("{one} to {last}"),
        [] => String::new(),
    });
    runs.collect::<Vec<_>>().join(", ")
}

/// What every layer of a model does with some tokens under an encoding.
#[derive(Debug, Clone)]
pub struct LayerRotations {
    /// The different rotations.
    pub rotations: Vec<Rotations>,
    /// For each layer its place among them; none if it does not turn.
    pub of_layer: Vec<Option<usize>>,
    /// The checkpoint's own limit of sight, on top of the zones, in the layers that have it.
    pub own_window: Option<OwnWindow>,
}

impl LayerRotations {
    /// `rotations` gives those of a rope, replaced by the encoding or as it is.
    pub(super) fn new(
        model: &ModelRope,
        own_window: Option<OwnWindow>,
        replaced: &[bool],
        rotations: impl Fn(usize, bool) -> Rotations,
    ) -> LayerRotations {
        let mut sorts = Vec::new();
        let of_layer = replaced
            .iter()
            .enumerate()
            .map(|(layer, &replaced)| {
                let sort = (model.rope_of(layer)?, replaced);
                Some(sorts.iter().position(|known| *known == sort).unwrap_or_else(|| {
                    sorts.push(sort);
                    sorts.len() - 1
                }))
            })
            .collect();
        let rotations = sorts.into_iter().map(|(rope, replaced)| rotations(rope, replaced)).collect();
        LayerRotations { rotations, of_layer, own_window }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EncodingSpec, OtherRope, Positions};
    use super::*;

    /// Six layers: 2 and 5 see everything, the others slide and have a base of their own; 4 does not turn.
    fn model() -> ModelRope {
        let sliding = vec![true, true, false, true, true, false];
        ModelRope {
            layers: 6,
            own_window: Some(OwnWindow { window: 8, layers: sliding.clone().into() }),
            others: vec![OtherRope { base: 100.0, scaling: None, layers: sliding.into() }],
            unrotated: Some(vec![false, false, false, false, true, false].into()),
            ..ModelRope::plain(8, 10_000.0, 64)
        }
    }

    fn replaced(spec: &str) -> Vec<usize> {
        EncodingSpec::parse(spec).unwrap().replaced(&model()).unwrap()
    }

    #[test]
    fn the_layers_that_see_everything_are_meant() {
        assert_eq!(replaced("rerope"), [2, 5]);
        assert_eq!(replaced("rerope:layers=full"), [2, 5]);
        assert_eq!(replaced("rerope:layers=all"), [0, 1, 2, 3, 5]);
        assert_eq!(
            replaced("rerope:full_attention=true"),
            [0, 1, 2, 3, 5],
            "without a window all see everything"
        );
        assert_eq!(replaced("rerope:layers=5/0"), [0, 5]);
        let own_window = Some(OwnWindow { window: 8, layers: vec![true; 6].into() });
        let all_slide = ModelRope { own_window, ..model() };
        assert_eq!(EncodingSpec::parse("rerope").unwrap().replaced(&all_slide).unwrap(), [0, 1, 2, 3, 5]);
    }

    #[test]
    fn the_key_can_be_given_in_several_ways() {
        for value in ["[0, 5]", "\"0/5\"", "\"5/0\"", "[5, 0]"] {
            let keys = format!("layers = {value}").parse().unwrap();
            let spec = EncodingSpec::from_table("rerope", keys).unwrap();
            assert_eq!(spec.to_string(), "rerope:window=512,logn=false,layers=0/5", "{value}");
        }
        for value in ["\"some\"", "[]", "[0, 0]", "-1", "1.5", "true", "\"\"", "[\"full\"]"] {
            let keys = format!("layers = {value}").parse().unwrap();
            let error = EncodingSpec::from_table("rerope", keys).unwrap_err().to_string();
            assert!(error.contains("layers"), "{value}: {error}");
        }
        let error = EncodingSpec::parse("rope:layers=all").unwrap_err().to_string();
        assert!(error.contains("leaves every layer as it is"), "{error}");
        assert!(EncodingSpec::parse("rope:layers=all,base=500").is_ok());
    }

    #[test]
    fn layers_that_cannot_be_replaced_are_refused() {
        for (spec, what) in [("rerope:layers=6", "0 to 5"), ("rerope:layers=0/4", "does not turn")] {
            let error = EncodingSpec::parse(spec).unwrap().check(&model()).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        let only_sliding_turn =
            ModelRope { unrotated: Some(vec![false, false, true, false, false, true].into()), ..model() };
        let error = EncodingSpec::parse("yarn:factor=2").unwrap().check(&only_sliding_turn).unwrap_err();
        assert!(error.to_string().contains("nothing would change"), "{error}");
        assert!(EncodingSpec::parse("rope").unwrap().check(&only_sliding_turn).is_ok());
    }

    /// The base of each layer's highest pair but one tells which rope it is: `theta_1 = base^(-1/4)`.
    #[test]
    fn each_layer_keeps_its_own_rope_unless_it_is_replaced() {
        let bases = |spec: &str| -> Vec<Option<f64>> {
            let by_layer =
                EncodingSpec::parse(spec).unwrap().by_layer(&model(), &Positions::whole(16, Vec::new()));
            let base = |sort: usize| by_layer.rotations[sort].spectrum.frequencies[1].powi(-4).round();
            by_layer.of_layer.iter().map(|sort| sort.map(base)).collect()
        };
        let bases_are =
            |of: [f64; 5]| [Some(of[0]), Some(of[1]), Some(of[2]), Some(of[3]), None, Some(of[4])];
        assert_eq!(bases("rope"), bases_are([100.0, 100.0, 10_000.0, 100.0, 10_000.0]));
        assert_eq!(bases("rerope"), bases("rope"));
        assert_eq!(bases("rope:base=500"), bases_are([100.0, 100.0, 500.0, 100.0, 500.0]));
        assert_eq!(bases("rope:base=500,layers=0"), bases_are([500.0, 100.0, 10_000.0, 100.0, 10_000.0]));
        assert_eq!(bases("rope:base=500,layers=all"), bases_are([500.0; 5]));
    }

    #[test]
    fn a_note_names_the_layers_where_not_all_are_replaced() {
        let note = |spec: &str| EncodingSpec::parse(spec).unwrap().note_of_layers(&model());
        assert_eq!(note("rope"), None);
        assert_eq!(
            note("rerope:layers=all").unwrap(),
            "replaces 5 of 6 layers: 0 to 3, 5; the others keep their own"
        );
        let plain = ModelRope { layers: 3, ..ModelRope::plain(8, 10_000.0, 64) };
        assert_eq!(EncodingSpec::parse("rerope").unwrap().note_of_layers(&plain), None);
    }
}
