//! Panics of libraries, caught where they are called and turned into errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Calls a library that may panic on damaged input. `Err` holds the panic's message, on one line.
pub fn guarded<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    let before = EXPECTED.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(before);
    done.map_err(|payload| said(&*payload))
}

/// Whether a panic on this thread will be caught by [`guarded`], so that it need not be reported.
pub fn is_expected() -> bool {
    EXPECTED.get()
}

/// The message of a panic.
fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
