//! The one error type: what happened, where, and what to do about it.
//!
//! Every failure a user can meet is an [`Error`] with an [`ErrorKind`]; `main` prints it as
//!
//! ```text
//! error: window is 0
//!   in: configs/quickstart.toml: encoding "HiRoPE", key `window`
//!   fix: give a window of at least 1 token
//! ```
//!
//! and exits with [`ErrorKind::exit_code`].

use std::fmt;
use std::path::Path;

use crate::limits::ERROR_CHARACTERS;
use crate::terminal::visible_line;

/// A result whose error can be shown to a user directly.
pub type Result<T> = std::result::Result<T, Error>;

/// Which part of the program refused or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Command line arguments.
    Usage,
    /// A config file or a `--set` override.
    Config,
    /// A position encoding's keys or values.
    Encoding,
    /// A dataset manifest, file or record.
    Dataset,
    /// A source file given on the command line.
    Source,
    /// A checkpoint: config.json or weights.
    Model,
    /// A tokenizer.
    Tokenizer,
    /// A compute device that is not available.
    Device,
    /// A results directory that holds something other than what was asked for.
    Results,
    /// Writing to disk failed.
    Write,
    /// The computation itself failed (a lost device, no memory).
    Compute,
    /// A loss or a logit that is not finite: with a sound model, an effect of an encoding on a text.
    NotFinite,
    /// The user stopped the program.
    Interrupted,
}

impl ErrorKind {
    /// 1: the work failed. 2: the request was wrong.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Write | ErrorKind::Compute | ErrorKind::NotFinite | ErrorKind::Interrupted => 1,
            _ => 2,
        }
    }

    /// Whether it is a failure of one sample under one encoding while it goes through a model: a finding, and
    /// not a reason to give up the others. A failure of the machine is not one.
    pub fn is_of_sample(self) -> bool {
        matches!(self, ErrorKind::NotFinite | ErrorKind::Encoding)
    }
}

/// A failure in words: what happened, in which file or field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Which part of the program it comes from.
    pub kind: ErrorKind,
    /// What happened, one line.
    pub what: String,
    /// The file, line or field it happened in.
    pub place: Option<String>,
    /// What the user can do.
    pub fix: Option<String>,
    /// Other things wrong with the same request, so that all can be fixed at once.
    pub also: Vec<Error>,
}

impl Error {
    /// An error with neither place nor fix yet.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Error { kind, what: what.into(), place: None, fix: None, also: Vec::new() }
    }

    /// Names the file, line or field. A place already named becomes the inner part:
    /// `.at("window").at("a.toml")` reads `a.toml: window`.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(match self.place {
            Some(inner) => format!("{place}: {inner}"),
            None => place.to_string(),
        });
        self
    }

    /// Names a key of a config; see [`Error::at`].
    pub fn at_key(self, key: impl fmt::Display) -> Self {
        self.at(format_args!("key `{key}`"))
    }

    /// Names a file or directory; see [`Error::at`].
    pub fn in_file(self, path: &Path) -> Self {
        self.at(path.display())
    }

    /// This error, and another one of the same request.
    pub fn and(mut self, other: Error) -> Self {
        self.also.push(other);
        self
    }

    /// Says what to do. The first fix, nearest to the cause, is kept.
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix.get_or_insert_with(|| fix.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", shown(&self.what))?;
        if let Some(place) = &self.place {
            write!(f, "\n  in: {}", shown(place))?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "\n  fix: {}", shown(fix))?;
        }
        self.also.iter().try_for_each(|other| write!(f, "\n{other}"))
    }
}

/// A part of an error on one line, shortened: it may quote anything.
fn shown(text: &str) -> String {
    let text = visible_line(text);
    match text.char_indices().nth(ERROR_CHARACTERS) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}... ({} bytes more)", &text[..end], text.len() - end),
    }
}

impl std::error::Error for Error {}

/// Refuses the value of a config's key: what is wrong with it, and what to do.
///
/// # Errors
/// [`ErrorKind::Config`], always.
pub fn refuse(key: &str, what: String, fix: &str) -> Result<()> {
    Err(Error::new(ErrorKind::Config, what).at_key(key).fix(fix))
}

/// Refuses the first key of a config, given with their values, that is 0.
///
/// # Errors
/// [`ErrorKind::Config`], naming the key.
pub fn refuse_zeros(values: &[(&str, usize)]) -> Result<()> {
    match values.iter().find(|(_, value)| *value == 0) {
        Some((key, _)) => refuse(key, format!("{key} is 0"), "give at least 1"),
        None => Ok(()),
    }
}

/// All values, or all errors as one.
///
/// # Errors
/// The first error, with the others after it.
pub fn all_or_errors<T>(results: impl IntoIterator<Item = Result<T>>) -> Result<Vec<T>> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    errors.into_iter().reduce(Error::and).map_or(Ok(values), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_visible_and_short() {
        let error = Error::new(ErrorKind::Config, format!("name is {}", "[".repeat(100_000)))
            .at("model \"\u{1b}[2J\"")
            .fix("give\nanother");
        let text = error.to_string();
        assert!(text.chars().count() < ERROR_CHARACTERS + 200, "{}", text.len());
        let ends = ["... (98008 bytes more)", "  in: model \"\\u001b[2J\"", "  fix: give\\u000aanother"];
        assert!(text.lines().zip(ends).all(|(line, end)| line.ends_with(end)), "{text}");
    }
}
