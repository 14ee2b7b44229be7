//! `longcode train`, on a tiny model and a tiny corpus: it learns, goes on after any end to the same
//! weights, leaves a model that scores, and refuses what is wrong before it starts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use crate::common::cli::{Ended, Workspace, documents};
use crate::common::repository;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use longcode::checkpoint::Checkpoint;
use longcode::encoding::{EncodingSpec, Positions};
use longcode::model::{Network, RotaryTables};
use rand::{Rng, SeedableRng, rngs::StdRng};
use safetensors::SafeTensors;
use serde_json::Value;

const CONFIG: &str = r#"
name = "tiny"
seed = 3
length = 32
batch = 8
micro_batch = 4

[corpus]
datasets = ["docs.jsonl"]
held_out = 0.1

[tokenizer]
vocab_size = 300

[model]
hidden_size = 24
intermediate_size = 48
num_hidden_layers = 2
num_attention_heads = 4
num_key_value_heads = 2
head_dim = 8
rope_theta = 500.0

[optimizer]
learning_rate = 1e-2
warmup_steps = 5

[budget]
steps = 60

[output]
validation_steps = 25
checkpoint_minutes = 0.0005
"#;

fn space() -> Workspace {
    let space = Workspace::new();
    space.write("docs.jsonl", documents(160));
    space.write("train.toml", CONFIG);
    space
}

fn train(space: &Workspace, arguments: &str) -> Ended {
    space.longcode(&format!("train train.toml --device cpu {arguments}"))
}

/// Rows of training.csv, as numbers; an empty field is NaN.
fn rows(space: &Workspace, out: &str) -> Vec<Vec<f64>> {
    let text = space.text(&format!("{out}/training.csv"));
    let number = |field: &str| field.parse().unwrap_or(f64::NAN);
    text.lines().skip(1).map(|line| line.split(',').map(number).collect()).collect()
}

fn weights(space: &Workspace, out: &str) -> Vec<u8> {
    fs::read(space.path(out).join("model.safetensors")).unwrap()
}

#[test]
fn learns_and_leaves_a_model_that_scores() {
    let space = space();
    let ended = train(&space, "").done();
    assert!(ended.stdout.contains("60 steps, 15360 tokens"), "{ended:?}");
    let rows = rows(&space, "trained/tiny");
    assert_eq!(rows.len(), 60);
    let (first, last) = (rows[0][3], rows[59][3]);
    assert!((first - 300f64.ln()).abs() < 0.1, "a model that knows nothing: {first}");
    assert!(last < first - 2.0, "{first} to {last}");
    let report: Value = serde_json::from_str(&space.text("trained/tiny/training.json")).unwrap();
    assert_eq!((&report["steps"], &report["tokens_seen"]), (&60.into(), &15360.into()));
    assert_eq!(report["config"]["optimizer"]["beta_2"], 0.95);
    let held_out = report["validation_loss"].as_f64().unwrap();
    assert!(held_out < 3.0, "{held_out}");

    // The loss that `score` gives is the one that training says.
    space.write("long.py", "def f1(a):\n    b = a + 5\n    return b * 1\n\n".repeat(3));
    let scored =
        space.longcode("score --model trained/tiny --encoding rope --device cpu --json long.py").done();
    let loss = scored.json()[0]["loss"].as_f64().unwrap();
    assert!(loss < held_out + 1.0, "{loss}, held out {held_out}");
    let inspected = space.longcode("inspect long.py --tokenizer trained/tiny --json").done();
    assert_eq!(inspected.json()[0]["tokens"][0]["id"], 0, "BOS first");

    let again = train(&space, "--resume").done();
    assert!(again.stdout.contains("nothing left to do"), "{again:?}");
}

/// Noise and then a number that is always the same: only of the number can all be known.
#[test]
fn only_what_learned_finds_has_a_loss() {
    let space = space();
    let mut random = StdRng::seed_from_u64(2);
    let mut noise = || (0..9).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect::<String>();
    let lines: Vec<String> =
        (0..160).map(|_| format!(r#"{{"text": "{} == 481 {}"}}"#, noise(), noise())).collect();
    space.write("docs.jsonl", lines.join("\n"));
    space.replace("train.toml", "vocab_size = 300", "vocab_size = 270");
    let loss = |out: &str| {
        let report: Value = serde_json::from_str(&space.text(&format!("{out}/training.json"))).unwrap();
        report["validation_loss"].as_f64().unwrap()
    };
    train(&space, "--out all").done();
    assert!(loss("all") > 1.0, "{}", loss("all"));
    let whole = "held_out = 0.1\nwhole_documents = true";
    space.replace("train.toml", "held_out = 0.1", &format!("{whole}\nlearned = '== (\\d+)'"));
    train(&space, "--out answers").done();
    assert!(loss("answers") < 0.05, "{}", loss("answers"));

    // With another expression the tokens that are kept are of another corpus.
    space.replace("train.toml", r"'== (\d+)'", "'!='");
    let parts = ["nothing that `learned` finds", "key `corpus.learned`"];
    train(&space, "--out none").failed(2, &parts);
}

/// Waits until the training has so many rows, or is over.
fn wait_for(space: &Workspace, count: usize, child: &mut Child) {
    let rows = || fs::read_to_string(space.path("out/training.csv")).map_or(0, |text| text.lines().count());
    while child.try_wait().unwrap().is_none() && rows() < count {
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn killed_at_any_moment() {
    let space = space();
    space.replace("train.toml", "steps = 60", "steps = 200");
    train(&space, "--out whole").done();
    let mut random = StdRng::seed_from_u64(5);
    let mut kills = 0;
    loop {
        let before =
            fs::read_to_string(space.path("out/training.csv")).map_or(0, |text| text.lines().count());
        let mut child = space.command("train train.toml --device cpu --out out --resume").spawn().unwrap();
        wait_for(&space, before + random.random_range(0..15), &mut child);
        sleep(Duration::from_micros(random.random_range(0..30_000)));
        child.kill().unwrap();
        match child.wait().unwrap().code() {
            Some(0) => break,
            Some(code) => panic!("ended with {code} after {kills} kills"),
            None => kills += 1,
        }
    }
    println!("{kills} kills");
    assert!(kills >= 3, "{kills}");
    assert!(weights(&space, "out") == weights(&space, "whole"), "not the same weights");
    // All but the columns that are times.
    let losses = |out| -> Vec<Vec<String>> {
        let fields = |row: Vec<f64>| [0, 1, 3, 4, 5, 7].map(|n| row[n].to_string()).to_vec();
        rows(&space, out).into_iter().map(fields).collect()
    };
    assert_eq!(losses("out"), losses("whole"));
    let kept = fs::read_dir(space.path("out/work"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("step-"));
    assert!(kept.count() <= 2);
}

#[cfg(unix)]
#[test]
fn interrupted() {
    let space = space();
    space.replace("train.toml", "steps = 60", "minutes = 0.2");
    let mut child = space.command("train train.toml --device cpu --out out").spawn().unwrap();
    wait_for(&space, 6, &mut child);
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("error: interrupted after step"), "{ended:?}");
    assert!(ended.stderr.contains("fix: run the same command with --resume"), "{ended:?}");
    let before = rows(&space, "out");
    let mut child = space.command("train train.toml --device cpu --out out --resume").spawn().unwrap();
    wait_for(&space, before.len() + 10, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let after = rows(&space, "out");
    assert_eq!(format!("{:?}", after[..before.len()].to_vec()), format!("{before:?}"));
    // The clock goes on, it does not start again.
    assert!(after[before.len()][2] > before[before.len() - 1][2]);
}

#[test]
fn from_a_checkpoint_with_stretched_positions() {
    let space = space();
    train(&space, "--out base").done();
    let config = CONFIG.split("[tokenizer]").next().unwrap();
    let more =
        "[model]\npath = \"base\"\nposition_scale = 4.0\n[budget]\nsteps = 3\n[output]\ndtype = \"f16\"\n";
    space.write("train.toml", format!("{config}{more}").replace("length = 32", "length = 8"));
    train(&space, "--out short").done();
    let config: Value = serde_json::from_str(&space.text("short/config.json")).unwrap();
    assert_eq!(config["rope_scaling"]["rope_type"], "linear");
    assert_eq!(config["rope_scaling"]["factor"], 0.25);
    assert_eq!(config["max_position_embeddings"], 8);
    assert_eq!(config["torch_dtype"], "float16");
    // Positions in steps of 4 are another model than positions in steps of 1.
    space.write("a.py", "def f(a):\n    return a\n");
    let loss = |encoding: &str| {
        let command = format!("score --model short --encoding {encoding} --device cpu --json a.py");
        space.longcode(&command).done().json()[0]["loss"].as_f64().unwrap()
    };
    assert_eq!(loss("rope"), loss("linear:factor=0.25"));
    assert_ne!(loss("rope"), loss("linear:factor=1"));
    // Going on from it keeps its positions; another scale on top is refused.
    space.replace("train.toml", "\"base\"", "\"short\"");
    train(&space, "--out again").failed(2, &["position_scale together with", "key `model.path`"]);
    space.replace("train.toml", "position_scale = 4.0\n", "");
    train(&space, "--out other").done();
    let config: Value = serde_json::from_str(&space.text("other/config.json")).unwrap();
    assert_eq!(config["rope_scaling"]["factor"], 0.25);
}

/// The embedding of a directory: rows, and its bytes.
fn embedding(file: &Path) -> (usize, Vec<u8>) {
    let bytes = fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let embedding = tensors.tensor("model.embed_tokens.weight").unwrap();
    (embedding.shape()[0], embedding.data().to_vec())
}

/// Markers are added to a vocabulary without them, with rows that leave the others as they are.
#[test]
fn documents_with_gaps() {
    let space = space();
    train(&space, "--out base").done();
    let with_gaps = "whole_documents = true\nfill_in = { rate = 0.5, seed = 2 }\nheld_out = 0.1";
    let gaps = CONFIG.replace("held_out = 0.1", with_gaps).replace("steps = 60", "steps = 3");
    space.write("train.toml", &gaps);
    let ended = train(&space, "--out scratch").done();
    assert!(ended.stderr.contains("<|fim_prefix|> <|fim_suffix|> <|fim_middle|> are added"), "{ended:?}");
    assert_eq!(embedding(&space.path("scratch/model.safetensors")).0, 303);

    let head = gaps.split("[tokenizer]").next().unwrap();
    space.write("train.toml", format!("{head}[model]\npath = \"base\"\n[budget]\nsteps = 2\n"));
    train(&space, "--out more").done();
    let config: Value = serde_json::from_str(&space.text("more/config.json")).unwrap();
    assert_eq!(config["vocab_size"], 303);
    let (rows, before) = embedding(&space.path("base/model.safetensors"));
    let (more, first) = embedding(&space.path("more/work/step-00000000/model.safetensors"));
    assert_eq!((rows, more), (300, 303));
    assert!(first.starts_with(&before), "earlier rows are those of the checkpoint");
    assert_ne!(first[before.len()..], vec![0; first.len() - before.len()][..]);
    let inspected = space.text("more/tokenizer.json");
    assert!(
        inspected.contains("<|fim_middle|>") && !space.text("base/tokenizer.json").contains("fim_middle")
    );

    // A model with markers keeps them; other gaps are another corpus.
    space.replace("train.toml", "\"base\"", "\"more\"");
    let ended = train(&space, "--out again").done();
    assert!(!ended.stderr.contains("are added"), "{ended:?}");
    assert_eq!(space.text("again/tokenizer.json"), space.text("more/tokenizer.json"));
    train(&space, "--out again --resume --set corpus.fill_in.seed=3").failed(2, &["another config", "seed"]);
    let hash = |out: &str| -> Value {
        let report: Value = serde_json::from_str(&space.text(&format!("{out}/training.json"))).unwrap();
        report["corpus"]["tokens"]["sha256"].clone()
    };
    train(&space, "--out other --set corpus.fill_in.seed=3").done();
    assert_ne!(hash("again"), hash("other"));

    // And it fills in: markers are found, and text ends at EOS or the limit.
    let gap = serde_json::json!({
        "prompt": "def f(a):\n    ", "groundtruth": "return a", "right_context": "\n", "crossfile_context": "",
        "metadata": {"task_id": "a"},
    });
    space.write("gaps.jsonl", gap.to_string());
    space.write(
        "config.toml",
        "name = \"f\"\n[[model]]\npath = \"more\"\n[[encoding]]\nkind = \"rope\"\n[[task]]\nkind = \"fill_in\"\n\
         dataset = \"gaps.jsonl\"\nlimit = 100\nright_tokens = 20\ncross_tokens = 20\nmax_new_tokens = 8\nbuckets = [0]\n\
         samples = 1\n",
    );
    space.longcode("run config.toml --device cpu").done();
}

/// A config that goes on from a checkpoint of tests/transformers.
fn from_family(space: &Workspace, name: &str) {
    let config = CONFIG.split("[tokenizer]").next().unwrap();
    let path = repository("tests/transformers").join(name);
    let more = format!(
        "[model]\npath = {:?}\n[budget]\nsteps = 30\n[optimizer]\nlearning_rate = 3e-3\n",
        path.to_str().unwrap()
    );
    space.write("train.toml", format!("{config}{more}"));
}

#[test]
fn from_a_checkpoint_of_every_family_that_has_gradients() {
    let space = space();
    space.write("a.py", "def f(a):\n    return a\n");
    for name in [
        "granite-code-bfloat16",
        "qwen3-float16",
        "granite-bfloat16",
        "starcoder2-sliding-float16",
        "olmo2-float16",
        "qwen2-sharded-bfloat16",
    ] {
        from_family(&space, name);
        train(&space, &format!("--out {name}")).done();
        let losses: Vec<f64> = rows(&space, name).iter().map(|row| row[3]).collect();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..5]), mean(&losses[25..]));
        assert!(last < first - 0.1, "{name}: {first} to {last}");
        space.longcode(&format!("score --model {name} --encoding rope --device cpu a.py")).done();
        let names = |dir: &Path| {
            let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
            let weights = files.filter(|path| path.extension().is_some_and(|end| end == "safetensors"));
            let all = weights.flat_map(|path| {
                let bytes = fs::read(path).unwrap();
                let tensors = SafeTensors::deserialize(&bytes).unwrap();
                tensors
                    .tensors()
                    .into_iter()
                    .map(|(name, view)| (name, view.shape().to_vec()))
                    .collect::<Vec<_>>()
            });
            all.collect::<BTreeMap<_, _>>()
        };
        let theirs = names(&repository("tests/transformers").join(name));
        assert_eq!(names(&space.path(name)), theirs, "{name}");
    }
}

/// Gradients of all weights by a backward pass, flat.
struct Collect(Gradients, Vec<Tensor<1>>);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weight = param.val();
        let gradient = weight.grad_remove(&mut self.0).unwrap();
        self.1.push(gradient.reshape([weight.shape().num_elements()]));
    }
}

/// Moves all weights along their gradients.
struct Move<'a>(std::slice::Iter<'a, Tensor<1>>, f32);

impl ModuleMapper for Move<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, weight, mapper) = param.consume();
        let by = self.0.next().unwrap().clone().reshape(weight.shape()).mul_scalar(self.1);
        Param::from_mapped_value(id, Tensor::from_inner(weight.inner() + by).require_grad(), mapper)
    }
}

/// Along the gradient the loss changes by its square: a backward pass is right in every part, or the sum is not.
#[test]
fn gradients_of_every_family_are_slopes() {
    let device = Device::flex().autodiff();
    for name in [
        "llama-gqa-tied-float16",
        "granite-code-bfloat16",
        "qwen3-float16",
        "granite-bfloat16",
        "starcoder2-sliding-float16",
        "olmo2-float16",
    ] {
        let checkpoint = Checkpoint::open(&repository("tests/transformers").join(name)).unwrap();
        let model = checkpoint.load_to_train(&device).unwrap();
        let positions = Positions::whole(24, Vec::new());
        let rotations = EncodingSpec::parse("rope").unwrap().by_layer(&checkpoint.config.rope, &positions);
        let rotary = RotaryTables::new(&rotations, &positions, &checkpoint.config.attention, &device);
        let ids = |first: i32| {
            let ids: Vec<i32> = (first..first + 48).map(|n| n * n * 37 % 500).collect();
            Tensor::<1, Int>::from_data(TensorData::new(ids, [48]), &device)
        };
        // Of every second row: the others are only read.
        let predicted = || Tensor::<1, Int>::arange_step(0..48, 2, &device);
        let targets = || ids(1).select(0, predicted());
        let loss = |model: &Network| model.mean_loss(ids(0), Some(predicted()), targets(), &rotary);
        let mut collect = Collect(loss(&model).backward(), Vec::new());
        model.visit(&mut collect);
        let square: f32 = collect.1.iter().map(|g| g.clone().square().sum().into_scalar::<f32>()).sum();
        let moved = |step: f32| {
            let mut moving = Move(collect.1.iter(), step);
            f64::from(loss(&model.clone().map(&mut moving)).into_scalar::<f32>())
        };
        // Far enough that the difference stands out of f32, by two steps so that curvature cancels.
        let step = 5e-3 / square.sqrt();
        let slope = |step: f32| (moved(step) - moved(-step)) / f64::from(2.0 * step);
        let slope = (4.0 * slope(step) - slope(2.0 * step)) / 3.0;
        let off = (slope / f64::from(square) - 1.0).abs();
        println!("{name}: slope {slope}, square of the gradient {square}, off by {off:.1e}");
        assert!(off < 2e-3, "{name}: slope {slope}, square of the gradient {square}");
    }
}

#[test]
fn parts_without_gradients_are_refused_by_name() {
    let space = space();
    for (name, parts) in [
        ("phi3-partial-longrope-bfloat16", ["fused projections", "qkv_proj"]),
        ("smollm3-sharded-float16", ["layers that do not turn", "no_rope_layers"]),
    ] {
        from_family(&space, name);
        train(&space, "--out refused").failed(2, &parts);
        assert!(!space.path("refused").exists());
    }
    from_family(&space, "mistral-sliding-float16");
    space.replace("train.toml", "length = 32", "length = 64");
    train(&space, "--out refused").failed(2, &["sliding window that is shorter", "sliding_window"]);
}

#[test]
fn refused_before_work_starts() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("length = 32", "lenght = 32", &["unknown field `lenght`", "train.toml", "lenght = 32"]),
        ("head_dim = 8", "head_dim = 7", &["head_dim 7 is odd", "key `model.head_dim`"]),
        ("num_key_value_heads = 2", "num_key_value_heads = 3", &["does not divide", "num_key_value_heads"]),
        ("micro_batch = 4", "micro_batch = 3", &["does not divide batch 8", "key `micro_batch`"]),
        ("docs.jsonl", "none.jsonl", &["no dataset \"none.jsonl\"", "key `corpus.datasets`"]),
        ("docs.jsonl", "corpus/none.jsonl", &["no dataset", "scripts/build_corpora.py makes"]),
        ("vocab_size = 300", "path = \"nowhere\"", &["`nowhere` does not exist", "key `tokenizer.path`"]),
        ("steps = 60", "steps = 60\ntokens = 5", &["one of steps, tokens and minutes"]),
        ("name = \"tiny\"", "name = 3", &["name = 3"]),
    ];
    for (from, to, parts) in cases {
        let space = space();
        space.replace("train.toml", from, to);
        train(&space, "").failed(2, parts);
        assert!(!space.path("trained").exists(), "{to}: something was written");
    }
}

#[test]
fn what_is_there_is_not_overwritten() {
    let space = space();
    space.replace("train.toml", "steps = 60", "steps = 2");
    train(&space, "--out out").done();
    let before = weights(&space, "out");
    train(&space, "--out out").failed(2, &["a training is there already", "in: out", "--resume", "--fresh"]);
    train(&space, "--out model").failed(2, &["something else than a training", "--out"]);
    train(&space, "--out model --fresh").failed(2, &["something else than a training"]);
    space.replace("train.toml", "1e-2", "2e-2");
    train(&space, "--out out --resume")
        .failed(2, &["optimizer: learning_rate is 0.01 there, 0.02 now", "--fresh"]);
    assert!(weights(&space, "out") == before);
    train(&space, "--out out --fresh").done();
    assert!(weights(&space, "out") != before);
}

#[test]
fn a_loss_that_is_not_finite_stops() {
    let space = space();
    space.replace("train.toml", "learning_rate = 1e-2", "learning_rate = 1e30\nclip_norm = 1e30");
    train(&space, "").failed(1, &["in: step ", "learning_rate"]);
}

#[test]
fn a_corpus_that_is_too_small() {
    let space = space();
    space.replace("train.toml", "length = 32", "length = 100000");
    train(&space, "").failed(2, &["make no sample of 100000", "corpus.datasets"]);
    let space = self::space();
    space.replace("train.toml", "vocab_size = 300", "vocab_size = 50000");
    train(&space, "").failed(2, &["the corpus gives a vocabulary of", "tokenizer.vocab_size"]);
}
