//! Position encodings, each defined as the rotations it makes.
//!
//! Every encoding is a relative distance `delta_p(i, j)`, an angular frequency `theta_p` and a logit scale;
//! the attention logit of query `i` and key `j` is
//!
//! ```text
//! scale / sqrt(d) * sum_p [ (q_p k_p + q_{p+h} k_{p+h}) cos(delta_p theta_p)
//!                         + (q_p k_{p+h} - q_{p+h} k_p) sin(delta_p theta_p) ]
//! ```
//!
//! with `d` the head dimension, `h = d / 2` pairs, dimension `p` paired with `p + h` (rotate-half).
//! Each `delta_p` is the difference of a position of the query and a position of the key: a [`Rotation`] of
//! queries and keys. For each query the keys fall into consecutive [`Zone`]s, each of which has a rotation or
//! is not seen ([`Rotations`]): `rope` has one zone, `rerope` a far one and a near one, `streaming_llm` the
//! sinks, the unseen keys, and the window. Of one zone only those keys may be seen that are chosen ([`Choice`]):
//! `structure` lists them from the text, `blocks` says how they are chosen by content. Biases on the logits (ALiBi)
//! cannot be expressed as zones and stay outside.
//!
//! ```
//! use longcode_encoding::{EncodingSpec, ModelRope, Positions};
//!
//! // Head dimension 64, rope_theta 10,000, trained on 512 tokens.
//! let model = ModelRope::plain(64, 10_000.0, 512);
//! let spec = EncodingSpec::parse("rerope:window=4")?;
//! spec.check(&model)?;
//! let rotations = spec.rotations(&model, &Positions::whole(10, Vec::new()));
//! // Exact within the window, and equal to the window beyond.
//! assert_eq!(rotations.delta(0, 9, 7), Some(2.0));
//! assert_eq!(rotations.delta(0, 9, 0), Some(4.0));
//! # Ok::<(), longcode_base::error::Error>(())
//! ```
//!
//! [`EncodingSpec`], [`Encoding`], [`ModelRope`], [`Positions`] and [`Rotations`] with its parts are the
//! stable face of this crate.
//!
//! **Adding a kind**: write `src/NAME.rs` with a serde struct whose fields are the kind's keys, an
//! `impl Encoding` and its `ENTRY`, and add the entry to [`KINDS`]. The file's name is the kind's name.

mod as_served;
mod blocks;
mod choice;
mod clip;
mod context;
mod dpe;
mod dual_chunk;
mod dynamic_ntk;
mod dynamic_yarn;
mod far;
mod hirope;
mod layers;
mod leaky_rerope;
mod linear;
mod list;
mod llama3;
mod lm_infinite;
mod longrope;
mod nope;
mod ntk;
mod relative;
mod rerope;
mod rope;
mod rotation;
mod self_extend;
mod sliding_window;
mod spec;
mod spectrum;
mod streaming_llm;
mod string;
mod structure;
mod table;
mod yarn;
mod zones;

pub use as_served::NAME as AS_SERVED;
pub use choice::{BlockChoice, BlockScore, Choice, Listed};
pub use context::{Context, Window};
pub use dynamic_ntk::DynamicNtk;
pub use layers::{LayerRotations, Layers, in_words};
pub use linear::Linear;
pub use llama3::Llama3;
pub use longrope::LongRope;
pub use rotation::{Band, Positions, Rotation};
pub use spec::EncodingSpec;
pub use spec::find_kind;
pub use spectrum::{ModelRope, OtherRope, Spectrum, SpectrumRule};
pub use yarn::Yarn;
pub use zones::{Border, OwnWindow, Rotations, Zone, first_within};

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::registry::{self, Kind};
use longcode_structure::{Unit, Wanted};

/// One position encoding with its parameters.
pub trait Encoding: Debug + Send + Sync {
    /// Refuses parameters that make no sense, alone or for this model.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming the key.
    fn check(&self, model: &ModelRope) -> Result<()>;

    /// What is legal but unwise for this model, in words for the user.
    fn notes(&self, _model: &ModelRope) -> Vec<String> {
        Vec::new()
    }

    /// The segment units of the levels above the token level, fine to coarse; none for flat encodings.
    fn units(&self) -> &[Unit] {
        &[]
    }

    /// What it needs to know of a text besides the segments of its units; nothing for most.
    fn wanted(&self) -> Wanted {
        Wanted::default()
    }

    /// Whether rotations of early tokens change with the length of the whole sequence; then one pass over a
    /// long document does not give the loss at shorter contexts. By default they do if the model's own
    /// frequencies do.
    fn follows_length(&self, model: &ModelRope) -> bool {
        model.follows_length()
    }

    /// Whether its positions belong to whole texts, so that a part that texts share has none of its own.
    fn is_of_whole_texts(&self) -> bool {
        false
    }

    /// Reads the file that its keys name, which `find` finds; none for kinds that read none.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming the key and the file.
    fn opened(&self, _find: &dyn Fn(&Path) -> Result<PathBuf>) -> Result<Option<Opened>> {
        Ok(None)
    }

    /// Refuses a text that it has no positions for; most kinds have some for every text.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming what it lacks.
    fn covers(&self, _reading: &Reading) -> Result<()> {
        Ok(())
    }

    /// The rotations of the given tokens. `check` has accepted the parameters.
    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations;
}

/// An encoding whose file was read.
#[derive(Debug)]
pub struct Opened {
    /// The encoding with what the file says.
    pub encoding: Arc<dyn Encoding>,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// A text that a model is to read.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// SHA-256 of the text; empty if it is not known.
    pub hash: &'a str,
    /// Tokens that are read at a time, BOS included.
    pub tokens: usize,
    /// New tokens that there must be room for.
    pub room: usize,
    /// Whether these are all tokens of the text, from its first on.
    pub is_whole: bool,
}

/// An entry of the registry of encodings: a kind's file has one.
pub type EncodingKind = Kind<dyn Encoding>;

/// The kind made from a type whose fields are the keys.
const fn kind_of<E: Encoding + Serialize + DeserializeOwned + 'static>(
    name: &'static str,
    about: &'static str,
    keys: &'static str,
) -> EncodingKind {
    let read = |keys| {
        let (encoding, keys) = registry::read::<E>(keys)?;
        Ok((Arc::new(encoding) as Arc<dyn Encoding>, keys))
    };
    Kind { name, about, keys, lists: &[], read }
}

/// Every kind of encoding, in the order of docs/encodings.md.
pub const KINDS: &[EncodingKind] = &[
    rope::ENTRY,
    linear::ENTRY,
    ntk::ENTRY,
    dynamic_ntk::ENTRY,
    yarn::ENTRY,
    dynamic_yarn::ENTRY,
    llama3::ENTRY,
    clip::ENTRY,
    nope::ENTRY,
    rerope::ENTRY,
    leaky_rerope::ENTRY,
    self_extend::ENTRY,
    hirope::ENTRY,
    dpe::ENTRY,
    string::ENTRY,
    dual_chunk::ENTRY,
    sliding_window::ENTRY,
    lm_infinite::ENTRY,
    streaming_llm::ENTRY,
    blocks::ENTRY,
    structure::ENTRY,
    table::ENTRY,
];

/// An [`ErrorKind::Encoding`] error about one key.
fn key_error(key: &str, what: impl Into<String>, fix: impl Into<String>) -> Error {
    Error::new(ErrorKind::Encoding, what).at_key(key).fix(fix)
}

/// Default window of the windowed kinds (Su 2023; Zhang et al. 2024, section 5.3).
const DEFAULT_WINDOW: usize = 512;

fn default_window() -> usize {
    DEFAULT_WINDOW
}

fn check_window(window: usize) -> Result<()> {
    match window {
        0 => Err(key_error("window", "window is 0", "give a window of at least 1 token")),
        _ => Ok(()),
    }
}

/// Notes on a kind whose window should stay within the trained length and does not.
fn window_notes(window: usize, model: &ModelRope) -> Vec<String> {
    let trained = model.trained_length;
    let beyond = format!(
        "window {window} reaches beyond the trained length of {trained} tokens, which this kind is there to \
         avoid; a window of at most {trained} stays inside"
    );
    Some(beyond).filter(|_| window > trained).into_iter().collect()
}

/// A note on sinks that add nothing to a window.
fn sinks_note(sinks: usize, window: usize) -> Option<String> {
    match sinks {
        0 => Some("without sinks this is `sliding_window`; 1 to 10 are usual".into()),
        _ if sinks >= window => {
            Some(format!("{sinks} sinks are as many as the window of {window}; 1 to 10 are usual"))
        }
        _ => None,
    }
}

/// Refuses a factor that is not a finite number of at least 1.
fn check_factor(factor: f64) -> Result<()> {
    if factor.is_finite() && factor >= 1.0 {
        return Ok(());
    }
    Err(key_error("factor", format!("factor is {factor}"), "give a finite factor of at least 1"))
}

/// Refuses a factor on the logits that is not a finite number above 0.
fn check_logit_factor(factor: f64) -> Result<()> {
    if factor.is_finite() && factor > 0.0 {
        return Ok(());
    }
    let what = format!("logit_factor is {factor}");
    Err(key_error("logit_factor", what, "give a finite number above 0, as 1 or 1.143434"))
}

/// Refuses an original length of 0; the model's trained length is the default.
fn check_original_max_position(length: Option<usize>) -> Result<()> {
    match length {
        Some(0) => Err(key_error(
            "original_max_position",
            "original_max_position is 0",
            "give the pretraining length in tokens, or leave it out for the model's own",
        )),
        _ => Ok(()),
    }
}
