//! The program by itself, from any folder: its quickstart, a config for a model, completions and man pages.

use std::fs;

use crate::common::cli::{Workspace, documents};

#[test]
fn the_quickstart_runs_from_an_empty_folder() {
    let space = Workspace::new();
    fs::create_dir(space.path("empty")).unwrap();
    let quickstart = |arguments: &str| {
        let mut command = space.command(&format!("quickstart {arguments}"));
        command.current_dir(space.path("empty"));
        crate::common::cli::Ended::from(command.output().unwrap())
    };
    quickstart("--no-run --limit 1").failed(2, &["--no-run", "--limit"]);
    let unpacked = quickstart("--no-run").done();
    assert!(
        unpacked.stderr.contains("longcode run longcode-quickstart/configs/quickstart.toml"),
        "{unpacked:?}"
    );
    let config = "empty/longcode-quickstart/configs/quickstart.toml";
    assert_eq!(
        space.text(config),
        fs::read_to_string(crate::common::repository("configs/quickstart.toml")).unwrap()
    );
    // The shortest documents alone, to be fast; what was edited is what runs.
    space.replace(config, "buckets = [0, 512, 1024, 2048, 4096, 8192]", "buckets = [0, 512]");
    let ended = quickstart("--limit 1 --device cpu").done();
    assert!(ended.stderr.contains("configs/quickstart.toml is not as the program carries it"), "{ended:?}");
    assert!(ended.stdout.contains("HiRoPE, logn, shuffled"), "{ended:?}");
    let summary = space.text("empty/longcode-quickstart/results/quickstart/summary.csv");
    assert!(summary.contains("nano,RoPE,python-lm,all,ppl,"), "{summary}");
    let licences = space.path("empty/longcode-quickstart/datasets/licenses");
    assert!(fs::read_dir(licences).unwrap().count() > 0, "data go with their licences");
}

#[test]
fn a_config_that_fits_a_model_runs_without_a_note() {
    let space = Workspace::new();
    space.write("docs.jsonl", documents(48));
    let printed = space.longcode("init model --dataset docs.jsonl").done().stdout;
    space.longcode("init model --dataset docs.jsonl --out fits.toml").done();
    assert_eq!(space.text("fits.toml"), printed);
    assert!(printed.contains("beyond the 64 tokens that it was trained at"), "{printed}");
    space
        .longcode("init model --dataset docs.jsonl --out fits.toml")
        .failed(2, &["the file exists", "fits.toml"]);
    space.longcode("init model --dataset none.jsonl").failed(2, &["none.jsonl"]);
    space.longcode("init nowhere --dataset docs.jsonl").failed(2, &["nowhere"]);
    let ended = space.longcode("run fits.toml --device cpu --limit 1").done();
    for doubt in ["beyond the trained length", "throws nothing away", "leaves token positions", "asked for"] {
        assert!(!ended.stderr.contains(doubt), "{doubt}: {ended:?}");
    }
    let report = space.text("results/model/report.md");
    assert!(report.contains("HiRoPE, shuffled") && !report.contains("No verdict"), "{report}");
}

#[test]
fn without_a_command_they_are_listed() {
    let ended = Workspace::new().longcode("").failed(2, &["no command"]);
    for command in ["quickstart", "init", "run", "report"] {
        assert!(ended.stderr.contains(&format!("\n  {command} ")), "{command}: {ended:?}");
    }
}

#[test]
fn shells_complete_commands_and_man_has_pages() {
    let space = Workspace::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = space.longcode(&format!("completions {shell}")).done().stdout;
        assert!(script.contains("longcode") && script.contains("skip-missing"), "{shell}");
    }
    space.longcode("completions tcsh").failed(2, &["tcsh"]);
    space.longcode("man man1").done();
    let page = space.text("man1/longcode-run.1");
    assert!(page.starts_with(".ie \\n(.g") || page.contains(".TH longcode-run 1"), "{page}");
    assert!(page.contains("skip\\-missing"), "{page}");
    for command in ["run", "plan", "report", "quickstart", "init", "train", "man"] {
        assert!(space.path(&format!("man1/longcode-{command}.1")).exists(), "{command}");
    }
    assert!(space.path("man1/longcode.1").exists() && !space.path("man1/longcode-help.1").exists());
}
