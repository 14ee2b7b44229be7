use serde_json::{Value, json};

use super::*;
use crate::task::Task;
use crate::task::testing::{generation, in_repository, nano};
use longcode_text::Ended;

fn task(keys: &str) -> Result<Symbols> {
    let keys = format!("min_tokens = 10\nmax_tokens = 200\nmin_symbols = 1\nsamples = 9\n{keys}");
    let task: Symbols =
        toml::from_str(&keys).map_err(|e| Error::new(ErrorKind::Config, e.message().to_string()))?;
    task.check().map(|()| task)
}

const CODE: &str = "class A:\n    def get(self):\n        return 1\n\ndef run():\n    return A().get()\n";

/// Lines of `d.jsonl` under the manifest of the authors' format, or under none.
fn selection(task: &Symbols, lines: &[Value], authors: bool) -> Result<Selection> {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(dir.path().join("d.jsonl"), lines).unwrap();
    let manifest = std::fs::read_to_string(in_repository("datasets/code-symbol-understanding.toml")).unwrap();
    let manifest = manifest
        .replace("name = \"code-symbol-understanding\"", "name = \"m\"")
        .replace("official/code_symbol_understanding.jsonl", "d.jsonl");
    std::fs::write(dir.path().join("m.toml"), manifest).unwrap();
    let reference = if authors { "m.toml" } else { "d.jsonl" };
    let dataset = Dataset::open(reference, &[dir.path().to_path_buf()]).unwrap();
    task.samples(&dataset, &nano(), 0)
}

fn symbols(sample: &Sample) -> Vec<Symbol> {
    sample.reference()
}

/// What a symbol's token begins with.
fn at<'s>(sample: &'s Sample, symbol: &Symbol) -> &'s str {
    sample.text[sample.tokens.offsets[symbol.position.unwrap()].0..].trim_start()
}

#[test]
fn a_source_file_s_symbols_are_its_definitions() {
    let lines = [
        json!({"path": "a.py", "text": CODE}),
        json!({"path": "few.py", "text": "def f():\n    return [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n"}),
        json!({"path": "short.py", "text": "def f(): 0\ndef g(): 0"}),
        json!({"path": "a.rb", "text": CODE}),
    ];
    let Selection { samples, left_out, .. } = selection(&task("").unwrap(), &lines, false).unwrap();
    assert_eq!(samples.iter().map(|sample| sample.id.as_str()).collect::<Vec<_>>(), ["a.py"]);
    assert_eq!(
        samples[0].text,
        format!(
            "{CODE}\n# Task: Extract all defined function names and class names from the above code \
             snippet.\nextracted_entities = "
        )
    );
    let symbols = symbols(&samples[0]);
    assert_eq!(symbols.iter().map(|symbol| symbol.name.as_str()).collect::<Vec<_>>(), ["A", "get", "run"]);
    for (symbol, text) in symbols.iter().zip(["class A", "def get", "def run"]) {
        assert!(at(&samples[0], symbol).starts_with(text), "{symbol:?}");
    }
    assert_eq!(left_out.len(), 1);
    assert!(left_out[0].record.ends_with("d.jsonl:4") && left_out[0].why.contains("language"));
}

#[test]
fn records_of_the_authors_are_read_and_wrong_ones_named() {
    let entry = |symbol: &str, location: Value| json!({"symbol": symbol, "byte_location": location});
    let run = CODE.find("def run").unwrap();
    let metadata = json!({"symbol_dict": [entry("A", json!(0)), entry("run", json!([run, run + 9]))]});
    let lines = [
        json!({"input": CODE, "output": ["A", "get", "run", "gone"], "metadata": metadata}),
        json!({"input": CODE, "output": [], "metadata": {}}),
        json!({"input": CODE, "metadata": {}}),
        json!({"input": "def f(): pass", "output": ["f", "g"], "metadata": {}}),
        json!({"input": CODE, "output": ["A"], "metadata": {}}),
        json!({"input": CODE, "output": ["A", ""], "metadata": {}}),
    ];
    let Selection { samples, mut left_out, .. } = selection(&task("").unwrap(), &lines, true).unwrap();
    assert_eq!(samples.len(), 1);
    let symbols = symbols(&samples[0]);
    for (symbol, text) in symbols.iter().zip(["class A", "def get", "def run"]) {
        assert!(at(&samples[0], symbol).starts_with(text), "{symbol:?}");
    }
    assert_eq!(symbols[3], Symbol { name: "gone".into(), position: None });
    left_out.sort_by(|a, b| a.record.cmp(&b.record));
    let whys = ["is empty", "`output`", "tokens, not between", "1 symbols, not more", "empty name"];
    assert_eq!(left_out.len(), whys.len());
    for ((number, why), left_out) in (2..).zip(whys).zip(&left_out) {
        assert!(left_out.record.ends_with(&format!("d.jsonl:{number}")), "{left_out:?}");
        assert!(left_out.why.contains(why), "{left_out:?}");
    }
}

#[test]
fn no_sample_at_all_says_why() {
    let line = json!({"input": CODE, "output": [], "metadata": {}});
    let error = selection(&task("").unwrap(), &[line], true).unwrap_err();
    assert!(error.what.contains("between 10 and 200") && error.what.contains("answers is empty"), "{error}");
}

#[test]
fn figures_of_a_file_and_by_position() {
    let task = task("position_width = 100").unwrap();
    let symbol = |name: &str, position| Symbol { name: name.into(), position };
    let symbols = vec![
        symbol("get", Some(0)),
        symbol("get_all", Some(99)),
        symbol("run", Some(250)),
        symbol("x", None),
    ];
    let text = "['get_all', 'other']".to_string();
    let generation = generation(text, Ended::MaxNewTokens);
    let outcome = serde_json::to_value(Outcome::new(symbols, generation)).unwrap();
    let measures = task.measures(&outcome).unwrap();
    let figure = |group, metric: &str| {
        let one = measures.iter().find(|one| one.group == group && one.metric == metric)?;
        Some((one.numerator, one.denominator))
    };
    assert_eq!(figure(Group::All, "recall"), Some((0.5, 1.0)));
    assert_eq!(figure(Group::All, "exact_recall"), Some((0.25, 1.0)));
    assert_eq!(figure(Group::All, "exact_precision"), Some((0.5, 1.0)));
    let at = |from| Group::Position(Span { from, to: from + 100 });
    assert_eq!(figure(at(0), "recall"), Some((2.0, 2.0)));
    assert_eq!(figure(at(0), "exact_recall"), Some((1.0, 2.0)));
    assert_eq!(figure(at(200), "recall"), Some((0.0, 1.0)));
    assert_eq!(figure(at(100), "recall"), None);
}

#[test]
fn nothing_listed_is_precision_0() {
    let symbols = vec![Symbol { name: "x".into(), position: None }];
    let generation = generation("]", Ended::EndOfSequence);
    let outcome = serde_json::to_value(Outcome::new(symbols, generation)).unwrap();
    let measures = task("").unwrap().measures(&outcome).unwrap();
    assert!(measures.iter().all(|one| one.numerator == 0.0) && measures.len() == 3);
}

#[test]
fn keys_that_make_no_sense_are_refused() {
    for keys in ["position_width = 0", "max_new_tokens = 0", "min_token = 1"] {
        assert!(task(keys).is_err(), "{keys}");
    }
    let nothing_between = Symbols { min_tokens: 10, max_tokens: 11, ..task("").unwrap() };
    assert!(nothing_between.check().is_err());
}
