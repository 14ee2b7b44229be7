//! What a user reads on stderr while work is under way: a single outlet for all of it, controlled by
//! `--quiet`, `-v` and `--log-format`.
//!
//! Names, texts and files come from outside, and a terminal obeys what it receives: control characters are
//! made visible here ([`visible`]).

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError, RwLock};

use serde::Serialize;

use crate::error::Error;
use crate::terminal::visible;

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Useful when investigating something.
    Detail,
    /// Where work stands.
    Status,
    /// What a reader of the figures should know: a decision on their behalf, a fallback, a doubt.
    Note,
    /// Why work ended.
    Error,
}

/// How messages look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: each message unchanged, and a progress bar on a terminal.
    #[default]
    Text,
    /// For programs: a JSON object on each line, with `level` and `message`; an error also has `kind`,
    /// `place` and `fix`.
    Json,
}

/// The lowest level that is shown, and how.
static SETTINGS: RwLock<(Level, Format)> = RwLock::new((Level::Status, Format::Text));

/// Notes that are shown once.
static SHOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Sets the lowest level that is shown, and how.
pub fn configure(least: Level, format: Format) {
    *SETTINGS.write().unwrap_or_else(PoisonError::into_inner) = (least, format);
}

/// Shows a message. [`crate::status`], [`crate::note`] and [`crate::detail`] are the usual ways.
pub fn say(level: Level, text: &str) {
    let Some(format) = shown_as(level) else { return };
    match format {
        Format::Text => write_line(&visible(text)),
        Format::Json => write_json(&Line { level, message: text, kind: None, place: None, fix: None }),
    }
}

/// Shows a note once in a process, however often it comes up.
pub fn note_once(text: &str) {
    if SHOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(text.into()) {
        say(Level::Note, &format!("note: {text}"));
    }
}

/// Shows an error and its accompanying ones.
pub fn fail(error: &Error) {
    match shown_as(Level::Error) {
        Some(Format::Json) => std::iter::once(error).chain(&error.also).for_each(|one| {
            write_json(&Line {
                level: Level::Error,
                message: &one.what,
                kind: Some(format!("{:?}", one.kind)),
                place: one.place.as_deref(),
                fix: one.fix.as_deref(),
            });
        }),
        _ => write_line(&visible(&error.to_string())),
    }
}

/// Whether messages of a level are shown.
pub fn shows(level: Level) -> bool {
    shown_as(level).is_some()
}

/// Whether progress is shown as a moving bar.
pub(crate) fn shows_bars() -> bool {
    shown_as(Level::Status) == Some(Format::Text) && std::io::stderr().is_terminal()
}

/// How messages of a level are shown, if they are.
fn shown_as(level: Level) -> Option<Format> {
    let (least, format) = *SETTINGS.read().unwrap_or_else(PoisonError::into_inner);
    (level >= least).then_some(format)
}

#[derive(Serialize)]
struct Line<'a> {
    level: Level,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
}

fn write_json(line: &Line) {
    // JSON escapes control characters; direction marks are made visible as well.
    write_line(&visible(&serde_json::to_string(line).expect("plain data")));
}

fn write_line(line: &str) {
    // If writing fails, nobody reads.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Shows where work stands, unless `--quiet`.
#[macro_export]
macro_rules! status {
    ($($words:tt)*) => { $crate::messages::say($crate::messages::Level::Status, &format!($($words)*)) };
}

/// Shows what a reader of the figures should know.
#[macro_export]
macro_rules! note {
    ($($words:tt)*) => { $crate::messages::say($crate::messages::Level::Note, &format!($($words)*)) };
}

/// Shows what is useful when investigating something, with `-v`.
#[macro_export]
macro_rules! detail {
    ($($words:tt)*) => { $crate::messages::say($crate::messages::Level::Detail, &format!($($words)*)) };
}
