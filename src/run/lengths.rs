//! What a reader must know of the lengths of samples: what is not beyond training, and what is not thrown away.

use super::{Work, WorkSample};
use crate::config::{Config, EncodingEntry};
use crate::subject::Subject;

/// What to say of tasks whose samples are no longer than the trained length, and of contexts that no sample exceeds.
pub(super) fn notes(
    config: &Config,
    subjects: &[Box<dyn Subject>],
    encodings: &[Vec<EncodingEntry>],
    work: &[Work],
) -> Vec<String> {
    let mut notes = Vec::new();
    for work in work {
        let Some(longest) = work.samples.iter().map(tokens).max() else { continue };
        let trained = subjects[work.model].trained_length();
        let place = format!("task \"{}\", model \"{}\"", work.task.name, config.models[work.model].name);
        notes.extend(within_training(longest, trained).map(|note| format!("{place}: {note}")));
        let nothing_cut = not_thrown_away(longest, &encodings[work.model]);
        notes.extend(nothing_cut.map(|note| format!("{place}: {note}")));
    }
    notes
}

/// Tokens that the model reads of a sample.
fn tokens(one: &WorkSample) -> usize {
    one.sample.tokens.ids.len()
}

fn within_training(longest: usize, trained: usize) -> Option<String> {
    (longest <= trained).then(|| {
        format!(
            "no sample reaches beyond the trained length of {trained} tokens (longest: {longest}): nothing here is beyond \
             training"
        )
    })
}

fn not_thrown_away(longest: usize, encodings: &[EncodingEntry]) -> Option<String> {
    let reads_all = |entry: &&EncodingEntry| entry.spec.context.is_some_and(|one| one.tokens >= longest);
    let names: Vec<String> =
        encodings.iter().filter(reads_all).map(|entry| format!("\"{}\"", entry.name)).collect();
    let (context, throws) = if names.len() == 1 { ("context", "throws") } else { ("contexts", "throw") };
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!(
            "the {context} of {names} {throws} nothing away: no sample is longer (longest: {longest} tokens)"
        )
    })
}
