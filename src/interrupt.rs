//! Ctrl-C and termination: the program ends at once or, where work has asked for it, after what is under way.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Result};
use crate::messages;

/// Whether work is under way that ends on its own when asked to.
static DEFERRED: AtomicBool = AtomicBool::new(false);
/// Whether the user has asked.
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Handles Ctrl-C and termination from here on. Stored results are whole lines, so leaving at once
/// loses only the sample under way.
///
/// # Errors
/// [`ErrorKind::Usage`] when the system refuses.
#[expect(clippy::exit, reason = "a signal ends the program, wherever it is")]
pub fn handle() -> Result<()> {
    ctrlc::set_handler(|| {
        if DEFERRED.load(Ordering::SeqCst) && !REQUESTED.swap(true, Ordering::SeqCst) {
            status!("stopping after this step; once more to stop at once");
            return;
        }
        let error = Error::new(ErrorKind::Interrupted, "interrupted")
            .fix("run the same command again (`train`: with --resume); what was finished is kept");
        messages::fail(&error);
        std::process::exit(i32::from(error.kind.exit_code()));
    })
    .map_err(|e| Error::new(ErrorKind::Usage, format!("cannot handle Ctrl-C: {e}")))
}

/// While it lives, the first Ctrl-C is only noted: see [`Deferred::requested`].
pub struct Deferred(());

impl Deferred {
    /// Defers from here on.
    pub fn start() -> Deferred {
        DEFERRED.store(true, Ordering::SeqCst);
        Deferred(())
    }

    /// Whether the user has asked to stop.
    pub fn requested(&self) -> bool {
        REQUESTED.load(Ordering::SeqCst)
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        DEFERRED.store(false, Ordering::SeqCst);
    }
}
