//! What is decided on a user's behalf while files are read, said once on stderr.

use std::collections::BTreeSet;
use std::sync::Mutex;

static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says something on stderr, once in a process.
pub fn note(what: &str) {
    if let Ok(mut said) = SAID.lock()
        && said.insert(what.to_string())
    {
        tell!("note: {what}");
    }
}
