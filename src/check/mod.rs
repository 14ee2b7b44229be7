//! `longcode devices --check`: what an adapter computes, how exactly and how fast, as text and as one JSON
//! that a user can post. GPUs that nobody of this project has are known by these alone.

mod golden;
mod rates;
mod truth;

use serde::Serialize;
use serde_json::{Value, json};

use crate::device::OpenDevice;
use crate::error::Result;
use crate::kernels::largest_binding;
use crate::provenance::Session;

/// One figure that is held to a bound.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    /// What was computed.
    what: String,
    /// The largest difference from what it is compared with.
    worst: f64,
    /// What it may be.
    bound: f64,
}

impl Held {
    fn is_right(&self) -> bool {
        self.worst <= self.bound
    }
}

/// One rate, or why it was not measured.
#[derive(Debug, Serialize)]
pub(crate) struct Rate {
    /// What was measured.
    what: String,
    /// Seconds of one call; none if it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// Products a second, in billions, each one multiplication and one addition.
    #[serde(skip_serializing_if = "Option::is_none")]
    gproducts: Option<f64>,
    /// Why it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<String>,
}

/// What a check found.
#[derive(Debug)]
pub(crate) struct Check {
    device: OpenDevice,
    held: Vec<Held>,
    rates: Vec<Rate>,
    /// Seconds of the longest dispatch that was measured; none on the CPU.
    longest_dispatch: Option<f64>,
}

/// Checks a device.
///
/// # Errors
/// [`crate::error::ErrorKind::Compute`] when the device fails.
pub(crate) fn check(device: OpenDevice) -> Result<Check> {
    status!("{}: losses of a model as transformers has them", device.name);
    let mut held = golden::losses(&device.device)?;
    status!("{}: kernels against float64", device.name);
    held.extend(truth::kernels(&device.device)?);
    status!("{}: rates", device.name);
    let rates = rates::rates(&device.device)?;
    let longest_dispatch = crate::kernels::longest_dispatch(&device.device);
    Ok(Check { device, held, rates, longest_dispatch })
}

impl Check {
    /// Whether all figures are within their bounds.
    pub(crate) fn is_right(&self) -> bool {
        self.held.iter().all(Held::is_right)
    }

    /// Numbers of weights that fit, in billions, at so many bytes each; none if the memory is unknown.
    fn largest_model(&self, bytes: f64) -> Option<f64> {
        Some(crate::device::FOR_WEIGHTS * self.device.memory? as f64 / bytes / 1e9)
    }

    /// One object.
    pub(crate) fn json(&self) -> Value {
        let session = Session::now();
        json!({
            "longcode": session.program(),
            "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            "device": self.device.name,
            "adapter": self.device.adapter,
            "memory_bytes": self.device.memory,
            "largest_binding_bytes": largest_binding(&self.device.device),
            "right": self.is_right(),
            "held": self.held,
            "rates": self.rates,
            "longest_dispatch_seconds": self.longest_dispatch,
            "largest_model_billions": {"16_bits": self.largest_model(2.0), "f32": self.largest_model(4.0)},
        })
    }

    /// The same for a reader.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.device.name);
        if let Some(adapter) = &self.device.adapter {
            text += &format!("{adapter}\n");
        }
        for one in &self.held {
            let verdict = if one.is_right() { "ok   " } else { "WRONG" };
            text += &format!("{verdict} {:<58} {:.1e} of {:.0e}\n", one.what, one.worst, one.bound);
        }
        for one in &self.rates {
            text += &match (one.seconds, one.gproducts, &one.left_out) {
                (Some(seconds), Some(rate), _) => {
                    format!("      {:<58} {:.4} s, {rate:.1} G products/s\n", one.what, seconds)
                }
                (Some(seconds), ..) => format!("      {:<58} {seconds:.4} s\n", one.what),
                (.., why) => format!("      {:<58} left out: {}\n", one.what, why.as_deref().unwrap_or("")),
            };
        }
        if let Some(seconds) = self.longest_dispatch {
            text += &format!("longest dispatch that was measured: {:.0} ms\n", 1e3 * seconds);
        }
        text += &match (self.largest_model(2.0), self.largest_model(4.0)) {
            (Some(half), Some(whole)) => {
                format!("largest model that fits: {half:.1} billion weights of 16 bits, {whole:.1} of f32\n")
            }
            _ => "largest model that fits: unknown, as the adapter does not say what memory it has\n".into(),
        };
        let verdict = if self.is_right() { "all as it should be" } else { "NOT as it should be" };
        text + verdict + "\n"
    }
}
