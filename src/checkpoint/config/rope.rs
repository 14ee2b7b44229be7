//! Rotary geometry of a checkpoint: its base, its length and its own scaling.
//!
//! Old files have `rope_theta` and `rope_scaling`, those of transformers 5 `rope_parameters`, and some have
//! both. If they differ, transformers' rule decides which counts, and a note says so.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::defaults::Defaults;
use super::keys::Keys;
use super::{RawConfig, field_error, unsupported};
use crate::encoding::{DynamicNtk, Linear, Llama3, LongRope, ModelRope, SpectrumRule, Yarn};
use crate::error::{ErrorKind, Result};
use crate::limits;

/// Key of scalings in old files.
const OLD: &str = "rope_scaling";
/// Key of the whole rotary geometry in transformers 5.
const NEW: &str = "rope_parameters";
const ORIGINAL: &str = "original_max_position_embeddings";
/// Where the ropes of the two types of layers are, in families that have two.
const FULL: &str = "rope_parameters.full_attention";
const SLIDING: &str = "rope_parameters.sliding_attention";

/// Base, length and scaling of heads of which `rotated` dimensions turn. A window is up to the family.
pub(super) fn rope(raw: &RawConfig, defaults: &Defaults, rotated: usize) -> Result<ModelRope> {
    let parameters = parameters(raw)?;
    let of_kind = Kind::of(raw, defaults, &parameters)?;
    let theta = raw.first_of(
        (&parameters.name("rope_theta"), parameters.given("rope_theta")?),
        ("rope_theta", raw.keys.given("rope_theta")?),
    );
    let original = original(raw, defaults, &parameters, of_kind)?;
    of_keys(raw, defaults, (&parameters, of_kind), theta.unwrap_or(defaults.rope_theta), original, rotated)
}

/// The rope of a scaling's keys with their kind.
fn of_keys(
    raw: &RawConfig,
    defaults: &Defaults,
    (parameters, of_kind): (&Keys, &Kind),
    base: f64,
    original: Option<usize>,
    rotated: usize,
) -> Result<ModelRope> {
    of_kind.note_other_keys(raw, parameters)?;
    let longest = longest(raw, defaults)?;
    let trained_length = original.unwrap_or(longest);
    let mut rope = ModelRope {
        head_dim: rotated,
        base,
        trained_length,
        scaling: None,
        own_window: None,
        own_temperature: 0.0,
        layers: raw.of_shape("num_hidden_layers", defaults.num_hidden_layers)?,
        others: Vec::new(),
        unrotated: None,
    };
    rope.scaling = (of_kind.rule)(parameters, &rope, longest)?;
    Ok(rope)
}

/// What a family with a rope for each type of layer has where config.json leaves it out.
pub(in crate::checkpoint) struct SlidingRope {
    /// The key of the sliding layers' base beside the scaling, in files of older versions.
    pub theta_key: Option<&'static str>,
    /// The sliding layers' base.
    pub theta: f64,
    /// The window if there is no such key.
    pub window: usize,
}

/// The rope of the layers that see everything. A scaling of older files is theirs alone.
pub(super) fn of_full_attention(raw: &RawConfig, defaults: &Defaults, rotated: usize) -> Result<ModelRope> {
    let mut parameters = of_layer_type(raw, FULL)?;
    if let Some(old) = raw.keys.optional::<Map<String, Value>>(OLD)? {
        // transformers has `rope_type` default there before it puts this beside it, and `type` then says nothing.
        if old.contains_key("type") && !old.contains_key("rope_type") {
            let what = "is not read as `rope_type` for this model_type in transformers";
            return Err(field_error(&format!("{OLD}.type"), what).fix("write rope_type"));
        }
        parameters.extend(old);
    }
    let parameters = Keys::new(parameters, Some(FULL));
    let beside = raw.keys.given("rope_theta")?;
    of_one_type(raw, defaults, &parameters, beside.unwrap_or(defaults.rope_theta), rotated)
}

/// The rope of the layers that slide.
pub(super) fn of_sliding_attention(
    raw: &RawConfig,
    defaults: &Defaults,
    sliding: &SlidingRope,
    rotated: usize,
) -> Result<ModelRope> {
    let parameters = Keys::new(of_layer_type(raw, SLIDING)?, Some(SLIDING));
    let beside = sliding.theta_key.map_or(Ok(None), |key| raw.keys.given(key))?;
    of_one_type(raw, defaults, &parameters, beside.unwrap_or(sliding.theta), rotated)
}

fn of_one_type(
    raw: &RawConfig,
    defaults: &Defaults,
    parameters: &Keys,
    base: f64,
    rotated: usize,
) -> Result<ModelRope> {
    let of_kind = Kind::of(raw, defaults, parameters)?;
    if [Kind::DYNAMIC.names, Kind::LONG.names].contains(&of_kind.names) {
        let fix = "use a checkpoint with default, linear, yarn or llama3 positions";
        return Err(unsupported(&parameters.name("rope_type"), of_kind.names[0], fix));
    }
    if let Some(factor) = parameters.optional("partial_rotary_factor")?.filter(|&factor: &f64| factor != 1.0)
    {
        let fix = "use a checkpoint that rotates whole heads";
        return Err(unsupported(&parameters.name("partial_rotary_factor"), factor, fix));
    }
    let original = within_length(parameters.given(ORIGINAL)?)?;
    of_keys(raw, defaults, (parameters, of_kind), parameters.or("rope_theta", base)?, original, rotated)
}

/// What `rope_parameters` says of a type of layer.
fn of_layer_type(raw: &RawConfig, name: &'static str) -> Result<Map<String, Value>> {
    let Some(parameters) = raw.keys.optional::<Map<String, Value>>(NEW)? else { return Ok(Map::new()) };
    let of_types = Keys::new(parameters, Some(NEW));
    if let Some((key, _)) = of_types.iter().find(|(_, value)| !(value.is_object() || value.is_null())) {
        let what = "(one rope for all layers, and this model_type has one for each type of layer)";
        return Err(unsupported(&of_types.name(key), what, "compare it with the model's own config.json"));
    }
    let key = name.rsplit('.').next().unwrap_or(name);
    Ok(of_types.optional(key)?.unwrap_or_default())
}

/// `max_position_embeddings`. It gives L0, so a note says if it is missing.
fn longest(raw: &RawConfig, defaults: &Defaults) -> Result<usize> {
    let key = "max_position_embeddings";
    let longest: usize = raw.keys.or(key, defaults.max_position_embeddings)?;
    if !raw.keys.has(key) {
        raw.note(format!(
            "config.json has no {key}: {longest} is taken, as transformers does for this model_type"
        ));
    }
    if longest <= limits::TRAINED_LENGTH {
        Ok(longest)
    } else {
        Err(field_error(key, &format!("is {longest}, more than {}", limits::TRAINED_LENGTH)))
    }
}

/// `partial_rotary_factor`, from either of its places.
///
/// # Errors
/// [`ErrorKind::Model`], naming the field.
pub(super) fn partial_rotary_factor(raw: &RawConfig) -> Result<Option<f64>> {
    let parameters = parameters(raw)?;
    let key = "partial_rotary_factor";
    Ok(raw.first_of((&parameters.name(key), parameters.optional(key)?), (key, raw.keys.optional(key)?)))
}

/// `beta` of the temperature of queries by their position, `llama_4_scaling_beta`, which must be there with
/// the length that it counts in.
///
/// # Errors
/// [`ErrorKind::Model`], naming the field.
pub(super) fn temperature(raw: &RawConfig) -> Result<f64> {
    let parameters = parameters(raw)?;
    if raw.keys.given::<usize>(ORIGINAL)?.is_none() {
        parameters.needed::<usize>(ORIGINAL)?;
    }
    let key = "llama_4_scaling_beta";
    let beta: f64 = parameters.needed(key)?;
    if beta >= 0.0 { Ok(beta) } else { Err(field_error(&parameters.name(key), "is below 0")) }
}

/// The factor on the logits of latent attention under the scaling of `rope_scaling`: the square of YaRN's, weighed
/// by `mscale_all_dim`.
///
/// # Errors
/// [`ErrorKind::Model`], naming the field.
pub(super) fn latent_factor(raw: &RawConfig) -> Result<f64> {
    let parameters = parameters(raw)?;
    let weight = parameters.optional::<f64>("mscale_all_dim")?.filter(|&weight| weight != 0.0);
    match weight.filter(|_| !matches!(kind(raw, &parameters).as_deref(), Ok("default"))) {
        None => Ok(1.0),
        Some(weight) => Ok(Yarn::attention_factor(parameters.needed("factor")?, weight).powi(2)),
    }
}

/// `rope_scaling` if it says something, otherwise `rope_parameters`, otherwise nothing. If both do, a note
/// says so.
fn parameters(raw: &RawConfig) -> Result<Keys> {
    let non_empty = |key| {
        let map: Option<Map<String, Value>> = raw.keys.optional(key)?;
        Ok(map.filter(|map| !map.is_empty()).map(|map| Keys::new(map, Some(key))))
    };
    Ok(match (non_empty(OLD)?, non_empty(NEW)?) {
        (Some(old), Some(new)) => {
            if !same(&old, &new) {
                let theta = new.has("rope_theta") && !old.has("rope_theta") && !raw.keys.has("rope_theta");
                raw.note(format!(
                    "config.json: {OLD} and {NEW} differ; {OLD} counts, as in transformers, and {NEW} is left out{}",
                    if theta { ", its rope_theta too" } else { "" }
                ));
            }
            old
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => Keys::new(Map::new(), Some(OLD)),
    })
}

/// Whether two places say the same, under any name of the kind.
fn same(one: &Keys, other: &Keys) -> bool {
    let entries = |keys: &Keys| -> Map<String, Value> {
        let name = |key: &String| if key == "type" { "rope_type".to_string() } else { key.clone() };
        keys.iter().map(|(key, value)| (name(key), value.clone())).collect()
    };
    entries(one) == entries(other)
}

/// The kind of positions: `rope_type`, or `type`, its old name.
fn kind(raw: &RawConfig, parameters: &Keys) -> Result<String> {
    let [new, old] = ["rope_type", "type"].map(|key| (parameters.name(key), parameters.given::<String>(key)));
    match raw.first_of((&new.0, new.1?), (&old.0, old.1?)) {
        Some(kind) => Ok(kind),
        None if parameters.says("factor") => Err(field_error(OLD, "has no rope_type")),
        None => Ok("default".into()),
    }
}

/// The length before the scaling, if given: next to the scaling, which comes first in transformers, or in it.
fn original(raw: &RawConfig, defaults: &Defaults, parameters: &Keys, kind: &Kind) -> Result<Option<usize>> {
    let beside = raw.keys.given(ORIGINAL)?;
    let default = defaults.original_max_position_embeddings.filter(|_| kind.takes_original);
    let original = raw
        .first_of((ORIGINAL, beside.or(default)), (&parameters.name(ORIGINAL), parameters.given(ORIGINAL)?));
    within_length(original)
}

/// Refuses a length that no model has.
fn within_length(original: Option<usize>) -> Result<Option<usize>> {
    match original {
        Some(0) => Err(field_error(ORIGINAL, "is 0")),
        Some(length) if length > limits::TRAINED_LENGTH => {
            Err(field_error(ORIGINAL, &format!("is {length}, more than {}", limits::TRAINED_LENGTH)))
        }
        original => Ok(original),
    }
}

/// A model's own scaling, if it has one.
type Rule = fn(&Keys, &ModelRope, usize) -> Result<Option<Arc<dyn SpectrumRule>>>;

/// A kind of positions.
struct Kind {
    /// What files call it.
    names: &'static [&'static str],
    /// Its keys, besides those that all have.
    keys: &'static [&'static str],
    /// Whether the length before the scaling is part of it.
    takes_original: bool,
    /// Its rule, which also gets `max_position_embeddings`.
    rule: Rule,
}

impl Kind {
    /// Every kind.
    const ALL: &[Kind] = &[Kind::DEFAULT, Kind::LINEAR, Kind::DYNAMIC, Kind::YARN, Kind::LLAMA3, Kind::LONG];

    const DEFAULT: Kind =
        Kind { names: &["default"], keys: &[], takes_original: false, rule: |_, _, _| Ok(None) };

    const LINEAR: Kind = Kind {
        names: &["linear"],
        keys: &["factor"],
        takes_original: false,
        rule: |keys, _, _| checked(Linear { factor: keys.needed("factor")? }),
    };

    const DYNAMIC: Kind = Kind {
        names: &["dynamic"],
        keys: &["factor"],
        takes_original: false,
        // transformers takes the length of this one from max_position_embeddings alone.
        rule: |keys, _, longest| {
            checked(DynamicNtk { factor: keys.needed("factor")?, original_max_position: Some(longest) })
        },
    };

    const YARN: Kind = Kind {
        names: &["yarn"],
        keys: &[
            "factor",
            "attention_factor",
            "beta_fast",
            "beta_slow",
            "mscale",
            "mscale_all_dim",
            "truncate",
        ],
        takes_original: true,
        rule: yarn,
    };

    const LLAMA3: Kind = Kind {
        names: &["llama3"],
        keys: &["factor", "low_freq_factor", "high_freq_factor"],
        takes_original: true,
        rule: |keys, rope, _| {
            checked(Llama3 {
                factor: keys.needed("factor")?,
                low_freq_factor: keys.needed("low_freq_factor")?,
                high_freq_factor: keys.needed("high_freq_factor")?,
                original_max_position: Some(rope.trained_length),
            })
        },
    };

    /// Old files of Phi-3 call it `su`.
    const LONG: Kind = Kind {
        names: &["longrope", "su"],
        keys: &["factor", "attention_factor", "short_factor", "long_factor"],
        takes_original: true,
        rule: longrope,
    };

    /// The kind that a config names.
    fn of(raw: &RawConfig, defaults: &Defaults, parameters: &Keys) -> Result<&'static Kind> {
        let name = kind(raw, parameters)?;
        let named = Kind::ALL.iter().find(|kind| kind.names.contains(&name.as_str())).ok_or_else(|| {
            let fix = "use a checkpoint with default, linear, dynamic, yarn, llama3 or longrope positions";
            unsupported(&parameters.name("rope_type"), &name, fix)
        })?;
        // transformers reads Phi-3's `yarn` as `longrope`; it is an old name there.
        let of_phi3 = named.names == ["yarn"] && defaults.original_max_position_embeddings.is_some();
        Ok(if of_phi3 { &Kind::LONG } else { named })
    }

    /// Notes keys that this kind does not have, which transformers ignores too; refuses a separate geometry
    /// for each type of layer.
    fn note_other_keys(&self, raw: &RawConfig, parameters: &Keys) -> Result<()> {
        const OF_ALL: &[&str] = &["rope_type", "type", "rope_theta", "partial_rotary_factor", ORIGINAL];
        if let Some((key, _)) = parameters.iter().find(|(_, value)| value.is_object()) {
            let fix = "use a checkpoint whose layers all turn alike";
            return Err(unsupported(&parameters.name(key), "(positions of one type of layer)", fix));
        }
        let others: Vec<String> = parameters
            .iter()
            .filter_map(|(key, value)| {
                let known =
                    [OF_ALL, self.keys, raw.rope_keys()].iter().any(|keys| keys.contains(&key.as_str()));
                (!known && !value.is_null()).then(|| key.clone())
            })
            .collect();
        if !others.is_empty() {
            raw.note(format!(
                "config.json: `{}` positions have no {}, which is left out as in transformers",
                self.names[0],
                others.join(", ")
            ));
        }
        Ok(())
    }
}

fn yarn(keys: &Keys, rope: &ModelRope, longest: usize) -> Result<Option<Arc<dyn SpectrumRule>>> {
    let original = rope.trained_length;
    let factor = if keys.has("factor") {
        keys.optional("factor")?.unwrap_or(longest as f64 / original as f64)
    } else {
        keys.needed("factor")?
    };
    // 0 means not given, as null does.
    let number = |key: &str| Ok(keys.optional::<f64>(key)?.filter(|&number| number != 0.0));
    let by_mscale = match (number("mscale")?, number("mscale_all_dim")?) {
        (Some(mscale), Some(all_dim)) => {
            Some(Yarn::attention_factor(factor, mscale) / Yarn::attention_factor(factor, all_dim))
        }
        _ => None,
    };
    checked(Yarn {
        factor,
        original_max_position: Some(original),
        beta_fast: number("beta_fast")?.unwrap_or(32.0),
        beta_slow: number("beta_slow")?.unwrap_or(1.0),
        attention_factor: keys.optional("attention_factor")?.or(by_mscale),
        truncate: keys.or("truncate", true)?,
    })
}

/// `longrope`: a list of factors for short sequences and one for long ones.
fn longrope(keys: &Keys, rope: &ModelRope, longest: usize) -> Result<Option<Arc<dyn SpectrumRule>>> {
    let factors = |key: &str| {
        let numbers: Vec<f64> = keys.needed(key)?;
        if numbers.len() == rope.pairs() {
            Ok(numbers)
        } else {
            Err(field_error(
                &keys.name(key),
                &format!("has {} factors for {} pairs", numbers.len(), rope.pairs()),
            ))
        }
    };
    let original = rope.trained_length;
    let factor = keys.optional("factor")?.unwrap_or(longest as f64 / original as f64);
    checked(LongRope {
        short_factor: factors("short_factor")?,
        long_factor: factors("long_factor")?,
        original_max_position: original,
        attention_factor: keys
            .optional("attention_factor")?
            .unwrap_or_else(|| LongRope::attention_factor(factor, original)),
    })
}

fn checked(rule: impl SpectrumRule + 'static) -> Result<Option<Arc<dyn SpectrumRule>>> {
    rule.check().map_err(|mut e| {
        e.kind = ErrorKind::Model;
        e.at("field `rope_scaling`")
    })?;
    Ok(Some(Arc::new(rule)))
}
