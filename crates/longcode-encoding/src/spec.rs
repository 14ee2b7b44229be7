//! Encodings as users write them: a config table, or `kind:key=value,key=value`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layers;
use super::rope::Rope;
use super::{
    Context, Encoding, EncodingKind, KINDS, LayerRotations, Layers, ModelRope, Opened, Positions, Reading,
    Rotations, as_served, key_error, relative,
};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::registry;

/// A parsed encoding, with its keys after defaults.
#[derive(Debug, Clone)]
pub struct EncodingSpec {
    /// The kind's name.
    pub kind: &'static str,
    /// All keys, defaults filled in; those that are relative to a trained length as they are written.
    pub keys: toml::Table,
    /// Overrides the model's `rope_theta`; every kind takes it.
    pub base: Option<f64>,
    /// Lifts the model's own sliding window; every kind takes it, for models that have one.
    pub full_attention: bool,
    /// `beta` of [`Rotations::with_temperature`], at least 0; every kind takes it. It replaces a checkpoint's
    /// own; 0 means none, and without it the checkpoint's own applies.
    pub temperature: Option<f64>,
    /// The layers that it replaces; every kind takes it. Without it, those that see everything.
    pub layers: Option<Layers>,
    /// Limits what the model reads at a time; every kind takes it.
    pub context: Option<Context>,
    encoding: Arc<dyn Encoding>,
    /// Whether `encoding` has read a file.
    has_read: bool,
    /// The keys that are relative to a trained length.
    relative: toml::Table,
}

/// The keys of a file and its hash, in kinds that read one.
const FILE: [&str; 2] = ["file", "sha256"];

/// The trained length by which relative keys are checked before a model is known, tokens.
const NOMINAL_LENGTH: usize = 1 << 20;

impl EncodingSpec {
    /// An encoding from a kind and its keys.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`] for an unknown kind, a key it does not take or a value of the wrong type.
    pub fn from_table(kind: &str, keys: toml::Table) -> Result<EncodingSpec> {
        let kind = find_kind(kind)?;
        let relative = relative::written(&keys)?;
        if relative.is_empty() {
            return EncodingSpec::absolute(kind, keys);
        }
        let nominal = EncodingSpec::absolute(kind, relative::resolved(&keys, &relative, NOMINAL_LENGTH)?)?;
        let mut shown = nominal.keys.clone();
        if !keys.contains_key("stride") {
            // It follows the context.
            shown.remove("stride");
        }
        relative.iter().for_each(|(key, value)| drop(shown.insert(key.clone(), value.clone())));
        Ok(EncodingSpec { keys: shown, relative, ..nominal })
    }

    /// Whether keys are relative to a model's trained length; [`EncodingSpec::at`] gives what it is for one, and only
    /// that says anything about a model.
    pub fn is_relative(&self) -> bool {
        !self.relative.is_empty()
    }

    /// The encoding for models of a trained length, in tokens.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming the key that makes no sense for this length.
    pub fn at(&self, trained_length: usize) -> Result<EncodingSpec> {
        if !self.is_relative() {
            return Ok(self.clone());
        }
        let keys = relative::resolved(&self.keys, &self.relative, trained_length)?;
        let at = EncodingSpec::absolute(find_kind(self.kind)?, keys)?;
        // No key of a file is relative.
        Ok(if self.has_read {
            EncodingSpec { encoding: self.encoding.clone(), has_read: true, ..at }
        } else {
            at
        })
    }

    /// The encoding once it has read the file that its keys name, if its kind reads one; `find` finds a path. Its keys
    /// pin the file then.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming the key, the file and what is wrong in it.
    pub fn opened(mut self, find: &dyn Fn(&Path) -> Result<PathBuf>) -> Result<EncodingSpec> {
        if let Some(Opened { encoding, sha256 }) = self.encoding.opened(find)? {
            (self.encoding, self.has_read) = (encoding, true);
            self.keys.insert(FILE[1].into(), sha256.into());
        }
        Ok(self)
    }

    /// The keys that a number depends on: of a file that is pinned its hash, and not where it lies.
    pub fn pinned_keys(&self) -> toml::Table {
        let mut keys = self.keys.clone();
        if keys.contains_key(FILE[1]) {
            keys.remove(FILE[0]);
        }
        keys
    }

    /// Refuses a text that it has no positions for: `length` tokens of a text of this hash, and `room` for new ones.
    /// `is_whole`: they are all of it.
    ///
    /// # Errors
    /// As [`Encoding::covers`].
    pub fn covers(&self, hash: &str, length: usize, room: usize, is_whole: bool) -> Result<()> {
        let most = self.context.map_or(usize::MAX, |context| context.tokens);
        let is_whole = is_whole && length.saturating_add(room) <= most;
        let tokens = length.min(most.saturating_sub(room));
        self.encoding.covers(&Reading { hash, tokens, room, is_whole })
    }

    /// An encoding whose keys are all numbers of tokens.
    fn absolute(kind: &'static EncodingKind, mut keys: toml::Table) -> Result<EncodingSpec> {
        let base = take_base(&mut keys)?;
        let full_attention = take_full_attention(&mut keys)?;
        let temperature = take_temperature(&mut keys)?;
        let layers = Layers::take(&mut keys)?;
        let context = Context::take(&mut keys)?;
        let (encoding, mut keys) = (kind.read)(keys.clone()).map_err(|e| keys_error(kind, &keys, &e))?;
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
        keys.extend(layers.as_ref().map(|layers| ("layers".into(), layers.value())));
        let (kind, relative) = (kind.name, toml::Table::new());
        let spec = EncodingSpec {
            kind,
            keys,
            base,
            full_attention,
            temperature,
            layers,
            context,
            encoding,
            has_read: false,
            relative,
        };
        if spec.layers.is_some() && !spec.changes_layers() {
            let what = "layers without effect: `rope` leaves every layer as it is";
            return Err(key_error("layers", what, "leave it out, or give `base` or `temperature` too"));
        }
        Ok(spec)
    }

    /// Whether it is whatever the server of a model does.
    pub fn is_as_served(&self) -> bool {
        self.kind == as_served::NAME
    }

    /// Refuses keys that change a model, in the encoding of one that is served: only `context` and `stride` are left.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming the key.
    pub fn check_as_served(&self) -> Result<()> {
        match self.keys.keys().find(|key| !["context", "stride"].contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                let what = format!("{key} changes a model, and nothing can be changed in one that is served");
                Err(key_error(key, what, "leave it out"))
            }
        }
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

    /// Whether what is read of a text's start holds for every text that begins with the same tokens and segments, so that
    /// such texts can share it. It does not where it follows the text's length, where positions belong to a whole text, or
    /// where keys are chosen by what the whole text is divided into or points at.
    pub fn shares_prefixes(&self, model: &ModelRope) -> bool {
        !self.follows_length(model)
            && !self.encoding.is_of_whole_texts()
            && self.wanted() == longcode_structure::Wanted::default()
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
        let replaced = self.replaced(model)?;
        let ropes: BTreeSet<usize> = replaced.iter().filter_map(|&layer| model.rope_of(layer)).collect();
        ropes.into_iter().try_for_each(|rope| self.encoding.check(&self.model(&model.by_rope(rope))))
    }

    /// The layers that it replaces, in order.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming the key: a layer that the model does not have, one that does not turn,
    /// or no layer at all where the encoding would change one.
    pub fn replaced(&self, model: &ModelRope) -> Result<Vec<usize>> {
        let replaced = self.layers.clone().unwrap_or_default().of(model, self.full_attention)?;
        if replaced.is_empty() && self.changes_layers() {
            let what = "no layer of this model both sees everything and turns, so nothing would change";
            return Err(key_error("layers", what, "give `layers = \"all\"`, or their numbers from 0"));
        }
        Ok(replaced)
    }

    /// Whether a layer that it replaces turns otherwise than the checkpoint says.
    fn changes_layers(&self) -> bool {
        self.kind != super::rope::ENTRY.name || self.base.is_some() || self.temperature.is_some()
    }

    /// What is legal but unwise for this model, in words for the user.
    pub fn notes(&self, model: &ModelRope) -> Vec<String> {
        let context = self.context.and_then(|context| context.note(model));
        let layers = self.note_of_layers(model);
        self.encoding.notes(&self.model(model)).into_iter().chain(context).chain(layers).collect()
    }

    /// Segment units of the levels above the token level.
    pub fn units(&self) -> &[longcode_structure::Unit] {
        self.encoding.units()
    }

    /// See [`Encoding::wanted`].
    pub fn wanted(&self) -> longcode_structure::Wanted {
        self.encoding.wanted()
    }

    /// Which layers it replaces, of a model whose layers are of more than one sort; none if they are all alike
    /// or it leaves them as they are.
    pub fn note_of_layers(&self, model: &ModelRope) -> Option<String> {
        let replaced = self.replaced(model).ok().filter(|replaced| replaced.len() < model.layers)?;
        let all = model.layers;
        self.changes_layers().then(|| {
            format!(
                "replaces {} of {all} layers: {}; the others keep their own",
                replaced.len(),
                layers::in_words(&replaced)
            )
        })
    }

    /// See [`Encoding::follows_length`].
    pub fn follows_length(&self, model: &ModelRope) -> bool {
        (0..=model.others.len()).any(|rope| model.by_rope(rope).follows_length())
            || self.encoding.follows_length(&self.model(model))
    }

    /// The rotations of the given tokens in the layers that it replaces, if they turn by the model's first rope.
    ///
    /// # Panics
    /// In tests, for an encoding that is still relative to a trained length: see [`EncodingSpec::at`].
    pub fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        debug_assert!(!self.is_relative(), "{self} is of no model yet");
        self.encoding.rotations(&self.model(model), positions).with_temperature(
            self.temperature.unwrap_or(model.own_temperature),
            positions,
            model.trained_length,
        )
    }

    /// What every layer does with the given tokens. [`EncodingSpec::check`] has accepted the model.
    pub fn by_layer(&self, model: &ModelRope, positions: &Positions) -> LayerRotations {
        let mut replaced = vec![false; model.layers];
        if self.changes_layers() {
            self.replaced(model).unwrap_or_default().into_iter().for_each(|layer| replaced[layer] = true);
        }
        let own_window = model.own_window.clone().filter(|_| !self.full_attention);
        LayerRotations::new(model, own_window, &replaced, |rope, replaced| {
            let model = model.by_rope(rope);
            if replaced {
                return self.rotations(&model, positions);
            }
            let own = Rope {}.rotations(&model, positions);
            own.with_temperature(model.own_temperature, positions, model.trained_length)
        })
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
    if name == as_served::NAME {
        return Ok(&as_served::ENTRY);
    }
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
fn keys_error(kind: &EncodingKind, keys: &toml::Table, error: &toml::de::Error) -> Error {
    let message = error.message().trim().replace('\n', " ");
    let told = Error::new(ErrorKind::Encoding, format!("encoding kind `{}`: {message}", kind.name))
        .fix("add, fix or remove the key");
    match registry::wrong_key(keys, kind.read, error) {
        Some(key) => told.at_key(key),
        None => told,
    }
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
