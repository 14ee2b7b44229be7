//! `symbols`: the names of the functions and classes that a long file defines (`docs/tasks.md`, "symbols";
//! Table 6 of the paper).

mod answer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::draw::{Wanted, draw};
use super::keys::number;
use super::{Better, Generated, Group, Measure, Metric, Prompts, Sample, Selection, Span, TaskKind, kind_of};
use crate::dataset::{Dataset, Record};
use answer::{Found, Outcome, Symbol};
use longcode_base::error::{Error, ErrorKind, Result, refuse, refuse_zeros};
use longcode_structure::{Language, definitions};
use longcode_text::{Limits, Prompt, PromptFormatter, PromptStyle, TextSide};

/// What comes after the file's text.
const QUESTION: &str = "\n# Task: Extract all defined function names and class names from the above code \
                        snippet.\nextracted_entities = ";

/// Suffix of every title.
const OVER: &str = ", mean over files";

/// One prompt for each file, greedy, in one go. `recall` is the paper's: a symbol is found if it is a part of
/// the generated text; `exact_recall` and `exact_precision` compare whole identifiers. Figures are shares,
/// means over files; by position they are over all symbols that are defined there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Symbols {
    /// Files have more tokens than this: the paper's.
    #[serde(default = "number::<10_000>")]
    pub min_tokens: usize,
    /// Files have fewer tokens than this: the paper's.
    #[serde(default = "number::<16_000>")]
    pub max_tokens: usize,
    /// Files have more symbols than this: the paper's.
    #[serde(default = "number::<10>")]
    pub min_symbols: usize,
    /// Most tokens that are generated: this project's choice; the paper does not say.
    #[serde(default = "number::<128>")]
    pub max_new_tokens: usize,
    /// Tokens of the prompt for one column of recall by position: eight columns at the paper's lengths.
    #[serde(default = "number::<2048>")]
    pub position_width: usize,
    /// Number of files.
    pub samples: usize,
    /// `raw`, or `chat` for an instruct model.
    #[serde(default)]
    pub prompt: PromptStyle,
}

pub(super) const ENTRY: TaskKind = kind_of::<Symbols>(
    "symbols",
    "the names of a file's functions and classes (Zhang et al. 2024, section 5.1)",
    "samples, min_tokens=10000, max_tokens=16000, min_symbols=10, max_new_tokens=128, position_width=2048, prompt=raw",
);

impl Prompts for Symbols {
    type Reference = Vec<Symbol>;
    type Outcome = Outcome;

    const METRICS: &'static [Metric] = &[
        Metric::share("recall", Better::Higher)
            .titled("Recall of names as parts of the answer", OVER)
            .by_position("Recall of names as parts of the answer, by position of the definition, tokens."),
        Metric::share("exact_recall", Better::Higher)
            .titled("Recall of whole identifiers", OVER)
            .by_position("Recall of whole identifiers, by position of the definition, tokens."),
        Metric::share("exact_precision", Better::Higher).titled("Precision of whole identifiers", OVER),
    ];

    fn check_keys(&self) -> Result<()> {
        if self.min_tokens + 1 >= self.max_tokens {
            let what = format!("no length is between {} and {} tokens", self.min_tokens, self.max_tokens);
            return refuse("max_tokens", what, "give a larger one than min_tokens, as 16000 to 10000");
        }
        refuse_zeros(&[
            ("max_new_tokens", self.max_new_tokens),
            ("position_width", self.position_width),
            ("samples", self.samples),
        ])
    }

    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let asker = PromptFormatter::new(self.prompt, model).map_err(|e| e.at_key("prompt"))?;
        let wanted = Wanted {
            count: self.samples,
            name: "files",
            none: format!(
                "no file between {} and {} tokens with more than {} functions and classes",
                self.min_tokens, self.max_tokens, self.min_symbols
            ),
            fix: "change `min_tokens`, `max_tokens` or `min_symbols`, or use a data set with such files",
        };
        draw(dataset, seed, wanted, |record| self.sample(record, &asker))
    }

    fn limits(&self) -> Limits {
        Limits { max_new_tokens: self.max_new_tokens, stop: |_| false }
    }

    fn judge(&self, _sample: &Sample, symbols: Vec<Symbol>, generated: Generated) -> Outcome {
        Outcome::new(symbols, generated.generation)
    }

    fn expected(outcome: &Outcome) -> Option<String> {
        Some(outcome.expected())
    }

    fn score(&self, outcome: &Outcome) -> Vec<Measure> {
        let share = |part: usize, of: usize| if of > 0 { part as f64 / of as f64 } else { 0.0 };
        let count = |is: fn(&Found) -> bool| outcome.symbols.iter().filter(|one| is(one)).count();
        let symbols = outcome.symbols.len();
        let of_file = [
            ("recall", share(count(|one| one.found), symbols)),
            ("exact_recall", share(count(|one| one.exact), symbols)),
            // A file for which nothing is listed has precision 0.
            ("exact_precision", share(outcome.right, outcome.listed)),
        ];
        let mut measures = Measure::of_sample(&[Group::All], &of_file);
        measures.extend(self.position_measures(outcome));
        measures
    }
}

impl Symbols {
    /// The sample of a record; none if a source file is not to be asked about.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file and line: a field is missing or wrong, the language is not
    /// supported, or a record that lists its symbols is outside of the limits.
    fn sample(&self, record: &Record, asker: &PromptFormatter) -> Result<Option<Sample>> {
        let wrong = |what: String| Error::new(ErrorKind::Dataset, what).at(&record.origin);
        let code = record.text("text")?;
        let listed = record.get("answers")?.is_some();
        let asked = asker.ask(format!("{code}{QUESTION}"), Vec::new()).map_err(|e| e.at(&record.origin))?;
        let symbols = if listed { listed_symbols(record, &asked)? } else { parsed_symbols(record, &asked)? };
        let before = |place: usize| asked.tokens.offsets.partition_point(|&(start, _)| start < place);
        let length = before(asked.place(code.len())) - before(asked.place(0));
        match self.unfit(length, symbols.len()) {
            Some(why) if listed => Err(wrong(why)),
            Some(_) => Ok(None),
            None => Ok(Some(Sample {
                id: record.id.clone(),
                bucket: Span { from: self.min_tokens + 1, to: self.max_tokens },
                language: record.language,
                ..Sample::from(asked).held_to(&symbols)
            })),
        }
    }

    /// Why a file is not to be asked about.
    fn unfit(&self, tokens: usize, symbols: usize) -> Option<String> {
        if tokens <= self.min_tokens || tokens >= self.max_tokens {
            return Some(format!(
                "its text has {tokens} tokens, not between {} and {}",
                self.min_tokens, self.max_tokens
            ));
        }
        (symbols <= self.min_symbols)
            .then(|| format!("it has {symbols} symbols, not more than {}", self.min_symbols))
    }

    /// Symbols found of those that are defined in each stretch of the prompt.
    fn position_measures(&self, outcome: &Outcome) -> Vec<Measure> {
        let mut found: BTreeMap<(Group, &'static str), (f64, f64)> = BTreeMap::new();
        for one in &outcome.symbols {
            let Some(position) = one.symbol.position else { continue };
            let from = position / self.position_width * self.position_width;
            let group = Group::Position(Span { from, to: from + self.position_width });
            for (metric, yes) in [("recall", one.found), ("exact_recall", one.exact)] {
                let (numerator, denominator) = found.entry((group, metric)).or_default();
                *numerator += f64::from(yes);
                *denominator += 1.0;
            }
        }
        let measure =
            |((group, metric), (numerator, denominator))| Measure { group, metric, numerator, denominator };
        found.into_iter().map(measure).collect()
    }
}

/// The symbols that a record of the paper's authors lists, as often as it lists them; its metadata or,
/// failing that, the parser gives where each is defined.
fn listed_symbols(record: &Record, asked: &Prompt) -> Result<Vec<Symbol>> {
    let wrong = |what: &str| Error::new(ErrorKind::Dataset, what).at(&record.origin);
    let names = record.texts("answers")?;
    if names.is_empty() {
        return Err(wrong("the list of answers is empty"));
    }
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err(wrong("the list of answers has an empty name"));
    }
    let code = record.text("text")?;
    let metadata = record.get("metadata")?;
    let parsed = record.language.map(|language| definitions(code, language)).unwrap_or_default();
    let at = |name: &str| {
        byte_location(metadata, name)
            .filter(|&at| at < code.len())
            .or_else(|| Some(parsed.iter().find(|definition| definition.name == name)?.at))
    };
    let symbol =
        |name: &str| Symbol { name: name.to_string(), position: at(name).map(|at| token_at(asked, at)) };
    Ok(names.into_iter().map(symbol).collect())
}

/// `byte_location` of the authors' metadata: a number, or a list that begins with it.
fn byte_location(metadata: Option<&Value>, name: &str) -> Option<usize> {
    let entries = metadata?.get("symbol_dict")?.as_array()?;
    let entry = entries.iter().find(|entry| entry.get("symbol").and_then(Value::as_str) == Some(name))?;
    let at = entry.get("byte_location")?;
    usize::try_from(at.as_u64().or_else(|| at.get(0)?.as_u64())?).ok()
}

/// The symbols that a source file defines: functions, methods and classes at any depth, each name once, at
/// its first definition.
fn parsed_symbols(record: &Record, asked: &Prompt) -> Result<Vec<Symbol>> {
    let Some(language) = record.language else {
        let known = Language::names();
        let what = format!("its language is not one whose functions can be found ({known})");
        return Err(Error::new(ErrorKind::Dataset, what).at(&record.origin));
    };
    let mut symbols: Vec<Symbol> = Vec::new();
    for definition in definitions(record.text("text")?, language) {
        if symbols.iter().all(|symbol| symbol.name != definition.name) {
            symbols.push(Symbol { name: definition.name, position: Some(token_at(asked, definition.at)) });
        }
    }
    Ok(symbols)
}

/// The last token that begins at or before a byte of the question.
fn token_at(asked: &Prompt, at: usize) -> usize {
    let place = asked.place(at);
    asked.tokens.offsets.partition_point(|&(start, _)| start <= place).saturating_sub(1)
}

#[cfg(test)]
mod tests;
