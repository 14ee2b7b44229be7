#!/usr/bin/env python3
"""Compares the per-token losses of `longcode score` with Hugging Face transformers, on the CPU in float32.

usage: python3 scripts/compare_transformers.py LONGCODE_BINARY [--precision f32|split|bf16] [--keep DIR]
           [--fixtures tests/transformers]

Needs torch and transformers (4.56 or later; `rope_parameters` is written by 5). Everything else is made here: small
random checkpoints of every supported architecture, type and rotary scaling, saved with `save_pretrained`, scored by
both on heads of this file (äöü, 位置 and 🙂 are in it). Every entry of "nll" must agree to 1e-4, "tokens" and
"accuracy" must be equal, "loss" must be the mean, and greedy tokens must be the same. Each scaling is also read from its old place in config.json
(`rope_theta`, `rope_scaling`), and given as `--encoding` to the same weights without it. Sliding windows and
longrope, on sequences below, at and beyond the window and the original length. Then models/nano, and the ids of tokenizers that add BOS or EOS against AutoTokenizer. One line a case; exits with 1 if any differs.

--precision P   longcode's. In split a token may differ by 1e-3 and a mean by 1e-4. In bf16 the mean of a text's
                differences may be as large as that of transformers' own bf16 from its float32, and a tenth more.
                LONGCODE_CPU chooses between the processor's ways to multiply, as everywhere
--keep DIR      keep the checkpoints in DIR
--fixtures DIR  write some of them with transformers' losses for tests/numbers/transformers.rs, compare those and stop
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file

transformers.utils.logging.disable_progress_bar()

REPOSITORY = Path(__file__).resolve().parent.parent
TOKENIZER = REPOSITORY / "tests/golden/tiny-llama"
NANO = REPOSITORY / "models/nano"
NANO_TEXT = REPOSITORY / "scripts/build_bundled_datasets.py"
TOLERANCE = 1e-4
SPLIT_TOLERANCE = 1e-3  # of a token
TRAINED = 128


def mistral3_config(tie_word_embeddings, bos_token_id, eos_token_id, **text):
    """A text model inside a model of text and images."""
    vision = dict(model_type="pixtral", hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                  head_dim=4, image_size=16, patch_size=8)  # fmt: skip
    text = dict(text, model_type="ministral3", eos_token_id=eos_token_id)
    return transformers.Mistral3Config(
        text_config=text, vision_config=vision, tie_word_embeddings=tie_word_embeddings, image_token_index=7
    )


FAMILIES = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    "granite": (transformers.GraniteConfig, transformers.GraniteForCausalLM),
    "smollm3": (transformers.SmolLM3Config, transformers.SmolLM3ForCausalLM),
    "phi3": (transformers.Phi3Config, transformers.Phi3ForCausalLM),
    "starcoder2": (transformers.Starcoder2Config, transformers.Starcoder2ForCausalLM),
    "olmo2": (transformers.Olmo2Config, transformers.Olmo2ForCausalLM),
    "seed_oss": (transformers.SeedOssConfig, transformers.SeedOssForCausalLM),
    "olmo3": (transformers.Olmo3Config, transformers.Olmo3ForCausalLM),
    "gemma2": (transformers.Gemma2Config, transformers.Gemma2ForCausalLM),
    "gemma3_text": (transformers.Gemma3TextConfig, transformers.Gemma3ForCausalLM),
    "cohere2": (transformers.Cohere2Config, transformers.Cohere2ForCausalLM),
    "glm4": (transformers.Glm4Config, transformers.Glm4ForCausalLM),
    "ernie4_5_moe": (transformers.Ernie4_5_MoeConfig, transformers.Ernie4_5_MoeForCausalLM),
    "deepseek_v2": (transformers.DeepseekV2Config, transformers.DeepseekV2ForCausalLM),
    "deepseek_v3": (transformers.DeepseekV3Config, transformers.DeepseekV3ForCausalLM),
    "glm4_moe_lite": (transformers.Glm4MoeLiteConfig, transformers.Glm4MoeLiteForCausalLM),
    "glm4_moe": (transformers.Glm4MoeConfig, transformers.Glm4MoeForCausalLM),
    "ernie4_5": (transformers.Ernie4_5Config, transformers.Ernie4_5ForCausalLM),
    "mellum": (transformers.MellumConfig, transformers.MellumForCausalLM),
    "gpt_oss": (transformers.GptOssConfig, transformers.GptOssForCausalLM),
    "granite_swa": (transformers.GraniteSWAConfig, transformers.GraniteSWAForCausalLM),
    "ministral3": (transformers.Ministral3Config, transformers.Ministral3ForCausalLM),
    "mistral3": (mistral3_config, transformers.Mistral3ForConditionalGeneration),
    "qwen3_moe": (transformers.Qwen3MoeConfig, transformers.Qwen3MoeForCausalLM),
    "qwen2_moe": (transformers.Qwen2MoeConfig, transformers.Qwen2MoeForCausalLM),
    "mixtral": (transformers.MixtralConfig, transformers.MixtralForCausalLM),
    "olmoe": (transformers.OlmoeConfig, transformers.OlmoeForCausalLM),
    "granitemoe": (transformers.GraniteMoeConfig, transformers.GraniteMoeForCausalLM),
}
SHAPE = dict(
    vocab_size=512, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=4, max_position_embeddings=TRAINED, rms_norm_eps=1e-5, rope_theta=10000.0,
    tie_word_embeddings=False, bos_token_id=0, eos_token_id=1,
)  # fmt: skip
GROUPED = dict(num_key_value_heads=2)
GRANITE = dict(embedding_multiplier=12.0, attention_multiplier=0.09, residual_multiplier=0.22, logits_scaling=1.7)
PHI3 = dict(pad_token_id=None, original_max_position_embeddings=TRAINED)
STARCODER2 = dict(norm_epsilon=1e-4)
EXTENDED = dict(max_position_embeddings=4 * TRAINED)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=TRAINED)
# Steep enough that caps and sinks count.
GEMMA = dict(head_dim=24, query_pre_attn_scalar=9, pad_token_id=None)
GEMMA2 = dict(GEMMA, attn_logit_softcapping=3.0, final_logit_softcapping=5.0)
LOCAL = dict(rope_local_base_freq=300.0)
GPT_OSS = dict(num_local_experts=5, num_experts_per_tok=2, head_dim=16, pad_token_id=None)
MELLUM = dict(
    num_experts=5, num_experts_per_tok=2, moe_intermediate_size=24, head_dim=16, pad_token_id=None,
    rope_parameters=dict(
        full_attention=dict(YARN, rope_theta=10000.0), sliding_attention=dict(rope_type="default", rope_theta=300.0)
    ),
)
SINKS = dict(layer_rope_theta=[500.0, 10000.0, 0.0, 10000.0, 500.0], num_hidden_layers=5)
# name: (family, dtype, config)
MODELS = {
    "mha": ("llama", "float32", {}),
    "gqa": ("llama", "float32", GROUPED),
    "one-kv-head": ("llama", "float32", dict(num_key_value_heads=1)),
    "tied": ("llama", "float32", dict(tie_word_embeddings=True)),
    "head-dim": ("llama", "float32", dict(head_dim=24, **GROUPED)),
    "attention-bias": ("llama", "float32", dict(attention_bias=True, **GROUPED)),
    "theta": ("llama", "float32", dict(rope_theta=500000.0)),
    "eps": ("llama", "float32", dict(rms_norm_eps=1e-2)),
    "bfloat16": ("llama", "bfloat16", GROUPED),
    "float16": ("llama", "float16", dict(tie_word_embeddings=True)),
    "qwen2": ("qwen2", "float32", GROUPED),
    "qwen2-tied-bfloat16": ("qwen2", "bfloat16", dict(tie_word_embeddings=True, rope_theta=1e6, **GROUPED)),
    "mistral": ("mistral", "float32", dict(sliding_window=None, **GROUPED)),
    "granite-code": ("llama", "float32", dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True, **GROUPED)),
    "qwen3": ("qwen3", "float32", dict(head_dim=24, **GROUPED)),
    "qwen3-tied-bias-bfloat16": (
        "qwen3", "bfloat16", dict(head_dim=32, attention_bias=True, tie_word_embeddings=True, num_key_value_heads=1)
    ),
    "granite": ("granite", "float32", dict(GRANITE, **GROUPED)),
    "granite-bias-float16": (
        "granite", "float16", dict(GRANITE, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)
    ),
    "smollm3": ("smollm3", "float32", dict(num_hidden_layers=5, pad_token_id=None, **GROUPED)),
    "smollm3-layers-bfloat16": (
        "smollm3", "bfloat16", dict(no_rope_layers=[0, 1, 0], pad_token_id=None, tie_word_embeddings=True, **GROUPED)
    ),
    "phi3": ("phi3", "float32", dict(PHI3, **GROUPED)),
    "phi3-partial-bfloat16": ("phi3", "bfloat16", dict(PHI3, partial_rotary_factor=0.75, **GROUPED)),
    "starcoder2": ("starcoder2", "float32", dict(STARCODER2, **GROUPED)),
    "starcoder2-no-bias-float16": (
        "starcoder2", "float16", dict(STARCODER2, use_bias=False, tie_word_embeddings=True, num_key_value_heads=1)
    ),
    "olmo2": ("olmo2", "float32", GROUPED),
    "olmo2-bias-bfloat16": ("olmo2", "bfloat16", dict(attention_bias=True, tie_word_embeddings=True)),
    "seed-oss": ("seed_oss", "float32", dict(head_dim=24, **GROUPED)),
    "gemma2-tied": ("gemma2", "float32", dict(GEMMA2, tie_word_embeddings=True, **GROUPED)),
    "gemma3-bias-bfloat16": (
        "gemma3_text", "bfloat16", dict(GEMMA, attention_bias=True, final_logit_softcapping=4.0, num_key_value_heads=1)
    ),
    "cohere2-bias-float16": (
        "cohere2", "float16", dict(attention_bias=True, tie_word_embeddings=True, logit_scale=0.3, **GROUPED)
    ),
    "glm4": ("glm4", "float32", dict(head_dim=24, pad_token_id=None, **GROUPED)),
    "glm4-no-bias-bfloat16": (
        "glm4", "bfloat16",
        dict(head_dim=16, attention_bias=False, partial_rotary_factor=0.75, pad_token_id=None, num_key_value_heads=1),
    ),
    "ernie4-5": ("ernie4_5", "float32", dict(head_dim=24, use_bias=True, **GROUPED)),
    "ernie4-5-tied-float16": ("ernie4_5", "float16", dict(head_dim=16, tie_word_embeddings=True)),
    "mistral-head-dim-float16": ("mistral", "float16", dict(sliding_window=None, head_dim=32, **GROUPED)),
}
LLAMA3 = dict(
    rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=TRAINED,
)  # fmt: skip
# Ministral 3: YaRN whose two factors on the logits cancel out, or do not, and a temperature by the query's position.
MINISTRAL3 = dict(
    EXTENDED, head_dim=16, sliding_window=None, rope_theta=None,
    rope_parameters=dict(
        YARN, rope_theta=10000.0, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.3
    ),
)  # fmt: skip
MODELS |= {
    "ministral3": ("ministral3", "float32", dict(MINISTRAL3, **GROUPED)),
    "ministral3-mscale-bfloat16": (
        "ministral3", "bfloat16",
        dict(
            MINISTRAL3,
            rope_parameters=dict(MINISTRAL3["rope_parameters"], mscale=0.7, truncate=False), tie_word_embeddings=True,
        ),
    ),
    "mistral3-inside": ("mistral3", "float32", dict(MINISTRAL3, **GROUPED)),
    "mistral3-inside-tied": ("mistral3", "float16", dict(MINISTRAL3, tie_word_embeddings=True, **GROUPED)),
}  # fmt: skip
# Experts: more than a short text has rows for, and alike ones. `stacked`: all experts of a layer in one tensor;
# `twins`: two experts that are the same, router and all.
EXPERTS = dict(num_experts=24, num_experts_per_tok=3, moe_intermediate_size=40, pad_token_id=None)
LOCAL_EXPERTS = dict(num_local_experts=8, num_experts_per_tok=2, pad_token_id=None)
ERNIE_EXPERTS = dict(moe_num_experts=16, moe_k=3, moe_intermediate_size=40, moe_num_shared_experts=2, pad_token_id=None)
ROUTED_EXPERTS = dict(
    n_routed_experts=16, num_experts_per_tok=3, moe_intermediate_size=40, n_shared_experts=2, routed_scaling_factor=1.7,
    pad_token_id=None,
)  # fmt: skip
# Latent attention: values narrower than keys, or as wide.
LATENT = dict(q_lora_rank=24, kv_lora_rank=20, qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=10)
LATENT_YARN = dict(EXTENDED, rope_scaling=dict(YARN, mscale=1.0, mscale_all_dim=0.7))
SHARED_EXPERT = dict(shared_expert_intermediate_size=56)
MODELS |= {
    "qwen3-moe": ("qwen3_moe", "float32", dict(EXPERTS, head_dim=24, norm_topk_prob=True, **GROUPED)),
    "qwen3-moe-layers-bfloat16": (
        "qwen3_moe", "bfloat16",
        dict(EXPERTS, mlp_only_layers=[1], attention_bias=True, stacked=True, tie_word_embeddings=True),
    ),
    "qwen3-moe-step-float16": ("qwen3_moe", "float16", dict(EXPERTS, decoder_sparse_step=2, twins=True, **GROUPED)),
    "qwen3-moe-all": ("qwen3_moe", "float32", dict(EXPERTS, num_experts=3, norm_topk_prob=True, stacked=True)),
    "qwen2-moe": ("qwen2_moe", "float32", dict(EXPERTS, **SHARED_EXPERT, **GROUPED)),
    "qwen2-moe-layers-bfloat16": (
        "qwen2_moe", "bfloat16",
        dict(EXPERTS, **SHARED_EXPERT, norm_topk_prob=True, mlp_only_layers=[0], qkv_bias=False, stacked=True),
    ),
    "mixtral": ("mixtral", "float32", dict(LOCAL_EXPERTS, **GROUPED)),
    "mixtral-stacked-bfloat16": ("mixtral", "bfloat16", dict(LOCAL_EXPERTS, stacked=True, twins=True)),
    "olmoe": ("olmoe", "float32", dict(EXPERTS, **GROUPED)),
    "olmoe-tied-float16": (
        "olmoe", "float16", dict(EXPERTS, norm_topk_prob=True, attention_bias=True, tie_word_embeddings=True)
    ),
    "granitemoe": ("granitemoe", "float32", dict(LOCAL_EXPERTS, **GRANITE, **GROUPED)),
    "ernie4-5-moe": ("ernie4_5_moe", "float32", dict(ERNIE_EXPERTS, **GROUPED)),
    "ernie4-5-moe-layers-bfloat16": (
        "ernie4_5_moe", "bfloat16",
        dict(ERNIE_EXPERTS, moe_num_shared_experts=0, moe_layer_interval=2, moe_layer_end_index=1, stacked=True),
    ),
    "deepseek-v2": (
        "deepseek_v2", "float32",
        dict(ROUTED_EXPERTS, **LATENT | dict(q_lora_rank=None), topk_method="greedy", first_k_dense_replace=1),
    ),
    "deepseek-v2-groups-bfloat16": (
        "deepseek_v2", "bfloat16",
        dict(ROUTED_EXPERTS, **LATENT, topk_method="group_limited_greedy", n_group=4, topk_group=2, stacked=True),
    ),
    "deepseek-v2-yarn": ("deepseek_v2", "float32", dict(ROUTED_EXPERTS, **LATENT, **LATENT_YARN)),
    "deepseek-v3": (
        "deepseek_v3", "float32",
        dict(ROUTED_EXPERTS, **LATENT, n_group=4, topk_group=2, first_k_dense_replace=1, attention_bias=True),
    ),
    "deepseek-v3-yarn-halves-float16": (
        "deepseek_v3", "float16",
        dict(
            ROUTED_EXPERTS, **LATENT, **LATENT_YARN, n_group=1, topk_group=1, rope_interleave=False, norm_topk_prob=False
        ),
    ),
    "glm4-moe-lite": (
        "glm4_moe_lite", "float32", dict(ROUTED_EXPERTS, **LATENT | dict(v_head_dim=20), tie_word_embeddings=True)
    ),
    "glm4-moe": ("glm4_moe", "float32", dict(ROUTED_EXPERTS, use_qk_norm=True, **GROUPED)),
    "glm4-moe-groups-bfloat16": (
        "glm4_moe", "bfloat16",
        dict(
            ROUTED_EXPERTS, n_group=4, topk_group=2, norm_topk_prob=False, attention_bias=True, first_k_dense_replace=0,
            stacked=True,
        ),
    ),
    "granitemoe-stacked-bfloat16": (
        "granitemoe", "bfloat16",
        dict(LOCAL_EXPERTS, **GRANITE, attention_bias=True, stacked=True, tie_word_embeddings=True),
    ),
}  # fmt: skip
# name: (rope_scaling, other config, the same as a longcode encoding of the model without it)
SCALINGS = {
    "linear": (dict(rope_type="linear", factor=4.0), {}, "linear:factor=4"),
    "dynamic": (dict(rope_type="dynamic", factor=2.0), {}, "dynamic_ntk:factor=2"),
    "dynamic-original": (
        dict(rope_type="dynamic", factor=2.0, original_max_position_embeddings=TRAINED),
        dict(max_position_embeddings=2 * TRAINED),
        f"dynamic_ntk:factor=2,original_max_position={2 * TRAINED}",
    ),
    "yarn": (YARN, EXTENDED, "yarn:factor=4"),
    "yarn-keys": (
        dict(YARN, beta_fast=16.0, beta_slow=2.0, attention_factor=1.3),
        EXTENDED,
        "yarn:factor=4,beta_fast=16,beta_slow=2,attention_factor=1.3",
    ),
    "yarn-no-original": (dict(rope_type="yarn", factor=4.0), {}, "yarn:factor=4"),
    "llama3": (LLAMA3, dict(max_position_embeddings=8 * TRAINED), "llama3:factor=8"),
    "llama3-keys": (
        dict(LLAMA3, low_freq_factor=2.0, high_freq_factor=6.0),
        dict(max_position_embeddings=8 * TRAINED),
        "llama3:factor=8,low_freq_factor=2,high_freq_factor=6",
    ),
    "ntk": (None, dict(rope_theta=10000.0 * 8 ** (16 / 14)), "ntk:factor=8"),
    "base": (None, dict(rope_theta=500000.0), "rope:base=500000"),
}
# Families whose `rope_parameters` have one for each type of layer.
ROPE_BY_LAYER_TYPE = ["olmo3", "gemma3_text", "mellum"]
WINDOW = 48
SLIDING_LAYERS = ["sliding_attention", "full_attention", "sliding_attention"]
# name: (family, config): sliding windows of the model's own
SLIDING = {
    "mistral-sliding": ("mistral", dict(sliding_window=WINDOW, **GROUPED)),
    "qwen2-max-window-layers": (
        "qwen2", dict(use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1, **GROUPED)
    ),
    "qwen2-layer-types": (
        "qwen2", dict(use_sliding_window=True, sliding_window=WINDOW, layer_types=SLIDING_LAYERS, **GROUPED)
    ),
    "qwen2-no-sliding": ("qwen2", dict(use_sliding_window=False, sliding_window=WINDOW, **GROUPED)),
    "qwen3-layer-types": (
        "qwen3", dict(use_sliding_window=True, sliding_window=WINDOW, layer_types=SLIDING_LAYERS, head_dim=24, **GROUPED)
    ),
    "smollm3-sliding": (
        "smollm3",
        dict(
            use_sliding_window=True, sliding_window=WINDOW, no_rope_layer_interval=2, pad_token_id=None, **GROUPED
        ),
    ),
    "phi3-sliding-partial": ("phi3", dict(PHI3, sliding_window=WINDOW, partial_rotary_factor=0.5, **GROUPED)),
    "starcoder2-sliding": ("starcoder2", dict(STARCODER2, sliding_window=WINDOW, **GROUPED)),
    "olmo3": ("olmo3", dict(sliding_window=WINDOW, num_hidden_layers=4, pad_token_id=None, **GROUPED)),
    "olmo3-layer-types-yarn": (
        "olmo3",
        dict(
            sliding_window=WINDOW, layer_types=SLIDING_LAYERS, attention_bias=True, rope_scaling=YARN, pad_token_id=None,
            **EXTENDED,
        ),
    ),
    "gemma2": ("gemma2", dict(GEMMA2, sliding_window=WINDOW, attention_bias=True, **GROUPED)),
    "gemma2-no-caps": (
        "gemma2",
        dict(GEMMA, attn_logit_softcapping=None, final_logit_softcapping=None, layer_types=SLIDING_LAYERS, sliding_window=WINDOW),
    ),
    "gemma3": ("gemma3_text", dict(GEMMA, **LOCAL, sliding_window=WINDOW, sliding_window_pattern=3, **GROUPED)),
    "gemma3-linear-tied": (
        "gemma3_text",
        dict(
            GEMMA, **LOCAL, sliding_window=WINDOW, layer_types=SLIDING_LAYERS, tie_word_embeddings=True,
            rope_scaling=dict(rope_type="linear", factor=8.0),
        ),
    ),
    "cohere2": ("cohere2", dict(sliding_window=WINDOW, layer_types=SLIDING_LAYERS, logit_scale=0.5, **GROUPED)),
    "gpt-oss": (
        "gpt_oss", dict(GPT_OSS, sliding_window=WINDOW, rope_scaling=dict(YARN, truncate=False), **EXTENDED, **GROUPED)
    ),
    "gpt-oss-tied-no-bias": (
        "gpt_oss",
        dict(
            GPT_OSS, sliding_window=WINDOW, attention_bias=False, tie_word_embeddings=True, swiglu_limit=1.5,
            rope_parameters=dict(rope_type="default", rope_theta=500.0),
        ),
    ),
    "mellum": (
        "mellum", dict(MELLUM, sliding_window=WINDOW, layer_types=SLIDING_LAYERS, rope_theta=None, **EXTENDED, **GROUPED)
    ),
    "mellum-dense-bias": (
        "mellum",
        dict(
            MELLUM, sliding_window=WINDOW, layer_types=SLIDING_LAYERS, mlp_layer_types=["dense", "sparse", "dense"],
            attention_bias=True, tie_word_embeddings=True, norm_topk_prob=False, rope_theta=None, **EXTENDED,
        ),
    ),
    "granite-swa": ("granite_swa", dict(GRANITE, **SINKS, sliding_window=WINDOW, mlp_bias=True, **GROUPED)),
    "granite-swa-yarn": (
        "granite_swa",
        dict(
            GRANITE, **SINKS, sliding_window=WINDOW, attention_bias=True, tie_word_embeddings=True, rope_scaling=YARN,
            **EXTENDED,
        ),
    ),
    "mistral-sliding-yarn": (
        "mistral", dict(sliding_window=2 * WINDOW, rope_scaling=YARN, **EXTENDED, **GROUPED)
    ),
}  # fmt: skip


def long_rope(pairs, **other):
    """`longrope` of factors that are all different."""
    return dict(
        rope_type="longrope",
        short_factor=[1.0 + 0.05 * pair for pair in range(pairs)],
        long_factor=[1.0 + 0.6 * pair for pair in range(pairs)],
        original_max_position_embeddings=TRAINED,
        **other,
    )


LONG_ROPES = {
    "longrope": (long_rope(8), EXTENDED),
    "longrope-factor": (long_rope(8, factor=16.0), EXTENDED),
    "longrope-attention-factor": (long_rope(8, attention_factor=1.3), EXTENDED),
    "longrope-not-extended": (long_rope(8), {}),
}
# Phi-3's own, of whole heads and of heads that turn in part.
PHI_LONG_ROPES = {
    "phi3-longrope": dict(PHI3, rope_scaling=long_rope(8), **EXTENDED),
    "phi3-longrope-partial": dict(PHI3, rope_scaling=long_rope(6), partial_rotary_factor=0.75, **EXTENDED),
}
SMALL = dict(hidden_size=32, intermediate_size=48, num_attention_heads=4, head_dim=8)
SMALLEST = dict(hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4)
FEWEST = dict(
    hidden_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True
)
FEW_EXPERTS = dict(
    FEWEST, intermediate_size=28, num_experts=10, num_experts_per_tok=3, moe_intermediate_size=12, pad_token_id=None
)
SMALLER = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, head_dim=16)
# name: (family, dtype, config, shard size)
FIXTURES = {
    "llama-gqa-tied-float16": ("llama", "float16", dict(SMALL, tie_word_embeddings=True, **GROUPED), None),
    "qwen2-sharded-bfloat16": ("qwen2", "bfloat16", dict(SMALL, **GROUPED), "40KB"),
    "llama-yarn-float16": ("llama", "float16", dict(SMALL, rope_scaling=YARN, **EXTENDED), None),
    "llama-llama3-bias-float32": (
        "llama", "float32",
        dict(SMALLER, num_key_value_heads=1, attention_bias=True, rope_scaling=LLAMA3, max_position_embeddings=1024),
        None,
    ),
    "mistral-sliding-float16": ("mistral", "float16", dict(SMALL, sliding_window=WINDOW, **GROUPED), None),
    "qwen2-layer-types-bfloat16": (
        "qwen2", "bfloat16",
        dict(SMALL, use_sliding_window=True, sliding_window=WINDOW, layer_types=SLIDING_LAYERS, **GROUPED),
        None,
    ),
    "llama-longrope-float16": ("llama", "float16", dict(SMALL, rope_scaling=long_rope(4), **EXTENDED), None),
    "granite-code-bfloat16": (
        "llama", "bfloat16", dict(SMALL, attention_bias=True, mlp_bias=True, tie_word_embeddings=True), None
    ),
    "qwen3-float16": ("qwen3", "float16", dict(SMALL, head_dim=12, tie_word_embeddings=True, **GROUPED), None),
    "granite-bfloat16": ("granite", "bfloat16", dict(SMALLEST, **GRANITE, **GROUPED), None),
    "smollm3-sharded-float16": (
        "smollm3", "float16",
        dict(SMALLEST, num_hidden_layers=4, pad_token_id=None, tie_word_embeddings=True, **GROUPED),
        "40KB",
    ),
    "phi3-partial-longrope-bfloat16": (
        "phi3", "bfloat16",
        dict(
            PHI3, hidden_size=48, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
            num_key_value_heads=1, partial_rotary_factor=0.5, rope_scaling=long_rope(4), tie_word_embeddings=True,
            **EXTENDED,
        ),
        None,
    ),
    "starcoder2-sliding-float16": (
        "starcoder2", "float16",
        dict(SMALLEST, **STARCODER2, sliding_window=WINDOW, tie_word_embeddings=True, **GROUPED),
        None,
    ),
    "ministral3-float16": (
        "ministral3", "float16",
        dict(MINISTRAL3, hidden_size=32, intermediate_size=40, num_hidden_layers=2, head_dim=8), None,
    ),
    "mistral3-inside-bfloat16": (
        "mistral3", "bfloat16",
        dict(
            MINISTRAL3, hidden_size=24, intermediate_size=32, num_hidden_layers=2, head_dim=12, num_attention_heads=2,
            num_key_value_heads=1, tie_word_embeddings=True,
            rope_parameters=dict(MINISTRAL3["rope_parameters"], mscale=0.7, truncate=False),
        ),
    ),
    "qwen3-moe-float16": (
        "qwen3_moe", "float16", dict(FEW_EXPERTS, norm_topk_prob=True, mlp_only_layers=[1], num_hidden_layers=3)
    ),
    "qwen3-moe-stacked-bfloat16": ("qwen3_moe", "bfloat16", dict(FEW_EXPERTS, twins=True, stacked=True)),
    "qwen2-moe-bfloat16": ("qwen2_moe", "bfloat16", dict(FEW_EXPERTS, shared_expert_intermediate_size=20)),
    "mixtral-float32": (
        "mixtral", "float32",
        dict(FEWEST, num_local_experts=4, intermediate_size=12, pad_token_id=None, sliding_window=WINDOW),
    ),
    "olmoe-float16": ("olmoe", "float16", dict(FEWEST, num_experts=6, intermediate_size=12, num_experts_per_tok=3)),
    "granitemoe-sharded-float16": (
        "granitemoe", "float16",
        dict(FEWEST, **GRANITE, num_local_experts=6, num_experts_per_tok=2, intermediate_size=16, pad_token_id=None),
        "30KB",
    ),
    "ernie4-5-moe-float16": (
        "ernie4_5_moe", "float16",
        dict(
            FEWEST, intermediate_size=28, moe_num_experts=8, moe_k=3, moe_intermediate_size=12, moe_num_shared_experts=2,
            pad_token_id=None,
        ),
    ),
    "deepseek-v2-float16": (
        "deepseek_v2", "float16",
        dict(
            FEWEST, num_key_value_heads=2, intermediate_size=28, n_routed_experts=8, num_experts_per_tok=3,
            moe_intermediate_size=12, first_k_dense_replace=1, topk_method="greedy", pad_token_id=None,
            **LATENT | dict(q_lora_rank=None), **LATENT_YARN,
        ),
    ),
    "deepseek-v3-bfloat16": (
        "deepseek_v3", "bfloat16",
        dict(
            FEWEST, num_key_value_heads=2, intermediate_size=28, n_routed_experts=8, num_experts_per_tok=2,
            moe_intermediate_size=12, first_k_dense_replace=1, n_group=4, topk_group=2, pad_token_id=None, **LATENT,
        ),
    ),
    "glm4-moe-lite-bfloat16": (
        "glm4_moe_lite", "bfloat16",
        dict(
            FEWEST, num_key_value_heads=2, intermediate_size=28, n_routed_experts=8, num_experts_per_tok=2,
            moe_intermediate_size=12, pad_token_id=None, **LATENT | dict(v_head_dim=20),
        ),
    ),
    "glm4-moe-bfloat16": (
        "glm4_moe", "bfloat16",
        dict(
            FEWEST, head_dim=12, intermediate_size=28, n_routed_experts=8, num_experts_per_tok=2, moe_intermediate_size=12,
            n_group=4, topk_group=2, routed_scaling_factor=1.7, use_qk_norm=True, attention_bias=True, pad_token_id=None,
        ),
    ),
    "olmo2-float16": ("olmo2", "float16", dict(SMALLEST, tie_word_embeddings=True, **GROUPED), None),
    "olmo3-yarn-bfloat16": (
        "olmo3", "bfloat16",
        dict(
            SMALLEST, sliding_window=WINDOW, layer_types=SLIDING_LAYERS[:2], rope_scaling=YARN, pad_token_id=None,
            tie_word_embeddings=True, **EXTENDED,
        ),
        None,
    ),
    "gemma2-float16": (
        "gemma2", "float16", dict(GEMMA2 | SMALLEST, head_dim=12, sliding_window=WINDOW, tie_word_embeddings=True, **GROUPED), None
    ),
    "gemma3-bfloat16": (
        "gemma3_text", "bfloat16",
        dict(
            GEMMA | SMALLEST | LOCAL, head_dim=12, sliding_window=WINDOW, layer_types=SLIDING_LAYERS[:2],
            tie_word_embeddings=True, **GROUPED,
        ),
        None,
    ),
    "cohere2-float16": (
        "cohere2", "float16",
        dict(
            SMALLEST, sliding_window=WINDOW, layer_types=SLIDING_LAYERS[:2], logit_scale=0.5, tie_word_embeddings=True,
            **GROUPED,
        ),
        None,
    ),
    "glm4-bfloat16": (
        "glm4", "bfloat16", dict(SMALLEST, head_dim=12, pad_token_id=None, tie_word_embeddings=True, **GROUPED), None
    ),
    "ernie4-5-float16": ("ernie4_5", "float16", dict(SMALLEST, head_dim=12, tie_word_embeddings=True, **GROUPED), None),
    "gpt-oss-bfloat16": (
        "gpt_oss", "bfloat16",
        dict(
            SMALLEST | GPT_OSS | GROUPED, head_dim=8, sliding_window=WINDOW, tie_word_embeddings=True,
            rope_scaling=dict(YARN, truncate=False), **EXTENDED,
        ),
        None,
    ),
    "gpt-oss-mxfp4": (
        "gpt_oss", "bfloat16",
        dict(
            SMALLEST | GPT_OSS | GROUPED, head_dim=8, num_local_experts=4, intermediate_size=32, sliding_window=WINDOW,
            tie_word_embeddings=True, rope_scaling=dict(YARN, truncate=False), **EXTENDED,
        ),
        None,
    ),
    "mellum-float16": (
        "mellum", "float16",
        dict(
            SMALLEST | MELLUM | GROUPED, head_dim=8, moe_intermediate_size=12, sliding_window=WINDOW,
            layer_types=SLIDING_LAYERS[:2], tie_word_embeddings=True, rope_theta=None, **EXTENDED,
        ),
        None,
    ),
    "granite-swa-bfloat16": (
        "granite_swa", "bfloat16",
        dict(
            SMALLEST, **GRANITE, **GROUPED, sliding_window=WINDOW, num_hidden_layers=3, tie_word_embeddings=True,
            layer_rope_theta=[500.0, 10000.0, 0.0],
        ),
        None,
    ),
}  # fmt: skip
# Of these the losses of shorter sequences are kept too: they do not follow from those of the whole.
FOLLOWS_LENGTH = dict.fromkeys(
    ["llama-longrope-float16", "phi3-partial-longrope-bfloat16"], [TRAINED // 2, TRAINED, TRAINED + 1]
)
# Tokens of a prompt, and how many are generated after it.
PROMPT, GENERATED = 100, 24


def parse_arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n\n")[0])
    parser.add_argument("longcode", type=Path)
    parser.add_argument("--precision", choices=["f32", "split", "bf16"], default="f32")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--fixtures", type=Path)
    return parser.parse_args()


# Checkpoints


def randomise(model):
    """Fills in weights that make attention and logits far from flat; linear maps keep the variance of their input."""
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1 and name.endswith(".weight"):
            parameter.uniform_(0.5, 1.5)
            if "Gemma" in type(model).__name__:
                # These are stored less 1.
                parameter -= 1
        elif name.endswith(".sinks"):
            parameter.normal_(0, 1.5)
        elif name.endswith("bias"):
            parameter.normal_(0, 0.3)
        elif "embed_tokens" in name or "lm_head" in name:
            parameter.normal_(0, 2.5 * parameter.shape[-1] ** -0.5)
        else:
            parameter.normal_(0, 1.2 * parameter.shape[-1] ** -0.5)


def correct_scores(model):
    """Fills in what routers add to scores to choose by them, a buffer or a parameter of its own."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if name.endswith("e_score_correction_bias"):
            tensor.uniform_(-0.2, 0.2)


def make_twins(model):
    """Makes the first two experts of every layer the same, so that their scores are equal and either may be chosen."""
    for name, parameter in model.named_parameters():
        if ".experts." in name or name.endswith((".mlp.gate.weight", ".router.weight")):
            parameter[1] = parameter[0]


def make_checkpoint(directory, family, dtype="float32", config=None, shard_size=None):
    """A random checkpoint as `save_pretrained` leaves it, with the test tokenizer."""
    torch.manual_seed(0)
    config_class, model_class = FAMILIES[family]
    config = dict(config or {})
    stacked, twins = config.pop("stacked", False), config.pop("twins", False)
    config = {key: value for key, value in dict(SHAPE, **(config or {})).items() if value is not None or key != "rope_theta"}
    model = model_class(config_class(**config))
    with torch.no_grad():
        randomise(model)
        correct_scores(model)
        if twins:
            make_twins(model)
    shards = {"max_shard_size": shard_size} if shard_size else {}
    model.to(getattr(torch, dtype)).save_pretrained(directory, **shards, save_original_format=not stacked)
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(TOKENIZER / name, directory)
    return directory


def quantise_experts(directory):
    """Puts the experts' weights into MXFP4, as gpt-oss is published: `_blocks` and `_scales` along a map's inputs."""
    path = directory / "model.safetensors"
    tensors = load_file(path)
    for name in [name for name in tensors if name.endswith(("gate_up_proj", "down_proj"))]:
        weight = tensors.pop(name).float().transpose(1, 2)
        blocks = weight.reshape(*weight.shape[:2], -1, 32)
        exponent = torch.floor(torch.log2(blocks.abs().amax(-1).clamp(min=2.0**-100))) - 2
        numbers = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
        scaled = blocks / 2.0 ** exponent[..., None]
        nearest = (scaled[..., None] - numbers).abs().argmin(-1).to(torch.uint8)
        tensors[f"{name}_blocks"] = (nearest[..., ::2] | nearest[..., 1::2] << 4).contiguous()
        tensors[f"{name}_scales"] = (exponent + 127).to(torch.uint8).contiguous()
    save_file(tensors, path, metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"],
    }
    (directory / "config.json").write_text(json.dumps(config, indent=1))
    return directory


def move_rope_to_old_place(source, directory, rope_scaling, type_key):
    """A copy whose config.json has `rope_theta` and `rope_scaling`, as transformers before 5 wrote it."""
    shutil.copytree(source, directory)
    path = directory / "config.json"
    config = json.loads(path.read_text())
    parameters = config.pop("rope_parameters", {})
    config["rope_theta"] = parameters.get("rope_theta", config.get("rope_theta"))
    if rope_scaling is not None:
        rest = {key: value for key, value in rope_scaling.items() if key != "rope_type"}
        config["rope_scaling"] = {type_key: rope_scaling["rope_type"], **rest}
    path.write_text(json.dumps(config, indent=1))
    return directory


# The two sides


def encode(directory, text):
    """Ids by the tokenizer's own rule: BOS as its post-processor or `add_bos_token` adds it, no EOS."""
    config = json.loads((directory / "tokenizer_config.json").read_text())
    tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    bos, eos = tokenizer.token_to_id(config["bos_token"]), tokenizer.token_to_id(config["eos_token"])
    ids = tokenizer.encode(text).ids
    ids = ids[:-1] if ids[-1] == eos else ids
    return ids if ids[0] == bos or not config.get("add_bos_token") else [bos, *ids]


def reference(directory, dtype):
    """The model as transformers loads it, anew: `dynamic` keeps a state."""
    inside = "text_config" in json.loads((directory / "config.json").read_text())
    auto = transformers.AutoModelForImageTextToText if inside else transformers.AutoModelForCausalLM
    return auto.from_pretrained(directory, dtype=dtype, attn_implementation="eager", experts_implementation="eager")


def transformers_scores(directory, ids, dtype=torch.float32):
    """nll and top-1 hits of every token but the first."""
    model = reference(directory, dtype)
    with torch.no_grad():
        logits = model.eval()(torch.tensor([ids])).logits[0, :-1].float()
    targets = torch.tensor(ids[1:])
    nll = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    return nll.double(), (logits.argmax(1) == targets).double()


def transformers_greedy(directory, ids):
    """The tokens that greedy decoding goes on with; none ends it."""
    model = reference(directory, torch.float32)
    model.generation_config = transformers.GenerationConfig(
        max_new_tokens=GENERATED, do_sample=False, pad_token_id=0, eos_token_id=None
    )
    ids = torch.tensor([ids])
    with torch.no_grad():
        return model.eval().generate(ids, attention_mask=torch.ones_like(ids))[0, ids.shape[1] :].tolist()


def difference(ours, nll, hits, precision, bf16_nll):
    """The largest difference of a token's loss, and what is wrong with longcode's object."""
    if ours["tokens"] != len(nll) + 1 or len(ours["nll"]) != len(nll):
        return float("inf"), f"{ours['tokens']} tokens for {len(nll) + 1}"
    differences = (torch.tensor(ours["nll"], dtype=torch.double) - nll).abs()
    worst, mean = differences.max().item(), differences.mean().item()
    loss, accuracy = nll.mean().item(), hits.mean().item()
    wrong = []
    if precision == "bf16":
        allowed = 1.1 * (bf16_nll - nll).abs().mean().item()
        return worst, f"a mean difference of {mean:.1e} for {allowed:.1e}" if mean > allowed else ""
    tolerance = SPLIT_TOLERANCE if precision == "split" else TOLERANCE
    if not worst <= tolerance:
        wrong.append(f"nll differ by {worst:.1e}")
    if not abs(ours["loss"] - loss) <= TOLERANCE:
        wrong.append(f"loss {ours['loss']} for {loss}")
    if precision == "f32" and not abs(ours["accuracy"] - accuracy) < 1e-6:
        wrong.append(f"accuracy {ours['accuracy']} for {accuracy}")
    return worst, "; ".join(wrong)


class Comparison:
    """Runs both sides case by case, prints a line each and remembers whether any differed."""

    def __init__(self, longcode, precision, texts):
        self.longcode, self.precision = longcode, precision
        self.texts = texts
        self.worst = 0.0
        self.failed = []

    def run_longcode(self, *arguments):
        run = subprocess.run([self.longcode, *map(str, arguments)], capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(run.stderr.strip())
        return json.loads(run.stdout)

    def report(self, name, outcome, problem):
        if problem:
            self.failed.append(name)
        print(f"{'DIFFERS' if problem else 'ok':7} {name}: {outcome} {problem}".rstrip(), flush=True)

    def losses(self, name, reference, directory=None, encoding="rope", texts=None, max_tokens=None):
        """`directory` under `encoding` in longcode against `reference` as it is in transformers, on every text."""
        directory = directory or reference
        for text in texts or self.texts:
            ids = encode(reference, text.read_text(encoding="utf-8"))[:max_tokens]
            cut = ["--max-tokens", max_tokens] if max_tokens else []
            options = ["--model", directory, "--encoding", encoding, "--device", "cpu", "--json", *cut]
            options += ["--precision", self.precision]
            label = f"{name}, {len(ids)} tokens"
            try:
                ours = self.run_longcode("score", *options, text)
            except RuntimeError as error:
                self.report(label, "longcode failed", str(error))
                continue
            self.report(label, *self.compare(ours, reference, ids))

    def compare(self, ours, reference, ids):
        """The worst difference, and what is wrong."""
        bf16 = transformers_scores(reference, ids, torch.bfloat16)[0] if self.precision == "bf16" else None
        worst, problem = difference(ours, *transformers_scores(reference, ids), self.precision, bf16)
        self.worst = max(self.worst, worst)
        return f"{worst:.1e}", problem

    def greedy(self, name, directory):
        """`longcode generate` after the first text, up to an end of sequence, against greedy decoding."""
        text = self.texts[0]
        expected = transformers_greedy(directory, encode(directory, text.read_text(encoding="utf-8")))
        ours = self.run_longcode(
            "generate", "--model", directory, "--encoding", "rope", "--device", "cpu", "--precision", self.precision,
            "--max-new-tokens", GENERATED, "--json", text,
        )  # fmt: skip
        ids = ours["ids"]
        equal = ids == expected[: len(ids)] and (len(ids) == GENERATED or ours["ended"] == "end_of_sequence")
        self.report(f"{name}, greedy", f"{len(ids)} tokens", "" if equal else f"{ids} for {expected}")

    def ids(self, name, directory, expected):
        """`longcode inspect --tokenizer` gives these ids for the first text."""
        tokens = self.run_longcode("inspect", self.texts[0], "--tokenizer", directory, "--json")["tokens"]
        ours = [token["id"] for token in tokens]
        problem = "" if ours == expected else f"{len(ours)} ids {ours[:4]}... for {len(expected)} {expected[:4]}..."
        self.report(f"tokenizer {name}", f"{len(expected)} ids", problem)


# Cases


def check_models(comparison, scratch):
    for name, (family, dtype, config) in MODELS.items():
        directory = make_checkpoint(scratch / name, family, dtype, config)
        comparison.losses(name, directory)
        if comparison.precision == "f32":
            comparison.greedy(name, directory)
        if "rope_parameters" in config or family in ROPE_BY_LAYER_TYPE:
            continue
        old = move_rope_to_old_place(directory, scratch / f"{name}-old", None, "rope_type")
        comparison.losses(f"{name}, old config", old, texts=comparison.texts[:1])
    sharded = make_checkpoint(scratch / "sharded", "llama", "float32", GROUPED, "100KB")
    assert len(list(sharded.glob("*.safetensors"))) > 3
    comparison.losses("sharded", sharded)


def with_scaling(plain, directory, rope_scaling, config):
    """A checkpoint of the weights of `plain` under another rotary scaling."""
    model = transformers.AutoModelForCausalLM.from_pretrained(plain)
    shape = dict(SHAPE, **GROUPED, **{"rope_scaling": rope_scaling} if rope_scaling else {})
    model.config = transformers.LlamaConfig(**dict(shape, **config))
    model.save_pretrained(directory)
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(TOKENIZER / name, directory)
    return directory


def check_scalings(comparison, scratch):
    plain = make_checkpoint(scratch / "plain", "llama", "float32", GROUPED)
    for name, (rope_scaling, config, encoding) in SCALINGS.items():
        own = with_scaling(plain, scratch / name, rope_scaling, config)
        comparison.losses(f"{name} in config", own)
        for key in ["rope_type", "type"] if rope_scaling else []:
            old = move_rope_to_old_place(own, scratch / f"{name}-{key}", rope_scaling, key)
            comparison.losses(f"{name} in old config by {key}", old, texts=comparison.texts[:1])
        comparison.losses(f"--encoding {encoding}", own, plain, encoding)


def check_own_rules(comparison, scratch):
    """Sliding windows and longrope, on sequences below, at and beyond the window and the original length."""
    for name, (family, config) in SLIDING.items():
        directory = make_checkpoint(scratch / name, family, "float32", config)
        comparison.losses(name, directory)
        for tokens in [WINDOW - 1, WINDOW, WINDOW + 1]:
            comparison.losses(name, directory, texts=comparison.texts[:1], max_tokens=tokens)
    plain = make_checkpoint(scratch / "longrope-plain", "llama", "float32", GROUPED)
    for name, (rope_scaling, config) in LONG_ROPES.items():
        own = with_scaling(plain, scratch / name, rope_scaling, config)
        comparison.losses(name, own)
        for tokens in [TRAINED - 1, TRAINED, TRAINED + 1]:
            comparison.losses(name, own, texts=comparison.texts[:1], max_tokens=tokens)
        old = move_rope_to_old_place(own, scratch / f"{name}-su", dict(rope_scaling, rope_type="su"), "type")
        comparison.losses(f"{name} in old config as su", own, old, texts=comparison.texts[:1])


def check_mxfp4(comparison, scratch):
    config = dict(GPT_OSS, sliding_window=WINDOW, rope_scaling=dict(YARN, truncate=False), **EXTENDED, **GROUPED)
    directory = quantise_experts(make_checkpoint(scratch / "mxfp4", "gpt_oss", "bfloat16", config))
    comparison.losses("gpt-oss in MXFP4", directory)


def check_layers(comparison, scratch):
    """An encoding of some layers is a scaling of their type in config.json."""
    config = dict(GEMMA, **LOCAL, sliding_window=WINDOW, layer_types=SLIDING_LAYERS, **GROUPED)
    plain = make_checkpoint(scratch / "layers", "gemma3_text", "float32", config)
    both = ["full_attention", "sliding_attention"]
    for layers, types in {"": both[:1], ",layers=full": both[:1], ",layers=all": both, ",layers=0/2": both[1:]}.items():
        own = scratch / f"own-layers{layers.replace('/', '-')}"
        shutil.copytree(plain, own)
        changed = json.loads((own / "config.json").read_text())
        for kind in types:
            changed["rope_parameters"][kind] |= YARN
        (own / "config.json").write_text(json.dumps(changed))
        comparison.losses(f"--encoding yarn:factor=4{layers}", own, plain, f"yarn:factor=4{layers}")


def check_phi_long_ropes(comparison, scratch):
    for name, config in PHI_LONG_ROPES.items():
        directory = make_checkpoint(scratch / name, "phi3", "float32", dict(config, **GROUPED))
        comparison.losses(name, directory)
        for tokens in [TRAINED - 1, TRAINED, TRAINED + 1]:
            comparison.losses(name, directory, texts=comparison.texts[:1], max_tokens=tokens)


def template(bos, eos):
    """A post-processor that adds BOS, EOS or both."""
    special = {"<s>": bos, "</s>": eos}
    ids = {"<s>": 0, "</s>": 1}
    piece = {"Sequence": {"id": "A", "type_id": 0}}
    marks = {token: {"SpecialToken": {"id": token, "type_id": 0}} for token in special if special[token]}
    single = [mark for mark in [marks.get("<s>"), piece, marks.get("</s>")] if mark]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in marks},
    }


def tokenizer_variants():
    """name: (changes of tokenizer.json, changes of tokenizer_config.json), where transformers 4 and 5 agree."""
    truncation = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    padding = {
        "strategy": {"Fixed": 4096}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<s>",
    }  # fmt: skip
    return {
        "plain": ({}, {}),
        "add_bos_token false": ({}, {"add_bos_token": False}),
        "adds BOS": ({"post_processor": template(True, False)}, {}),
        "adds BOS, add_bos_token true": ({"post_processor": template(True, False)}, {"add_bos_token": True}),
        "adds BOS and EOS": ({"post_processor": template(True, True)}, {}),
        "adds EOS": ({"post_processor": template(False, True)}, {}),
        "saved with truncation": ({"truncation": truncation}, {}),
        "saved with padding": ({"padding": padding}, {}),
    }


def auto_ids(directory, text):
    """AutoTokenizer's ids without the EOS that it may add."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    ids = tokenizer(text)["input_ids"]
    return ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids


def check_tokenizers(comparison, scratch):
    text = comparison.texts[0].read_text(encoding="utf-8")
    for name, (tokenizer, config) in tokenizer_variants().items():
        directory = scratch / f"tokenizer-{name.replace(' ', '-')}"
        directory.mkdir()
        shutil.copy(TOKENIZER / "config.json", directory)
        for file, changes in [("tokenizer.json", tokenizer), ("tokenizer_config.json", config)]:
            changed = json.loads((TOKENIZER / file).read_text()) | changes
            (directory / file).write_text(json.dumps(changed))
        comparison.ids(name, directory, auto_ids(directory, text))
    comparison.ids("models/nano", NANO, auto_ids(NANO, text))


def write_fixtures(comparison, directory):
    """The checkpoints of tests/numbers/transformers.rs, with transformers' losses."""
    sample = directory / "sample.py"
    for name, arguments in FIXTURES.items():
        shutil.rmtree(directory / name, ignore_errors=True)
        checkpoint = make_checkpoint(directory / name, *arguments)
        if name.endswith("mxfp4"):
            quantise_experts(checkpoint)
        (checkpoint / "generation_config.json").unlink(missing_ok=True)
        ids = encode(checkpoint, sample.read_text(encoding="utf-8"))
        nll = transformers_scores(checkpoint, ids)[0]
        bf16 = transformers_scores(checkpoint, ids, torch.bfloat16)[0]
        expected = {
            "text_file": "sample.py",
            "transformers": transformers.__version__,
            "how": "python3 scripts/compare_transformers.py LONGCODE --fixtures tests/transformers",
            "ids": ids,
            "nll": [round(nll, 6) for nll in nll.tolist()],
            "bf16_mean_difference": round((bf16 - nll).abs().mean().item(), 6),
        }
        if name in FOLLOWS_LENGTH:
            shorter = [transformers_scores(checkpoint, ids[:tokens])[0] for tokens in FOLLOWS_LENGTH[name]]
            expected["shorter"] = [[round(nll, 6) for nll in losses.tolist()] for losses in shorter]
        else:
            expected["prompt"], expected["greedy"] = PROMPT, transformers_greedy(checkpoint, ids[:PROMPT])
        (checkpoint / "expected.json").write_text(json.dumps(expected) + "\n")
        comparison.losses(name, checkpoint, texts=[sample])


def write_texts(scratch):
    """Heads of this file: one of a few hundred tokens, and one many times as long as the models' length."""
    source = Path(__file__).read_bytes()
    paths = []
    for size in [1500, 3500]:
        paths.append(scratch / f"head{size}.py")
        paths[-1].write_text(source[:size].decode("utf-8", errors="ignore"), encoding="utf-8")
    return paths


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = arguments.keep or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        comparison = Comparison(arguments.longcode, arguments.precision, write_texts(scratch))
        if arguments.fixtures:
            write_fixtures(comparison, arguments.fixtures)
        else:
            check_models(comparison, scratch)
            check_scalings(comparison, scratch)
            check_own_rules(comparison, scratch)
            check_layers(comparison, scratch)
            check_mxfp4(comparison, scratch)
            check_phi_long_ropes(comparison, scratch)
            comparison.losses("models/nano", NANO, texts=[NANO_TEXT], max_tokens=2000)
            check_tokenizers(comparison, scratch)
    print(f"transformers {transformers.__version__}: worst difference {comparison.worst:.1e}", end="; ")
    print(f"{len(comparison.failed)} case(s) differ" if comparison.failed else "all agree")
    sys.exit(1 if comparison.failed else 0)


if __name__ == "__main__":
    main()
