//! The weights of a GGUF file by their Hugging Face names.

use std::path::Path;

use super::config::is_rope_factors;
use super::header::TensorInfo;
use super::{Gguf, key_error};
use crate::checkpoint::TensorSource;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::stored::{Bytes, StoredTensor};

/// What llama.cpp calls the parts of the network.
const PARTS: &[(&str, &str)] =
    &[("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output")];
/// What llama.cpp calls the parts of a layer.
const LAYER_PARTS: &[(&str, &str)] = &[
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    // For Phi-3, whose projections are fused.
    ("self_attn.qkv_proj", "attn_qkv"),
    ("mlp.gate_up_proj", "ffn_up"),
    // Of layers with experts; each expert's are stacked.
    ("mlp.gate", "ffn_gate_inp"),
    ("mlp.experts.gate_proj", "ffn_gate_exps"),
    ("mlp.experts.up_proj", "ffn_up_exps"),
    ("mlp.experts.down_proj", "ffn_down_exps"),
    ("mlp.experts.gate_up_proj", "ffn_gate_up_exps"),
    ("mlp.shared_expert.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_expert.up_proj", "ffn_up_shexp"),
    ("mlp.shared_expert.down_proj", "ffn_down_shexp"),
    ("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
    // For StarCoder2, whose feed-forward part has no gate.
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
];

/// `blk.3.attn_q.weight` for `model.layers.3.self_attn.q_proj.weight`; `own` are parts that the family calls
/// otherwise.
fn gguf_name(name: &str, own: &[(&str, &'static str)]) -> Option<String> {
    // A parameter of its own, which llama.cpp calls a weight.
    if let Some(layer) =
        name.strip_prefix("model.layers.").and_then(|rest| rest.strip_suffix(".self_attn.sinks"))
    {
        return Some(format!("blk.{layer}.attn_sinks.weight"));
    }
    let (part, suffix) = name.rsplit_once('.')?;
    let translated = |parts: &[(&str, &'static str)], part: &str| {
        parts.iter().find(|(theirs, _)| *theirs == part).map(|(_, ours)| *ours)
    };
    match part.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) {
        Some((layer, part)) => {
            let part = translated(own, part).or_else(|| translated(LAYER_PARTS, part))?;
            Some(format!("blk.{layer}.{part}.{suffix}"))
        }
        None => Some(format!("{}.{suffix}", translated(PARTS, part)?)),
    }
}

impl TensorSource for Gguf {
    fn names(&self) -> Vec<String> {
        self.header.tensors.keys().filter(|name| !is_rope_factors(name)).cloned().collect()
    }

    fn own_name(&self, name: &str) -> String {
        let own = self.family().map_or(&[][..], |(_, form)| form.parts);
        gguf_name(name, own).unwrap_or_else(|| name.to_string())
    }

    fn shape(&self, own_name: &str) -> Result<(Vec<usize>, &Path)> {
        let info = self.info(own_name)?;
        self.interleaved_heads(own_name, info).map_err(|e| e.in_file(&self.path))?;
        Ok((shape(own_name, info), &self.path))
    }

    fn tensor(&self, own_name: &str) -> Result<StoredTensor> {
        let info = self.info(own_name)?;
        let interleaved = self.interleaved_heads(own_name, info).map_err(|e| e.in_file(&self.path))?;
        let mapped = Bytes::Mapped(self.map.clone(), info.bytes.clone());
        let bytes = match interleaved {
            Some(heads) => Bytes::Owned(halves_apart(&mapped, heads, info.shape[0]).into()),
            None => mapped,
        };
        let shape = shape(own_name, info);
        Ok(StoredTensor { file: self.path.clone(), shape, format: info.format, bytes })
    }

    fn shape_is_from(&self) -> &'static str {
        "the metadata"
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Gguf {
    pub(super) fn info(&self, own_name: &str) -> Result<&TensorInfo> {
        self.header.tensors.get(own_name).ok_or_else(|| {
            Error::new(ErrorKind::Model, format!("tensor `{own_name}` is missing")).in_file(&self.path)
        })
    }

    /// The number of heads of a tensor whose rows llama.cpp interleaves: queries and keys in some
    /// architectures.
    fn interleaved_heads(&self, name: &str, info: &TensorInfo) -> Result<Option<usize>> {
        let part = name.split('.').nth(2);
        let key = match (self.family()?.1.interleaved, part) {
            (true, Some("attn_q")) => "attention.head_count",
            (true, Some("attn_k")) => match self.whole(&self.key("attention.head_count_kv")?)? {
                Some(_) => "attention.head_count_kv",
                None => "attention.head_count",
            },
            _ => return Ok(None),
        };
        let heads = self.count(key)?;
        if heads > 0 && info.shape[0].is_multiple_of(2 * heads) {
            Ok(Some(heads))
        } else {
            Err(key_error(&self.key(key)?, format!("{} rows for {heads} heads", info.shape[0]))
                .at(format_args!("tensor `{name}`")))
        }
    }
}

/// The shape of a tensor. A file may have the gate of a shared expert as a vector, which is a map to one number.
fn shape(own_name: &str, info: &TensorInfo) -> Vec<usize> {
    match info.shape[..] {
        [width] if own_name.ends_with(".ffn_gate_inp_shexp.weight") => vec![1, width],
        _ => info.shape.clone(),
    }
}

/// Puts the rows of each head in Hugging Face's order; a row's bytes are whole blocks. llama.cpp rotates
/// neighbours (2p, 2p + 1) where Hugging Face rotates p and p + h, and reorders the rows of queries and keys
/// accordingly.
fn halves_apart(bytes: &[u8], heads: usize, rows: usize) -> Vec<u8> {
    let (width, pairs) = (bytes.len() / rows, rows / heads / 2);
    let mut apart = Vec::with_capacity(bytes.len());
    for head in 0..heads {
        for half in 0..2 {
            for pair in 0..pairs {
                let row = (head * pairs + pair) * 2 + half;
                apart.extend_from_slice(&bytes[row * width..(row + 1) * width]);
            }
        }
    }
    apart
}
