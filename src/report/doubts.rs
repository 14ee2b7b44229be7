//! Doubts about a model, from its figures alone: whether it says more than a guess.

use super::Row;
use crate::config::EncodingEntry;
use crate::error::Result;
use crate::provenance::ModelHash;
use crate::store::Results;
use crate::task::Group;

/// The part of the loss of guessing from which on a model is taken to guess.
const GUESSES: f64 = 0.95;

/// The metric that is a loss in nats a token.
const LOSS: &str = "loss";

/// A line for each model whose lowest loss within its trained length is that of guessing evenly among its tokens: its
/// weights or its tokenizer are probably not those that belong together.
///
/// # Errors
/// As [`Results::encodings_of`].
pub(super) fn of_models(results: &Results, rows: &[Row]) -> Result<Vec<String>> {
    let mut doubts = Vec::new();
    for model in &results.environment().models {
        let lowest = lowest_within_training(rows, model, &results.encodings_of(&model.name)?);
        doubts.extend(
            lowest.zip(model.vocabulary).and_then(|(loss, vocabulary)| doubt(&model.name, loss, vocabulary)),
        );
    }
    Ok(doubts)
}

/// The lowest loss over tokens that all stand within a model's trained length; none where none were measured.
fn lowest_within_training(rows: &[Row], model: &ModelHash, encodings: &[EncodingEntry]) -> Option<f64> {
    let trained = model.trained_length;
    let reads_no_more = |name: &str| {
        let entry = encodings.iter().find(|entry| entry.name == name);
        entry.and_then(|entry| entry.spec.context).is_some_and(|context| context.tokens <= trained)
    };
    let is_within = |row: &&Row| match row.group {
        Group::Position(span) | Group::Bucket(span) if span.to <= trained => true,
        _ => reads_no_more(&row.encoding),
    };
    let own = rows.iter().filter(|row| row.model == model.name && row.metric.name == LOSS && is_within(row));
    own.map(|row| row.estimate.value).min_by(f64::total_cmp)
}

fn doubt(model: &str, loss: f64, vocabulary: usize) -> Option<String> {
    let guessing = (vocabulary as f64).ln();
    (loss >= GUESSES * guessing).then(|| {
        format!(
            "Doubt: {model} has a loss of {loss:.2} nats a token within its trained length, and guessing evenly among its \
             {vocabulary} tokens has {guessing:.2}: wrong weights or tokenizer? Then nothing below says anything about \
             encodings."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_guesses_is_doubted() {
        assert!(doubt("random", 4096_f64.ln(), 4096).unwrap().contains("wrong weights or tokenizer?"));
        assert!(doubt("shuffled", 12.0, 4096).is_some());
        assert_eq!(doubt("nano", 3.2, 4096), None);
    }
}
