//! config.json as in the file, and the parts of it that families share.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::defaults::{Activation, Defaults, Missing};
use super::keys::Keys;
use super::rope::SlidingRope;
use super::{
    AttentionConfig, Biases, FeedForwardKind, Fused, GateActivation, LayerNorms, Multipliers, NetworkConfig,
    NormKind, field_error, rope, unsupported,
};
use crate::encoding::{ModelRope, OwnWindow};
use crate::error::Result;
use crate::limits;

/// A config.json that is being read.
#[derive(Debug)]
pub(in crate::checkpoint) struct RawConfig {
    /// Its keys; each family knows what they mean to it.
    pub keys: Keys,
    /// Keys of the scaling that mean something to the family, besides those that its kind has.
    rope_keys: Cell<&'static [&'static str]>,
    /// What a user must know about it.
    notes: RefCell<Vec<String>>,
    /// Keys of the shape that it leaves out, each with the value used for it.
    assumed: RefCell<Vec<String>>,
}

impl RawConfig {
    /// The config of a JSON value.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`] if it is not an object.
    pub(crate) fn new(value: Value) -> Result<RawConfig> {
        match value {
            Value::Object(map) => Ok(RawConfig {
                keys: Keys::new(map, None),
                rope_keys: Cell::default(),
                notes: RefCell::default(),
                assumed: RefCell::default(),
            }),
            _ => Err(field_error("config.json", "is not an object")),
        }
    }

    /// Adds a note for the user, once.
    pub(crate) fn note(&self, note: impl Into<String>) {
        let (note, mut notes) = (note.into(), self.notes.borrow_mut());
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// What a user must know, and the keys of the shape with assumed values.
    pub(crate) fn into_notes(self) -> (Vec<String>, Vec<String>) {
        (self.notes.into_inner(), self.assumed.into_inner())
    }

    /// One value given in two places, each with its name: the first if it says something, as in transformers.
    /// Adds a note if the second says something else.
    pub(crate) fn first_of<T: PartialEq + std::fmt::Display>(
        &self,
        (first, of_first): (&str, Option<T>),
        (second, of_second): (&str, Option<T>),
    ) -> Option<T> {
        match (of_first, of_second) {
            (Some(one), Some(other)) => {
                if one != other {
                    self.note(format!(
                        "config.json: {first} is {one} and {second} is {other}; {first} counts, as in transformers"
                    ));
                }
                Some(one)
            }
            (one, other) => one.or(other),
        }
    }

    /// Notes that a key is ignored, which means something to other families but not to this one.
    pub(crate) fn leave_out(&self, key: &str) {
        if self.keys.says(key) {
            self.note(format!("config.json: {key} means nothing to this model_type, as in transformers"));
        }
    }

    /// Plain LLaMA with these keys: root mean square norms before each part, a gated feed-forward part, heads
    /// that turn whole, no biases, no window. A family changes what differs.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn plain(&self, defaults: &Defaults) -> Result<NetworkConfig> {
        let head_dim = self.head_dim(defaults)?;
        if let Some(factor) = self.partial_rotary_factor()?.filter(|&factor| factor != 1.0) {
            let fix = "use a checkpoint that rotates whole heads, or one of a family that turns them in part";
            return Err(unsupported("partial_rotary_factor", factor, fix));
        }
        self.turning(defaults, head_dim, head_dim)
    }

    /// The same for heads of `head_dim` dimensions, of which the first `rotated` turn.
    ///
    /// # Errors
    /// As [`RawConfig::plain`].
    pub(crate) fn turning(
        &self,
        defaults: &Defaults,
        head_dim: usize,
        rotated: usize,
    ) -> Result<NetworkConfig> {
        self.turning_by(defaults, head_dim, || rope::rope(self, defaults, rotated))
    }

    /// The same for heads that turn by a rope of another place.
    fn turning_by(
        &self,
        defaults: &Defaults,
        head_dim: usize,
        rope: impl FnOnce() -> Result<ModelRope>,
    ) -> Result<NetworkConfig> {
        self.check_activation("hidden_act", defaults.hidden_act)?;
        // A key of families with learned positions; these have max_position_embeddings.
        self.leave_out("n_positions");
        let num_attention_heads = self.heads(defaults)?;
        let num_hidden_layers = self.of_shape("num_hidden_layers", defaults.num_hidden_layers)?;
        let (epsilon, norm_epsilon) = defaults.norm_epsilon;
        Ok(NetworkConfig {
            vocab_size: self.of_shape("vocab_size", defaults.vocab_size)?,
            hidden_size: self.of_shape("hidden_size", defaults.hidden_size)?,
            intermediate_size: self.of_shape("intermediate_size", defaults.intermediate_size)?,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads: self
                .or_follows("num_key_value_heads", defaults.num_key_value_heads)?
                .unwrap_or(num_attention_heads),
            attention: AttentionConfig::plain(head_dim),
            latent: None,
            norm: NormKind::RootMeanSquare,
            norm_epsilon: self.keys.or(epsilon, norm_epsilon)?,
            layer_norms: LayerNorms::Before,
            qk_norm: None,
            feed_forward: vec![FeedForwardKind::Gated; num_hidden_layers],
            gate: GateActivation::Silu,
            biases: Biases::default(),
            fused: Fused::default(),
            multipliers: Multipliers::default(),
            logit_cap: None,
            tie_word_embeddings: self.keys.or("tie_word_embeddings", defaults.tie_word_embeddings)?,
            rope: rope()?,
            is_inside: false,
            drafting_layers: 0,
            default_end_of_sequence: defaults.eos_token_id.filter(|_| !self.keys.has("eos_token_id")),
            notes: Vec::new(),
            assumed: Vec::new(),
        })
    }

    fn heads(&self, defaults: &Defaults) -> Result<usize> {
        self.of_shape("num_attention_heads", defaults.num_attention_heads)
    }

    /// A number that is part of the network's shape, within the limits. A missing one is reported.
    pub(crate) fn of_shape(&self, key: &'static str, default: usize) -> Result<usize> {
        if !self.keys.has(key) {
            let mut assumed = self.assumed.borrow_mut();
            let taken = format!("{key} {default}");
            if !assumed.contains(&taken) {
                assumed.push(taken);
            }
        }
        let number = self.keys.or(key, default)?;
        within_limits(key, number)
    }

    /// A number of the shape that may follow from others: none if it does.
    fn or_follows(&self, key: &'static str, missing: Missing) -> Result<Option<usize>> {
        let number = match missing {
            Missing::Follows => self.keys.optional(key)?,
            Missing::NumberOrNull(number) if !self.keys.has(key) => Some(number),
            Missing::NumberOrNull(_) => self.keys.optional(key)?,
            Missing::Number(number) => Some(self.keys.or(key, number)?),
        };
        number.map(|number| within_limits(key, number)).transpose()
    }

    /// Dimensions of a head.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`] if it is neither given nor follows.
    pub(crate) fn head_dim(&self, defaults: &Defaults) -> Result<usize> {
        if let Some(head_dim) = self.or_follows("head_dim", defaults.head_dim)? {
            return Ok(head_dim);
        }
        let (hidden, heads) = (self.of_shape("hidden_size", defaults.hidden_size)?, self.heads(defaults)?);
        if heads > 0 && hidden.is_multiple_of(heads) {
            Ok(hidden / heads)
        } else {
            Err(field_error("hidden_size", "is not a multiple of num_attention_heads"))
        }
    }

    /// [`RawConfig::plain`] of a family whose layers turn by their type: a rope of those that see everything, and
    /// one of those that slide.
    ///
    /// # Errors
    /// As [`RawConfig::plain`].
    pub(crate) fn by_layer_type(
        &self,
        defaults: &Defaults,
        sliding: &SlidingRope,
        slides: impl Fn(usize) -> bool,
    ) -> Result<NetworkConfig> {
        let head_dim = self.head_dim(defaults)?;
        let mut config =
            self.turning_by(defaults, head_dim, || rope::of_full_attention(self, defaults, head_dim))?;
        let window = self.keys.or_null("sliding_window", sliding.window)?;
        let (layers, own_window) = self.sliding(config.num_hidden_layers, window, slides)?;
        let other = rope::of_sliding_attention(self, defaults, sliding, head_dim)?;
        config.rope.set_rope_of_sliding(&layers, other);
        config.rope.own_window = own_window;
        Ok(config)
    }

    /// Which layers slide, by `layer_types` or otherwise by a rule, and the window that they need.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn sliding(
        &self,
        layers: usize,
        window: Option<usize>,
        slides: impl Fn(usize) -> bool,
    ) -> Result<(Vec<bool>, Option<OwnWindow>)> {
        let sliding = self.sliding_layers(layers)?.unwrap_or_else(|| (0..layers).map(slides).collect());
        if window.is_none() && sliding.contains(&true) {
            return Err(field_error("sliding_window", "is null, and layers slide"));
        }
        let own_window = self.own_window(window, sliding.clone())?;
        Ok((sliding, own_window))
    }

    /// `sliding_window_pattern` of older files: every such layer sees everything, and the others slide.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn sliding_pattern(&self, default: usize) -> Result<usize> {
        match self.keys.or("sliding_window_pattern", default)? {
            0 => Err(field_error("sliding_window_pattern", "is 0")),
            pattern => Ok(pattern),
        }
    }

    /// The share of a head's dimensions that turns: those in whole pairs.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn turning_in_part(&self, defaults: &Defaults, default: f64) -> Result<NetworkConfig> {
        let head_dim = self.head_dim(defaults)?;
        let factor = self.partial_rotary_factor()?.unwrap_or(default);
        if !(factor > 0.0 && factor <= 1.0) {
            return Err(field_error("partial_rotary_factor", "is not above 0 and up to 1"));
        }
        self.turning(defaults, head_dim, (head_dim as f64 * factor) as usize)
    }

    /// `partial_rotary_factor`, from either of its places.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn partial_rotary_factor(&self) -> Result<Option<f64>> {
        rope::partial_rotary_factor(self)
    }

    /// Says which other keys of the scaling the family knows, before [`RawConfig::plain`] reads it.
    pub(crate) fn knows_in_rope(&self, keys: &'static [&'static str]) {
        self.rope_keys.set(keys);
    }

    /// See [`RawConfig::knows_in_rope`].
    pub(super) fn rope_keys(&self) -> &'static [&'static str] {
        self.rope_keys.get()
    }

    /// `beta` of the temperature of queries by their position, with which the model was trained.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn temperature(&self) -> Result<f64> {
        rope::temperature(self)
    }

    /// Refuses another activation under a key than one of these names, of which the first is the default.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn check_activation(&self, key: &str, names: Activation) -> Result<()> {
        let [name, ..] = names else { return Ok(()) };
        let given: String = self.keys.or(key, name.to_string())?;
        if names.contains(&given.as_str()) {
            Ok(())
        } else {
            Err(unsupported(key, given, &format!("use a checkpoint with {name}")))
        }
    }

    /// Refuses weights in a quantisation of their own, unless the family has it: MXFP4.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`].
    pub(crate) fn refuse_quantised(&self, mxfp4: bool) -> Result<()> {
        let key = "quantization_config";
        if mxfp4 && !self.keys.says("compression_config") {
            let method: Option<Map<String, Value>> = self.keys.optional(key)?;
            match method.as_ref().map(|config| config.get("quant_method").and_then(Value::as_str)) {
                None | Some(Some("mxfp4")) => return Ok(()),
                Some(other) => {
                    let what = format!("({} weights)", other.unwrap_or("unnamed"));
                    return Err(unsupported(key, what, "use bf16 or MXFP4 weights, or a GGUF file"));
                }
            }
        }
        match ["quantization_config", "compression_config"].into_iter().find(|key| self.keys.says(key)) {
            None => Ok(()),
            Some(key) => {
                let fix = "use f32, bf16 or f16 weights, or a GGUF file";
                Err(unsupported(key, "(quantised weights)", fix))
            }
        }
    }

    /// A window in every layer, if there is one.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field, for a window of 0, or layers that say otherwise.
    pub(crate) fn window_in_all_layers(
        &self,
        layers: usize,
        window: Option<usize>,
    ) -> Result<Option<OwnWindow>> {
        let sliding = vec![window.is_some(); layers];
        self.check_layer_types(&sliding)?;
        self.own_window(window, sliding)
    }

    /// A window in the layers that `layer_types` names, or otherwise those that `slides` picks.
    ///
    /// # Errors
    /// As [`RawConfig::window_in_all_layers`].
    pub(crate) fn window_in_layers(
        &self,
        layers: usize,
        window: Option<usize>,
        slides: impl Fn(usize) -> bool,
    ) -> Result<Option<OwnWindow>> {
        let by_rule = || (0..layers).map(|layer| window.is_some() && slides(layer)).collect();
        let sliding: Vec<bool> = match (self.sliding_layers(layers)?, window) {
            (Some(named), Some(_)) => named,
            (Some(named), None) if named.contains(&true) => {
                return Err(field_error("layer_types", "has sliding layers, but sliding_window is missing"));
            }
            _ => by_rule(),
        };
        self.own_window(window, sliding)
    }

    /// Layers whose queries and keys do not turn, by number; none if all turn.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn unrotated_layers(
        &self,
        layers: usize,
        default_interval: usize,
    ) -> Result<Option<Arc<[bool]>>> {
        let interval = self.keys.or("no_rope_layer_interval", default_interval)?;
        let unrotated: Vec<bool> = match self.keys.optional::<Vec<usize>>("no_rope_layers")? {
            // 1 means that a layer turns.
            Some(turns) if turns.len() >= layers => turns[..layers].iter().map(|&turns| turns == 0).collect(),
            Some(_) => return Err(field_error("no_rope_layers", "has fewer than num_hidden_layers entries")),
            None if interval == 0 => return Err(field_error("no_rope_layer_interval", "is 0")),
            None => (1..=layers).map(|layer| layer.is_multiple_of(interval)).collect(),
        };
        Ok(Some(unrotated).filter(|layers| layers.contains(&true)).map(Arc::from))
    }
}

/// Refuses a number of the shape larger than any model's.
pub(in crate::checkpoint) fn within_limits(key: &str, number: usize) -> Result<usize> {
    let most = if key == "num_hidden_layers" { limits::LAYERS } else { limits::WIDTH };
    if number <= most { Ok(number) } else { Err(field_error(key, &format!("is {number}, more than {most}"))) }
}
