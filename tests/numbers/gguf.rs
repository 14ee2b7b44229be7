//! GGUF files: the same numbers as the Hugging Face directory that they were made from, blocks and
//! SentencePiece ids as other programs have them (tests/gguf, made by make_fixtures.py there), and an
//! error in words for everything that is wrong.

use crate::common;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::cli::Workspace;
use crate::common::gguf::{BF16, F16, F32, GgufFile, Q8_0, read_json};
use crate::common::repository;
use burn::tensor::Device;
use longcode::checkpoint::{Checkpoint, read_tokenizer};
use longcode::encoding::EncodingSpec;
use longcode::error::Result;
use longcode::kernels::Precision;
use longcode::kernels::stored::FORMATS;
use longcode::model::EncodedModel;
use longcode::text::Tokenizer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

fn losses(path: &Path, text: &str) -> (Vec<u32>, Vec<f32>) {
    let checkpoint = Checkpoint::open(path).unwrap();
    checkpoint.check_weights().unwrap();
    let ids = checkpoint.tokenizer.encode(text).unwrap().ids;
    let model = checkpoint.load(&Device::flex(), Precision::F32).unwrap();
    let rope = EncodingSpec::parse("rope").unwrap();
    let scores = EncodedModel { model: &model, config: &checkpoint.config, encoding: &rope, bos: None }
        .score(&ids, Vec::new())
        .unwrap();
    (ids, scores.nll)
}

/// A GGUF file of a directory, in a temporary directory that lives as long.
fn converted(dir: &Path, encoder: common::gguf::Encoder) -> (tempfile::TempDir, PathBuf) {
    let space = tempfile::tempdir().unwrap();
    let path = space.path().join("model.gguf");
    GgufFile::of_directory(dir, encoder).write(&path);
    (space, path)
}

fn sample() -> String {
    fs::read_to_string(repository("tests/transformers/sample.py")).unwrap()
}

#[test]
fn nano_in_f16_is_the_directory() {
    let nano = repository("models/nano");
    let (_space, path) = converted(&nano, F16);
    let text = format!("{}\n# äöü, 位置 and 🙂\n</s>", sample());
    assert_eq!(losses(&path, &text), losses(&nano, &text));
    let [file, directory] = [&path, &nano].map(|path| Checkpoint::open(path).unwrap());
    assert_eq!(file.config.trained_length(), directory.config.trained_length());
    assert_eq!(file.sha256().unwrap(), longcode::hash::sha256(&fs::read(&path).unwrap()));
}

#[test]
fn nano_in_q8_0_is_close() {
    let nano = repository("models/nano");
    let (_space, path) = converted(&nano, Q8_0);
    let ((ids, file), (expected_ids, directory)) = (losses(&path, &sample()), losses(&nano, &sample()));
    assert_eq!(ids, expected_ids);
    let mean = |nll: &[f32]| nll.iter().sum::<f32>() / nll.len() as f32;
    assert!((mean(&file) - mean(&directory)).abs() < 0.01, "{} for {}", mean(&file), mean(&directory));
    assert_ne!(file, directory);
}

/// The losses of transformers for the directory that the file was made from.
fn check_against_transformers(name: &str, encoder: common::gguf::Encoder) {
    let dir = repository("tests/transformers").join(name);
    let expected = read_json(&dir.join("expected.json"));
    let (_space, path) = converted(&dir, encoder);
    let (ids, nll) = losses(&path, &sample());
    assert_eq!(serde_json::json!(ids), expected["ids"], "{name}: ids");
    for (n, (ours, expected)) in nll.iter().zip(expected["nll"].as_array().unwrap()).enumerate() {
        let expected = expected.as_f64().unwrap() as f32;
        assert!((ours - expected).abs() < 1e-4, "{name}: token {}: {ours} for {expected}", n + 1);
    }
}

#[test]
fn llama_with_grouped_queries_and_tied_head() {
    check_against_transformers("llama-gqa-tied-float16", F16);
}

#[test]
fn qwen2_with_biases() {
    check_against_transformers("qwen2-sharded-bfloat16", BF16);
}

#[test]
fn yarn_in_the_metadata() {
    check_against_transformers("llama-yarn-float16", F16);
}

#[test]
fn llama3_in_a_tensor_and_attention_bias() {
    check_against_transformers("llama-llama3-bias-float32", F32);
}

/// llama.cpp would apply both; no published file has both.
#[test]
fn two_scalings_are_refused() {
    let dir = repository("tests/transformers/llama-llama3-bias-float32");
    let mut file = GgufFile::of_directory(&dir, F32);
    file.text("llama.rope.scaling.type", "linear");
    file.float("llama.rope.scaling.factor", 2.0);
    let space = tempfile::tempdir().unwrap();
    let path = space.path().join("model.gguf");
    file.write(&path);
    let error = Checkpoint::open(&path).err().unwrap().to_string();
    assert!(error.contains("rope.scaling.type beside the tensor rope_freqs.weight"), "{error}");
}

#[test]
fn llama_with_biases_everywhere() {
    check_against_transformers("granite-code-bfloat16", BF16);
}

#[test]
fn qwen3_norms_of_queries_and_keys() {
    check_against_transformers("qwen3-float16", F16);
}

#[test]
fn granite_multipliers() {
    check_against_transformers("granite-bfloat16", BF16);
}

#[test]
fn smollm3_layers_that_do_not_turn() {
    check_against_transformers("smollm3-sharded-float16", F16);
}

#[test]
fn phi3_fused_partial_longrope() {
    check_against_transformers("phi3-partial-longrope-bfloat16", BF16);
}

/// The converter stores no sliding window of StarCoder2, and llama.cpp has none: so the file has full attention.
#[test]
fn starcoder2_with_full_attention() {
    let dir = repository("tests/transformers/starcoder2-sliding-float16");
    let (_space, path) = converted(&dir, F16);
    let file = losses(&path, &sample());
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let config = fs::read_to_string(dir.join("config.json")).unwrap();
    assert!(config.contains("\"sliding_window\": 48"));
    let config = config.replace("\"sliding_window\": 48", "\"sliding_window\": null");
    fs::write(copy.path().join("config.json"), config).unwrap();
    let directory = losses(copy.path(), &sample());
    assert_eq!(file.0, directory.0);
    let worst = file.1.iter().zip(&directory.1).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-6, "{worst}");
}

#[test]
fn blocks_of_every_type_to_the_bit() {
    let bytes = fs::read(repository("tests/gguf/blocks.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.len(), 2 * FORMATS.len());
    for kind in FORMATS {
        let blocks = tensors.tensor(&format!("{}.bytes", kind.name)).unwrap();
        let expected = tensors.tensor(&format!("{}.values", kind.name)).unwrap();
        let expected: Vec<f32> =
            expected.data().chunks(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect();
        let mut values = vec![0.0; expected.len()];
        (kind.decode)(blocks.data(), &mut values);
        assert_eq!(values, expected, "{}", kind.name);
    }
}

/// A file that holds a tokenizer alone.
fn tokenizer_of(file: &GgufFile) -> Result<Tokenizer> {
    let space = tempfile::tempdir().unwrap();
    let path = space.path().join("tokenizer.gguf");
    file.write(&path);
    read_tokenizer(&path)
}

#[test]
fn sentence_piece_ids() {
    let expected = read_json(&repository("tests/gguf/sentencepiece.json"));
    let array = |key: &str| expected[key].as_array().unwrap();
    let mut file = GgufFile::default();
    file.text("tokenizer.ggml.model", "llama");
    file.texts("tokenizer.ggml.tokens", array("tokens").iter().map(|token| token.as_str().unwrap()));
    file.floats("tokenizer.ggml.scores", array("scores").iter().map(|score| score.as_f64().unwrap() as f32));
    file.types("tokenizer.ggml.token_type", array("types").iter().map(|kind| kind.as_i64().unwrap() as i32));
    file.whole("tokenizer.ggml.bos_token_id", 1);
    file.whole("tokenizer.ggml.eos_token_id", 2);
    let tokenizer = tokenizer_of(&file).unwrap();
    for case in array("texts") {
        let text = case["text"].as_str().unwrap();
        let ids = tokenizer.encode(text).unwrap().ids;
        assert_eq!(ids[0], 1, "BOS");
        assert_eq!(serde_json::json!(ids[1..]), case["ids"], "{text}");
    }
}

/// A byte-level tokenizer whose merges join digits and spaces as far as the pre-tokenizer lets them.
fn digits_and_spaces(pre: Option<&str>) -> (GgufFile, [&'static str; 13]) {
    let tokens = ["a", "Ġ", "1", "2", "3", "4", "ĠĠ", "12", "123", "1234", "Ċ", "ĊĠ", "<x>"];
    let mut file = GgufFile::default();
    file.text("tokenizer.ggml.model", "gpt2");
    if let Some(pre) = pre {
        file.text("tokenizer.ggml.pre", pre);
    }
    file.texts("tokenizer.ggml.tokens", tokens.into_iter());
    file.types(
        "tokenizer.ggml.token_type",
        tokens.map(|token| if token == "<x>" { 4 } else { 1 }).into_iter(),
    );
    file.texts("tokenizer.ggml.merges", ["Ġ Ġ", "1 2", "12 3", "123 4", "Ċ Ġ"].into_iter());
    file.whole("tokenizer.ggml.bos_token_id", 0);
    (file, tokens)
}

#[test]
fn pre_tokenizers() {
    let cases: &[(&str, &[&str])] = &[
        ("gpt-2", &["ĊĠ", "Ġ", "1234"]),
        ("smollm", &["Ċ", "ĠĠ", "1", "2", "3", "4"]),
        ("qwen2", &["Ċ", "Ġ", "Ġ", "1", "2", "3", "4"]),
        ("seed-coder", &["Ċ", "Ġ", "Ġ", "1", "2", "3", "4"]),
        ("smaug-bpe", &["Ċ", "Ġ", "Ġ", "123", "4"]),
        ("dbrx", &["Ċ", "Ġ", "Ġ", "123", "4"]),
        // These add BOS, which is `a` here.
        ("llama-bpe", &["a", "Ċ", "Ġ", "Ġ", "123", "4"]),
        ("tekken", &["a", "Ċ", "Ġ", "Ġ", "1", "2", "3", "4"]),
        ("deepseek-coder", &["Ċ", "ĠĠ", "1", "2", "3", "4"]),
        ("deepseek-llm", &["Ċ", "ĠĠ", "1234"]),
        // Numbers are cut out first, so nothing stands behind the spaces.
        ("deepseek-v3", &["Ċ", "ĠĠ", "123", "4"]),
        ("gpt-4o", &["Ċ", "Ġ", "Ġ", "123", "4"]),
    ];
    for (pre, expected) in cases {
        let (file, tokens) = digits_and_spaces(Some(*pre));
        let ids = tokenizer_of(&file).unwrap().encode("\n  1234a<x>").unwrap().ids;
        let found: Vec<_> = ids.iter().map(|&id| tokens[id as usize]).collect();
        assert_eq!(found, [expected, &["a", "<x>"][..]].concat(), "{pre:?}");
    }
}

/// Seed-Coder's punctuation does not take the line's end with it, as that of others does.
#[test]
fn punctuation_and_line_ends() {
    let cut = |pre: &str| {
        let tokens = [";", "Ċ", ";Ċ"];
        let mut file = GgufFile::default();
        file.text("tokenizer.ggml.model", "gpt2");
        file.text("tokenizer.ggml.pre", pre);
        file.texts("tokenizer.ggml.tokens", tokens.into_iter());
        file.texts("tokenizer.ggml.merges", ["; Ċ"].into_iter());
        tokenizer_of(&file).unwrap().encode(";\n").unwrap().ids
    };
    assert_eq!(cut("seed-coder"), [0, 1]);
    for pre in ["smaug-bpe", "qwen2", "qwen35", "gpt-4o", "deepseek-v3"] {
        assert_eq!(cut(pre), [2], "{pre}");
    }
}

#[test]
fn a_file_that_does_not_name_its_pre_tokenizer() {
    for pre in [None, Some("default")] {
        let (mut file, tokens) = digits_and_spaces(pre);
        let error = tokenizer_of(&file).err().unwrap().to_string();
        assert!(
            ["tokenizer.ggml.pre", "tokenizer.gguf", "fix"].iter().all(|part| error.contains(part)),
            "{error}"
        );
        // Llama 3's are as many, and its files of the first weeks do not say whose they are.
        let more = (tokens.len()..128_256).map(|id| format!("<{id}>")).collect::<Vec<_>>();
        let all: Vec<&str> = tokens.iter().copied().chain(more.iter().map(String::as_str)).collect();
        file.texts("tokenizer.ggml.tokens", all.iter().copied());
        file.types("tokenizer.ggml.token_type", all.iter().map(|_| 1));
        let ids = tokenizer_of(&file).unwrap().encode("\n  1234").unwrap().ids;
        let found: Vec<_> = ids.iter().map(|&id| tokens[id as usize]).collect();
        assert_eq!(found, ["a", "Ċ", "Ġ", "Ġ", "123", "4"]);
    }
}

#[test]
fn tokens_that_end_a_generation() {
    let space = tempfile::tempdir().unwrap();
    let path = space.path().join("ends.gguf");
    let ends = |change: &dyn Fn(&mut GgufFile)| {
        let mut file = tiny();
        change(&mut file);
        file.write(&path);
        Checkpoint::open(&path).unwrap().end_of_sequence
    };
    let plain = ends(&|_| ());
    let with = |more: &[u32]| {
        let mut all = [&plain[..], more].concat();
        all.sort_unstable();
        all.dedup();
        all
    };
    assert_eq!(ends(&|file| file.whole("tokenizer.ggml.eot_token_id", 7)), with(&[7]));
    assert_eq!(ends(&|file| file.whole("tokenizer.ggml.eom_token_id", 9)), with(&[9]));
    assert_eq!(ends(&|file| file.whole("tokenizer.ggml.fim_sep_token_id", 11)), with(&[11]));
    let named = |names: &'static [&'static str]| {
        ends(&|file| {
            let at = tiny_tokens().len() - names.len();
            let tokens = tiny_tokens();
            let tokens: Vec<&str> =
                tokens[..at].iter().map(String::as_str).chain(names.iter().copied()).collect();
            file.texts("tokenizer.ggml.tokens", tokens.iter().copied());
            // Of those that are left.
            let json = read_json(&repository("tests/golden/tiny-llama/tokenizer.json"));
            let merges =
                json["model"]["merges"].as_array().unwrap().iter().map(|merge| match merge.as_array() {
                    Some(pair) => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
                    None => merge.as_str().unwrap().to_string(),
                });
            let whole = |merge: &String| {
                let (left, right) = merge.split_once(' ').unwrap();
                [left, right, &format!("{left}{right}")].iter().all(|token| tokens.contains(token))
            };
            let merges: Vec<String> = merges.filter(whole).collect();
            file.texts("tokenizer.ggml.merges", merges.iter().map(String::as_str));
        })
    };
    let last = tiny_tokens().len() as u32 - 1;
    for name in [
        "<|im_end|>",
        "<|eot_id|>",
        "<end_of_turn>",
        "<|end|>",
        "<|eom_id|>",
        "<|endoftext|>",
        "<|file_sep|>",
    ] {
        let name: &'static [&'static str] = Box::leak(Box::new([name]));
        assert_eq!(named(name), with(&[last]), "{name:?}");
    }
    // There `<|end|>` ends a part of a turn.
    assert_eq!(named(&["<|end|>", "<|return|>", "<|call|>"]), with(&[last - 1, last]));
}

/// The tokens of [`tiny`].
fn tiny_tokens() -> Vec<String> {
    let json = read_json(&repository("tests/golden/tiny-llama/tokenizer.json"));
    let mut tokens: Vec<(u64, String)> = json["model"]["vocab"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(token, id)| (id.as_u64().unwrap(), token.clone()))
        .collect();
    tokens.sort();
    tokens.into_iter().map(|(_, token)| token).collect()
}

/// The tiny checkpoint of the tests, as a file of half its size.
fn tiny() -> GgufFile {
    GgufFile::of_directory(&repository("tests/golden/tiny-llama"), F16)
}

/// A count of 64 bits.
fn large(file: &mut GgufFile, key: &str, value: u64) {
    file.set(key, 10, value.to_le_bytes().to_vec());
}

const EPSILON: &str = "llama.attention.layer_norm_rms_epsilon";

#[test]
fn what_is_wrong_is_told() {
    type Damage = fn(&mut GgufFile);
    let cases: &[(Damage, &[&str])] = &[
        (|file| file.remove("general.architecture"), &["`general.architecture`", "missing"]),
        (|file| file.text("general.architecture", "falcon"), &["`general.architecture`", "falcon", "qwen2"]),
        (|file| file.remove("llama.block_count"), &["`llama.block_count`", "missing"]),
        (|file| file.text("llama.block_count", "3"), &["`llama.block_count`", "whole number"]),
        (|file| file.whole("llama.block_count", 4), &["`blk.3.", "missing", "the metadata"]),
        (|file| file.whole("llama.block_count", 2), &["blk.2.", "the metadata"]),
        (|file| file.whole("llama.attention.head_count_kv", 3), &["num_key_value_heads", "divide"]),
        (|file| file.whole("llama.attention.head_count", 0), &["num_attention_heads", "0"]),
        (|file| file.whole("llama.rope.dimension_count", 8), &["`llama.rope.dimension_count`", "8"]),
        (|file| file.whole("llama.expert_count", 8), &["`llama.expert_used_count`", "missing"]),
        (|file| file.whole("llama.attention.sliding_window", 8), &["sliding_window"]),
        (|file| file.text("llama.rope.scaling.type", "longrope"), &["rope_type", "longrope"]),
        (|file| file.float("llama.rope.scaling.attn_factor", 2.0), &["`llama.rope.scaling.attn_factor`"]),
        (|file| file.whole("split.count", 3), &["`split.count`", "--merge"]),
        (|file| file.whole("general.alignment", 0), &["`general.alignment`"]),
        (|file| file.set("x", 77, vec![0]), &["`x`", "77"]),
        (|file| file.set("x", 8, u64::MAX.to_le_bytes().to_vec()), &["`x`", "bytes"]),
        (
            |file| file.metadata.push(("llama.block_count".into(), 7, vec![0])),
            &["`llama.block_count`", "twice"],
        ),
        (|file| file.tensors.extend_from_within(..1), &["tensor `", "twice"]),
        (|file| file.tensor("blk.0.ffn_up.weight").kind = 23, &["`blk.0.ffn_up.weight`", "IQ4_XS", "Q4_K"]),
        (|file| file.tensor("blk.0.ffn_up.weight").kind = 99, &["`blk.0.ffn_up.weight`", "99"]),
        (|file| file.tensor("blk.0.ffn_up.weight").dims[0] = 32, &["`blk.0.ffn_up.weight`", "[96, 32]"]),
        (|file| file.tensor("blk.0.ffn_up.weight").dims[0] = 1 << 63, &["`blk.0.ffn_up.weight`", "F16"]),
        (|file| file.tensor("blk.0.ffn_up.weight").dims[0] = 1 << 40, &["`blk.0.ffn_up.weight`", "beyond"]),
        (|file| file.tensor("blk.0.attn_q.weight").dims.clear(), &["`blk.0.attn_q.weight`", "dimensions"]),
        (|file| file.text("tokenizer.ggml.model", "t5"), &["`tokenizer.ggml.model`", "t5", "gpt2"]),
        (|file| file.text("tokenizer.ggml.pre", "viking"), &["`tokenizer.ggml.pre`", "viking", "Llama 3"]),
        (|file| file.remove("tokenizer.ggml.merges"), &["`tokenizer.ggml.merges`", "missing"]),
        (|file| file.texts("tokenizer.ggml.merges", ["ab"].into_iter()), &["merge 0", "`ab`"]),
        (
            |file| file.types("tokenizer.ggml.token_type", [1].into_iter()),
            &["`tokenizer.ggml.token_type`", "1 "],
        ),
        (|file| file.whole("tokenizer.ggml.bos_token_id", 9999), &["`tokenizer.ggml.bos_token_id`", "9999"]),
        (|file| file.whole("llama.vocab_size", 500), &["511", "500"]),
        (|file| file.float("llama.rope.freq_base", f64::NAN), &["`llama.rope.freq_base`", "finite"]),
        (|file| file.float("llama.rope.freq_base", f64::INFINITY), &["`llama.rope.freq_base`", "finite"]),
        (|file| file.float("llama.rope.freq_base", -1e4), &["rope_theta"]),
        (|file| file.flag("llama.attention.causal", false), &["`llama.attention.causal`"]),
        (|file| file.float("llama.attn_logit_softcapping", 50.0), &["`llama.attn_logit_softcapping`"]),
        (|file| file.float(EPSILON, f64::NAN), &[EPSILON, "finite"]),
        (|file| file.float(EPSILON, f64::NEG_INFINITY), &[EPSILON, "finite"]),
        (|file| file.float(EPSILON, -1e-5), &["rms_norm_eps", "below 0"]),
        (|file| file.text(EPSILON, "1e-5"), &[EPSILON, "number"]),
        (|file| file.float("llama.rope.scaling.factor", f64::NAN), &["`llama.rope.scaling.factor`"]),
        (|file| file.float("llama.rope.scale_linear", f64::INFINITY), &["`llama.rope.scale_linear`"]),
        (|file| large(file, "llama.block_count", 1 << 40), &["`llama.block_count`", "1099511627776"]),
        (|file| large(file, "llama.context_length", u64::MAX), &["`llama.context_length`"]),
        (|file| large(file, "llama.embedding_length", 1 << 40), &["`llama.embedding_length`"]),
        (|file| large(file, "llama.feed_forward_length", 1 << 62), &["`llama.feed_forward_length`"]),
        (|file| large(file, "llama.attention.head_count", 1 << 63), &["`llama.attention.head_count`"]),
        (|file| large(file, "llama.attention.key_length", (1 << 62) + 48), &["`llama.attention.key_length`"]),
        (
            |file| large(file, "llama.rope.scaling.original_context_length", u64::MAX),
            &["original_context_length"],
        ),
    ];
    let space = Workspace::new();
    space.replace("config.toml", "\"model\"", "\"model.gguf\"");
    for (number, (damage, parts)) in cases.iter().enumerate() {
        println!("case {number}: {parts:?}");
        let mut file = tiny();
        damage(&mut file);
        file.write(&space.path("model.gguf"));
        space.longcode("run config.toml --device cpu").failed(2, &[parts, &["model.gguf"][..]].concat());
        assert!(!space.path("results").exists(), "something was written");
    }
}

#[test]
fn every_command_takes_a_file() {
    let space = Workspace::new();
    let tiny = GgufFile::of_directory(&repository("tests/golden/tiny-llama"), F32);
    tiny.write(&space.path("model.gguf"));
    space.write("two.py", "x = 1\ny = 2\n");
    let of_file = |command: &str| space.longcode(&command.replace("MODEL", "model.gguf")).done().stdout;
    let of_directory = |command: &str| space.longcode(&command.replace("MODEL", "model")).done().stdout;
    let score = "score --model MODEL --encoding rope --device cpu --json two.py";
    assert_eq!(of_file(score), of_directory(score));
    let inspect = "inspect two.py --tokenizer MODEL --json";
    assert_eq!(of_file(inspect), of_directory(inspect));
    of_file("bench --model MODEL --encoding rope --length 16 --repeats 1 --device cpu");
    space.replace("config.toml", "\"model\"", "\"model.gguf\"");
    space.run("--limit 1");
    space.longcode("score --model two.py --encoding rope two.py").failed(2, &["two.py", "not a GGUF file"]);
}

/// What a file holds is refused or read, and never panics.
fn open_all(path: &Path) -> Result<()> {
    let checkpoint = Checkpoint::open(path)?;
    checkpoint.check_weights()?;
    checkpoint.load(&Device::flex(), Precision::F32).map(drop)
}

#[test]
fn a_cut_anywhere_is_refused() {
    let space = tempfile::tempdir().unwrap();
    let path = space.path().join("cut.gguf");
    let (bytes, [metadata, entries, end]) = tiny().bytes();
    let near =
        [0, 3, 4, 7, 8, 20, 24, 30, metadata - 1, metadata, metadata + 1, entries - 1, entries, end - 1];
    for cut in near.into_iter().chain((0..entries).step_by(97)).chain((entries..end).step_by(997)) {
        fs::write(&path, &bytes[..cut]).unwrap();
        let error = open_all(&path).unwrap_err();
        assert!(error.place.as_ref().unwrap().contains("cut.gguf") && error.fix.is_some(), "{cut}: {error}");
    }
    fs::write(&path, &bytes).unwrap();
    open_all(&path).unwrap();
}

#[test]
fn noise_in_the_head_never_panics() {
    let space = tempfile::tempdir().unwrap();
    let path = space.path().join("noise.gguf");
    let (bytes, [_, entries, _]) = tiny().bytes();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..200 {
        let mut bytes = bytes.clone();
        for _ in 0..random.random_range(1..4) {
            bytes[random.random_range(0..entries)] = random.random();
        }
        fs::write(&path, &bytes).unwrap();
        if let Err(error) = open_all(&path) {
            assert!(error.place.is_some() && error.fix.is_some(), "{error}");
        }
    }
}
