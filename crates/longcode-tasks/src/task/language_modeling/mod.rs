//! `language_modeling`: per-token loss of long documents, by document length, by position, and by the
//! distance to what a token could be known from (`docs/tasks.md`, "language_modeling"; Tables 4 and 5 of the
//! paper).

mod distance;
mod key_tokens;

pub(crate) use distance::sources;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::distance::{Distances, default_edges};
use self::key_tokens::{KeyText, KeyTokens};
use super::draw::shuffle;
use super::keys::is_off;
use super::{
    Answer, Ask, Better, Evaluator, Group, Measure, Metric, Parts, Sample, Scored, Selection, Span, Task,
    TaskKind, TwoContexts, by_rank, empty_buckets, fewer_than_asked, kind_of,
};
use crate::dataset::{Dataset, Record};
use crate::per_token::PerToken;
use longcode_base::error::{Error, ErrorKind, Result, refuse};
use longcode_text::{TextSide, TokenScores, Tokenizer};

/// Width in tokens of the bins in which losses are stored; bucket edges divide bins further.
const BIN: usize = 128;

/// Documents tokenized at a time while buckets fill.
const TOKENIZE: usize = 64;

const METRICS: &[Metric] = &[
    Metric::exp_of("ppl", "loss").in_lm_eval("perplexity").titled(
        "Perplexity",
        " by document length in tokens: exp of the mean loss over all predicted tokens of the bucket, one pass a \
         document",
    ),
    Metric::mean("loss", Better::Lower)
        .titled("Loss in nats a token", " by document length")
        .by_position(
            "Loss in nats by position in the document, from the same pass: what the model loses when this much context \
             stands before a token.",
        )
        .drawn("loss, nats a token", GUESSING)
        .made_of(Parts { title: "Loss in nats", contribution: LOSS_PART, share: SHARE }),
    Metric::share("accuracy", Better::Higher)
        .in_lm_eval("acc")
        .titled("Next-token accuracy", " by document length"),
    Metric::mean("bits_per_byte", Better::Lower).titled(
        "Bits per byte",
        " by document length: the losses over the bytes of the predicted text, which compare over vocabularies",
    ),
    Metric::mean("document_loss", Better::Lower).not_in_tables(),
    Metric::exp_of("document_ppl", "document_loss").in_lm_eval("document_perplexity").not_in_tables(),
    Metric::exp_of("last_ppl", "last_loss")
        .in_lm_eval("last_perplexity")
        .titled("Perplexity of the last tokens", " of each document"),
    Metric::mean("last_loss", Better::Lower).not_in_tables(),
    Metric::share("last_accuracy", Better::Higher)
        .in_lm_eval("last_acc")
        .titled("Next-token accuracy over the last tokens", " of each document"),
    Metric::exp_of("long_ppl", "key_loss")
        .titled("LongPPL", " by document length: the perplexity of the tokens that the evaluator knows by distant context"),
    Metric::mean("key_loss", Better::Lower).not_in_tables(),
    Metric::share("key_accuracy", Better::Higher).not_in_tables(),
    Metric::share("key_share", Better::Higher).not_in_tables(),
    Metric::mean(LOSS_PART, Better::Lower).part_of_others(),
    Metric::mean(SHARE, Better::Lower).part_of_others(),
];

/// The loss of a model that guesses evenly among 22,000 tokens, nats a token.
const GUESSING: f64 = 10.0;

/// A group's losses divided by all tokens of its document: what it contributes to the mean.
const LOSS_PART: &str = "loss_part";

/// A group's tokens divided by all tokens of its document.
const SHARE: &str = "share";

/// One causal pass for each document, BOS if the tokenizer has one and no EOS, loss at every predicted token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LanguageModeling {
    /// Edges of the document buckets, in the model's tokens, half-open.
    pub buckets: Vec<usize>,
    /// Edges of the groups of positions; by default the buckets'.
    pub positions: Option<Vec<usize>>,
    /// Documents of each bucket.
    pub samples: usize,
    /// Also score the last tokens of each document separately, this many (2048 in Table 5).
    pub last: Option<usize>,
    /// The first position that counts when losses are divided by distance; by default the trained length.
    pub from: Option<usize>,
    /// Edges of the groups of distances, tokens; by default 1, 128, doubled from there on, and the trained
    /// length.
    pub copies: Option<Vec<usize>>,
    /// Whether the scores of every token are kept, which the report writes into per_token.parquet.
    #[serde(default, skip_serializing_if = "is_off")]
    pub per_token: bool,
    /// Also score by themselves the tokens that another model knows by distant context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_tokens: Option<KeyTokens>,
}

/// What is stored for a document.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    bucket: [usize; 2],
    /// Predicted tokens.
    tokens: usize,
    /// Edges of the bins of positions; bin `n` holds the predicted tokens at `edges[n]..edges[n + 1]`.
    edges: Vec<usize>,
    /// Sum of the losses in each bin, nats.
    nll: Vec<f64>,
    /// Tokens predicted right in each bin.
    correct: Vec<usize>,
    /// Whether the losses at a position equal those of a document that ends there.
    by_position: bool,
    /// Bytes of the predicted text; none in old results.
    bytes: Option<usize>,
    /// The same over only the last tokens, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Sums>,
    /// The same over the key tokens, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Sums>,
    /// By the distance to what tokens could be known from.
    #[serde(skip_serializing_if = "Option::is_none")]
    distances: Option<Distances>,
    /// Of every predicted token, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per_token: Option<PerToken>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Sums {
    tokens: usize,
    nll: f64,
    correct: usize,
}

impl Sums {
    fn of(nll: &[f32], correct: &[bool]) -> Sums {
        Sums {
            tokens: nll.len(),
            nll: nll.iter().map(|&nll| f64::from(nll)).sum(),
            correct: correct.iter().filter(|&&correct| correct).count(),
        }
    }
}

impl std::ops::Add for Sums {
    type Output = Sums;

    fn add(self, other: Sums) -> Sums {
        Sums {
            tokens: self.tokens + other.tokens,
            nll: self.nll + other.nll,
            correct: self.correct + other.correct,
        }
    }
}

pub(super) const ENTRY: TaskKind = kind_of::<LanguageModeling>(
    "language_modeling",
    "the loss of every token, by position and by the distance to what it could be known from",
    "buckets, samples, positions=buckets, last, from=L0, copies=1 to the last bucket, per_token=false, key_tokens",
)
.with_lists(&["buckets", "positions", "copies"]);

impl Task for LanguageModeling {
    fn check(&self) -> Result<()> {
        for (key, edges) in [("buckets", &self.buckets), ("positions", self.position_edges())] {
            if edges.len() < 2 || edges.windows(2).any(|edge| edge[0] >= edge[1]) {
                let what = format!("{key} {edges:?} are not increasing edges");
                return refuse(key, what, "give at least two edges, as [0, 2048, 4096]");
            }
        }
        if let Some(edges) = &self.copies
            && (edges.first().is_none_or(|&edge| edge == 0)
                || edges.windows(2).any(|edge| edge[0] >= edge[1]))
        {
            let what = format!("copies {edges:?} are not increasing edges from 1 on");
            return refuse("copies", what, "give at least one edge, as [1, 128, 512]");
        }
        self.key_tokens.as_ref().map_or(Ok(()), KeyTokens::check)?;
        if self.samples == 0 {
            return refuse("samples", "samples is 0".into(), "ask for at least 1 document a bucket");
        }
        match self.last {
            Some(0) => refuse("last", "last is 0".into(), "give a number of tokens, or leave it out"),
            _ => Ok(()),
        }
    }

    fn samples(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let tokenizer = model.tokenizer();
        let mut records = dataset.records()?;
        shuffle(&mut records, seed);
        let mut buckets: Vec<Vec<Sample>> = vec![Vec::new(); self.buckets.len() - 1];
        let mut lengths = Vec::new();
        for some in records.chunks(TOKENIZE) {
            if buckets.iter().all(|bucket| bucket.len() == self.samples) {
                break;
            }
            let found: Vec<_> =
                some.par_iter().map(|record| self.sample(record, tokenizer)).collect::<Result<_>>()?;
            for (length, found) in found {
                lengths.push(length);
                let Some((number, sample)) = found else { continue };
                if buckets[number].len() < self.samples {
                    buckets[number].push(sample);
                }
            }
        }
        self.refuse_empty(&buckets, lengths, dataset)?;
        let notes = spans(&self.buckets)
            .into_iter()
            .zip(&buckets)
            .filter_map(|(span, bucket)| {
                fewer_than_asked(&format!("bucket {span}"), bucket.len(), self.samples, "documents")
            })
            .collect();
        Ok(Selection { samples: by_rank(buckets), notes, ..Selection::default() })
    }

    fn evaluator(&self) -> Option<Evaluator<'_>> {
        self.key_tokens.as_ref().map(KeyTokens::evaluator)
    }

    fn evaluated(&self, sample: Sample, losses: &TwoContexts) -> Sample {
        match &self.key_tokens {
            Some(keys) => sample.held_to(&keys.text(losses)),
            None => sample,
        }
    }

    fn ask(&self) -> Ask {
        Ask::Score
    }

    fn outcome(&self, sample: &Sample, answer: Answer, trained_length: usize) -> Value {
        let Scored { scores, follows_length } = answer.scored();
        let from = self.from.unwrap_or(trained_length);
        let distances = Distances::of(sample, &scores, from, self.edges_of_copies(trained_length));
        let of_tokens =
            || PerToken::of(&sample.text, sample.language, &sample.file_starts, &sample.tokens, &scores);
        let per_token = self.per_token.then(of_tokens).flatten();
        let key =
            self.key_tokens.as_ref().map(|_| sample.reference::<KeyText>().sums(&sample.tokens, &scores));
        let outcome = Outcome { distances, per_token, key, ..self.sums(sample, &scores, !follows_length) };
        serde_json::to_value(outcome).expect("plain data")
    }

    fn wants_details(&self) -> bool {
        self.per_token
    }

    fn per_token(&self, outcome: &Value) -> std::result::Result<Option<PerToken>, serde_json::Error> {
        let Some(found) = outcome.get("per_token") else { return Ok(None) };
        let found = PerToken::deserialize(found)?;
        found.check().map_err(serde::de::Error::custom)?;
        Ok(Some(found))
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn measures(&self, outcome: &Value) -> std::result::Result<Vec<Measure>, serde_json::Error> {
        let outcome = Outcome::deserialize(outcome)?;
        outcome.check().map_err(serde::de::Error::custom)?;
        let bucket = Span { from: outcome.bucket[0], to: outcome.bucket[1] };
        let mut measures = Vec::new();
        for group in [Group::Bucket(bucket), Group::All] {
            measures.extend(outcome.document_measures(group));
        }
        if outcome.by_position {
            let spans = spans(self.position_edges()).into_iter();
            measures.extend(spans.flat_map(|span| outcome.position_measures(span)));
        }
        measures.extend(outcome.distances.iter().flat_map(distance_measures));
        Ok(measures)
    }

    fn border(&self, position: usize) -> Option<usize> {
        let edges = self.position_edges().iter().copied().filter(|&edge| edge >= position);
        edges.chain([position.next_multiple_of(BIN)]).min()
    }

    fn measure_from(
        &self,
        outcome: &Value,
        from: usize,
    ) -> std::result::Result<Option<Measure>, serde_json::Error> {
        let outcome = Outcome::deserialize(outcome)?;
        outcome.check().and_then(|()| outcome.loss_from(from)).map_err(serde::de::Error::custom)
    }
}

/// Measures of the tokens from a position on, all and by distance.
fn distance_measures(distances: &Distances) -> Vec<Measure> {
    let measure = |group, metric, numerator, denominator| Measure { group, metric, numerator, denominator };
    let total = distances.total();
    let from = distances.from();
    let (all, tokens) = (Group::From(from), total.tokens as f64);
    let mut measures =
        vec![measure(all, "loss", total.nll, tokens), measure(all, "accuracy", total.correct as f64, tokens)];
    for (by, back, sums) in distances.groups() {
        let (group, count) = (Group::Distance { from, by, back }, sums.tokens as f64);
        measures.push(measure(group, LOSS_PART, sums.nll, tokens));
        measures.push(measure(group, SHARE, count, tokens));
        if sums.tokens > 0 {
            measures.push(measure(group, "loss", sums.nll, count));
            measures.push(measure(group, "accuracy", sums.correct as f64, count));
        }
    }
    measures
}

impl LanguageModeling {
    fn edges_of_copies(&self, trained_length: usize) -> Vec<usize> {
        let longest = self.buckets.last().copied().unwrap_or_default();
        self.copies.clone().unwrap_or_else(|| default_edges(longest, trained_length))
    }

    fn position_edges(&self) -> &Vec<usize> {
        self.positions.as_ref().unwrap_or(&self.buckets)
    }

    /// A record's length in tokens, its sample and the number of its bucket; no sample if no bucket takes it
    /// or it has nothing to predict.
    fn sample(&self, record: &Record, tokenizer: &Tokenizer) -> Result<(usize, Option<(usize, Sample)>)> {
        let text = record.text("text")?;
        let tokens = tokenizer.encode(text).map_err(|e| e.at(&record.origin))?;
        let length = tokens.ids.len();
        let spans = spans(&self.buckets);
        let Some(number) = spans.iter().position(|span| (span.from..span.to).contains(&length)) else {
            return Ok((length, None));
        };
        if length < 2 {
            return Ok((length, None));
        }
        let sample = Sample {
            id: record.id.clone(),
            bucket: spans[number],
            text: text.to_string(),
            language: record.language,
            tokens,
            ..Sample::default()
        };
        Ok((length, Some((number, sample))))
    }

    fn refuse_empty(&self, buckets: &[Vec<Sample>], lengths: Vec<usize>, dataset: &Dataset) -> Result<()> {
        let spans = spans(&self.buckets).into_iter().zip(buckets);
        let empty: Vec<Span> = spans.filter(|(_, bucket)| bucket.is_empty()).map(|(span, _)| span).collect();
        if empty.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Dataset, empty_buckets("document", &empty, lengths, "tokens"))
            .in_file(&dataset.path)
            .fix("change `buckets`, or use a data set with documents of that length"))
    }

    /// Losses and hits by bins of positions, and over the last tokens.
    fn sums(&self, sample: &Sample, scores: &TokenScores, by_position: bool) -> Outcome {
        let length = sample.tokens.ids.len();
        let edges = self.edges(length);
        // The prediction at index t is for the token at position t + 1; position 0 is never predicted.
        let bins: Vec<Sums> = edges
            .windows(2)
            .map(|edge| edge[0].max(1) - 1..edge[1] - 1)
            .map(|range| Sums::of(&scores.nll[range.clone()], &scores.correct[range]))
            .collect();
        Outcome {
            bucket: [sample.bucket.from, sample.bucket.to],
            tokens: scores.nll.len(),
            nll: bins.iter().map(|bin| bin.nll).collect(),
            correct: bins.iter().map(|bin| bin.correct).collect(),
            edges,
            by_position,
            bytes: Some(predicted_bytes(sample)),
            distances: None,
            per_token: None,
            key: None,
            last: self.last.map(|last| {
                let start = scores.nll.len().saturating_sub(last);
                Sums::of(&scores.nll[start..], &scores.correct[start..])
            }),
        }
    }

    /// Multiples of [`BIN`] and edges of the groups of positions, from 0 to the document's length.
    fn edges(&self, length: usize) -> Vec<usize> {
        let mut edges: Vec<usize> =
            (0..length).step_by(BIN).chain(self.position_edges().iter().copied()).collect();
        edges.retain(|&edge| edge < length);
        edges.push(length);
        edges.sort_unstable();
        edges.dedup();
        edges
    }
}

/// Bytes of the text of all tokens but the first, which is BOS or not predicted.
fn predicted_bytes(sample: &Sample) -> usize {
    let first = sample.tokens.offsets.first().map_or(0, |&(_, end)| end);
    sample.text.len().saturating_sub(first)
}

fn spans(edges: &[usize]) -> Vec<Span> {
    edges.windows(2).map(|edge| Span { from: edge[0], to: edge[1] }).collect()
}

impl Outcome {
    /// Refuses sums that do not match the edges, and those that no text has.
    fn check(&self) -> std::result::Result<(), &'static str> {
        let bins = self.edges.len().saturating_sub(1);
        if !self.edges.is_sorted() || [self.nll.len(), self.correct.len()] != [bins; 2] {
            return Err("there is not one sum between each two of the rising edges");
        }
        // The first token of a text is not predicted.
        let predicted: Vec<usize> =
            self.edges.windows(2).map(|edge| edge[1] - edge[0].max(1).min(edge[1])).collect();
        if self.tokens != predicted.iter().sum::<usize>() {
            return Err("`tokens` is not how many lie between the edges");
        }
        if self.correct.iter().zip(&predicted).any(|(correct, all)| correct > all) {
            return Err("more tokens are correct than there are");
        }
        if self.nll.iter().any(|nll| *nll < 0.0) {
            return Err("a loss is below 0");
        }
        // Each was computed in single precision.
        if self.nll.iter().zip(&predicted).any(|(nll, &tokens)| *nll > f64::from(f32::MAX) * tokens as f64) {
            return Err("a loss is larger than any that is computed");
        }
        Ok(())
    }

    /// The loss of the tokens from a position on; none where there are none.
    fn loss_from(&self, from: usize) -> std::result::Result<Option<Measure>, &'static str> {
        let length = self.edges.last().copied().unwrap_or_default();
        if length <= from.max(1) {
            return Ok(None);
        }
        let Some(first) = self.edges.iter().position(|&edge| edge == from) else {
            return Err("no sum of losses begins at the position that a context curve is over");
        };
        Ok(Some(Measure {
            group: Group::From(from),
            metric: "loss",
            numerator: self.nll[first..].iter().sum(),
            denominator: (length - from.max(1)) as f64,
        }))
    }

    fn document_measures(&self, group: Group) -> Vec<Measure> {
        let measure = |metric, numerator, denominator| Measure { group, metric, numerator, denominator };
        let (nll, tokens) = (self.nll.iter().sum::<f64>(), self.tokens as f64);
        let correct = self.correct.iter().sum::<usize>() as f64;
        let mut measures = vec![
            measure("loss", nll, tokens),
            measure("accuracy", correct, tokens),
            measure("document_loss", nll / tokens, 1.0),
        ];
        if let Some(bytes) = self.bytes.filter(|&bytes| bytes > 0) {
            measures.push(measure("bits_per_byte", nll / std::f64::consts::LN_2, bytes as f64));
        }
        if let Some(last) = self.last {
            measures.push(measure("last_loss", last.nll, last.tokens as f64));
            measures.push(measure("last_accuracy", last.correct as f64, last.tokens as f64));
        }
        if let Some(key) = self.key {
            measures.push(measure("key_share", key.tokens as f64, tokens));
        }
        if let Some(key) = self.key.filter(|key| key.tokens > 0) {
            measures.push(measure("key_loss", key.nll, key.tokens as f64));
            measures.push(measure("key_accuracy", key.correct as f64, key.tokens as f64));
        }
        measures
    }

    fn position_measures(&self, span: Span) -> Vec<Measure> {
        let inside = |edge: &[usize]| span.from <= edge[0] && edge[1] <= span.to;
        let bins: Vec<usize> = (0..self.nll.len()).filter(|&n| inside(&self.edges[n..n + 2])).collect();
        let tokens: usize = bins.iter().map(|&n| self.edges[n + 1] - self.edges[n].max(1)).sum();
        if tokens == 0 {
            return Vec::new();
        }
        let nll = bins.iter().map(|&n| self.nll[n]).sum();
        let correct = bins.iter().map(|&n| self.correct[n]).sum::<usize>() as f64;
        let group = Group::Position(span);
        let measure = |metric, numerator| Measure { group, metric, numerator, denominator: tokens as f64 };
        vec![measure("loss", nll), measure("accuracy", correct)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longcode_text::Tokens;

    fn task(buckets: &[usize], last: Option<usize>) -> LanguageModeling {
        LanguageModeling {
            buckets: buckets.to_vec(),
            positions: None,
            samples: 1,
            last,
            from: None,
            copies: None,
            per_token: false,
            key_tokens: None,
        }
    }

    fn sample(length: usize) -> Sample {
        Sample {
            id: "a.py".into(),
            bucket: Span { from: 0, to: 1000 },
            tokens: Tokens { ids: vec![0; length], offsets: vec![(0, 0); length] },
            ..Sample::default()
        }
    }

    /// Losses 1, 2, 3, ... and every third token right.
    fn scores(length: usize) -> TokenScores {
        TokenScores {
            nll: (1..length).map(|t| t as f32).collect(),
            correct: (1..length).map(|t| t % 3 == 0).collect(),
            details: None,
        }
    }

    fn figure(measures: &[Measure], group: Group, metric: &str) -> Option<(f64, f64)> {
        let found = measures.iter().find(|m| m.group == group && m.metric == metric)?;
        Some((found.numerator, found.denominator))
    }

    fn measures(task: &LanguageModeling, length: usize, by_position: bool) -> Vec<Measure> {
        let outcome = task.sums(&sample(length), &scores(length), by_position);
        task.measures(&serde_json::to_value(outcome).unwrap()).unwrap()
    }

    #[test]
    fn sums_over_document_and_positions() {
        let task = task(&[0, 100, 200, 1000], None);
        let measures = measures(&task, 301, true);
        // Token t has loss t, so sums are those of the integers.
        assert_eq!(figure(&measures, Group::All, "loss"), Some((300.0 * 301.0 / 2.0, 300.0)));
        assert_eq!(figure(&measures, Group::All, "accuracy"), Some((100.0, 300.0)));
        assert_eq!(figure(&measures, Group::All, "document_loss"), Some((150.5, 1.0)));
        let at = |from, to| Group::Position(Span { from, to });
        assert_eq!(figure(&measures, at(0, 100), "loss"), Some((99.0 * 100.0 / 2.0, 99.0)));
        assert_eq!(figure(&measures, at(100, 200), "loss"), Some(((100..200).sum::<i32>().into(), 100.0)));
        assert_eq!(figure(&measures, at(200, 1000), "loss"), Some(((200..301).sum::<i32>().into(), 101.0)));
    }

    #[test]
    fn positions_are_left_out_where_they_mean_nothing() {
        let measures = measures(&task(&[0, 100, 1000], None), 301, false);
        assert!(measures.iter().all(|m| !matches!(m.group, Group::Position(_))));
    }

    #[test]
    fn positions_have_edges_of_their_own() {
        let task = LanguageModeling { positions: Some(vec![0, 50, 300]), ..task(&[200, 1000], None) };
        let measures = measures(&task, 301, true);
        let at = |from, to| figure(&measures, Group::Position(Span { from, to }), "loss");
        assert_eq!(at(0, 50), Some((49.0 * 50.0 / 2.0, 49.0)));
        assert_eq!(at(50, 300), Some(((50..300).sum::<i32>().into(), 250.0)));
        assert_eq!(at(200, 1000), None);
        let down = LanguageModeling { positions: Some(vec![50, 50]), ..task.clone() };
        assert!(down.check().is_err());
    }

    #[test]
    fn the_loss_from_a_border_on() {
        let task = task(&[0, 100, 1000], None);
        assert_eq!(
            [0, 1, 100, 101, 128, 129].map(|at| task.border(at).unwrap()),
            [0, 100, 100, 128, 128, 256]
        );
        let outcome =
            |length| serde_json::to_value(task.sums(&sample(length), &scores(length), true)).unwrap();
        for from in [100, 128, 256] {
            let found = task.measure_from(&outcome(301), from).unwrap().unwrap();
            let expected: usize = (from..301).sum();
            assert_eq!((found.numerator, found.denominator), (expected as f64, (301 - from) as f64));
        }
        assert!(task.measure_from(&outcome(256), 256).unwrap().is_none(), "no token is that far back");
        assert!(task.measure_from(&outcome(301), 130).is_err(), "no sum begins there");
    }

    #[test]
    fn the_last_tokens_by_themselves() {
        let measures = measures(&task(&[0, 1000], Some(10)), 301, true);
        assert_eq!(figure(&measures, Group::All, "last_loss"), Some(((291..=300).sum::<i32>().into(), 10.0)));
    }

    #[test]
    fn a_position_that_no_document_reaches_has_no_measure() {
        let measures = measures(&task(&[0, 500, 1000], None), 301, true);
        assert_eq!(figure(&measures, Group::Position(Span { from: 500, to: 1000 }), "loss"), None);
    }

    #[test]
    fn keys_that_make_no_sense_are_refused() {
        assert!(task(&[0], None).check().is_err());
        assert!(task(&[0, 512, 512], None).check().is_err());
        assert!(task(&[0, 512], Some(0)).check().is_err());
        assert!(task(&[0, 512], None).check().is_ok());
    }
}
