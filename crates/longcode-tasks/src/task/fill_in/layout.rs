//! Prompts: what stands around a gap, cut in tokens and put between a model's markers.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::gap::{Gap, fragments};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_text::{FillMarkers, FillPart, Tokenizer};

/// Where the other files stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Layout {
    /// After what comes after the gap, as the benchmarks' code of Qwen's Coder models has it.
    #[default]
    Published,
    /// Before the file, each under its path, between the markers of repository and files, as such models are trained.
    Repository,
}

/// Most tokens of each part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub left: usize,
    pub right: usize,
    pub cross: usize,
}

/// The parts of a prompt, cut.
pub(super) struct Parts<'a> {
    gap: &'a Gap,
    left: String,
    right: String,
    /// The other files' text in the layout that is published, or for a model that reads what comes before alone.
    cross: String,
    /// The other files with their paths, in the layout of a repository.
    files: Vec<(String, String)>,
    /// Whether a part was cut.
    pub is_cut: bool,
}

/// What is left out of a prompt, or moved, to see what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::task) enum Change {
    /// All other files.
    Alone,
    /// None, but the other files are in another order.
    ShuffledFiles,
    /// What comes after the gap.
    WithoutRight,
}

/// How a model is asked.
pub(super) enum Form {
    /// Between its markers.
    Markers(Box<FillMarkers>, Layout),
    /// With what comes before the gap alone, after the other files.
    LeftOnly,
}

/// A prompt, and the bytes at which its parts begin: each a file of its own, as are markers.
#[derive(Default)]
pub(super) struct Text {
    pub text: String,
    pub starts: Vec<usize>,
}

impl Text {
    fn part(&mut self, text: &str) {
        if !text.is_empty() {
            self.starts.push(self.text.len());
            self.text.push_str(text);
        }
    }

    /// Text of other files, divided where it names them.
    fn fragments(&mut self, text: &str) {
        self.part(text);
        let begin = self.text.len() - text.len();
        self.starts.extend(fragments(text).into_iter().filter(|at| *at > 0).map(|at| begin + at));
    }
}

impl<'a> Parts<'a> {
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when a text cannot be tokenized.
    pub(super) fn new(gap: &'a Gap, form: &Form, budget: Budget, tokenizer: &Tokenizer) -> Result<Parts<'a>> {
        let (left, left_cut) = last_tokens(&gap.left, budget.left, tokenizer)?;
        let (right, right_cut) = match form {
            Form::LeftOnly => Default::default(),
            Form::Markers(..) => first_tokens(&gap.right, budget.right, tokenizer)?,
        };
        let mut parts = Parts {
            gap,
            left,
            right,
            cross: String::new(),
            files: Vec::new(),
            is_cut: left_cut || right_cut,
        };
        match form {
            Form::Markers(_, Layout::Repository) => parts.cut_files(budget.cross, tokenizer)?,
            _ if gap.cross.is_empty() => {}
            _ => {
                let (cross, is_cut) = first_tokens(&format!("\n\n{}", gap.cross), budget.cross, tokenizer)?;
                (parts.cross, parts.is_cut) = (cross, parts.is_cut || is_cut);
            }
        }
        Ok(parts)
    }

    /// Whole files as long as there is room, and the next one cut.
    fn cut_files(&mut self, budget: usize, tokenizer: &Tokenizer) -> Result<()> {
        let mut left = budget;
        for (path, code) in self.gap.files() {
            if left == 0 {
                self.is_cut = true;
                break;
            }
            let (code, is_cut) = first_tokens(&code, left, tokenizer)?;
            left = left.saturating_sub(tokenizer.encode(&code)?.ids.len());
            self.is_cut |= is_cut;
            self.files.push((path, code));
        }
        Ok(())
    }

    /// How many other files there are.
    pub(super) fn other_files(&self) -> usize {
        if self.cross.is_empty() { self.files.len() } else { fragments(&self.cross).len() }
    }

    /// The prompt, changed if so wanted; `seed` is that of an order of files.
    pub(super) fn prompt(&self, form: &Form, change: Option<Change>, seed: u64) -> Text {
        let alone = change == Some(Change::Alone);
        let shuffled = change == Some(Change::ShuffledFiles);
        let right = if change == Some(Change::WithoutRight) { "" } else { &self.right };
        let cross = match () {
            () if alone => String::new(),
            () if shuffled => shuffled_fragments(&self.cross, seed),
            () => self.cross.clone(),
        };
        let mut text = Text::default();
        match form {
            Form::LeftOnly => {
                let cross = cross.trim_start_matches('\n');
                text.fragments(cross);
                text.part(if cross.is_empty() || cross.ends_with('\n') { "" } else { "\n" });
                text.part(&self.left);
            }
            Form::Markers(markers, layout) => {
                if *layout == Layout::Repository {
                    self.put_files(&mut text, markers, alone, shuffled.then_some(seed));
                }
                self.put_gap(&mut text, markers, right, &cross);
            }
        }
        text
    }

    /// The names of the repository and its files, each file under its own, and the name of the file to complete.
    fn put_files(&self, text: &mut Text, markers: &FillMarkers, alone: bool, seed: Option<u64>) {
        let marker = |marker: &Option<String>| marker.clone().unwrap_or_default();
        text.part(&format!("{}{}\n", marker(&markers.repository), self.gap.repository));
        let mut files: Vec<_> = self.files.iter().filter(|_| !alone).collect();
        if let Some(seed) = seed {
            files.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        }
        for (path, code) in files {
            let end = if code.ends_with('\n') { "" } else { "\n" };
            text.part(&format!("{}{path}\n{code}{end}", marker(&markers.separator)));
        }
        text.part(&format!("{}{}\n", marker(&markers.separator), self.gap.path));
    }

    fn put_gap(&self, text: &mut Text, markers: &FillMarkers, right: &str, cross: &str) {
        for part in markers.parts() {
            match part {
                FillPart::Marker(marker) => text.part(marker),
                FillPart::Left => text.part(&self.left),
                FillPart::Right => {
                    text.part(right);
                    text.fragments(cross);
                }
            }
        }
    }
}

/// The fragments of other files in an order that the seed decides; what stands before the first stays there.
fn shuffled_fragments(text: &str, seed: u64) -> String {
    let starts = fragments(text);
    let Some(&first) = starts.first() else { return text.into() };
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let whole = |start: usize, end: usize| {
        let fragment = &text[start..end];
        if fragment.ends_with('\n') { fragment.to_string() } else { format!("{fragment}\n") }
    };
    let mut files: Vec<String> = starts.iter().zip(ends).map(|(&start, end)| whole(start, end)).collect();
    files.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    format!("{}{}", &text[..first], files.concat())
}

/// The last tokens of a text, BOS counted, as text again; and whether it was cut.
fn last_tokens(text: &str, count: usize, tokenizer: &Tokenizer) -> Result<(String, bool)> {
    let ids = tokenizer.encode(text)?.ids;
    match ids.len().checked_sub(count) {
        None | Some(0) => Ok((text.into(), false)),
        Some(left_out) => Ok((tokenizer.decode(&ids[left_out..])?, true)),
    }
}

/// The first tokens of a text, likewise.
fn first_tokens(text: &str, count: usize, tokenizer: &Tokenizer) -> Result<(String, bool)> {
    let ids = tokenizer.encode(text)?.ids;
    if ids.len() <= count {
        return Ok((text.into(), false));
    }
    Ok((tokenizer.decode(&ids[..count])?, true))
}

/// How a model is asked, by its markers.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] for a model without markers, or without those that the layout needs, unless `left_only`.
pub(super) fn form(left_only: bool, layout: Layout, tokenizer: &Tokenizer) -> Result<Form> {
    if left_only {
        return Ok(Form::LeftOnly);
    }
    let markers = FillMarkers::of(tokenizer)?;
    if layout == Layout::Repository && (markers.repository.is_none() || markers.separator.is_none()) {
        let what =
            format!("the model has no markers of a repository and its files beside {}", markers.prefix);
        return Err(Error::new(ErrorKind::Tokenizer, what)
            .at_key("layout")
            .fix("use layout = \"published\""));
    }
    Ok(Form::Markers(Box::new(markers), layout))
}
