//! What a device says when it fails, in words that say what to change.

use crate::error::{Error, ErrorKind};

/// Words of wgpu, CubeCL and drivers for the ways in which a device fails, in the order in which they are
/// looked for: what is said of a lost device may also name memory.
const REASONS: &[Reason] = &[
    Reason {
        words: &["out of memory", "outofmemory", "cannot allocate", "could not allocate"],
        what: "the adapter is out of memory",
        fix: "use --precision f16, shorter texts, a lower --batch or --device cpu; what was finished is stored",
    },
    Reason {
        words: &["device was lost", "device lost", "devicelost", "poisoned", "device is lost"],
        what: "the adapter was lost: its driver reset it, most often because work took too long or memory ran out",
        fix: "run the same command again, which continues after what is stored; if it stays, update the driver, or use \
              shorter texts, --precision f16 or --device cpu",
    },
    Reason {
        words: &["buffertoobig", "can't allocate buffer of size"],
        what: "a tensor is larger than the adapter binds at once",
        fix: "use shorter texts, a lower --batch or --device cpu; what was finished is stored",
    },
];

/// One way to fail.
struct Reason {
    /// Any of these in what was said, in small letters.
    words: &'static [&'static str],
    what: &'static str,
    fix: &'static str,
}

/// The error of a device that failed with these words.
pub(crate) fn failure(said: &str) -> Error {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    known(&said).unwrap_or_else(|| {
        Error::new(ErrorKind::Compute, format!("the device failed: {said}"))
            .fix("run the same command again, which continues after what is stored, or use --device cpu")
    })
}

/// The same, if the words are those of a device that is out of memory or lost.
pub(crate) fn known(said: &str) -> Option<Error> {
    let small = said.to_lowercase();
    let has = |reason: &&Reason| reason.words.iter().any(|words| small.contains(words));
    let Reason { what, fix, .. } = REASONS.iter().find(has)?;
    Some(Error::new(ErrorKind::Compute, format!("{what} ({said})")).fix(*fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As wgpu 30 and cubecl 0.11.3 say it.
    #[test]
    fn what_devices_say() {
        for (said, what, fix) in [
            ("wgpu error: Out of Memory", "out of memory", "--precision f16"),
            ("BufferTooBig { size: 1, backtrace: }", "larger than", "shorter texts"),
            ("The device is poisoned\nCaused by:\n  Unknown: Device is lost", "lost", "continues"),
            ("the wgpu device was lost (Unknown: reset)", "lost", "--device cpu"),
            ("something else", "the device failed: something else", "--device cpu"),
        ] {
            let error = failure(said).to_string();
            assert!(error.contains(what) && error.contains(fix), "{error}");
        }
        assert!(known("index out of bounds").is_none());
    }
}
