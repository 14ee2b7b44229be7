use std::path::Path;

use serde_json::{Value, json};

use super::layout::{Budget, Form, Layout, Parts};
use super::score::{Scores, identifiers, tokens};
use super::*;
use crate::task::testing::{dataset, generation, in_repository, nano, unpacked};
use crate::task::{Answer, Task};
use longcode_structure::Language;
use longcode_text::{Ended, TextDirectory};

const QWEN: [&str; 6] =
    ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"];
const STARCODER: [&str; 6] =
    ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>", "<repo_name>", "<file_sep>"];
const DEEPSEEK: [&str; 3] = ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"];

/// models/nano's tokenizer without <s>, and with markers.
fn with_markers(dir: &Path, markers: &[&str]) -> TextDirectory {
    let text = std::fs::read_to_string(in_repository("models/nano/tokenizer.json")).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    json["post_processor"] = Value::Null;
    let top = json["model"]["vocab"].as_object().unwrap().values().filter_map(Value::as_u64).max().unwrap();
    let added = json["added_tokens"].as_array_mut().unwrap();
    added.extend(markers.iter().zip(top + 1..).map(|(marker, id)| {
        let mut token = json!({"single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
        (token["id"], token["content"]) = (id.into(), (*marker).into());
        token
    }));
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("tokenizer.json"), json.to_string()).unwrap();
    TextDirectory::open(dir).unwrap()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn cases<'a>(fixture: &'a Value, key: &str) -> &'a [Value] {
    fixture[key].as_array().unwrap()
}

/// Prompts of fim-bench's own code, of three families, with and without other files, cut and whole.
#[test]
fn prompts_are_those_of_the_benchmarks() {
    let fixture = unpacked("fill_in.json.gz");
    let dir = tempfile::tempdir().unwrap();
    let all = [QWEN.as_slice(), &STARCODER, &DEEPSEEK].concat();
    let model = with_markers(dir.path(), &all);
    for case in cases(&fixture, "prompts") {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let cross = case["cross"].as_str();
        let mut record =
            json!({"prompt": case["prompt"], "right_context": case["right_context"], "groundtruth": "x"});
        if let Some(cross) = cross {
            record["crossfile_context"] = cross.into();
        }
        let (_dir, dataset) = dataset(&[record]);
        let record = dataset.whole_records().unwrap().0.remove(0);
        let gap = Gap::of(&record).unwrap();
        let markers = match text(case, "family") {
            "qwen" => &QWEN[..3],
            "starcoder" => &STARCODER[..3],
            _ => &DEEPSEEK[..3],
        };
        let mut form = form(false, Layout::Published, model.tokenizer()).unwrap();
        let Form::Markers(found, _) = &mut form else { unreachable!() };
        [found.prefix, found.suffix, found.middle] = [0, 1, 2].map(|n| markers[n].to_string());
        let new = if text(case, "task") == "function_completion" { 256 } else { number("max_new_tokens") };
        let others = new + number("right_tokens") + cross.map_or(0, |_| number("cross_tokens"));
        let budget = Budget {
            left: number("limit") - others,
            right: number("right_tokens"),
            cross: number("cross_tokens"),
        };
        let parts = Parts::new(&gap, &form, budget, model.tokenizer()).unwrap();
        let mut made = parts.prompt(&form, None, 0).text;
        if cross == Some("") {
            // The benchmark puts two newlines where the text of other files is empty; here it then counts as missing.
            let end = made.len() - markers[2].len();
            made.insert_str(end, "\n\n");
        }
        assert_eq!(made, text(case, "prompt_made"));
    }
}

#[test]
fn code_is_split_as_the_benchmarks_split_it() {
    for case in cases(&unpacked("fill_in.json.gz"), "tokens") {
        let expected: Vec<String> = serde_json::from_value(case["tokens"].clone()).unwrap();
        assert_eq!(tokens(text(case, "code")), expected, "{case}");
    }
}

fn assert_scored(scores: &Scores, case: &Value) {
    assert_eq!(scores.counted, text(case, "pred"), "{case}");
    assert_eq!(scores.exact_match == 1.0, case["em"].as_bool().unwrap(), "{case}");
    let near = |ours: f64, theirs: &Value| (ours - theirs.as_f64().unwrap()).abs() < 1e-9;
    assert!(near(100.0 * scores.edit_similarity, &case["es"]), "{} {case}", scores.edit_similarity);
    assert!(near(scores.repoeval_similarity.unwrap(), &case["es_repoeval"]), "{case}");
}

#[test]
fn lines_are_scored_as_the_benchmarks_score_them() {
    for case in cases(&unpacked("fill_in.json.gz"), "lines") {
        let target = text(case, "groundtruth");
        assert_scored(&Scoring::Lines.score("", text(case, "text"), target, Some(Language::Python)), case);
    }
}

#[test]
fn functions_are_scored_as_the_benchmarks_score_them() {
    let fixture = unpacked("fill_in.json.gz");
    let mut unparsed = 0;
    for case in cases(&fixture, "functions") {
        let [before, said, target] = ["before", "text", "groundtruth"].map(|key| text(case, key));
        let scores = Scoring::Function.score(before, said, target, Some(Language::Python));
        assert_eq!(scores.target.as_deref().unwrap_or(target), text(case, "target"), "{case}");
        assert_scored(&scores, case);
        unparsed += usize::from(scores.unparsed == Some(true));
    }
    assert!((5..30).contains(&unparsed), "{unparsed}");
}

#[test]
fn statements_are_scored_as_crosscodeeval_scores_them() {
    for case in cases(&unpacked("fill_in.json.gz"), "statements") {
        let language = match text(case, "language") {
            "python" => Language::Python,
            "java" => Language::Java,
            "csharp" => Language::CSharp,
            _ => Language::TypeScript,
        };
        let [before, said, target] = ["before", "text", "groundtruth"].map(|key| text(case, key));
        let scores = Scoring::Statement.score(before, said, target, Some(language));
        assert_eq!(scores.counted, text(case, "pred"), "{case}");
        let names: Vec<String> = serde_json::from_value(case["pred_ids"].clone()).unwrap();
        assert_eq!(identifiers(&scores.counted, Some(language)), names, "{case}");
        let near = |ours: f64, key: &str| {
            assert!((ours - case[key].as_f64().unwrap()).abs() < 1e-9, "{key} {ours} {case}")
        };
        near(scores.exact_match, "em");
        near(100.0 * scores.edit_similarity, "es");
        near(scores.identifier_exact_match.unwrap(), "id_em");
        near(scores.identifier_f1.unwrap(), "id_f1");
    }
}

const CROSS: &str = "# Here are some relevant code fragments from other files of the repo:\n\n\
                     # the below code fragment can be found in:\n# a/b.py\n# def f():\n#     return 1\n\n\
                     # the below code fragment can be found in:\n# c.py\n# X = 2\n\n";

fn record(id: &str) -> Value {
    json!({
        "prompt": "import f\n\ny = ", "right_context": "\nz = y\n", "groundtruth": "f()",
        "crossfile_context": {"text": CROSS}, "language": "python",
        "metadata": {"task_id": id, "repository": "owner/repo", "file": "d.py"},
    })
}

fn task(keys: &str) -> FillIn {
    toml::from_str(&format!("samples = 3\n{keys}")).unwrap()
}

#[test]
fn each_part_is_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_markers(dir.path(), &QWEN);
    let (_dir, dataset) = dataset(&[record("r/0")]);
    let sample = task("").samples(&dataset, &model, 0).unwrap().samples.remove(0);
    let parts = |sample: &Sample| -> Vec<String> {
        let ends = sample.file_starts.iter().skip(1).copied().chain([sample.text.len()]);
        sample.file_starts.iter().zip(ends).map(|(&start, end)| sample.text[start..end].to_string()).collect()
    };
    let (one, other) = CROSS.split_at(CROSS.find("# the below").unwrap());
    let (file, next) = other.split_at(other.rfind("# the below").unwrap());
    assert_eq!(
        parts(&sample),
        [
            "<|fim_prefix|>",
            "import f\n\ny = ",
            "<|fim_suffix|>",
            "\nz = y\n",
            &format!("\n\n{one}"),
            file,
            next,
            "<|fim_middle|>"
        ]
    );
    assert_eq!(sample.others[0].text, "<|fim_prefix|>import f\n\ny = <|fim_suffix|>\nz = y\n<|fim_middle|>");
    let id = |marker: &str| model.tokenizer().id(marker).unwrap();
    assert_eq!(sample.ends, [id("<|fim_pad|>"), id("<|file_sep|>")]);
    assert_eq!((&sample.id[..], sample.candidates.len()), ("r/0", 1));

    let repository = task("layout = \"repository\"\nshuffled_files = true\nwithout_right = true");
    let sample = repository.samples(&dataset, &model, 0).unwrap().samples.remove(0);
    let head = "<|repo_name|>owner/repo\n";
    let files = ["<|file_sep|>a/b.py\ndef f():\n    return 1\n", "<|file_sep|>c.py\nX = 2\n"];
    let tail = "<|file_sep|>d.py\n<|fim_prefix|>import f\n\ny = <|fim_suffix|>\nz = y\n<|fim_middle|>";
    assert_eq!(sample.text, format!("{head}{}{}{tail}", files[0], files[1]));
    let [alone, shuffled, without] = &sample.others[..] else { panic!("{}", sample.others.len()) };
    assert_eq!(alone.text, format!("{head}{tail}"));
    let mut moved: Vec<String> = parts(shuffled);
    let mut whole = parts(&sample);
    moved.sort();
    whole.sort();
    assert_eq!(moved, whole);
    assert!(without.text.ends_with("y = <|fim_suffix|><|fim_middle|>"));
}

#[test]
fn what_the_parts_are_worth_is_measured() {
    let (_dir, dataset) = dataset(&[record("r/0")]);
    let task = task("left_only = true\nscoring = \"statement\"");
    let sample = task.samples(&dataset, &nano(), 0).unwrap().samples.remove(0);
    assert_eq!(sample.text, format!("{CROSS}import f\n\ny = "));
    let answer = |text: &str, nll: f64| Generated {
        generation: generation(text, Ended::MaxNewTokens),
        candidates: vec![vec![nll; 2]],
        others: Vec::new(),
    };
    let generated = Generated { others: vec![answer("g()\n", 3.0)], ..answer("f()\nmore\n", 0.5) };
    let outcome = task.outcome(&sample, Answer::Generated(generated), 512);
    let measures = task.measures(&outcome).unwrap();
    let of = |metric: &str| {
        let found = measures.iter().find(|one| one.metric == metric && one.group == Group::All).unwrap();
        found.numerator / found.denominator
    };
    assert_eq!((of("exact_match"), of("exact_match_gain"), of("identifier_f1")), (100.0, 100.0, 100.0));
    assert_eq!((of("target_loss"), of("target_loss_gain"), of("truncated")), (0.5, 2.5, 0.0));
}

#[test]
fn bad_records_and_models_are_named() {
    let mut empty = record("r/1");
    empty["groundtruth"] = " \n".into();
    let mut list = record("r/2");
    list["crossfile_context"] = json!([1]);
    let (_dir, dataset) = dataset(&[record("r/0"), empty, list]);
    let dir = tempfile::tempdir().unwrap();
    let model = with_markers(dir.path(), &DEEPSEEK);
    let found = task("").samples(&dataset, &model, 0).unwrap();
    let mut why: Vec<&str> = found.left_out.iter().map(|one| &one.why[..]).collect();
    why.sort_unstable();
    assert_eq!(found.samples.len(), 1);
    assert!(
        why[0].contains("neither text nor an object") && why[1].contains("`groundtruth` has no line"),
        "{why:?}"
    );
    let error = task("").samples(&dataset, &nano(), 0).unwrap_err();
    assert!(
        error.what.contains("no markers of fill-in-the-middle") && error.fix.unwrap().contains("left_only")
    );
    let error = task("layout = \"repository\"").samples(&dataset, &model, 0).unwrap_err();
    assert!(error.what.contains("no markers of a repository"), "{error}");
    for (keys, key) in [
        ("limit = 4000", "limit"),
        ("left_only = true\nlayout = \"repository\"", "left_only"),
        ("left_only = true\nwithout_right = true", "without_right"),
        ("max_new_tokens = 0", "max_new_tokens"),
    ] {
        let error = task(keys).check().unwrap_err();
        assert!(error.place.as_deref().unwrap().contains(key), "{keys}: {error}");
    }
}
