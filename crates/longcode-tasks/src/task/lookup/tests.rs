//! Tests of whole samples, with the bundled functions in the bundled model's tokens.

use std::ops::Range;

use super::*;
use crate::task::testing::{in_repository, nano};
use crate::task::{Task, find_kind};
use longcode_structure::{RegionKind, Source, Unit, parses, regions};
use longcode_text::Tokenizer;

fn samples(task: &Lookup, seed: u64) -> Result<Vec<Sample>> {
    let name = format!("code-{}", task.language);
    let dataset = Dataset::open(&name, &[in_repository("")]).unwrap();
    Ok(task.samples(&dataset, &nano(), seed)?.samples)
}

fn grid(language: PromptLanguage) -> Lookup {
    Lookup { length: vec![700, 1500], depth: vec![0, 30, 100], samples: 3, language, ..Lookup::default() }
}

const LANGUAGES: [PromptLanguage; 2] = [PromptLanguage::Python, PromptLanguage::Java];

/// The bytes of the definition that is asked about.
fn asked(sample: &Sample) -> Range<usize> {
    let (_, question) = sample.text.rsplit_once("assert ").unwrap();
    let name = &question[..question.find('(').unwrap()];
    let source = Source { text: &sample.text, language: sample.language, file_starts: &[] };
    let regions = regions(&source, Unit::FUNCTION).unwrap();
    let mut found = regions.iter().filter(|region| region.name.as_deref() == Some(name));
    let region = found.next().unwrap();
    assert!(found.next().is_none(), "{name} is defined once");
    region.start..region.end
}

#[test]
fn lengths_are_met() {
    for language in LANGUAGES {
        let samples = samples(&grid(language), 0).unwrap();
        assert_eq!(samples.len(), 2 * 3 * 3);
        for sample in samples {
            let (tokens, length) = (sample.tokens.ids.len(), sample.bucket.to);
            println!("{language} {}: {tokens} tokens", sample.id);
            assert!((length - 32..=length).contains(&tokens), "{}: {tokens}", sample.id);
        }
    }
}

#[test]
fn depths_are_met() {
    for language in LANGUAGES {
        for sample in samples(&grid(language), 0).unwrap() {
            let asked = asked(&sample);
            let at = |byte: usize| sample.tokens.offsets.iter().filter(|offset| offset.1 <= byte).count();
            let question = at(sample.text.rfind("assert").unwrap());
            let others = question - (at(asked.end) - at(asked.start));
            let wanted = others * usize::from(sample.reference::<Reference>().depth) / 100;
            // Half of the longest function; the frame of a Java class.
            assert!(at(asked.start).abs_diff(wanted) <= 128 + 16, "{}: {asked:?}", sample.id);
            if sample.reference::<Reference>().depth == 0 {
                assert!(at(asked.start) <= 16);
            }
        }
    }
}

#[test]
fn a_prompt_and_its_answer_are_a_file_of_functions() {
    for language in LANGUAGES {
        for sample in samples(&grid(language), 1).unwrap() {
            let returns = sample.reference::<Reference>().returns[0];
            let end = if language == PromptLanguage::Java { ";\n    }\n}\n" } else { "\n" };
            let file = format!("{}{}{end}", sample.text, layout::answer(returns));
            assert!(parses(&file, language.into()));
            let functions = |text| {
                let source = Source { text, language: Some(language.into()), file_starts: &[] };
                let regions = regions(&source, Unit::FUNCTION).unwrap();
                regions.iter().filter(|region| region.kind == RegionKind::Function).count()
            };
            let definitions = sample.text.rfind(if language == PromptLanguage::Java {
                "    static void check"
            } else {
                "assert"
            });
            let definitions = &sample.text[..definitions.unwrap()];
            let expected = functions(definitions);
            assert!(expected > 4, "real functions are there");
            assert!(
                functions(&sample.text) >= expected,
                "{}: unfinished, it is divided otherwise",
                sample.id
            );
        }
    }
}

/// A cell of the grid is the same whatever else is requested.
#[test]
fn samples_depend_on_seed_field_and_number_alone() {
    let whole = samples(&grid(PromptLanguage::Python), 5).unwrap();
    let part = Lookup { length: vec![700], depth: vec![30], samples: 2, ..grid(PromptLanguage::Python) };
    let part = samples(&part, 5).unwrap();
    for sample in &part {
        let same = whole.iter().find(|other| other.id == sample.id).unwrap();
        assert_eq!(same.text, sample.text);
        assert_eq!(same.candidates, sample.candidates);
    }
    let texts: HashSet<&String> = whole.iter().map(|sample| &sample.text).collect();
    assert_eq!(texts.len(), whole.len());
    let other = samples(&grid(PromptLanguage::Python), 6).unwrap();
    assert!(
        other.iter().zip(&whole).all(|(other, sample)| other.id == sample.id && other.text != sample.text)
    );
}

/// Also for the most needles: sums over tokens are compared.
#[test]
fn candidates_are_the_answers_in_as_many_tokens() {
    let tokenizer = Tokenizer::read(&in_repository("models/nano")).unwrap();
    for body in [Body::Constant, Body::Arithmetic] {
        let task = Lookup { needles: 64, length: vec![3000], body, ..grid(PromptLanguage::Java) };
        for sample in samples(&task, 2).unwrap() {
            let returns = sample.reference::<Reference>().returns;
            assert_eq!(returns.len(), 64);
            let candidates: Vec<String> =
                sample.candidates.iter().map(|ids| tokenizer.decode(ids).unwrap()).collect();
            assert_eq!(candidates, returns.into_iter().map(layout::answer).collect::<Vec<_>>());
            assert!(sample.candidates.iter().all(|ids| ids.len() == sample.candidates[0].len()));
        }
    }
}

#[test]
fn a_length_that_cannot_be_met_is_refused() {
    let task = |length| Lookup { length: vec![length], samples: 1, ..Lookup::default() };
    let short = samples(&task(100), 0).unwrap_err();
    assert!(short.what.contains("length is 100: 4 generated functions"), "{short}");
    let long = samples(&task(10_000_000), 0).unwrap_err();
    assert!(long.what.contains("length is 10000000: with all "), "{long}");
    for error in [short, long] {
        assert!(error.place.unwrap().contains("key `length`") && error.fix.is_some());
    }
    let cut = samples(&Lookup { max_new_tokens: 1, ..task(1024) }, 0).unwrap_err();
    assert!(cut.what.contains("max_new_tokens is 1: an answer takes"), "{cut}");
}

#[test]
fn keys() {
    let parse = |keys: &str| crate::task::parse(find_kind("lookup").unwrap(), keys.parse().unwrap());
    let (_, resolved) = parse("length = 512\ndepth = [50]").unwrap();
    assert_eq!(resolved["length"], toml::Value::from(vec![512]));
    assert_eq!(resolved["needles"], toml::Value::from(4));
    assert_eq!(resolved["body"], toml::Value::from("constant"));
    assert!(parse("needles = 2\nhops = 2\ndistractors = 0\nbody = 'arithmetic'").is_ok());
    let wrong = [
        ("length = []", "key `length`"),
        ("length = [512, 512]", "key `length`"),
        ("length = 'long'", "length and depth take"),
        ("depth = [0, 101]", "key `depth`"),
        ("depth = -1", "length and depth take"),
        ("samples = 0", "samples is 0"),
        ("hops = 0", "hops is 0"),
        ("max_new_tokens = 0", "max_new_tokens is 0"),
        ("needles = 1", "needles is 1"),
        ("needles = 65", "needles is 65"),
        ("needles = 4\nhops = 2\ndistractors = 3", "needles is 4, fewer than hops 2 and distractors 3"),
        ("needles = 2\nhops = 2\ndistractors = 0", "needles is 2 and hops is 2: with constant bodies"),
        ("body = 'random'", "`random`, expected `constant` or `arithmetic`"),
        ("language = 'ruby'", "ruby"),
        ("language = 'rust'", "`rust`, expected `python` or `java`"),
        ("buckets = [0, 1]", "buckets"),
    ];
    for (keys, part) in wrong {
        let error = parse(keys).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("fix: "), "{keys}: {error}");
    }
}

#[test]
fn an_outcome_counts_in_its_field_its_length_and_all() {
    let task = Lookup::default();
    let outcome = serde_json::json!({
        "length": 1024, "depth": 25, "returns": [486, 305], "generated": " 486\n", "log_likelihood": [-3.0, -2.5],
    });
    let measures = task.measures(&outcome).unwrap();
    let groups = [Group::Length(1024), Group::All, Group::Cell { length: 1024, depth: 25 }];
    for group in groups {
        let figures = measures.iter().filter(|measure| measure.group == group);
        let figures: Vec<_> = figures.map(|measure| (measure.metric, measure.numerator)).collect();
        assert_eq!(figures, [("exact_match", 1.0), ("likelihood_accuracy", 0.0), ("margin", -0.5)]);
    }
    assert_eq!(measures.len(), 9);
    assert!(task.measures(&serde_json::json!({"length": 1024})).is_err());
}
