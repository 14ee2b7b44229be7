//! Wrong requests and damaged input: the exit code, an error that names the place and a way out, and
//! nothing written.

use crate::common;
use std::fs;
use std::io::Write;

use crate::common::cli::{CONFIG, Ended, Workspace, documents};
use burn::tensor::Device;
use longcode::checkpoint::Checkpoint;
use longcode::encoding::EncodingSpec;
use longcode::kernels::Precision;
use longcode::model::EncodedModel;
use safetensors::SafeTensors;

/// Runs the workspace's config, which must be refused with all of `parts`, before anything is written.
fn refused(space: &Workspace, case: &str, parts: &[&str]) {
    println!("{case}");
    space.longcode("run config.toml --device cpu").failed(2, parts);
    assert!(!space.path("results").exists(), "{case}: something was written");
}

/// The task of the workspace's config.
const MODELING: &str = "kind = \"language_modeling\"\ndataset = \"docs.jsonl\"\nbuckets = [0, 100, 1000]\n";

/// A function lookup in its place.
fn lookup(keys: &str) -> String {
    format!("kind = \"lookup\"\ndataset = \"docs.jsonl\"\n{keys}\n")
}

#[test]
fn config() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("name = \"tiny\"\n\n", "nmae = \"tiny\"\n\n", &["name", "config.toml"]),
        ("name = \"tiny\"\n\n", "name = \"tiny\"\nsede = 1\n\n", &["`sede`", "config.toml", "seed"]),
        ("name = \"tiny\"\n\n", "name = \"../x\"\n\n", &["../x", "key `name`"]),
        ("name = \"tiny\"\n\n", "name = \"tiny\"\nseed = -1\n\n", &["-1", "key `seed`"]),
        ("name = \"tiny\"\n\n", "name = \"tiny\n\n", &["not valid TOML", "config.toml"]),
        ("window = 8", "widnow = 8", &["`widnow`", "`window`", "encoding \"HiRoPE\""]),
        ("window = 8", "window = 0", &["window is 0", "encoding \"HiRoPE\"", "key `window`"]),
        ("window = 8", "window = -8", &["-8", "encoding \"HiRoPE\""]),
        ("window = 8", "window = \"wide\"", &["wide", "encoding \"HiRoPE\""]),
        ("window = 8", "window = []", &["window is an empty list", "encoding \"HiRoPE\""]),
        ("split = 0.5", "split = 1.5", &["split is 1.5", "key `split`"]),
        ("split = 0.5", "unit = \"line\"", &["`line`", "statement", "encoding \"HiRoPE\""]),
        (
            "split = 0.5",
            "unit = \"even:line\"",
            &["`line` in `even:line`", "statement", "encoding \"HiRoPE\""],
        ),
        (
            "split = 0.5",
            "unit = \"even:shuffled:file\"",
            &["a control of a control", "after `even:`", "statement"],
        ),
        ("kind = \"rope\"", "kind = \"rope\"\nwindow = 8", &["`window`", "encoding \"RoPE\""]),
        ("kind = \"rope\"", "kind = \"rope\"\ntop = 8", &["`top`", "encoding \"RoPE\""]),
        ("kind = \"rope\"", "kind = \"structure\"\ntop = 8", &["`top`", "encoding \"RoPE\""]),
        (
            "kind = \"rope\"",
            "kind = \"blocks\"\nunit = \"function\"\nlongest = 8",
            &["longest 8 is below shortest 32", "key `longest`", "give at least 32"],
        ),
        (
            "kind = \"rope\"",
            "kind = \"blocks\"\nscore = \"bounds\"\nrepresentatives = 8",
            &["8 representatives", "key `representatives`", "score = \"attended\""],
        ),
        ("kind = \"rope\"", "kind = \"blocks\"\nsplit = 0.5", &["split is 0.5", "key `split`"]),
        (
            "kind = \"rope\"",
            "kind = \"structure\"\nuses = false\nshuffled = true",
            &["uses is false", "key `shuffled`"],
        ),
        ("kind = \"rope\"", "kind = \"roap\"", &["`roap`", "hirope", "encoding \"RoPE\""]),
        ("kind = \"rope\"", "", &["no `kind`", "encoding \"RoPE\""]),
        ("name = \"HiRoPE\"", "name = \"RoPE\"", &["two encodings", "\"RoPE\"", "config.toml"]),
        ("[[encoding]]", "[encoding]", &["config.toml"]),
        ("samples = 3", "smaples = 3", &["`smaples`", "`samples`", "task \"lm\""]),
        ("samples = 3", "samples = 3\ncopies = [0, 8]", &["copies [0, 8]", "key `copies`"]),
        ("samples = 3", "samples = 3\ncopies = []", &["key `copies`"]),
        ("kind = \"rope\"", "kind = \"rope\"\ncontext = 8\nstride = 8", &["stride 8", "key `stride`"]),
        ("samples = 3", "samples = 0", &["samples is 0", "key `samples`"]),
        ("samples = 3", "", &["samples", "task \"lm\""]),
        ("[0, 100, 1000]", "[0, 100, 100]", &["[0, 100, 100]", "key `buckets`"]),
        ("\"language_modeling\"", "\"telepathy\"", &["`telepathy`", "language_modeling", "task \"lm\""]),
        ("\"docs.jsonl\"", "\"dcos.jsonl\"", &["dcos.jsonl", "task \"lm\""]),
        ("\"model\"", "\"modle\"", &["`modle`", "model \"tiny\""]),
        ("\"model\"", "\"model\"\nprecision = \"half\"", &["`half`", "split", "key `precision`"]),
        ("\"model\"", "\"model\"\nprecision = \"f16\"", &["f16", "f32, split, bf16", "model \"tiny\""]),
        ("[0, 100, 1000]", "[0, 100, 1000, 9000]", &["no document of 1000 to 9000", "docs.jsonl"]),
        (MODELING, &lookup("body = \"random\""), &["`random`", "`constant`", "task \"lm\""]),
        (MODELING, &lookup("needles = 2\nhops = 2\ndistractors = 0"), &["hops is 2", "key `needles`"]),
        (MODELING, &lookup("language = \"ruby\""), &["`ruby`", "`java`", "task \"lm\""]),
    ];
    let space = Workspace::new();
    for (from, to, parts) in cases {
        space.write("config.toml", CONFIG);
        space.replace("config.toml", from, to);
        refused(&space, to, parts);
    }
}

#[test]
fn all_that_is_missing_is_named_at_once() {
    let space = Workspace::new();
    space.replace("config.toml", "path = \"model\"", "path = \"modle\"\nobtain = \"ask Ann\"");
    space.replace("config.toml", "\"docs.jsonl\"", "\"dcos.jsonl\"");
    let parts =
        ["`modle` does not exist", "model \"tiny\"", "fix: ask Ann\nerror: ", "dcos.jsonl", "task \"lm\""];
    refused(&space, "a model and a data set", &parts);
}

#[test]
fn checkpoint() {
    type Damage = fn(&Workspace);
    fn config(space: &Workspace, from: &str, to: &str) {
        space.replace("model/config.json", from, to);
    }
    let cases: &[(&str, Damage, &[&str])] = &[
        ("no directory", |space| fs::remove_dir_all(space.path("model")).unwrap(), &["`model`"]),
        ("no config", |space| fs::remove_file(space.path("model/config.json")).unwrap(), &["config.json"]),
        ("config cut", |space| cut(space, "model/config.json", 2), &["config.json", "not valid JSON"]),
        ("architecture", |space| config(space, "\"llama\"", "\"gpt2\""), &["config.json", "gpt2", "mistral"]),
        (
            "experts",
            |space| {
                config(space, "\"llama\"", "\"phimoe\"");
                config(space, "\"vocab_size\"", "\"num_experts\": 128, \"vocab_size\"");
            },
            &["config.json", "phimoe", "num_experts (a mixture of experts)", "qwen3"],
        ),
        (
            "hybrid layers",
            |space| {
                config(space, "\"llama\"", "\"qwen3_next\"");
                config(space, "\"vocab_size\"", "\"linear_num_key_heads\": 16, \"vocab_size\"");
            },
            &["config.json", "qwen3_next", "linear_num_key_heads (layers of linear attention)"],
        ),
        (
            "experts in a family that is there",
            |space| config(space, "\"vocab_size\"", "\"num_local_experts\": 8, \"vocab_size\""),
            &["config.json", "llama", "num_local_experts"],
        ),
        (
            "partial rotation",
            |space| config(space, "\"vocab_size\"", "\"partial_rotary_factor\": 0.5, \"vocab_size\""),
            &["config.json", "`partial_rotary_factor`", "family that turns them in part"],
        ),
        (
            "an odd part of a head",
            |space| {
                config(space, "\"llama\"", "\"phi3\"");
                config(space, "\"vocab_size\"", "\"partial_rotary_factor\": 0.45, \"vocab_size\"");
            },
            &["config.json", "`partial_rotary_factor`", "odd"],
        ),
        (
            "multiplier",
            |space| {
                config(space, "\"llama\"", "\"granite\"");
                config(space, "\"vocab_size\"", "\"residual_multiplier\": 0, \"vocab_size\"");
            },
            &["config.json", "`residual_multiplier`", "is 0"],
        ),
        (
            "layers that do not turn",
            |space| {
                config(space, "\"llama\"", "\"smollm3\"");
                config(space, "\"vocab_size\"", "\"no_rope_layers\": [1], \"vocab_size\"");
            },
            &["config.json", "`no_rope_layers`", "num_hidden_layers"],
        ),
        (
            "activation",
            |space| config(space, "\"llama\"", "\"starcoder2\""),
            &["config.json", "`hidden_act`", "gelu_pytorch_tanh"],
        ),
        (
            "sliding window",
            |space| {
                config(space, "\"vocab_size\"", "\"use_sliding_window\": true, \"vocab_size\"");
            },
            &["config.json", "use_sliding_window", "mistral"],
        ),
        (
            "no window",
            |space| {
                config(space, "\"model_type\": \"llama\"", "\"model_type\": \"mistral\"");
                config(space, "\"vocab_size\"", "\"sliding_window\": 0, \"vocab_size\"");
            },
            &["config.json", "`sliding_window`", "is 0"],
        ),
        (
            "layer types",
            |space| {
                let types = "\"layer_types\": [\"full_attention\", \"chunked\", \"full_attention\"]";
                config(space, "\"vocab_size\"", &format!("{types}, \"vocab_size\""));
            },
            &["config.json", "layer_types", "chunked"],
        ),
        (
            "layer types of another family",
            |space| {
                let types =
                    "\"layer_types\": [\"full_attention\", \"sliding_attention\", \"full_attention\"]";
                config(space, "\"vocab_size\"", &format!("{types}, \"vocab_size\""));
            },
            &["config.json", "`layer_types`", "sliding_window"],
        ),
        (
            "longrope",
            |space| {
                let scaling = "\"rope_scaling\": {\"type\": \"su\", \"short_factor\": [1, 2], \
                               \"long_factor\": [1, 2]}";
                config(space, "\"rope_scaling\": null", scaling);
            },
            &["config.json", "short_factor", "2 factors for 8 pairs"],
        ),
        ("no field", |space| config(space, "\"hidden_size\"", "\"hide\""), &["config.json", "hidden_size"]),
        (
            "rope_scaling",
            |space| {
                config(space, "\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"x\", \"factor\": 2}")
            },
            &["config.json", "rope_scaling", "yarn"],
        ),
        (
            "weights cut",
            |space| cut(space, "model/model.safetensors", 2),
            &["model.safetensors", "safetensors"],
        ),
        ("weights empty", |space| space.write("model/model.safetensors", ""), &["model.safetensors"]),
        (
            "no weights",
            |space| fs::remove_file(space.path("model/model.safetensors")).unwrap(),
            &["model.safetensors", "index"],
        ),
        (
            "missing tensor",
            |space| config(space, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4"),
            &["`model.layers.3.", "is missing", "config.json"],
        ),
        (
            "extra tensors",
            |space| config(space, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2"),
            &["model.layers.2.", "num_hidden_layers"],
        ),
        (
            "misshapen tensor",
            |space| config(space, "\"intermediate_size\": 96", "\"intermediate_size\": 95"),
            &["gate_proj.weight", "[96, 64]", "[95, 64]", "model.safetensors"],
        ),
        ("unknown type", integer_weights, &["model.norm.weight", "I32", "bf16"]),
        (
            "no tokenizer",
            |space| fs::remove_file(space.path("model/tokenizer.json")).unwrap(),
            &["tokenizer.json", "save_pretrained"],
        ),
        (
            "tokenizer cut",
            |space| cut(space, "model/tokenizer.json", 2),
            &["tokenizer.json", "not valid JSON"],
        ),
        (
            "no tokenizer's JSON",
            |space| space.write("model/tokenizer.json", "{\"a\": 1}"),
            &["tokenizer.json", "not a tokenizer"],
        ),
        (
            "too many ids",
            |space| config(space, "\"vocab_size\": 512", "\"vocab_size\": 500"),
            &["tokenizer.json", "511", "500"],
        ),
    ];
    for (case, damage, parts) in cases {
        let space = Workspace::new();
        damage(&space);
        refused(&space, case, parts);
    }
}

/// Keys of the encodings that make no sense, with the tiny checkpoint: 8 pairs, trained at 64 tokens.
#[test]
fn encoding_keys() {
    let cases: &[(&str, &[&str])] = &[
        ("sliding_window:window=0", &["key `window`"]),
        ("lm_infinite:window=0", &["key `window`"]),
        ("lm_infinite:ceiling=0", &["key `ceiling`", "leave it out"]),
        ("lm_infinite:sinks=-1", &["-1", "lm_infinite"]),
        ("streaming_llm:sinks=64", &["key `sinks`", "trained length 64"]),
        ("streaming_llm:logn=true", &["`logn`", "`window`"]),
        ("dual_chunk:chunk=8,local=8", &["key `chunk`", "larger"]),
        ("dual_chunk:local=48", &["key `local`", "larger"]),
        ("dual_chunk:mscale=2", &["mscale", "dual_chunk"]),
        ("string:shift=0", &["key `shift`", "leave it out"]),
        ("string:logit_factor=0", &["key `logit_factor`"]),
        ("dynamic_yarn:beta_fast=1", &["key `beta_fast`", "beta_slow"]),
        ("clip:pairs=9", &["key `pairs`", "0 to 8"]),
        ("clip:form=medium", &["medium", "clip"]),
        ("nope:logit_factor=0", &["key `logit_factor`", "above 0"]),
        ("streaming_llm:positions=token", &["token", "streaming_llm"]),
        ("rope:temperature=-0.1", &["key `temperature`", "at least 0"]),
        ("rope:temperature=inf", &["key `temperature`", "finite"]),
        ("rerope:logn=true,temperature=0.1", &["key `temperature`", "`logn`"]),
        ("dpe", &["`groups`"]),
        ("dpe:groups=2/8/2", &["key `groups`", "8 frequency pairs", "1, 2, 4, 8"]),
        ("dpe:groups=2/0", &["key `groups`", "at least 1"]),
        ("dpe:groups=2/x", &["2/x", "dpe"]),
        ("rope:context=1", &["key `context`", "at least 2"]),
        ("rope:context=-8", &["key `context`", "-8"]),
        ("rope:context=32,stride=32", &["key `stride`", "1 to 31"]),
        ("rope:context=32,stride=0", &["key `stride`", "1 to 31"]),
        ("rope:stride=8", &["key `stride`", "`context`"]),
        ("rope:full_attention=true", &["key `full_attention`", "none"]),
        ("rope:full_attention=1", &["key `full_attention`", "true or false"]),
    ];
    let space = Workspace::new();
    space.write("two.py", "x = 1\n");
    for (spec, parts) in cases {
        println!("{spec}");
        space
            .longcode(&format!("score --model model --device cpu --encoding {spec} two.py"))
            .failed(2, parts);
    }
}

/// What is legal and unwise runs, and is told.
#[test]
fn unwise_encoding_keys() {
    let cases = [
        ("sliding_window:window=65", "beyond the trained length of 64 tokens"),
        ("lm_infinite:window=65", "beyond the trained length"),
        ("lm_infinite:ceiling=100", "ceiling 100"),
        ("lm_infinite:sinks=0", "`sliding_window`"),
        ("streaming_llm:sinks=4,window=61", "beyond the trained length"),
        ("streaming_llm:sinks=0", "`sliding_window`"),
        ("streaming_llm:positions=text,window=65", "beyond the trained length"),
        ("clip:pairs=0", "this is `rope`"),
        ("streaming_llm:sinks=8,window=8", "8 sinks are as many as the window"),
        ("dual_chunk:chunk=65", "chunk 65"),
        ("rope:context=65", "context 65 has positions beyond the trained length"),
        ("string:shift=20", "local 128 is more than shift 20"),
    ];
    let space = Workspace::new();
    space.write("two.py", "x = 1\n");
    for (spec, note) in cases {
        let ended =
            space.longcode(&format!("score --model model --device cpu --encoding {spec} two.py")).done();
        assert!(ended.stderr.contains(&format!("encoding `{spec}`: ")), "{ended:?}");
        assert!(ended.stderr.contains(note), "no `{note}` in {ended:?}");
    }
    space.replace("config.toml", "kind = \"rope\"", "kind = \"sliding_window\"\nwindow = 100");
    let note = "encoding \"RoPE\", model \"tiny\": window 100 reaches beyond";
    assert!(space.run("").stderr.contains(note));
}

#[test]
fn dataset() {
    let docs = common::cli::documents(3);
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(docs.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let with_line = |line: &[u8]| [docs.as_bytes(), line].concat();
    let cases: &[(&str, Vec<u8>, &[&str])] = &[
        ("half a line", with_line(b"{\"id\": \"x\", \"text\": \"de"), &["docs.jsonl:4", "cut short"]),
        ("no JSON", with_line(b"def f():\n"), &["docs.jsonl:4", "not JSON"]),
        ("no field", with_line(b"{\"id\": \"x\", \"txet\": \"a\"}\n"), &["docs.jsonl:4", "`text`", "txet"]),
        ("no text", with_line(b"{\"id\": \"x\", \"text\": 1}\n"), &["docs.jsonl:4", "`text`"]),
        ("no UTF-8", with_line(b"{\"id\": \"x\", \"text\": \"\xff\"}\n"), &["docs.jsonl:4", "UTF-8"]),
        ("gzip cut", gzip[..gzip.len() / 2].to_vec(), &["docs.jsonl", "end early"]),
        ("empty", Vec::new(), &["docs.jsonl", "empty"]),
        ("twice", [docs.as_bytes(), docs.as_bytes()].concat(), &["docs.jsonl:4", "twice"]),
    ];
    let space = Workspace::new();
    for (case, bytes, parts) in cases {
        space.write("docs.jsonl", bytes);
        refused(&space, case, parts);
    }
}

#[test]
fn command_line() {
    let space = Workspace::new();
    space.write("empty.py", "");
    space.write("one.py", "x");
    space.write("latin1.py", b"x = '\xe9'\n");
    space.write("two.py", "x = 1\n");
    let run = "run config.toml --device cpu";
    let score = "score --model model --encoding rope --device cpu";
    let cases: &[(&str, &str, &[&str])] = &[
        ("", "", &["no command", "--help"]),
        ("scor", "config.toml", &["'scor'", "'score'"]),
        ("run", "", &["<CONFIG>", "longcode run"]),
        ("run", "absent.toml", &["absent.toml", "cannot read"]),
        (run, "--limit 0", &["--limit", "0"]),
        (run, "--limit many", &["--limit", "many"]),
        (run, "--shard 0/3", &["--shard 0/3", "count from 1", "1/3 to 3/3"]),
        (run, "--shard 4/3", &["--shard 4/3", "shard 4 of 3 does not exist", "1/3 to 3/3"]),
        (run, "--shard 1/0", &["--shard 1/0", "0 shards", "at least 1"]),
        (run, "--shard a/b", &["--shard a/b", "`a/b` is not a shard", "I/N"]),
        (run, "--bogus", &["--bogus", "longcode run"]),
        (run, "--set samples", &["--set samples", "key.path=value"]),
        (run, "--set task.smaples=1", &["smaples"]),
        (run, "--set encoding.Rope.window=1", &["`Rope`"]),
        (run, "--set =1", &["--set =1"]),
        ("run config.toml", "--device nonsense", &["--device", "`nonsense`", "wgpu"]),
        ("run config.toml", "--device wgpu:x", &["--device", "`x`", "longcode devices"]),
        (score, "empty.py", &["empty.py", "0 token(s)"]),
        (score, "one.py", &["one.py", "1 token(s)"]),
        (score, "latin1.py", &["latin1.py", "UTF-8 at byte 5"]),
        (score, "absent.py", &["absent.py", "cannot read"]),
        (score, "--max-tokens 1 two.py", &["--max-tokens"]),
        (score, "--unit line two.py", &["--unit", "`line`"]),
        (score, "", &["FILE", "longcode score"]),
        (score, "--precision f16 two.py", &["the CPU", "precision", "f32, split, bf16"]),
        (score, "--precision half two.py", &["--precision", "`half`"]),
        (run, "--precision f16", &["model \"tiny\"", "f32, split, bf16"]),
        ("score --model model --device cpu --encoding", "rope:window=8 two.py", &["`rope:window=8`"]),
        ("score --model model --device cpu --encoding", "ntk:factor two.py", &["`factor`", "key=value"]),
        ("score --model absent --device cpu --encoding", "rope two.py", &["absent"]),
        ("inspect", "latin1.py", &["latin1.py", "UTF-8 at byte 5"]),
        ("inspect", "--unit tokens:8 two.py", &["--unit", "--tokenizer"]),
        ("inspect", "--tokenizer absent two.py", &["absent", "tokenizer.json"]),
        ("bench --model model --encoding rope", "--length 1", &["--length"]),
        ("bench --model model --encoding rope", "--length 8 --repeats 0", &["--repeats"]),
        ("report", "model", &["model", "not a results directory"]),
        ("report", "absent", &["absent", "not a results directory"]),
        ("report", "model model", &["--out"]),
    ];
    for (command, rest, parts) in cases {
        println!("{command} {rest}");
        let ended = space.longcode(&format!("{command} {rest}")).failed(2, parts);
        assert_eq!(ended.stdout, "");
        assert!(!space.path("results").exists(), "something was written");
    }
}

#[test]
fn products_that_are_not_there() {
    let space = Workspace::new();
    let mut command = space.command("run config.toml --device cpu");
    let ended = Ended::from(command.env("LONGCODE_CPU", "abacus").output().unwrap());
    ended.failed(2, &["`abacus`", "LONGCODE_CPU", "f32"]);
    assert!(!space.path("results").exists(), "something was written");
}

/// A file that loses its end while it is mapped is an error that names it, not the end of the process.
#[test]
fn weights_cut_short_while_they_are_read() {
    let space = Workspace::new();
    let weights = space.path("model/model.safetensors");
    let length = fs::metadata(&weights).unwrap().len();
    for left in [length - 1, length / 2, 0] {
        common::cli::copy_model(&space.path("model"));
        let checkpoint = Checkpoint::open(&space.path("model")).unwrap();
        let model = checkpoint.load(&Device::flex(), Precision::F32).unwrap();
        fs::OpenOptions::new().write(true).open(&weights).unwrap().set_len(left).unwrap();
        let encoding = EncodingSpec::parse("rope").unwrap();
        let under =
            EncodedModel { model: &model, config: &checkpoint.config, encoding: &encoding, bos: None };
        let error = under.score(&[1; 40], Vec::new()).unwrap_err();
        assert!(error.what.contains("cut short"), "{left} bytes left: {error}");
        assert!(error.to_string().contains("model.safetensors"), "{left} bytes left: {error}");
    }
}

/// Leaves a file's first part.
fn cut(space: &Workspace, name: &str, parts: usize) {
    let bytes = fs::read(space.path(name)).unwrap();
    space.write(name, &bytes[..bytes.len() / parts]);
}

/// One tensor of the weights says that it holds integers.
fn integer_weights(space: &Workspace) {
    let path = space.path("model/model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let views = tensors.tensors().into_iter().map(|(name, view)| {
        use safetensors::tensor::{Dtype, TensorView};
        let dtype = if name == "model.norm.weight" { Dtype::I32 } else { view.dtype() };
        (name, TensorView::new(dtype, view.shape().to_vec(), view.data()).unwrap())
    });
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Tokens of a text take a hundred times its bytes while they are made.
#[test]
fn texts_too_long_for_tokens_are_named() {
    let space = Workspace::new();
    let long = "x = 1\n".repeat(3 << 20);
    space.write("long.py", &long);
    let record = serde_json::json!({ "content": long, "language": "python" });
    space.write("docs.jsonl", format!("{}{record}\n", documents(3)));
    let run = space.longcode("run config.toml --device cpu");
    run.failed(2, &["docs.jsonl:4", "18874368 bytes", "at most 16777216", "fix: "]);
    let scored = space.longcode("score --model model --encoding rope --device cpu long.py");
    scored.failed(2, &["long.py", "18874368 bytes", "fix: "]);
}
