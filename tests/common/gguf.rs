//! Writes GGUF files, whole or wrong, from Hugging Face directories, as llama.cpp's converter would.

use std::fs;
use std::path::Path;

use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

/// A GGUF file to be, as version 3.
#[derive(Clone, Default)]
pub(crate) struct GgufFile {
    /// Key, number of its value type, and the value's bytes.
    pub metadata: Vec<(String, u32, Vec<u8>)>,
    pub tensors: Vec<Tensor>,
}

/// A tensor of it.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub name: String,
    /// Columns first.
    pub dims: Vec<u64>,
    pub kind: u32,
    pub data: Vec<u8>,
}

/// How matrices are stored: the type's number and its encoding. Vectors are f32.
pub(crate) type Encoder = (u32, fn(&[f32]) -> Vec<u8>);

pub(crate) const F32: Encoder = (0, |values| values.iter().flat_map(|value| value.to_le_bytes()).collect());
pub(crate) const F16: Encoder =
    (1, |values| values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect());
pub(crate) const BF16: Encoder =
    (30, |values| values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect());
/// 32 values in signed bytes, scaled to their largest.
pub(crate) const Q8_0: Encoder = (8, |values| {
    let block = |values: &[f32]| {
        let scale = values.iter().fold(0.0f32, |most, value| most.max(value.abs())) / 127.0;
        let steps = values
            .iter()
            .map(move |value| if scale == 0.0 { 0 } else { (value / scale).round() as i8 as u8 });
        f16::from_f32(scale).to_le_bytes().into_iter().chain(steps).collect::<Vec<u8>>()
    };
    values.chunks(32).flat_map(block).collect()
});

impl GgufFile {
    /// The checkpoint of a directory.
    pub(crate) fn of_directory(dir: &Path, encoder: Encoder) -> GgufFile {
        let config = read_json(&dir.join("config.json"));
        let mut file = GgufFile::default();
        file.add_config(&config);
        file.add_tokenizer(dir);
        let mut shards: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        shards.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
        for shard in shards {
            let bytes = fs::read(shard).unwrap();
            for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
                file.add_weight(&config, &name, &view, encoder);
            }
        }
        file
    }

    fn add_config(&mut self, config: &Value) {
        let architecture = config["model_type"].as_str().unwrap();
        self.text("general.architecture", architecture);
        for (key, name) in [
            ("block_count", "num_hidden_layers"),
            ("context_length", "max_position_embeddings"),
            ("embedding_length", "hidden_size"),
            ("feed_forward_length", "intermediate_size"),
            ("attention.head_count", "num_attention_heads"),
            ("attention.head_count_kv", "num_key_value_heads"),
            ("vocab_size", "vocab_size"),
        ] {
            self.whole(&format!("{architecture}.{key}"), config[name].as_u64().unwrap());
        }
        let rope = &config["rope_parameters"];
        let head_dim = head_dim(config);
        let turning =
            rope["partial_rotary_factor"].as_f64().map_or(head_dim, |share| (head_dim as f64 * share) as u64);
        for (key, dim) in [
            ("attention.key_length", head_dim),
            ("attention.value_length", head_dim),
            ("rope.dimension_count", turning),
        ] {
            self.whole(&format!("{architecture}.{key}"), dim);
        }
        let theta = rope.get("rope_theta").unwrap_or(&config["rope_theta"]);
        self.float(&format!("{architecture}.rope.freq_base"), theta.as_f64().unwrap());
        for (key, name) in [
            ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
            ("attention.layer_norm_epsilon", "norm_epsilon"),
            ("embedding_scale", "embedding_multiplier"),
            ("residual_scale", "residual_multiplier"),
            ("logit_scale", "logits_scaling"),
            ("attention.scale", "attention_multiplier"),
        ] {
            if let Some(value) = config[name].as_f64() {
                self.float(&format!("{architecture}.{key}"), value);
            }
        }
        match rope["rope_type"].as_str() {
            Some("yarn") => self.add_yarn(architecture, rope),
            Some("llama3") => self.add_llama3(rope, head_dim),
            Some("longrope") => self.add_longrope(architecture, config),
            _ => (),
        }
    }

    /// As the converter has it for Phi-3: factors in tensors, the factor on cos and sin computed.
    fn add_longrope(&mut self, architecture: &str, config: &Value) {
        let rope = &config["rope_parameters"];
        let original = config["original_max_position_embeddings"].as_f64().unwrap();
        let extended = config["max_position_embeddings"].as_f64().unwrap() / original;
        self.whole(&format!("{architecture}.rope.scaling.original_context_length"), original as u64);
        let factor = (1.0 + extended.ln() / original.ln()).sqrt();
        self.float(&format!("{architecture}.rope.scaling.attn_factor"), factor);
        for (key, name) in [("short_factor", "rope_factors_short"), ("long_factor", "rope_factors_long")] {
            let factors = rope[key].as_array().unwrap().iter().map(|factor| factor.as_f64().unwrap() as f32);
            let factors: Vec<f32> = factors.collect();
            let dims = vec![factors.len() as u64];
            self.tensors.push(Tensor {
                name: format!("{name}.weight"),
                dims,
                kind: F32.0,
                data: F32.1(&factors),
            });
        }
    }

    fn add_yarn(&mut self, architecture: &str, rope: &Value) {
        self.text(&format!("{architecture}.rope.scaling.type"), "yarn");
        self.float(&format!("{architecture}.rope.scaling.factor"), rope["factor"].as_f64().unwrap());
        let original = rope["original_max_position_embeddings"].as_u64().unwrap();
        self.whole(&format!("{architecture}.rope.scaling.original_context_length"), original);
    }

    /// Llama 3's rule as the factors that the frequencies are divided by.
    fn add_llama3(&mut self, rope: &Value, head_dim: u64) {
        let number = |key: &str| rope[key].as_f64().unwrap();
        let (factor, original) = (number("factor"), number("original_max_position_embeddings"));
        let (low, high) = (number("low_freq_factor"), number("high_freq_factor"));
        let divisor = |pair: u64| {
            let frequency = number("rope_theta").powf(-2.0 * pair as f64 / head_dim as f64);
            let turns = original * frequency / (2.0 * std::f64::consts::PI);
            let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
        };
        let factors: Vec<f32> = (0..head_dim / 2).map(divisor).collect();
        self.tensors.push(Tensor {
            name: "rope_freqs.weight".into(),
            dims: vec![head_dim / 2],
            kind: F32.0,
            data: F32.1(&factors),
        });
    }

    fn add_tokenizer(&mut self, dir: &Path) {
        let json = read_json(&dir.join("tokenizer.json"));
        let config = read_json(&dir.join("tokenizer_config.json"));
        let vocab = json["model"]["vocab"].as_object().unwrap();
        let mut tokens: Vec<(&str, u64)> =
            vocab.iter().map(|(token, id)| (token.as_str(), id.as_u64().unwrap())).collect();
        tokens.sort_by_key(|(_, id)| *id);
        let added: Vec<u64> = json["added_tokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(|token| token["id"].as_u64().unwrap())
            .collect();
        let merge = |merge: &Value| match merge {
            Value::Array(pair) => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
            merge => merge.as_str().unwrap().to_string(),
        };
        let merges: Vec<String> = json["model"]["merges"].as_array().unwrap().iter().map(merge).collect();
        self.text("tokenizer.ggml.model", "gpt2");
        self.text("tokenizer.ggml.pre", "gpt-2");
        self.texts("tokenizer.ggml.tokens", tokens.iter().map(|(token, _)| *token));
        self.types(
            "tokenizer.ggml.token_type",
            tokens.iter().map(|(_, id)| if added.contains(id) { 3 } else { 1 }),
        );
        self.texts("tokenizer.ggml.merges", merges.iter().map(String::as_str));
        let id = |key: &str| vocab[config[key].as_str().unwrap()].as_u64().unwrap();
        self.whole("tokenizer.ggml.bos_token_id", id("bos_token"));
        self.whole("tokenizer.ggml.eos_token_id", id("eos_token"));
        self.flag("tokenizer.ggml.add_bos_token", config["add_bos_token"] == json!(true));
    }

    fn add_weight(&mut self, config: &Value, name: &str, view: &TensorView<'_>, (kind, encode): Encoder) {
        let rows = view.shape()[0];
        let mut values = f32_values(view);
        let heads = match () {
            () if !["llama", "granite", "smollm3"].contains(&config["model_type"].as_str().unwrap()) => None,
            () if name.contains("_norm.") => None,
            () if name.contains("q_proj") => config["num_attention_heads"].as_u64(),
            () if name.contains("k_proj") => config["num_key_value_heads"].as_u64(),
            () => None,
        };
        if let Some(heads) = heads {
            values = interleaved(&values, rows, heads as usize);
        }
        let (kind, encode) = if view.shape().len() == 1 { F32 } else { (kind, encode) };
        let dims = view.shape().iter().rev().map(|&dim| dim as u64).collect();
        self.tensors.push(Tensor { name: gguf_name(name), dims, kind, data: encode(&values) });
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.set(key, 8, text_bytes(value));
    }

    pub(crate) fn whole(&mut self, key: &str, value: u64) {
        self.set(key, 4, (value as u32).to_le_bytes().to_vec());
    }

    pub(crate) fn float(&mut self, key: &str, value: f64) {
        self.set(key, 6, (value as f32).to_le_bytes().to_vec());
    }

    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.set(key, 7, vec![value.into()]);
    }

    pub(crate) fn texts<'a>(&mut self, key: &str, texts: impl ExactSizeIterator<Item = &'a str>) {
        let len = texts.len();
        self.set(key, 9, array_bytes(8, len, texts.flat_map(text_bytes)));
    }

    pub(crate) fn types(&mut self, key: &str, types: impl ExactSizeIterator<Item = i32>) {
        let len = types.len();
        self.set(key, 9, array_bytes(5, len, types.flat_map(i32::to_le_bytes)));
    }

    pub(crate) fn floats(&mut self, key: &str, values: impl ExactSizeIterator<Item = f32>) {
        let len = values.len();
        self.set(key, 9, array_bytes(6, len, values.flat_map(f32::to_le_bytes)));
    }

    /// Sets or replaces a key.
    pub(crate) fn set(&mut self, key: &str, kind: u32, value: Vec<u8>) {
        self.remove(key);
        self.metadata.push((key.to_string(), kind, value));
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.metadata.retain(|(name, ..)| name != key);
    }

    pub(crate) fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()
    }

    /// The file's bytes, and where its metadata, its tensor entries and its data end.
    pub(crate) fn bytes(&self) -> (Vec<u8>, [usize; 3]) {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.metadata {
            bytes.extend(text_bytes(key));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
        }
        let metadata = bytes.len();
        let mut data = Vec::new();
        for tensor in &self.tensors {
            data.resize(usize::next_multiple_of(data.len(), 32), 0);
            bytes.extend(text_bytes(&tensor.name));
            bytes.extend((tensor.dims.len() as u32).to_le_bytes());
            bytes.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
            bytes.extend(tensor.kind.to_le_bytes());
            bytes.extend((data.len() as u64).to_le_bytes());
            data.extend(&tensor.data);
        }
        let entries = bytes.len();
        bytes.resize(entries.next_multiple_of(32), 0);
        bytes.extend(data);
        let end = bytes.len();
        (bytes, [metadata, entries, end])
    }

    pub(crate) fn write(&self, path: &Path) {
        fs::write(path, self.bytes().0).unwrap();
    }
}

fn text_bytes(text: &str) -> Vec<u8> {
    (text.len() as u64).to_le_bytes().into_iter().chain(text.bytes()).collect()
}

fn array_bytes(kind: u32, len: usize, elements: impl Iterator<Item = u8>) -> Vec<u8> {
    kind.to_le_bytes().into_iter().chain((len as u64).to_le_bytes()).chain(elements).collect()
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn head_dim(config: &Value) -> u64 {
    let number = |key: &str| config[key].as_u64();
    number("head_dim")
        .unwrap_or_else(|| number("hidden_size").unwrap() / number("num_attention_heads").unwrap())
}

fn f32_values(view: &TensorView<'_>) -> Vec<f32> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        Dtype::F16 => bytes.chunks(2).map(|b| f16::from_le_bytes(b.try_into().unwrap()).to_f32()).collect(),
        Dtype::BF16 => bytes.chunks(2).map(|b| bf16::from_le_bytes(b.try_into().unwrap()).to_f32()).collect(),
        other => panic!("{other:?}"),
    }
}

/// The rows of each head in the order 0, h, 1, h + 1, ...
fn interleaved(values: &[f32], rows: usize, heads: usize) -> Vec<f32> {
    let (width, head_dim) = (values.len() / rows, rows / heads);
    let source = |row: usize| {
        let (head, within) = (row / head_dim, row % head_dim);
        head * head_dim + within % 2 * (head_dim / 2) + within / 2
    };
    (0..rows).flat_map(|row| values[source(row) * width..][..width].to_vec()).collect()
}

fn gguf_name(name: &str) -> String {
    [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("self_attn.qkv_proj", "attn_qkv"),
        ("mlp.gate_up_proj", "ffn_up"),
        ("mlp.c_fc", "ffn_up"),
        ("mlp.c_proj", "ffn_down"),
    ]
    .iter()
    .fold(name.to_string(), |name, (theirs, ours)| name.replace(theirs, ours))
}
