//! Golden vectors: attention per encoding, and per-token losses of a tiny checkpoint.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use longcode::checkpoint::{AttentionConfig, Checkpoint};
use longcode::encoding::{EncodingSpec, ModelRope, Positions};
use longcode::kernels::Precision;
use longcode::model::{EncodedModel, Network, RotaryTables};
use longcode::structure::{Blocks, Layout, References};
use safetensors::SafeTensors;
use serde_json::Value;

use super::decoding::check_reading;
use super::repository;

struct Golden {
    about: Value,
    bytes: Vec<u8>,
}

impl Golden {
    fn read(name: &str) -> Golden {
        let dir = repository("tests/golden");
        Golden {
            about: serde_json::from_slice(&std::fs::read(dir.join(format!("{name}.json"))).unwrap()).unwrap(),
            bytes: std::fs::read(dir.join(format!("{name}.safetensors"))).unwrap(),
        }
    }

    /// Values and shape of a tensor, whatever its type in the file.
    fn tensor(&self, name: &str) -> (Vec<f64>, Vec<usize>) {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).unwrap();
        let bytes = view.data();
        use safetensors::Dtype::*;
        let values = match view.dtype() {
            F32 => bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            F64 => bytes.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            I32 => bytes.chunks(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            I64 => bytes.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            other => panic!("{name} has type {other:?}"),
        };
        (values, view.shape().to_vec())
    }

    /// q, k and v of a case, or of the whole file.
    fn vectors(&self, case: &str) -> Vectors {
        Vectors(["q", "k", "v"].map(|name| self.tensor(&format!("{name}{case}"))))
    }

    fn indices(&self, name: &str) -> Vec<u32> {
        self.tensor(name).0.into_iter().map(|index| index as u32).collect()
    }

    /// Every case: its name and its encoding.
    fn cases(&self) -> Vec<(String, EncodingSpec)> {
        self.about["cases"].as_array().unwrap().iter().map(case).collect()
    }
}

fn case(case: &Value) -> (String, EncodingSpec) {
    let mut keys: toml::Table = serde_json::from_value(case.clone()).unwrap();
    let mut text = |key: &str| keys.remove(key).unwrap().as_str().unwrap().to_string();
    let (name, kind) = (text("name"), text("kind"));
    keys.remove("mean_nll");
    (name, EncodingSpec::from_table(&kind, keys).unwrap())
}

/// The cases of zones.json: the number of their tensors and the encoding.
fn zone_cases(golden: &Golden) -> Vec<(u64, EncodingSpec)> {
    let case = |case: &Value| {
        let mut keys: toml::Table = serde_json::from_value(case.clone()).unwrap();
        let kind = keys.remove("kind").unwrap();
        keys.remove("mean_nll");
        keys.remove("number");
        (case["number"].as_u64().unwrap(), EncodingSpec::from_table(kind.as_str().unwrap(), keys).unwrap())
    };
    let cases: Vec<_> = golden.about["cases"].as_array().unwrap().iter().map(case).collect();
    assert_eq!(cases.len(), 13, "cases in the golden file");
    cases
}

/// A case of sight.json or choice.json: the name of its tensor, its encoding, and the sequence that it is of.
struct SightCase {
    name: String,
    number: u64,
    encoding: EncodingSpec,
    /// Of a case of the whole network.
    ids: Vec<u32>,
    layout: Layout,
    /// Keys seen over keys that causality allows.
    seen: f64,
}

/// The cases of sight.json or choice.json: of the whole network, or of attention alone.
fn sight_cases(golden: &Golden, list: &str, tensor: &str) -> Vec<SightCase> {
    golden.about[list].as_array().unwrap().iter().map(|case| sight_case(case, tensor)).collect()
}

fn sight_case(case: &Value, tensor: &str) -> SightCase {
    let mut keys: toml::Table = serde_json::from_value(case.clone()).unwrap();
    let kind = keys.remove("kind").unwrap();
    for key in ["number", "mean_nll", "seen", "margin", "heads", "given"] {
        keys.remove(key);
    }
    let encoding = EncodingSpec::from_table(kind.as_str().unwrap(), keys).unwrap();
    SightCase {
        name: format!("{tensor}.{}", case["number"]),
        number: case["number"].as_u64().unwrap(),
        layout: given_layout(&case["given"], &encoding),
        encoding,
        ids: serde_json::from_value(case["given"]["ids"].clone()).unwrap_or_default(),
        seen: case["seen"].as_f64().unwrap(),
    }
}

/// What a case says about its text.
fn given_layout(given: &Value, encoding: &EncodingSpec) -> Layout {
    let lengths = |key: &str| -> Option<Vec<usize>> { serde_json::from_value(given[key].clone()).ok() };
    let of_lengths = |lengths: Vec<usize>| -> Vec<u32> {
        lengths.iter().zip(0..).flat_map(|(&length, index)| std::iter::repeat_n(index, length)).collect()
    };
    let units: Vec<u32> = serde_json::from_value(given["units"].clone()).unwrap_or_default();
    // Segments are given by their lengths, the control done; where none are, distances do not count them.
    let segments = match (lengths("segments"), lengths("blocks")) {
        (Some(segments), _) => of_lengths(segments),
        (None, Some(blocks)) if given["inner"].is_null() => of_lengths(blocks),
        _ if !units.is_empty() => units.clone(),
        _ => serde_json::from_value(given["inner"].clone()).unwrap_or_default(),
    };
    let flags = |key: &str| -> Vec<bool> {
        let flagged: Vec<usize> = serde_json::from_value(given[key].clone()).unwrap_or_default();
        (0..units.len()).map(|token| flagged.contains(&token)).collect()
    };
    let uses = if given["uses_shuffled"].is_null() { &given["uses"] } else { &given["uses_shuffled"] };
    let starts = |lengths: Vec<usize>| -> Vec<usize> {
        lengths.iter().scan(0, |end, length| Some(std::mem::replace(end, *end + length))).collect()
    };
    Layout {
        levels: vec![segments; encoding.units().len()],
        blocks: lengths("blocks").map(|lengths| Blocks::new(starts(lengths), 512)),
        references: (!units.is_empty()).then(|| {
            Arc::new(References {
                imports: flags("imports"),
                signatures: flags("signatures"),
                globals: flags("globals"),
                uses: serde_json::from_value(uses.clone()).unwrap(),
                units: units.clone(),
            })
        }),
        seed: given["seed"].as_u64().unwrap_or(0),
        hash: given["sha256"].as_str().unwrap_or_default().into(),
    }
}

/// Levels of an encoding: the segments of the golden file, and below them every 4 tokens.
fn levels(encoding: &EncodingSpec, segments: &[u32]) -> Vec<Vec<u32>> {
    let fours = (0..segments.len() as u32).map(|t| t / 4).collect();
    match encoding.units().len() {
        2 => vec![fours, segments.to_vec()],
        levels => vec![segments.to_vec(); levels],
    }
}

/// Attention within 1e-5 of float64, for every kind of one rotation or two.
pub(crate) fn check_attention(device: &Device) {
    let cases = Golden::read("attention").cases();
    assert_eq!(cases.len(), 12, "cases in the golden file");
    check_attention_of(&Golden::read("attention"), cases, device);
}

/// Attention within 1e-5 of float64, for the kinds that choose keys.
pub(crate) fn check_attention_of_sight(device: &Device) {
    let inputs = Golden::read("attention").vectors("");
    for (file, count) in [("sight", 5), ("choice", 6)] {
        let golden = Golden::read(file);
        let cases = sight_cases(&golden, "attention", "out");
        assert_eq!(cases.len(), count, "cases of attention in {file}");
        for SightCase { name, number, encoding, layout, .. } in cases {
            let own = (file == "choice").then(|| golden.vectors(&format!(".{number}")));
            let inputs = own.as_ref().unwrap_or(&inputs);
            let positions = Positions::laid_out(inputs.length(), layout);
            check_attention_case(&golden, &name, &encoding, positions, inputs, device);
        }
    }
}

/// Attention within 1e-5 of float64, for the kinds of several zones or with keys out of sight.
pub(crate) fn check_attention_of_zones(device: &Device) {
    let golden = Golden::read("zones");
    let cases = zone_cases(&golden).into_iter().map(|(n, encoding)| (format!("out.{n}"), encoding));
    check_attention_of(&golden, cases.collect(), device);
}

fn check_attention_of(expected: &Golden, cases: Vec<(String, EncodingSpec)>, device: &Device) {
    let inputs = Golden::read("attention");
    let (segments, inputs) = (inputs.indices("segments"), inputs.vectors(""));
    for (name, encoding) in cases {
        let positions = Positions::whole(segments.len(), levels(&encoding, &segments));
        check_attention_case(expected, &name, &encoding, positions, &inputs, device);
    }
}

/// Queries, keys and values, `[heads, tokens, dimensions]`.
struct Vectors([(Vec<f64>, Vec<usize>); 3]);

impl Vectors {
    fn length(&self) -> usize {
        self.0[0].1[1]
    }

    /// The implementation has tokens first: `[tokens, heads * dimensions]`.
    fn rows(&self, device: &Device) -> [Tensor<2>; 3] {
        self.0.each_ref().map(|(values, shape)| {
            let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
            let shape = [shape[0], shape[1], shape[2]];
            let tensor = Tensor::<3>::from_data(TensorData::new(values, shape), device);
            tensor.swap_dims(0, 1).reshape([shape[1], shape[0] * shape[2]])
        })
    }
}

fn check_attention_case(
    golden: &Golden,
    name: &str,
    encoding: &EncodingSpec,
    positions: Positions,
    inputs: &Vectors,
    device: &Device,
) {
    let [heads, length, dim] = inputs.0[0].1[..] else { panic!("{name}: not heads, tokens, dimensions") };
    let model = ModelRope::plain(dim, 10000.0, 64);
    encoding.check(&model).unwrap();
    let tables = RotaryTables::new(
        &encoding.by_layer(&model, &positions),
        &positions,
        &AttentionConfig::plain(model.head_dim),
        device,
    );
    let out = tables.attend(0, inputs.rows(device), None);
    let out = out.reshape([length, heads, dim]).swap_dims(0, 1).into_data();
    let (expected, _) = golden.tensor(name);
    let worst = max_difference(out.try_to_vec::<f32>().unwrap().into_iter().map(f64::from), &expected);
    println!("{name} {encoding}: worst difference {worst:.1e}");
    assert!(worst < 1e-5, "{name} {encoding}: {worst}");
}

/// Per-token losses within 5e-5 of float64, for every kind of one rotation or two.
pub(crate) fn check_token_losses(device: &Device) {
    let golden = Golden::read("logits");
    let cases = golden.cases();
    assert_eq!(cases.len(), 12, "cases in the golden file");
    check_token_losses_of(&golden, cases, device);
}

/// Per-token losses within 5e-5 of float64, for the kinds of several zones or with keys out of sight.
pub(crate) fn check_token_losses_of_zones(device: &Device) {
    let golden = Golden::read("zones");
    let cases = zone_cases(&golden).into_iter().map(|(n, encoding)| (format!("nll.{n}"), encoding));
    check_token_losses_of(&golden, cases.collect(), device);
}

/// Per-token losses within 5e-5 of float64, and the share of keys that was seen, for what sight.json and choice.json have
/// beside.
pub(crate) fn check_token_losses_of_sight((checkpoint, model): &(Checkpoint, Network)) {
    for (file, count) in [("sight", 41), ("choice", 36)] {
        let golden = Golden::read(file);
        let cases = sight_cases(&golden, "cases", "nll");
        assert_eq!(cases.len(), count, "cases in {file}");
        for case in cases {
            let SightCase { name, encoding, ids, layout, seen, .. } = &case;
            let under = EncodedModel { model, config: &checkpoint.config, encoding, bos: None };
            let (ours, keys) = under.score_seeing(ids, layout.clone(), false).unwrap();
            let (expected, _) = golden.tensor(name);
            let worst = max_difference(ours.nll.into_iter().map(f64::from), &expected);
            println!("{file} {name} {encoding}: worst difference {worst:.1e}");
            assert!(worst < 5e-5, "{file} {name} {encoding}: {worst}");
            assert!((keys.share() - seen).abs() < 1e-12, "{file} {name}: {} for {seen}", keys.share());
        }
    }
}

/// The same cases token by token after two thirds: what follows goes on in the last segment, block and unit.
pub(crate) fn check_decoding_of_sight((checkpoint, model): &(Checkpoint, Network)) {
    for file in ["sight", "choice"] {
        for SightCase { name, encoding, ids, layout, .. } in sight_cases(&Golden::read(file), "cases", "nll")
        {
            let prompt = ids.len() * 2 / 3;
            let known = layout.part(0..prompt);
            let at_last = gone_on(&known, ids.len());
            let name = format!("{file} {name} {encoding}");
            check_reading(&name, &encoding, (&ids, prompt), [known, at_last], (checkpoint, model));
        }
    }
}

/// What is known of a prompt, with what is generated after it up to a length.
fn gone_on(prompt: &Layout, length: usize) -> Layout {
    let last = |level: &Vec<u32>| -> Vec<u32> {
        (0..length).map(|token| level[token.min(level.len() - 1)]).collect()
    };
    let flags = |flags: &[bool]| -> Vec<bool> {
        (0..length).map(|token| flags.get(token).copied().unwrap_or(false)).collect()
    };
    let references = prompt.references.as_ref().map(|references| {
        Arc::new(References {
            units: last(&references.units),
            imports: flags(&references.imports),
            signatures: flags(&references.signatures),
            globals: flags(&references.globals),
            uses: references.uses.clone(),
        })
    });
    Layout {
        levels: prompt.levels.iter().map(last).collect(),
        blocks: prompt.blocks.as_ref().map(|blocks| blocks.extended(length)),
        references,
        ..prompt.clone()
    }
}

/// Per-token losses of every kind in a precision, as near to float64 as it says: a token's, and their mean.
pub(crate) fn check_token_losses_in(precision: Precision, of_a_token: f64, of_the_mean: f64) {
    let zones = Golden::read("zones");
    let of_zones = zone_cases(&zones).into_iter().map(|(n, encoding)| (format!("nll.{n}"), encoding));
    let golden = Golden::read("logits");
    for (golden, cases) in [(&golden, golden.cases()), (&zones, of_zones.collect())] {
        for (name, encoding) in cases {
            let (ours, expected) = token_losses(golden, &name, &encoding, precision, &Device::flex());
            let differences = ours.iter().zip(&expected).map(|(a, b)| a - b);
            let mean = differences.clone().sum::<f64>() / ours.len() as f64;
            let worst = max_difference(ours.into_iter(), &expected);
            println!("{name} {encoding} {precision}: worst difference {worst:.1e}, mean {mean:.1e}");
            assert!(worst < of_a_token, "{name} {encoding}: {worst}");
            assert!(mean.abs() < of_the_mean, "{name} {encoding}: mean {mean}");
        }
    }
}

fn check_token_losses_of(expected: &Golden, cases: Vec<(String, EncodingSpec)>, device: &Device) {
    for (name, encoding) in cases {
        let (ours, expected) = token_losses(expected, &name, &encoding, Precision::F32, device);
        let worst = max_difference(ours.into_iter(), &expected);
        println!("{name} {encoding}: worst difference {worst:.1e}");
        assert!(worst < 5e-5, "{name} {encoding}: {worst}");
    }
}

/// Per-token losses of the golden checkpoint on the ids of logits.safetensors, and what they are to be.
fn token_losses(
    expected: &Golden,
    name: &str,
    encoding: &EncodingSpec,
    precision: Precision,
    device: &Device,
) -> (Vec<f64>, Vec<f64>) {
    let golden = Golden::read("logits");
    let (ids, segments) = (golden.indices("ids"), golden.indices("segments"));
    let ours = losses_of(&ids, levels(encoding, &segments), encoding, precision, device);
    let (expected, _) = expected.tensor(&name.replace('N', "nll"));
    (ours, expected)
}

/// Per-token losses of the golden checkpoint.
fn losses_of(
    ids: &[u32],
    levels: Vec<Vec<u32>>,
    encoding: &EncodingSpec,
    precision: Precision,
    device: &Device,
) -> Vec<f64> {
    let checkpoint = Checkpoint::open(&repository("tests/golden/tiny-llama")).unwrap();
    let model = checkpoint.load(device, precision).unwrap();
    let under = EncodedModel { model: &model, config: &checkpoint.config, encoding, bos: None };
    under.score(ids, levels).unwrap().nll.into_iter().map(f64::from).collect()
}

fn max_difference(ours: impl ExactSizeIterator<Item = f64>, expected: &[f64]) -> f64 {
    assert_eq!(ours.len(), expected.len());
    ours.zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}
