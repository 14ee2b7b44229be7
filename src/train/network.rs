//! The network's files: config.json, first weights, and weights by their Hugging Face names.

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use half::{bf16, f16};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype as StoredDtype, TensorView};
use serde_json::{Value, json};

use super::config::{Dtype, ModelKeys, TrainConfig};
use crate::checkpoint::NetworkConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_text;
use crate::model::Network;

/// Deviation of the first weights (as in transformers' `initializer_range`).
const DEVIATION: f64 = 0.02;

/// Tensors with a row for each token id.
const BY_ID: [&str; 3] = [EMBEDDING, HEAD, "lm_head.bias"];
const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// A tensor by its Hugging Face name, in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Its name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Sizes of its dimensions.
    pub shape: Vec<usize>,
    /// Its numbers, row by row.
    pub values: Vec<f32>,
}

/// config.json of the result: for the shape in the config, or the checkpoint's with changes.
///
/// # Errors
/// [`ErrorKind::Model`] when the checkpoint's config cannot be read; [`ErrorKind::Config`] for a
/// `position_scale` when the checkpoint already has a scaling.
pub fn config_json(
    config: &TrainConfig,
    checkpoint: Option<(&Path, &NetworkConfig)>,
    vocab_size: usize,
) -> Result<Value> {
    let mut json = match checkpoint {
        None => from_shape(&config.model, vocab_size),
        Some((dir, network)) => {
            let path = dir.join("config.json");
            let mut json: Value =
                serde_json::from_str(&read_text(&path, ErrorKind::Model)?).map_err(|e| {
                    Error::new(ErrorKind::Model, format!("not valid JSON: {e}"))
                        .in_file(&path)
                        .fix("copy the file again")
                })?;
            // As in the weights, whatever the config said: a head of its own is kept.
            json["tie_word_embeddings"] = json!(network.tie_word_embeddings);
            json
        }
    };
    let trained = checkpoint.map_or(0, |(_, network)| network.trained_length());
    let earlier = json.get("max_position_embeddings").and_then(Value::as_u64);
    let earlier = earlier.map_or(trained, |length| length as usize);
    // Another scale makes other positions, so the length trained at the old ones no longer applies.
    let length =
        if config.model.position_scale.is_some() { config.length } else { config.length.max(earlier) };
    json["max_position_embeddings"] = json!(length);
    json["torch_dtype"] = json!(config.output.dtype.torch_name());
    if json.get("dtype").is_some() {
        json["dtype"] = json["torch_dtype"].clone();
    }
    set_rope(&mut json, &config.model)?;
    Ok(json)
}

/// config.json of a shape that was checked.
fn from_shape(model: &ModelKeys, vocab_size: usize) -> Value {
    let (hidden, heads) = (model.hidden_size.unwrap_or(0), model.num_attention_heads.unwrap_or(1));
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocab_size,
        "hidden_size": hidden,
        "intermediate_size": model.intermediate_size,
        "num_hidden_layers": model.num_hidden_layers,
        "num_attention_heads": heads,
        "num_key_value_heads": model.num_key_value_heads.unwrap_or(heads),
        "head_dim": model.head_dim.unwrap_or(hidden / heads),
        "hidden_act": "silu",
        "max_position_embeddings": 0,
        "initializer_range": DEVIATION,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": null,
        "tie_word_embeddings": model.tie_word_embeddings.unwrap_or(true),
        "attention_bias": false,
        "mlp_bias": false,
        "bos_token_id": 0,
        "eos_token_id": 1,
    })
}

/// Puts `rope_theta` and the position scale where the rotary keys of this config.json take effect.
fn set_rope(json: &mut Value, model: &ModelKeys) -> Result<()> {
    // transformers 5 writes all of them into `rope_parameters`; if there is a `rope_scaling` too, that comes
    // first.
    let says = |json: &Value, key: &str| json[key].as_object().is_some_and(|keys| !keys.is_empty());
    let key = if says(json, "rope_scaling") || !json["rope_parameters"].is_object() {
        "rope_scaling"
    } else {
        "rope_parameters"
    };
    if let Some(theta) = model.rope_theta {
        if key == "rope_parameters" || json[key].get("rope_theta").is_some() {
            json[key]["rope_theta"] = json!(theta)
        } else {
            json["rope_theta"] = json!(theta)
        }
    }
    let Some(scale) = model.position_scale else { return Ok(()) };
    let earlier = json[key].get("rope_type").or_else(|| json[key].get("type")).and_then(Value::as_str);
    if earlier.is_some_and(|kind| kind != "default") {
        return Err(Error::new(
            ErrorKind::Config,
            "position_scale together with a checkpoint's own rope_scaling",
        )
        .fix("leave it out: the checkpoint keeps its scaling"));
    }
    if scale == 1.0 {
        return Ok(());
    }
    if !json[key].is_object() {
        json[key] = json!({});
    }
    if let Some(keys) = json[key].as_object_mut() {
        keys.remove("type");
    }
    json[key]["rope_type"] = json!("linear");
    json[key]["factor"] = json!(1.0 / scale);
    Ok(())
}

/// The first weights of a network: normal with deviation 0.02, divided by `sqrt(2 layers)` for the
/// projections that add to the residual stream (Radford et al. 2019), biases of 0 and norms of 1.
///
/// # Errors
/// None for a config that was checked.
pub fn first_weights(config: &NetworkConfig, seed: u64) -> Result<Vec<NamedTensor>> {
    let adding = DEVIATION / (2.0 * config.num_hidden_layers as f64).sqrt();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Ok(Network::tensors(config)?
        .into_iter()
        .map(|(name, shape)| {
            let (count, ends) = (shape.iter().product(), |end: &str| name.ends_with(end));
            let values = if ends(".bias") {
                vec![0.0; count]
            } else if ends("norm.weight") {
                vec![1.0; count]
            } else if ["o_proj.weight", "down_proj.weight", "c_proj.weight"].into_iter().any(ends) {
                normal(&mut random, count, adding)
            } else {
                normal(&mut random, count, DEVIATION)
            };
            NamedTensor { name, shape, values }
        })
        .collect())
}

/// Makes room in config.json for ids that were added to the tokenizer.
///
/// # Errors
/// [`ErrorKind::Model`] for a config whose vocabulary stands elsewhere.
pub fn widen_vocabulary(json: &mut Value, vocab_size: usize) -> Result<()> {
    let Some(earlier) = json.get("vocab_size").and_then(Value::as_u64) else {
        return Err(Error::new(ErrorKind::Model, "config.json has no vocab_size that can be made larger")
            .at_key("corpus.fill_in")
            .fix("continue from a model whose tokenizer has markers of a gap"));
    };
    json["vocab_size"] = json!(vocab_size.max(earlier as usize));
    Ok(())
}

/// Rows for the ids that embedding and output head do not have yet, drawn as first weights are.
pub fn add_rows(weights: &mut [NamedTensor], vocab_size: usize, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for tensor in weights.iter_mut().filter(|tensor| BY_ID.contains(&tensor.name.as_str())) {
        let rows = vocab_size - tensor.shape[0];
        let width: usize = tensor.shape[1..].iter().product();
        tensor.values.extend(normal(&mut random, rows * width, DEVIATION));
        tensor.shape[0] = vocab_size;
    }
}

/// Normal values by Box and Muller.
fn normal(random: &mut ChaCha8Rng, count: usize, deviation: f64) -> Vec<f32> {
    use rand::Rng;
    let mut value = || {
        // 1 - u is in (0, 1], where the logarithm is finite.
        let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
        (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos() * deviation
    };
    (0..count).map(|_| value() as f32).collect()
}

/// The names of a model's weights, in the order of its fields.
pub fn names(model: &Network) -> Vec<String> {
    named_tensors(model).into_iter().map(|tensor| tensor.name).collect()
}

/// The weights of a model, in the order of its fields.
pub fn named_tensors(model: &Network) -> Vec<NamedTensor> {
    let mut visitor = Named { path: Vec::new(), all: Vec::new() };
    model.visit(&mut visitor);
    visitor.all
}

struct Named {
    path: Vec<String>,
    all: Vec<NamedTensor>,
}

impl ModuleVisitor for Named {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if !is_variant(container_type) {
            self.path.push(name.to_string());
        }
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        if !is_variant(container_type) {
            self.path.pop();
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weight = param.val();
        let name = match self.path.join(".").as_str() {
            "lm_head" => HEAD.to_string(),
            "embed_tokens" => EMBEDDING.to_string(),
            path => format!("model.{path}"),
        };
        let shape = weight.dims().to_vec();
        self.all.push(NamedTensor { name, shape, values: values(weight) });
    }
}

/// A module is held by an enum, whose variant is not part of a name.
fn is_variant(container_type: &str) -> bool {
    container_type.starts_with("Enum:")
}

/// The values of an f32 tensor.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("weights are f32")
}

/// The bytes of a safetensors file with these tensors.
///
/// # Errors
/// [`ErrorKind::Write`].
pub fn safetensors(tensors: &[NamedTensor], dtype: Dtype) -> Result<Vec<u8>> {
    let failed = |e: safetensors::SafeTensorError| {
        Error::new(ErrorKind::Write, format!("the weights cannot be written: {e}"))
    };
    let stored = match dtype {
        Dtype::F32 => StoredDtype::F32,
        Dtype::F16 => StoredDtype::F16,
        Dtype::Bf16 => StoredDtype::BF16,
    };
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|tensor| encode(&tensor.values, dtype)).collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        Ok((tensor.name.as_str(), TensorView::new(stored, tensor.shape.clone(), bytes).map_err(failed)?))
    });
    let metadata = [("format".to_string(), "pt".to_string())].into();
    safetensors::serialize(views.collect::<Result<Vec<_>>>()?, Some(metadata)).map_err(failed)
}

fn encode(values: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        Dtype::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
    }
}
