//! A new encoding in one file: tokens beyond a window are counted in pairs.
//!
//! ```sh
//! cargo run -p longcode-encoding --example new_encoding
//! ```
//!
//! In the crate itself it would be `src/every_other.rs` with an `ENTRY` in `KINDS`, and would then be known to configs,
//! help and reports.

use longcode_base::error::{Error, ErrorKind, Result};
use longcode_encoding::{Encoding, EncodingSpec, ModelRope, Positions, Rotation, Rotations};

/// Exact distances within `window` tokens, and every other one beyond.
#[derive(Debug)]
struct EveryOther {
    window: usize,
}

impl Encoding for EveryOther {
    fn check(&self, _model: &ModelRope) -> Result<()> {
        match self.window {
            0 => Err(Error::new(ErrorKind::Encoding, "window is 0").at_key("window").fix("give at least 1")),
            _ => Ok(()),
        }
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        // Both sides are halved; the query gets back what keeps distances even at the window's border.
        let lost = self.window as f64 / 2.0;
        let query = positions.map(|i| (i / 2) as f64 + lost);
        let key = positions.map(|j| (j / 2) as f64);
        let far = Rotation::single(model.pairs(), query, key);
        Rotations::windowed(model.own_spectrum(positions.sequence_length), positions, self.window, far)
    }
}

fn main() -> Result<()> {
    let model = ModelRope::plain(64, 10_000.0, 512);
    let encoding = EveryOther { window: 8 };
    encoding.check(&model)?;
    let positions = Positions::whole(40, Vec::new());
    let mine = encoding.rotations(&model, &positions);
    // The crate's own kind of the same kin, from the text that configs and commands take.
    let known = EncodingSpec::parse("leaky_rerope:window=8,factor=2")?;
    let theirs = known.rotations(&model, &positions);
    println!("distance of the last token to each key before it: token by token, every other, {known}");
    for j in (0..40).rev().step_by(3) {
        let of = |rotations: &Rotations| rotations.delta(0, 39, j).expect("every key is seen");
        println!("{:>4} {:>6} {:>6}", 39 - j, of(&mine), of(&theirs));
    }
    Ok(())
}
