//! What would mislead a reader is said at the start, stored, and stands in the report's head.

use serde_json::Value;

use crate::common::cli::{CONFIG, Workspace, documents};

// The tiny model is trained at 64 tokens; its weights are random.

/// A workspace with other encodings, the first of them the baseline, on documents of these lengths.
fn space(encodings: &str, buckets: &str) -> Workspace {
    let space = Workspace::new();
    let (start, task) = (CONFIG.find("[[encoding]]").unwrap(), CONFIG.find("[[task]]").unwrap());
    let task = CONFIG[task..].replace("buckets = [0, 100, 1000]", &format!("buckets = {buckets}"));
    space.write("config.toml", format!("{}{encodings}\n\n{task}", &CONFIG[..start]));
    space.write("docs.jsonl", documents(48));
    space
}

/// Runs, and checks that a text is on stderr, stored, and in the report's head; gives the report.
fn says(space: &Workspace, text: &str) -> String {
    let ended = space.run("--fresh");
    assert!(ended.stderr.contains(text), "{text}: {ended:?}");
    let environment: Value = serde_json::from_str(&space.text("results/tiny/environment.json")).unwrap();
    let notes: Vec<String> = serde_json::from_value(environment["notes"].clone()).unwrap();
    assert!(notes.iter().any(|note| note.contains(text)), "{text}: {notes:?}");
    let report = space.text("results/tiny/report.md");
    let head = &report[..report.find("\n## ").unwrap()];
    assert!(head.contains(text), "{text}: {head}");
    let html = space.text("results/tiny/report.html");
    assert!(html.contains(&text.replace('"', "&quot;")), "{text} is not in report.html");
    report
}

const TRUNCATION: &str = "[[encoding]]\nname = \"Truncation\"\nkind = \"rope\"\ncontext = 64\nstride = 16\n";
const ROPE: &str = "[[encoding]]\nname = \"RoPE\"\nkind = \"rope\"\n";

#[test]
fn documents_without_a_language() {
    let hirope = "[[encoding]]\nname = \"HiRoPE\"\nkind = \"hirope\"\nwindow = 8\nsplit = 0.25\n";
    let space = space(&format!("{ROPE}{hirope}"), "[0, 100, 1000]");
    space.replace("docs.jsonl", "\"language\":\"python\",", "");
    let report =
        says(&space, "are in no language that is known here, so that HiRoPE divides them by tokens:128");
    assert!(report.contains("write language = \"python\" into the data set's manifest"), "{report}");
}

#[test]
fn documents_that_are_all_within_training() {
    let space = space(&format!("{TRUNCATION}{ROPE}"), "[0, 65]");
    let nothing = "no sample reaches beyond the trained length of 64 tokens (longest: ";
    let report = says(&space, nothing);
    assert!(report.contains("nothing here is beyond training"), "{report}");
    let plan = space.longcode("plan config.toml --device cpu --out other").done();
    assert!(plan.stderr.contains(nothing), "{plan:?}");
    assert!(!report.contains("Against throwing away"), "there is nothing to throw away: {report}");
    // The head says what the model was trained at, and how large it is.
    assert!(
        report.contains("tiny: trained at 64 tokens, 0.2 M parameters, 512 tokens in its vocabulary."),
        "{report}"
    );
}

#[test]
fn a_baseline_that_throws_nothing_away() {
    let wide = TRUNCATION.replace("context = 64\nstride = 16", "context = 4000");
    let other = space(&format!("{wide}{ROPE}"), "[0, 100, 1000]");
    let report =
        says(&other, "the context of \"Truncation\" throws nothing away: no sample is longer (longest: ");
    assert!(report.contains("No verdict: Truncation throws nothing away"), "{report}");
    says(&other, "context 4000 has positions beyond the trained length of 64 tokens");
    // Above the trained length, and below the documents.
    let wide = TRUNCATION.replace("context = 64\nstride = 16", "context = 80");
    let other = space(&format!("{wide}{ROPE}"), "[0, 100, 1000]");
    let report = says(&other, "context 80 has positions beyond the trained length of 64 tokens");
    assert!(
        report.contains("No verdict: Truncation reads 80 tokens, more than the trained length of 64"),
        "{report}"
    );
    let other = space(&format!("{TRUNCATION}{ROPE}"), "[0, 100, 1000]");
    other.run("");
    assert!(!other.text("results/tiny/report.md").contains("No verdict"));
}

#[test]
fn a_model_that_guesses() {
    let space = space(&format!("{TRUNCATION}{ROPE}"), "[0, 100, 1000]");
    space.run("");
    for file in ["report.md", "report.html"] {
        let report = space.text(&format!("results/tiny/{file}"));
        assert!(report.contains("wrong weights or tokenizer?"), "{file}");
    }
    let shown = space.longcode("report results/tiny").done();
    // Lines are broken between any two words.
    let words = shown.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("Doubt: tiny has a loss of 6."), "{shown:?}");
    assert!(words.contains("guessing evenly among its 512 tokens has 6.24"), "{shown:?}");
}

#[test]
fn windows_and_splits_that_make_rows_something_else() {
    for (keys, says_what) in [
        ("kind = \"rerope\"", "window 512 reaches beyond the trained length of 64 tokens"),
        ("kind = \"leaky_rerope\"", "window 512 reaches beyond the trained length of 64 tokens"),
        ("kind = \"hirope\"\nsplit = 0.25", "window 512 reaches beyond the trained length of 64 tokens"),
        ("kind = \"dpe\"\ngroups = [2, 4]", "window 512 reaches beyond the trained length of 64 tokens"),
        (
            "kind = \"hirope\"\nwindow = 8",
            "split 0.5 leaves token positions to 1 pairs that turn less than once",
        ),
    ] {
        let space = space(&format!("{ROPE}[[encoding]]\nname = \"Other\"\n{keys}\n"), "[0, 100, 1000]");
        let report = says(&space, says_what);
        assert!(report.contains("encoding \"Other\", model \"tiny\": "), "{report}");
    }
}

#[test]
fn names_with_commas_are_one_name() {
    let encodings = format!(
        "{ROPE}[[encoding]]\nname = \"HiRoPE, logn\"\nkind = \"hirope\"\nwindow = 8\nsplit = 0.25\nlogn = true\n\
         [[encoding]]\nname = \"HiRoPE, short\"\nkind = \"hirope\"\nwindow = 4\nsplit = 0.25\n"
    );
    let space = space(&encodings, "[0, 100, 1000]");
    space.replace("docs.jsonl", "\"language\":\"python\",", "");
    says(&space, "so that \"HiRoPE, logn\", \"HiRoPE, short\" divide them by tokens:128");
}

/// Random weights: no row differs from another one by more than the documents do.
#[test]
fn marks_on_worse_rows_are_explained() {
    let space = space(&format!("{TRUNCATION}{ROPE}"), "[0, 1000]");
    space.run("--fresh");
    let report = space.text("results/tiny/report.md");
    let legend = report.lines().find(|line| line.contains("≈: the best as measured")).unwrap();
    for explained in ["a worse row may be marked", "a column in which every row is marked tells nothing"] {
        assert!(legend.contains(explained), "{legend}");
    }
}
