//! The paper's own numbers (HiRoPE, arXiv 2403.19115), to print next to measured ones.
//!
//! A config that reproduces a table or figure says so with `paper = "table4"`. Numbers are then found by
//! name: the config's model, encoding and task have the names in the CSV files in this folder; a bucket is
//! found by its edges (`4k` is 4000 or 4096), a sweep by the key that it sweeps.

use std::collections::HashMap;

use crate::task::{Axis, Group, Span};

/// A table or figure of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhibit {
    /// Its name in a config.
    pub name: &'static str,
    /// Its name for readers.
    pub title: &'static str,
    files: &'static [File],
}

/// Some of an exhibit's numbers.
#[derive(Debug, PartialEq, Eq)]
struct File {
    csv: &'static str,
    /// The swept key, and the column that holds its values.
    swept: Option<(&'static str, &'static str)>,
    /// Whether it was read off a picture, not printed.
    digitised: bool,
}

const fn printed(csv: &'static str) -> File {
    File { csv, swept: None, digitised: false }
}

/// Every exhibit.
pub const EXHIBITS: &[Exhibit] = &[
    Exhibit {
        name: "table4",
        title: "Table 4",
        files: &[printed(include_str!("table4_code_language_modeling.csv"))],
    },
    Exhibit {
        name: "table5",
        title: "Table 5",
        files: &[printed(include_str!("table5_text_language_modeling.csv"))],
    },
    Exhibit {
        name: "table6",
        title: "Table 6",
        files: &[printed(include_str!("table6_symbols_and_completion.csv"))],
    },
    Exhibit {
        name: "figure4",
        title: "Figure 4",
        files: &[
            File {
                csv: include_str!("figure4_window_digitised.csv"),
                swept: Some(("window", "window")),
                digitised: true,
            },
            File {
                csv: include_str!("figure4_segment_split.csv"),
                swept: Some(("unit", "segment")),
                digitised: false,
            },
        ],
    },
    Exhibit {
        name: "figure6",
        title: "Figure 6",
        files: &[File {
            csv: include_str!("figure6_short_models_digitised.csv"),
            swept: None,
            digitised: true,
        }],
    },
];

/// The exhibit with that name.
pub fn find(name: &str) -> Option<&'static Exhibit> {
    EXHIBITS.iter().find(|exhibit| exhibit.name == name)
}

/// Columns that say what a number belongs to; any other is named after its metric.
const KEYS: [&str; 9] =
    ["model", "encoding", "task", "bucket", "range", "span", "dataset", "window", "segment"];

/// A number of the paper.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The text in the paper, which may be `nan` or `>1000`.
    pub text: String,
    /// Whether it was read off a picture, with an error of about 0.1.
    pub digitised: bool,
    model: String,
    encoding: Encoding,
    task: Option<String>,
    place: Place,
    metric: String,
}

/// An encoding that was measured, as in a config.
#[derive(Debug, Clone)]
pub struct OurEncoding<'a> {
    /// Its name in tables.
    pub name: &'a str,
    /// Its kind's name.
    pub kind: &'a str,
    /// For a sweep over one key: the key and its value.
    pub swept: Option<(&'a str, String)>,
}

/// Which of a config's encodings a number belongs to.
#[derive(Debug, Clone, PartialEq)]
enum Encoding {
    Named(String),
    /// The value of the only key that a sweep of `hirope` goes over.
    Swept(&'static str, String),
}

/// Which samples a number belongs to.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    All,
    /// `0-2048`, `4k-8k`, `8k+`.
    Range(String),
}

impl Exhibit {
    /// All its numbers.
    pub fn published(&self) -> Vec<Published> {
        self.files.iter().flat_map(File::published).collect()
    }
}

impl File {
    fn published(&self) -> Vec<Published> {
        let mut reader = csv::Reader::from_reader(self.csv.as_bytes());
        let rows = reader.deserialize().map(|row| row.expect("the CSV files are part of the program"));
        rows.flat_map(|row: HashMap<String, String>| self.numbers(&row)).collect()
    }

    /// The numbers of a row: one under `value`, or one in each metric's column.
    fn numbers(&self, row: &HashMap<String, String>) -> Vec<Published> {
        let encoding = match self.swept {
            // No window at all: either way a token is at distance 0 from itself.
            Some(("window", column)) if row[column] == "0" => Encoding::Swept("window", "1".into()),
            Some((key, column)) => Encoding::Swept(key, row[column].clone()),
            None => Encoding::Named(row["encoding"].clone()),
        };
        // A data set is written "CodeParrot 4k-8k"; a span is `all` or `last2048`.
        let place = ["bucket", "range", "span", "dataset"].iter().find_map(|column| row.get(*column));
        let place = place.and_then(|place| place.split(' ').next_back()).unwrap_or("all");
        let last = place.starts_with("last");
        let number = |metric: &str, text: &String| Published {
            text: text.clone(),
            digitised: self.digitised,
            model: row["model"].clone(),
            encoding: encoding.clone(),
            task: row.get("task").cloned(),
            place: if last || place == "all" { Place::All } else { Place::Range(place.into()) },
            metric: if last { format!("last_{metric}") } else { metric.into() },
        };
        if let (Some(metric), Some(value)) = (row.get("metric"), row.get("value")) {
            return vec![number(metric, value)];
        }
        let metrics = row.iter().filter(|(column, _)| !KEYS.contains(&column.as_str()));
        metrics.map(|(metric, text)| number(metric, text)).collect()
    }
}

impl Published {
    /// Whether this is the paper's number for a measured one.
    pub fn is_of(
        &self,
        model: &str,
        encoding: &OurEncoding,
        task: &str,
        group: &Group,
        metric: &str,
    ) -> bool {
        let same_task = self.task.as_ref().is_none_or(|own| own == task);
        self.model == model
            && same_task
            && self.metric == metric
            && self.encoding.is(encoding)
            && self.place.is(group)
    }

    /// The number, if it is one and finite.
    pub fn value(&self) -> Option<f64> {
        self.text.parse().ok().filter(|value: &f64| value.is_finite())
    }
}

impl Encoding {
    fn is(&self, measured: &OurEncoding) -> bool {
        match self {
            Encoding::Named(name) => measured.name == *name,
            Encoding::Swept(key, value) => {
                let same = |(swept, at): &(&str, String)| swept == key && at == value;
                measured.kind == "hirope" && measured.swept.as_ref().is_some_and(same)
            }
        }
    }
}

impl Place {
    fn is(&self, group: &Group) -> bool {
        match (self, group) {
            (Place::All, Group::All) => true,
            (Place::All, _) => false,
            (Place::Range(range), group) => {
                group.axis() == Axis::Samples && group.place().is_some_and(|(_, span)| reads(range, &span))
            }
        }
    }
}

/// Whether a range as the paper writes it means these edges.
fn reads(range: &str, span: &Span) -> bool {
    let edge = |text: &str, edge: usize| match text.strip_suffix('k').map(str::parse::<usize>) {
        Some(thousands) => thousands.is_ok_and(|n| edge == n * 1000 || edge == n * 1024),
        None => text.parse() == Ok(edge),
    };
    match range.strip_suffix('+') {
        Some(from) => edge(from, span.from),
        None => range.split_once('-').is_some_and(|(from, to)| edge(from, span.from) && edge(to, span.to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> OurEncoding<'_> {
        OurEncoding { name, kind: "hirope", swept: None }
    }

    fn swept<'a>(key: &'a str, value: &str) -> OurEncoding<'a> {
        OurEncoding { name: "any", kind: "hirope", swept: Some((key, value.into())) }
    }

    fn bucket(from: usize, to: usize) -> Group {
        Group::Bucket(Span { from, to })
    }

    fn number(
        exhibit: &str,
        model: &str,
        encoding: &OurEncoding,
        group: Group,
        metric: &str,
    ) -> Option<String> {
        let published = find(exhibit).unwrap().published();
        let mut found = published.iter().filter(|one| one.is_of(model, encoding, "lcc", &group, metric));
        let text = found.next().map(|one| one.text.clone());
        assert_eq!(found.next(), None, "one number at most");
        text
    }

    #[test]
    fn numbers_are_found_by_name() {
        let hirope = named("HiRoPE");
        let found = |exhibit, group, metric| number(exhibit, "TinyLlama", &hirope, group, metric);
        assert_eq!(found("table5", Group::All, "ppl").as_deref(), Some("6.4991"));
        assert_eq!(found("table5", Group::All, "last_accuracy").as_deref(), Some("0.6102"));
        assert_eq!(found("table4", Group::All, "ppl"), None);
        let llama = |exhibit, group, metric| number(exhibit, "LLaMA-2", &hirope, group, metric);
        assert_eq!(llama("table4", bucket(8192, 16384), "loss").as_deref(), Some("0.6821"));
        assert_eq!(llama("table4", bucket(8192, 16384), "accuracy").as_deref(), Some("0.8332"));
        assert_eq!(llama("table6", bucket(8000, usize::MAX), "edit_similarity").as_deref(), Some("65.38"));
        assert_eq!(llama("table6", bucket(4000, 8000), "edit_similarity").as_deref(), Some("69.93"));
        let short = |group| number("figure6", "Short-LLaMA-2", &hirope, group, "ppl");
        assert_eq!(short(bucket(128, 1024)).as_deref(), Some("2.7"));
        assert_eq!(short(bucket(1024, 2048)).as_deref(), Some("2.9"));
    }

    #[test]
    fn a_sweep_is_found_by_its_key() {
        let found = |encoding: &OurEncoding, group| number("figure4", "LLaMA-2", encoding, group, "ppl");
        assert_eq!(found(&named("any"), bucket(0, 2048)), None);
        assert_eq!(found(&swept("window", "256"), bucket(0, 2048)).as_deref(), Some("2.51"));
        assert_eq!(found(&swept("window", "1"), bucket(0, 2048)).as_deref(), Some("4.2"));
        let other = OurEncoding { kind: "rerope", ..swept("window", "256") };
        assert_eq!(found(&other, bucket(0, 2048)), None);
        let unit = swept("unit", "tokens:512");
        assert_eq!(found(&unit, bucket(4096, 8192)).as_deref(), Some("2.1173"));
        assert_eq!(found(&unit, bucket(0, 2048)), None);
    }

    #[test]
    fn what_is_not_a_number_stands_as_printed() {
        let origin = OurEncoding { kind: "rope", ..named("origin") };
        let published = find("table4").unwrap().published();
        let nan = published
            .iter()
            .find(|one| one.is_of("LLaMA-2", &origin, "lm", &bucket(4096, 8192), "ppl"))
            .unwrap();
        assert_eq!((nan.text.as_str(), nan.value()), ("nan", None));
    }
}
