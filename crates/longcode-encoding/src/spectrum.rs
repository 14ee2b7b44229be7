//! Angular frequencies of the pairs, and what a checkpoint says about its own.

use std::fmt::Debug;
use std::sync::Arc;

use super::{Encoding, OwnWindow, Positions, Rotations};
use longcode_base::error::Result;

/// Angular frequencies and the constant logit scale that comes with them.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// `theta_p` in radians per position, `[h]`, high frequency first.
    pub frequencies: Vec<f64>,
    /// Factor on every attention logit.
    pub scale: f64,
}

impl Spectrum {
    /// `theta_p = base^(-2p/d)`, scale 1.
    ///
    /// Rounded to f32 where transformers rounds, here and in the rules by parts: checkpoints were trained
    /// with those frequencies, and at 2,000 tokens the last bit moves per-token losses by some 1e-4.
    pub fn plain(head_dim: usize, base: f64) -> Spectrum {
        let exponent = |p: usize| (2 * p) as f32 / head_dim as f32;
        let wavelength = |p: usize| base.powf(f64::from(exponent(p))) as f32;
        let frequencies = (0..head_dim / 2).map(|p| f64::from(1.0 / wavelength(p))).collect();
        Spectrum { frequencies, scale: 1.0 }
    }

    /// NTK-aware base (bloc97 2023): `base * factor^(d/(d-2))`, so that the lowest frequency is divided
    /// by `factor` and the highest stays.
    pub fn ntk(head_dim: usize, base: f64, factor: f64) -> Spectrum {
        let d = head_dim as f64;
        Spectrum::plain(head_dim, base * factor.powf(d / (d - 2.0)))
    }
}

/// An encoding that changes the frequencies and leaves distances unchanged. A checkpoint's own `rope_scaling`
/// is one too.
pub trait SpectrumRule: Debug + Send + Sync {
    /// Refuses parameters that make no sense.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Encoding`], naming the key.
    fn check(&self) -> Result<()>;

    /// The frequencies for a sequence of `sequence_length` tokens, from the model's plain base.
    fn spectrum(&self, model: &ModelRope, sequence_length: usize) -> Spectrum;

    /// Whether the frequencies change with the sequence length.
    fn follows_length(&self) -> bool {
        false
    }
}

impl<R: SpectrumRule> Encoding for R {
    fn check(&self, _model: &ModelRope) -> Result<()> {
        SpectrumRule::check(self)
    }

    fn follows_length(&self, _model: &ModelRope) -> bool {
        SpectrumRule::follows_length(self)
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        Rotations::by_token(self.spectrum(model, positions.sequence_length), positions)
    }
}

/// The rotary geometry of a checkpoint.
#[derive(Debug, Clone)]
pub struct ModelRope {
    /// Rotated dimensions of a head, `d`, even.
    pub head_dim: usize,
    /// `rope_theta`.
    pub base: f64,
    /// Pretraining length in tokens, `L0`, before any scaling by the checkpoint.
    pub trained_length: usize,
    /// `rope_scaling` of config.json: the encoding that the model was trained with.
    pub scaling: Option<Arc<dyn SpectrumRule>>,
    /// The sliding window that the model was trained with, in the layers that have one.
    pub own_window: Option<OwnWindow>,
    /// `beta` of [`Rotations::with_temperature`] that the model was trained with; 0 is none.
    pub own_temperature: f64,
    /// Decoder layers.
    pub layers: usize,
    /// The ropes of layers that turn by another than this one; most models have none.
    pub others: Vec<OtherRope>,
    /// For each layer whether its queries and keys do not turn at all (NoPE); none if all turn.
    pub unrotated: Option<Arc<[bool]>>,
}

/// A rope of some layers of a checkpoint (OLMo 3, Gemma 3): as many dimensions turn as by the first one.
#[derive(Debug, Clone)]
pub struct OtherRope {
    /// `rope_theta`.
    pub base: f64,
    /// A scaling, if these layers have one.
    pub scaling: Option<Arc<dyn SpectrumRule>>,
    /// For each layer, whether it is one of them.
    pub layers: Arc<[bool]>,
}

impl ModelRope {
    /// One layer without a scaling or window of its own.
    pub fn plain(head_dim: usize, base: f64, trained_length: usize) -> ModelRope {
        ModelRope {
            head_dim,
            base,
            trained_length,
            scaling: None,
            own_window: None,
            own_temperature: 0.0,
            layers: 1,
            others: Vec::new(),
            unrotated: None,
        }
    }

    /// Gives the sliding layers another rope. If all layers slide it becomes the first.
    pub fn set_rope_of_sliding(&mut self, sliding: &[bool], rope: ModelRope) {
        if !sliding.contains(&true) {
            return;
        }
        if !sliding.contains(&false) {
            (self.base, self.scaling) = (rope.base, rope.scaling);
            return;
        }
        let (base, scaling) = (rope.base, rope.scaling);
        if base != self.base || scaling.is_some() || self.scaling.is_some() {
            self.others.push(OtherRope { base, scaling, layers: sliding.into() });
        }
    }

    /// Which rope a layer turns by: 0 is this one, and the others follow; none if it does not turn.
    pub fn rope_of(&self, layer: usize) -> Option<usize> {
        if self.unrotated.as_ref().is_some_and(|unrotated| unrotated[layer]) {
            return None;
        }
        Some(self.others.iter().position(|other| other.layers[layer]).map_or(0, |other| other + 1))
    }

    /// The model as if every layer turned by one of its ropes, as [`ModelRope::rope_of`] counts them.
    pub(crate) fn by_rope(&self, rope: usize) -> ModelRope {
        match rope.checked_sub(1).map(|other| &self.others[other]) {
            None => self.clone(),
            Some(OtherRope { base, scaling, .. }) => {
                ModelRope { base: *base, scaling: scaling.clone(), ..self.clone() }
            }
        }
    }

    /// Frequency pairs, `h`.
    pub fn pairs(&self) -> usize {
        self.head_dim / 2
    }

    /// The frequencies that the model was trained with.
    pub fn own_spectrum(&self, sequence_length: usize) -> Spectrum {
        match &self.scaling {
            Some(rule) => rule.spectrum(self, sequence_length),
            None => Spectrum::plain(self.head_dim, self.base),
        }
    }

    /// Whether the model's own frequencies change with the sequence length.
    pub fn follows_length(&self) -> bool {
        self.scaling.as_ref().is_some_and(|rule| rule.follows_length())
    }
}
