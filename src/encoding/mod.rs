//! Position encodings, each defined as the rotations it makes.
//!
//! Every encoding is a relative distance `delta_p(i, j)`, an angular frequency `theta_p` and a logit
//! scale; the attention logit of query `i` and key `j` is
//!
//! ```text
//! scale / sqrt(d) * sum_p [ (q_p k_p + q_{p+h} k_{p+h}) cos(delta_p theta_p)
//!                         + (q_p k_{p+h} - q_{p+h} k_p) sin(delta_p theta_p) ]
//! ```
//!
//! with `d` the head dimension, `h = d / 2` pairs, dimension `p` paired with `p + h` (rotate-half).
//! Each `delta_p` is the difference of a position of the query and a position of the key: a [`Rotation`]
//! of queries and keys. For each query the keys fall into consecutive [`Zone`]s, each with a rotation of
//! its own or not seen ([`Rotations`]): `rope` is one zone, `rerope` a far one and a near one,
//! `streaming_llm` the sinks, what is not seen, and the window. Biases on the logits (ALiBi), keys chosen
//! by content and sight that differs by head are no zones and stay outside.
//!
//! **Adding a kind**: write `src/encoding/NAME.rs` with a serde struct whose fields are the kind's keys
//! and an `impl Encoding`, and add its line to `kinds!` below. The file's name is the kind's name.

mod context;
mod list;
mod longrope;
mod rotation;
mod spec;
mod spectrum;
mod zones;

pub use context::{Context, Window};
pub use longrope::LongRope;
pub use rotation::{Band, Positions, Rotation};
pub use spec::EncodingSpec;
pub(crate) use spec::find_kind;
pub use spectrum::{ModelRope, Spectrum, SpectrumRule};
pub use zones::{Border, OwnWindow, Rotations, Zone, first_within};

use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::structure::Unit;

/// One position encoding with its parameters.
pub trait Encoding: Debug + Send + Sync {
    /// Refuses parameters that make no sense, alone or for this model.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming the key.
    fn check(&self, model: &ModelRope) -> Result<()>;

    /// What is legal for this model and unwise, in words for the user.
    fn notes(&self, _model: &ModelRope) -> Vec<String> {
        Vec::new()
    }

    /// The segment units of the levels above the token level, fine to coarse; none for flat encodings.
    fn units(&self) -> &[Unit] {
        &[]
    }

    /// Whether rotations of early tokens change with the length of the whole sequence; then one pass
    /// over a long document does not give the loss at shorter contexts. As a rule they do where the
    /// model's own frequencies do.
    fn follows_length(&self, model: &ModelRope) -> bool {
        model.follows_length()
    }

    /// The rotations of the given tokens. `check` has accepted the parameters.
    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations;
}

/// What an encoding's type says about itself, for listings and parsing.
pub trait EncodingKind: Encoding + Serialize + DeserializeOwned + 'static {
    /// One line: the rule and its source.
    const ABOUT: &'static str;
    /// The keys as they may be typed, with their defaults.
    const KEYS: &'static str;
    /// The keys whose value is a list; a list of any other key's values is a sweep.
    const LISTS: &'static [&'static str] = &[];
}

/// An entry of the registry of kinds.
pub struct Kind {
    /// As written in configs and specs.
    pub name: &'static str,
    /// One line: the rule and its source.
    pub about: &'static str,
    /// The keys as they may be typed, with their defaults.
    pub keys: &'static str,
    /// The keys whose value is a list.
    pub lists: &'static [&'static str],
    parse: fn(toml::Table) -> Parsed,
}

/// An encoding, and its keys with the defaults filled in.
type Parsed = std::result::Result<(Arc<dyn Encoding>, toml::Table), toml::de::Error>;

impl Kind {
    const fn of<E: EncodingKind>(name: &'static str) -> Kind {
        Kind { name, about: E::ABOUT, keys: E::KEYS, lists: E::LISTS, parse: parse_keys::<E> }
    }
}

fn parse_keys<E: EncodingKind>(keys: toml::Table) -> Parsed {
    let encoding = E::deserialize(toml::Value::Table(keys))?;
    let resolved = toml::Table::try_from(&encoding).map_err(serde::de::Error::custom)?;
    Ok((Arc::new(encoding), resolved))
}

macro_rules! kinds {
    ($($name:ident => $kind:ident),* $(,)?) => {
        $(mod $name; pub use $name::$kind;)*
        /// Every kind of encoding, in the order of docs/encodings.md.
        pub const KINDS: &[Kind] = &[$(Kind::of::<$kind>(stringify!($name))),*];
    };
}

kinds! {
    rope => Rope,
    linear => Linear,
    ntk => Ntk,
    dynamic_ntk => DynamicNtk,
    yarn => Yarn,
    llama3 => Llama3,
    rerope => ReRope,
    leaky_rerope => LeakyReRope,
    self_extend => SelfExtend,
    hirope => HiRope,
    dpe => Dpe,
    string => StringEncoding,
    dual_chunk => DualChunk,
    sliding_window => SlidingWindow,
    lm_infinite => LmInfinite,
    streaming_llm => StreamingLlm,
}

/// An [`ErrorKind::Encoding`] error about one key.
pub(crate) fn key_error(key: &str, what: impl Into<String>, fix: impl Into<String>) -> Error {
    Error::new(ErrorKind::Encoding, what).at(format_args!("key `{key}`")).fix(fix)
}

/// Default window of the windowed kinds (Su 2023; Zhang et al. 2024, section 5.3).
pub(crate) const DEFAULT_WINDOW: usize = 512;

pub(crate) fn default_window() -> usize {
    DEFAULT_WINDOW
}

pub(crate) fn check_window(window: usize) -> Result<()> {
    match window {
        0 => Err(key_error("window", "window is 0", "give a window of at least 1 token")),
        _ => Ok(()),
    }
}

/// What to say of a kind whose window is meant to stay within the trained length and does not.
pub(crate) fn window_notes(window: usize, model: &ModelRope) -> Vec<String> {
    let trained = model.trained_length;
    let beyond = format!(
        "window {window} reaches beyond the trained length of {trained} tokens, which this kind is there to \
         avoid; a window of at most {trained} stays inside"
    );
    Some(beyond).filter(|_| window > trained).into_iter().collect()
}

/// What to say of sinks that add nothing to a window.
pub(crate) fn sinks_note(sinks: usize, window: usize) -> Option<String> {
    match sinks {
        0 => Some("without sinks this is `sliding_window`; 1 to 10 are usual".into()),
        _ if sinks >= window => {
            Some(format!("{sinks} sinks are as many as the window of {window}; 1 to 10 are usual"))
        }
        _ => None,
    }
}

/// Refuses a factor that is not a finite number of at least 1.
pub(crate) fn check_factor(factor: f64) -> Result<()> {
    if factor.is_finite() && factor >= 1.0 {
        return Ok(());
    }
    Err(key_error("factor", format!("factor is {factor}"), "give a finite factor of at least 1"))
}

/// Refuses an original length of 0; the model's trained length is used where none is given.
pub(crate) fn check_original_max_position(length: Option<usize>) -> Result<()> {
    match length {
        Some(0) => Err(key_error(
            "original_max_position",
            "original_max_position is 0",
            "give the pretraining length in tokens, or leave it out for the model's own",
        )),
        _ => Ok(()),
    }
}
