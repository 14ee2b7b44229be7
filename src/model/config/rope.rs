//! Rotary geometry of a checkpoint: its base, its length and its own scaling.

use std::sync::Arc;

use serde_json::Value;

use super::{RawConfig, field_error, unsupported};
use crate::encoding::{DynamicNtk, Linear, Llama3, LongRope, ModelRope, SpectrumRule, Yarn};
use crate::error::{ErrorKind, Result};

/// `rope_theta` and the scaling, from their old place or from `rope_parameters` (transformers 5), for heads of which
/// `rotated` dimensions turn. A window is the family's to say.
pub(super) fn rope(raw: &RawConfig, rotated: usize) -> Result<ModelRope> {
    let parameters = raw.rope_parameters.as_ref().or(raw.rope_scaling.as_ref()).filter(|v| !v.is_null());
    let number = |key: &str| parameters.and_then(|p| p.get(key)).and_then(Value::as_f64);
    let whole = |key: &str| parameters.and_then(|p| p.get(key)).and_then(Value::as_u64).map(|n| n as usize);
    let mut rope = ModelRope {
        head_dim: rotated,
        base: number("rope_theta").or(raw.rope_theta).unwrap_or(10000.0),
        trained_length: whole("original_max_position_embeddings")
            .or(raw.original_max_position_embeddings)
            .unwrap_or(raw.max_position_embeddings),
        scaling: None,
        own_window: None,
    };
    if let Some(parameters) = parameters {
        rope.scaling = scaling(parameters, &rope, raw.max_position_embeddings)?;
    }
    Ok(rope)
}

/// The model's own scaling, `rope_scaling` or `rope_parameters` of config.json.
fn scaling(
    parameters: &Value,
    rope: &ModelRope,
    max_position_embeddings: usize,
) -> Result<Option<Arc<dyn SpectrumRule>>> {
    let kind = parameters.get("rope_type").or_else(|| parameters.get("type"));
    let kind = match kind.map(|kind| kind.as_str()) {
        Some(Some(kind)) => kind,
        None if parameters.get("factor").is_none() => "default",
        _ => return Err(field_error("rope_scaling", "has no rope_type")),
    };
    refuse_scaling_keys(parameters, kind)?;
    let own = Some(rope.trained_length);
    let number = |key: &str| parameters.get(key).and_then(Value::as_f64);
    let needed = |key: &str| {
        number(key).ok_or_else(|| field_error(&format!("rope_scaling.{key}"), "is missing or no number"))
    };
    Ok(Some(match kind {
        "default" => return Ok(None),
        "linear" => checked(Linear { factor: needed("factor")? })?,
        // transformers takes the length of this one from max_position_embeddings alone.
        "dynamic" => {
            let length = Some(max_position_embeddings);
            checked(DynamicNtk { factor: needed("factor")?, original_max_position: length })?
        }
        "yarn" => checked(Yarn {
            factor: needed("factor")?,
            original_max_position: own,
            beta_fast: number("beta_fast").unwrap_or(32.0),
            beta_slow: number("beta_slow").unwrap_or(1.0),
            attention_factor: number("attention_factor"),
        })?,
        "llama3" => checked(Llama3 {
            factor: needed("factor")?,
            low_freq_factor: needed("low_freq_factor")?,
            high_freq_factor: needed("high_freq_factor")?,
            original_max_position: own,
        })?,
        // `su` is what old files of Phi-3 call it.
        "longrope" | "su" => checked(longrope(parameters, rope, max_position_embeddings)?)?,
        other => {
            let fix = "use a checkpoint with default, linear, dynamic, yarn, llama3 or longrope positions";
            return Err(unsupported("rope_scaling.rope_type", other, fix));
        }
    }))
}

/// `longrope`: a list of factors for short sequences and one for long ones.
fn longrope(parameters: &Value, rope: &ModelRope, max_position_embeddings: usize) -> Result<LongRope> {
    let factors = |key: &str| {
        let field = format!("rope_scaling.{key}");
        let numbers = parameters.get(key).and_then(Value::as_array);
        let numbers: Option<Vec<f64>> =
            numbers.and_then(|numbers| numbers.iter().map(Value::as_f64).collect());
        let numbers = numbers.ok_or_else(|| field_error(&field, "is missing or no list of numbers"))?;
        match numbers.len() == rope.pairs() {
            true => Ok(numbers),
            false => {
                Err(field_error(&field, &format!("has {} factors for {} pairs", numbers.len(), rope.pairs())))
            }
        }
    };
    let number = |key: &str| parameters.get(key).and_then(Value::as_f64);
    let original = rope.trained_length;
    let factor = number("factor").unwrap_or(max_position_embeddings as f64 / original as f64);
    Ok(LongRope {
        short_factor: factors("short_factor")?,
        long_factor: factors("long_factor")?,
        original_max_position: original,
        attention_factor: number("attention_factor")
            .unwrap_or_else(|| LongRope::attention_factor(factor, original)),
    })
}

fn checked(rule: impl SpectrumRule + 'static) -> Result<Arc<dyn SpectrumRule>> {
    rule.check().map_err(|mut e| {
        e.kind = ErrorKind::Model;
        e.at("field `rope_scaling`")
    })?;
    Ok(Arc::new(rule))
}

/// Keys of a scaling that would change the numbers and that this program does not know.
fn refuse_scaling_keys(parameters: &Value, kind: &str) -> Result<()> {
    const KNOWN: &[&str] = &[
        "rope_type",
        "type",
        "rope_theta",
        "factor",
        "original_max_position_embeddings",
        "beta_fast",
        "beta_slow",
        "attention_factor",
        "low_freq_factor",
        "high_freq_factor",
        "short_factor",
        "long_factor",
        "partial_rotary_factor",
        // YaRN rounds its ramp's ends unless this is false.
        "truncate",
    ];
    let Some(map) = parameters.as_object() else {
        return Err(field_error("rope_scaling", "is not an object"));
    };
    let unknown = map.iter().find(|(key, value)| {
        let untruncated = key.as_str() == "truncate" && value.as_bool() == Some(false);
        !value.is_null() && (untruncated || !KNOWN.contains(&key.as_str()))
    });
    match unknown {
        Some((key, value)) => Err(unsupported(
            &format!("rope_scaling.{key}"),
            value,
            &format!("use a checkpoint whose {kind} scaling has the standard keys"),
        )),
        None => Ok(()),
    }
}
