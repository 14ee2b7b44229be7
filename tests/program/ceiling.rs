//! Ceilings: models that were trained at a longer length than another.

use std::fs;

use crate::common::cli::Workspace;
use crate::common::repository;

/// nano, and nano said to be trained at 64 tokens, so that what longer training gives is known: the same weights.
fn space() -> Workspace {
    let space = Workspace::new();
    fs::create_dir(space.path("short")).unwrap();
    for name in ["model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(repository("models/nano").join(name), space.path("short").join(name)).unwrap();
    }
    let config = fs::read_to_string(repository("models/nano/config.json")).unwrap();
    let short = config.replacen("\"max_position_embeddings\": 512", "\"max_position_embeddings\": 64", 1);
    assert_ne!(short, config);
    space.write("short/config.json", short);
    let (nano, data) = (repository("models/nano"), repository("datasets/code-python.toml"));
    space.write(
        "ceiling.toml",
        format!(
            "name = \"c\"\n[[model]]\nname = \"short\"\npath = \"short\"\n[[model]]\nname = \"nano\"\npath = {nano:?}\n\
             ceiling_of = \"short\"\n[[encoding]]\nname = \"Truncation\"\nkind = \"rope\"\ncontext = \"trained\"\n\
             [[encoding]]\nname = \"All\"\nkind = \"rope\"\ncontext = 512\nmodels = [\"short\"]\n[[encoding]]\n\
             name = \"Half\"\nkind = \"rope\"\ncontext = 160\nmodels = [\"short\"]\n[[task]]\nname = \"lm\"\n\
             kind = \"language_modeling\"\ndataset = {data:?}\nbuckets = [512, 2048]\nsamples = 8\n"
        ),
    );
    space
}

#[test]
fn a_row_recovers_what_the_ceilings_own_weights_give() {
    let space = space();
    space.longcode("run ceiling.toml --device cpu").done();
    let text = space.text("results/c/recovered.csv");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let heads = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    let column = |key: &str| heads.iter().position(|head| *head == key).unwrap();
    let number = |row: &str, key: &str| -> f64 {
        let row = rows.iter().find(|cells| cells[column("encoding")] == row).unwrap();
        row[column(key)].parse().unwrap()
    };
    assert!(number("All", "gain_low") > 0.0, "the ceiling is told apart");
    // The same weights, contexts and tokens: all of it, and the interval has no width.
    for key in ["recovered", "ci_low", "ci_high"] {
        assert!((number("All", key) - 1.0).abs() < 2e-3, "{key}: {}", number("All", key));
    }
    let [low, part, high] = ["ci_low", "recovered", "ci_high"].map(|key| number("Half", key));
    assert!(0.0 < low && low < part && part < high && high < 1.0, "{low} {part} {high}");
    let report = space.text("results/c/report.md");
    for said in
        ["Ceiling: nano, trained at 512 tokens", "ceiling: nano", "recovered of nano", "All 100% [100, 100]"]
    {
        assert!(report.contains(said), "{said}: {report}");
    }
}

/// As long trainings with few tokens are.
#[test]
fn a_ceiling_that_is_worse_has_nothing_to_recover() {
    let space = space();
    space.replace("ceiling.toml", "path = \"short\"", "path = \"short\"\nceiling_of = \"nano\"");
    space.replace("ceiling.toml", "\nceiling_of = \"short\"", "");
    space.replace("ceiling.toml", "models = [\"short\"]", "models = [\"nano\"]");
    space.longcode("run ceiling.toml --device cpu").done();
    let report = space.text("results/c/report.md");
    let said = report.lines().find(|line| line.starts_with("Ceiling: short, trained at 64 tokens")).unwrap();
    assert!(said.contains("it is worse than Truncation, so there is nothing to recover"), "{said}");
    let text = space.text("results/c/recovered.csv");
    let mut lines = csv::Reader::from_reader(text.as_bytes());
    let at = lines.headers().unwrap().iter().position(|head| head == "recovered").unwrap();
    assert!(lines.records().all(|line| line.unwrap()[at].is_empty()), "{text}");
}

#[test]
fn a_ceiling_without_its_model_is_told() {
    let space = space();
    let ended = space.longcode("run ceiling.toml --device cpu --model nano --limit 1").done();
    assert!(ended.stderr.contains("model \"nano\" is no ceiling here, as \"short\" is not run"), "{ended:?}");
}

#[test]
fn a_ceiling_of_nothing_is_refused() {
    let space = space();
    let refused = |of: &str, parts: &[&str]| {
        let set = format!("run ceiling.toml --device cpu --set model.1.ceiling_of={of}");
        space.longcode(&set).failed(2, parts);
    };
    refused(
        "shrt",
        &[
            "ceiling.toml",
            "model \"nano\"",
            "ceiling_of",
            "\"shrt\", which is not there",
            "use one of: short",
        ],
    );
    refused("nano", &["ceiling_of", "\"nano\", which is a ceiling too"]);
}
