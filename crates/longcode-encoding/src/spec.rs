//! Encodings as users write them: a config table, or `kind:key=value,key=value`.

use std::fmt;
use std::sync::Arc;

use super::{Context, Encoding, EncodingKind, KINDS, ModelRope, Positions, Rotations, key_error};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::registry;

/// A parsed encoding, with its keys after defaults.
#[derive(Debug, Clone)]
pub struct EncodingSpec {
    /// The kind's name.
    pub kind: &'static str,
    /// All keys, defaults filled in.
    pub keys: toml::Table,
    /// Overrides the model's `rope_theta`; every kind takes it.
    pub base: Option<f64>,
    /// Lifts the model's own sliding window; every kind takes it, for models that have one.
    pub full_attention: bool,
    /// `beta` of [`Rotations::with_temperature`], at least 0; every kind takes it. It replaces a checkpoint's
    /// own; 0 means none, and without it the checkpoint's own applies.
    pub temperature: Option<f64>,
    /// Limits what the model reads at a time; every kind takes it.
    pub context: Option<Context>,
    encoding: Arc<dyn Encoding>,
}

impl EncodingSpec {
    /// An encoding from a kind and its keys.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`] for an unknown kind, a key it does not take or a value of the wrong type.
    pub fn from_table(kind: &str, mut keys: toml::Table) -> Result<EncodingSpec> {
        let kind = find_kind(kind)?;
        let base = take_base(&mut keys)?;
        let full_attention = take_full_attention(&mut keys)?;
        let temperature = take_temperature(&mut keys)?;
        let context = Context::take(&mut keys)?;
        let (encoding, mut keys) = (kind.read)(keys).map_err(|e| keys_error(kind, &e))?;
        refuse_both_scales(temperature, &keys)?;
        keys.extend(base.map(|base| ("base".into(), base.into())));
        keys.extend(full_attention.then(|| ("full_attention".into(), true.into())));
        keys.extend(temperature.map(|beta| ("temperature".into(), beta.into())));
        if let Some(Context { tokens, stride }) = context {
            // TOML integers are signed; these were read from such.
            keys.extend(
                [("context", tokens), ("stride", stride)].map(|(key, n)| (key.into(), (n as i64).into())),
            );
        }
        Ok(EncodingSpec { kind: kind.name, keys, base, full_attention, temperature, context, encoding })
    }

    /// An encoding from `kind` or `kind:key=value,key=value`.
    ///
    /// # Errors
    /// As [`EncodingSpec::from_table`], and for a part that is not `key=value`.
    pub fn parse(text: &str) -> Result<EncodingSpec> {
        EncodingSpec::parse_parts(text).map_err(|e| e.at(format_args!("encoding `{text}`")))
    }

    fn parse_parts(text: &str) -> Result<EncodingSpec> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let mut keys = toml::Table::new();
        for part in rest.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| {
                Error::new(ErrorKind::Encoding, format!("`{part}` is not key=value"))
                    .fix("write kind:key=value,key=value, as hirope:window=64,split=0.5")
            })?;
            let key = key.trim().to_string();
            if keys.insert(key.clone(), scalar(value.trim())).is_some() {
                return Err(key_error(&key, "given twice", "give each key once"));
            }
        }
        EncodingSpec::from_table(kind.trim(), keys)
    }

    /// Refuses parameters that make no sense, alone or for this model.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming the key.
    pub fn check(&self, model: &ModelRope) -> Result<()> {
        if let Some(base) = self.base
            && !(base.is_finite() && base > 1.0)
        {
            return Err(key_error("base", format!("base is {base}"), "give a number above 1, as 10000"));
        }
        if self.full_attention && model.own_window.is_none() {
            let what = "full_attention lifts a model's own sliding window, and this model has none";
            return Err(key_error("full_attention", what, "leave it out"));
        }
        if self.temperature.is_none() && model.own_temperature > 0.0 && has_logn(&self.keys) {
            let what = "logn together with the temperature that this model was trained with: both scale the \
                        logits by the query's position";
            return Err(key_error("logn", what, "leave it out, or set temperature=0"));
        }
        self.encoding.check(&self.model(model))
    }

    /// What is legal but unwise for this model, in words for the user.
    pub fn notes(&self, model: &ModelRope) -> Vec<String> {
        let context = self.context.and_then(|context| context.note(model));
        self.encoding.notes(&self.model(model)).into_iter().chain(context).collect()
    }

    /// Segment units of the levels above the token level.
    pub fn units(&self) -> &[longcode_structure::Unit] {
        self.encoding.units()
    }

    /// See [`Encoding::follows_length`].
    pub fn follows_length(&self, model: &ModelRope) -> bool {
        self.encoding.follows_length(&self.model(model))
    }

    /// The rotations of the given tokens under this encoding.
    pub fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let own_window = model.own_window.clone().filter(|_| !self.full_attention);
        self.encoding
            .rotations(&self.model(model), positions)
            .with_temperature(
                self.temperature.unwrap_or(model.own_temperature),
                positions,
                model.trained_length,
            )
            .with_own_window(own_window)
    }

    fn model(&self, model: &ModelRope) -> ModelRope {
        ModelRope { base: self.base.unwrap_or(model.base), ..model.clone() }
    }
}

impl fmt::Display for EncodingSpec {
    /// The spec with every key, as it could be typed again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        for (i, (key, value)) in self.keys.iter().enumerate() {
            let separator = if i == 0 { ':' } else { ',' };
            match value {
                toml::Value::String(text) => write!(f, "{separator}{key}={text}")?,
                value => write!(f, "{separator}{key}={value}")?,
            }
        }
        Ok(())
    }
}

/// The kind with this name.
///
/// # Errors
/// [`ErrorKind::Encoding`] if there is none.
pub fn find_kind(name: &str) -> Result<&'static EncodingKind> {
    registry::find(KINDS, name, "encoding", ErrorKind::Encoding)
}

fn take_base(keys: &mut toml::Table) -> Result<Option<f64>> {
    match keys.remove("base") {
        None => Ok(None),
        Some(toml::Value::Integer(base)) => Ok(Some(base as f64)),
        Some(toml::Value::Float(base)) => Ok(Some(base)),
        Some(other) => Err(key_error("base", format!("base is {other}"), "give a number, as 10000")),
    }
}

fn take_full_attention(keys: &mut toml::Table) -> Result<bool> {
    match keys.remove("full_attention") {
        None => Ok(false),
        Some(toml::Value::Boolean(full)) => Ok(full),
        Some(other) => {
            Err(key_error("full_attention", format!("full_attention is {other}"), "give true or false"))
        }
    }
}

fn take_temperature(keys: &mut toml::Table) -> Result<Option<f64>> {
    let beta = match keys.remove("temperature") {
        None => return Ok(None),
        Some(toml::Value::Integer(beta)) => beta as f64,
        Some(toml::Value::Float(beta)) => beta,
        Some(other) => return Err(temperature_error(&other)),
    };
    if beta.is_finite() && beta >= 0.0 { Ok(Some(beta)) } else { Err(temperature_error(&beta)) }
}

fn temperature_error(value: &dyn fmt::Display) -> Error {
    let what = format!("temperature is {value}");
    key_error("temperature", what, "give a finite number of at least 0, as 0.1")
}

/// Both scale the logits of far queries, each in its own way: a temperature above 0 and `logn` together are
/// refused.
fn refuse_both_scales(temperature: Option<f64>, keys: &toml::Table) -> Result<()> {
    match temperature {
        Some(beta) if beta > 0.0 && has_logn(keys) => {
            let what = format!(
                "temperature {beta} together with logn: both scale the logits by the query's position"
            );
            Err(key_error("temperature", what, "leave out `temperature` or `logn`"))
        }
        _ => Ok(()),
    }
}

fn has_logn(keys: &toml::Table) -> bool {
    keys.get("logn") == Some(&toml::Value::Boolean(true))
}

/// toml's message about a bad key or value, on one line.
fn keys_error(kind: &EncodingKind, error: &toml::de::Error) -> Error {
    let message = error.message().trim().replace('\n', " ");
    Error::new(ErrorKind::Encoding, format!("encoding kind `{}`: {message}", kind.name))
        .fix("add, fix or remove the key")
}

/// A value typed on the command line: a number or a boolean if it reads as one, otherwise text.
fn scalar(text: &str) -> toml::Value {
    if let Ok(integer) = text.parse::<i64>() {
        return toml::Value::Integer(integer);
    }
    if let Ok(float) = text.parse::<f64>() {
        return toml::Value::Float(float);
    }
    match text {
        "true" => toml::Value::Boolean(true),
        "false" => toml::Value::Boolean(false),
        _ => toml::Value::String(text.to_string()),
    }
}
