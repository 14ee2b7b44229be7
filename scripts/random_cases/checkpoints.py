"""Random checkpoints with configs as found in the wild, against transformers reading the same directory: losses per
token to 1e-4 in float32, or both refuse."""

import json
import math
import warnings

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer

from .common import Refusal, chance, code, longcode, read_json, reason, write_json

TOLERANCE = 1e-4
FAMILIES = [
    "llama", "mistral", "qwen2", "qwen3", "granite", "smollm3", "phi3", "starcoder2", "olmo2", "seed_oss", "iquestcoder",
    "ministral3", "qwen3_moe", "qwen2_moe", "mixtral", "olmoe", "granitemoe",
    "olmo3", "gemma2", "gemma3_text", "cohere2", "glm4", "ernie4_5", "granite_swa",
    "gpt_oss", "mellum", "deepseek_v2", "deepseek_v3", "glm4_moe", "glm4_moe_lite", "ernie4_5_moe",
]  # fmt: skip
CHARACTERS = [chr(c) for c in range(32, 127)] + ["\n", "\t", "\r"]
SPECIAL = ["<s>", "</s>", "<unk>"]
VOCABULARY = SPECIAL + CHARACTERS
# Keys that neighbouring versions and families write, which mean nothing or their default.
NEIGHBOURS = {
    "_name_or_path": "somewhere/else", "transformers_version": "4.41.2", "use_cache": True, "pretraining_tp": 1,
    "attention_dropout": 0.0, "initializer_range": 0.02, "architectures": None, "torch_dtype": "bfloat16",
    "dtype": "float32", "bos_token_id": 0, "eos_token_id": [1, 2], "pad_token_id": None, "use_sliding_window": False,
    "max_window_layers": 2, "sliding_window": 4096, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
    "rope_interleaved": False, "auto_map": {"AutoConfig": "configuration_x.XConfig"}, "quantization_config": None,
    "layer_types": None, "num_experts": 0, "n_ctx": 64, "is_decoder": False, "unsloth_fixed": True,
    "resid_pdrop": 0.0, "embd_pdrop": 0.0, "residual_dropout": 0.1, "embedding_dropout": 0.0, "num_labels": 2,
    "original_max_position_embeddings": 4096, "partial_rotary_factor": 1.0, "use_bias": True, "clip_qkv": None,
    "qk_layernorm": False, "attention_out_bias": False, "logits_scaling": 1.0, "use_mambapy": False, "rope_theta": 1e4,
    "layer_norm_epsilon": 1e-3, "norm_epsilon": 1e-3, "tie_word_embeddings": False, "rope_scaling": None,
}  # fmt: skip
# Keys that may be left out: what the family's default is then, the config class knows.
OPTIONAL = [
    "num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps", "norm_epsilon", "hidden_act",
    "tie_word_embeddings", "rope_theta", "attention_bias", "mlp_bias", "use_bias", "sliding_window",
    "use_sliding_window", "embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier",
    "no_rope_layers", "no_rope_layer_interval", "max_window_layers", "layer_types", "partial_rotary_factor",
    "original_max_position_embeddings", "attention_out_bias", "num_experts_per_tok", "norm_topk_prob",
    "decoder_sparse_step", "mlp_only_layers", "qkv_bias", "layer_norm_eps", "hidden_activation",
    "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping", "logit_scale",
    "sliding_window_pattern", "rope_local_base_freq", "layer_rope_theta", "first_k_dense_replace",
    "routed_scaling_factor", "topk_method", "rope_interleave", "use_qk_norm", "moe_layer_start_index",
    "moe_layer_interval", "n_group", "topk_group",
]  # fmt: skip
# Keys that files have as null.
NULLABLE = [
    "num_key_value_heads", "rope_scaling", "rope_parameters", "sliding_window", "layer_types", "no_rope_layers",
    "quantization_config", "pad_token_id", "head_dim", "tie_word_embeddings", "attention_bias", "rope_theta",
]  # fmt: skip
# Families that may have these null in transformers, which fails over them in the others.
NULL_ONLY_IN = {
    "head_dim": ["llama", "mistral", "seed_oss", "iquestcoder"],
    "layer_types": [family for family in FAMILIES if family not in ("mistral", "mellum")],
    "num_key_value_heads": [family for family in FAMILIES if family not in ("ministral3", "mixtral", "qwen3_moe")],
    # Layers that slide without a window: transformers fails over them, or does not.
    "sliding_window": [
        family for family in FAMILIES
        if family not in ("olmo3", "gemma2", "gemma3_text", "cohere2", "granite_swa", "gpt_oss", "mellum")
    ],
    "rope_parameters": [family for family in FAMILIES if family not in ("olmo3", "gemma3_text", "gpt_oss", "mellum")],
    "rope_scaling": [family for family in FAMILIES if family != "mellum"],
}  # fmt: skip
# Families that have eight key heads or more where the config does not say: more than there are query heads here.
MANY_KEY_HEADS = [
    "mistral", "qwen2", "qwen3", "seed_oss", "iquestcoder", "gemma2", "gemma3_text", "granite_swa", "ministral3",
    "mixtral", "qwen2_moe", "qwen3_moe",
]  # fmt: skip
GEMMAS = ["gemma2", "gemma3_text"]
# Families with latent attention, whose heads have widths of their own.
LATENT = ["deepseek_v2", "deepseek_v3", "glm4_moe_lite"]
# Families whose `rope_parameters` have one for each type of layer.
ROPE_BY_LAYER_TYPE = ["olmo3", "gemma3_text", "mellum"]
OWN_DIM = ["qwen3", "seed_oss", "iquestcoder", *GEMMAS, "glm4", "glm4_moe", "ernie4_5", "gpt_oss", "mellum",
           "ministral3", "mixtral"]
NORM_EPSILON = {"starcoder2": "norm_epsilon", "cohere2": "layer_norm_eps"}


# Config


def shape(random, family):
    """Keys that every family has, with the few that are its own."""
    heads = random.choice([2, 4])
    head_dim = random.choice([4, 8, 8, 12])
    hidden = heads * random.choice([head_dim, head_dim, 8])
    own_dim = family in ("llama", "mistral", "smollm3", "qwen3_moe", *OWN_DIM) and hidden != heads * head_dim
    if family == "gemma2" or family == "gemma3_text":
        # Their configs refuse a width that the heads do not divide.
        hidden = heads * (hidden // heads)
    if family in ("glm4", "glm4_moe"):
        head_dim = max(head_dim, 8)
    config = {
        "model_type": family,
        "vocab_size": len(VOCABULARY),
        "hidden_size": hidden if own_dim else heads * head_dim,
        "intermediate_size": random.choice([16, 24, 40]),
        "num_hidden_layers": random.choice([1, 2, 3]) + (2 if family == "smollm3" else 0),
        "num_attention_heads": heads,
        "num_key_value_heads": random.choice([1, heads // 2, heads]),
        "max_position_embeddings": random.choice([64, 128, 256, 4096]),
        "hidden_activation" if family in GEMMAS else "hidden_act": (
            "gelu_pytorch_tanh" if family in ("starcoder2", *GEMMAS) else "silu"
        ),
        "tie_word_embeddings": chance(random, 0.5),
        "rope_theta": random.choice([10000, 10000.0, 500000.0, 1000000, 5e6]),
        NORM_EPSILON.get(family, "rms_norm_eps"): random.choice([1e-6, 1e-5, 1e-2]),
    }
    no_dim = ["cohere2", "granite_swa", *LATENT]
    if own_dim or family in OWN_DIM or (family not in no_dim and chance(random, 0.2)):
        config["head_dim"] = head_dim
    if family in LATENT:
        config["num_key_value_heads"] = heads
    config.update(own_keys(random, family, config))
    return config


def own_keys(random, family, config):
    flag = lambda: chance(random, 0.5)
    window = random.choice([None, 24, 48, 4096])
    layers = config["num_hidden_layers"]
    types = [random.choice(["full_attention", "sliding_attention"]) for _ in range(layers)]
    upper = {"use_sliding_window": flag(), "sliding_window": window, "max_window_layers": random.randrange(layers + 1)}
    if flag():
        upper["layer_types"] = types
    sliding = {"sliding_window": random.choice([24, 48, 4096])} | ({"layer_types": types} if flag() else {})
    gemma = {"query_pre_attn_scalar": random.choice([1, 4, 16]), "attention_bias": flag(), "pad_token_id": None}
    match family:
        case "llama" | "iquestcoder":
            return {"attention_bias": flag(), "mlp_bias": flag()}
        case "mistral":
            return {"sliding_window": window} | ({"attention_bias": True} if chance(random, 0.2) else {})
        case "qwen2":
            return upper | ({"attention_bias": flag()} if chance(random, 0.3) else {})
        case "qwen3":
            return upper | {"attention_bias": flag()}
        case "granite" | "granite_swa":
            factors = {
                "embedding_multiplier": random.choice([1, 0.22, 12.0]),
                "residual_multiplier": random.choice([1, 0.22, 1.7]),
                "attention_multiplier": random.choice([1.0, 0.22, 0.0883883476]),
                "logits_scaling": random.choice([1, 1.7, 8.0]),
            }
            biases = {"attention_bias": flag(), "mlp_bias": flag()}
            if family == "granite":
                return factors | biases
            bases = {"layer_rope_theta": [random.choice([0, 500, 10000.0]) for _ in range(layers)]} if flag() else {}
            return factors | biases | sliding | bases
        case "gpt_oss":
            mixture = {"num_local_experts": random.choice([3, 4]), "num_experts_per_tok": random.choice([1, 2])}
            swiglu = {"swiglu_limit": 1.5} if flag() else {}
            return sliding | mixture | swiglu | {"attention_bias": flag(), "pad_token_id": None}
        case "mellum":
            mixture = {
                "num_experts": random.choice([3, 5]), "num_experts_per_tok": random.choice([1, 2]),
                "moe_intermediate_size": random.choice([8, 12]), "norm_topk_prob": flag(),
            }  # fmt: skip
            kinds = {"mlp_layer_types": [random.choice(["dense", "sparse"]) for _ in range(layers)]} if flag() else {}
            return sliding | mixture | kinds | {"attention_bias": flag(), "pad_token_id": None}
        case "olmo3":
            return sliding | {"attention_bias": flag(), "pad_token_id": None}
        case "gemma2":
            caps = {
                "attn_logit_softcapping": random.choice([None, 2.0, 50.0]),
                "final_logit_softcapping": random.choice([None, 4.0, 30.0]),
            }
            return sliding | caps | gemma
        case "gemma3_text":
            cap = {"final_logit_softcapping": random.choice([None, 4.0])} if flag() else {}
            pattern = {"sliding_window_pattern": random.choice([2, 3])} if flag() else {}
            return sliding | cap | gemma | pattern
        case "cohere2":
            pattern = {"sliding_window_pattern": random.choice([2, 3])} if flag() else {}
            scale = {"logit_scale": random.choice([0.0625, 0.25, 1.0])}
            return sliding | pattern | scale | {"attention_bias": flag(), "pad_token_id": None}
        case "glm4":
            return {"attention_bias": flag(), "pad_token_id": None} | (
                {"partial_rotary_factor": random.choice([0.5, 1.0])} if flag() else {}
            )
        case "deepseek_v2":
            grouped = {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2}
            return latent(random) | routed_experts(random) | (grouped if flag() else {"topk_method": "greedy"})
        case "deepseek_v3":
            own = {"rope_interleave": flag(), "attention_bias": flag(), "norm_topk_prob": flag()}
            return latent(random) | routed_experts(random) | groups(random) | own
        case "glm4_moe_lite":
            keys = latent(random) | routed_experts(random) | groups(random) | {"norm_topk_prob": flag()}
            return {key: value for key, value in keys.items() if key != "first_k_dense_replace"}
        case "glm4_moe":
            own = {"use_qk_norm": flag(), "attention_bias": flag(), "norm_topk_prob": flag()}
            part = {"partial_rotary_factor": random.choice([0.5, 1.0])} if flag() else {}
            return routed_experts(random) | groups(random) | own | part
        case "ernie4_5_moe":
            return {
                "moe_num_experts": 8, "moe_k": random.choice([2, 3]), "moe_intermediate_size": random.choice([8, 12]),
                "moe_num_shared_experts": random.choice([0, 1, 2]), "moe_layer_interval": random.choice([1, 2]),
                "moe_layer_start_index": random.choice([0, 1]), "pad_token_id": None,
            }  # fmt: skip
        case "ernie4_5":
            return {"use_bias": flag(), "pad_token_id": None}
        case "smollm3":
            turns = {"no_rope_layers": [random.randrange(2) for _ in range(layers)]} if flag() else {}
            interval = {"no_rope_layer_interval": random.choice([2, 3, 4])} if flag() else {}
            sliding = {"use_sliding_window": flag(), "sliding_window": window} if flag() else {}
            return turns | interval | sliding | {"attention_bias": flag(), "mlp_bias": flag(), "pad_token_id": None}
        case "phi3":
            part = {"partial_rotary_factor": random.choice([1.0, 0.5, 0.75])} if flag() else {}
            original = {"original_max_position_embeddings": 64}
            return part | original | {"sliding_window": window, "pad_token_id": None, "attention_bias": False}
        case "starcoder2":
            return {"use_bias": flag(), "sliding_window": window}
        case "ministral3":
            return {"sliding_window": window, "pad_token_id": None}
        case "qwen3_moe":
            return experts(random, layers) | {
                "attention_bias": flag(), "use_sliding_window": flag(), "sliding_window": window,
            }  # fmt: skip
        case "qwen2_moe":
            shared = {"shared_expert_intermediate_size": random.choice([8, 12]), "qkv_bias": flag()}
            return experts(random, layers) | upper | shared
        case "olmoe":
            own = {key: value for key, value in experts(random, layers).items() if key in OLMOE}
            return own | {"attention_bias": flag(), "pad_token_id": None}
        case "mixtral":
            return local_experts(random) | {"sliding_window": window}
        case "granitemoe":
            granite = own_keys(random, "granite", config)
            del granite["mlp_bias"]
            return local_experts(random) | granite | {"pad_token_id": None}
        case "olmo2":
            return {"attention_bias": flag(), "pad_token_id": None}
        case "seed_oss":
            return {"attention_bias": flag(), "attention_out_bias": flag(), "mlp_bias": flag(), "pad_token_id": None}


# Keys of experts that OLMoE has too.
OLMOE = ["num_experts", "num_experts_per_tok", "norm_topk_prob"]


def experts(random, layers):
    """Keys of Qwen's experts."""
    count = random.choice([3, 5, 6])
    keys = {
        "num_experts": count, "num_experts_per_tok": random.choice([1, 2, 3]), "norm_topk_prob": chance(random, 0.5),
        "moe_intermediate_size": random.choice([8, 12]), "pad_token_id": None,
    }  # fmt: skip
    keys |= {"decoder_sparse_step": random.choice([1, 2])} if chance(random, 0.4) else {}
    return keys | ({"mlp_only_layers": [random.randrange(layers)]} if chance(random, 0.4) else {})


def local_experts(random):
    return {"num_local_experts": random.choice([3, 4]), "num_experts_per_tok": random.choice([1, 2])}


def latent(random):
    """Widths of latent attention."""
    return {
        "q_lora_rank": random.choice([None, 12]), "kv_lora_rank": random.choice([12, 16]),
        "qk_nope_head_dim": random.choice([8, 12]), "qk_rope_head_dim": random.choice([4, 8]),
        "v_head_dim": random.choice([8, 12]),
    }  # fmt: skip


def routed_experts(random):
    """Keys of DeepSeek's experts."""
    return {
        "n_routed_experts": 8, "num_experts_per_tok": random.choice([2, 3]), "pad_token_id": None,
        "moe_intermediate_size": random.choice([8, 12]), "n_shared_experts": random.choice([1, 2]),
        "first_k_dense_replace": random.choice([0, 1]), "routed_scaling_factor": random.choice([1.0, 1.7]),
    }  # fmt: skip


def groups(random):
    return random.choice([{"n_group": 1, "topk_group": 1}, {"n_group": 4, "topk_group": 2}])


def temperature(random, config):
    """The scaling of Ministral 3."""
    length = config["max_position_embeddings"]
    return {
        "rope_type": "yarn", "factor": random.choice([4.0, 16.0]), "beta_fast": 32.0, "beta_slow": 1.0,
        "original_max_position_embeddings": random.choice([length // 2, length // 4, 16]),
        "llama_4_scaling_beta": random.choice([0.1, 0.5]),
    } | random.choice([{}, {"mscale": 1.0, "mscale_all_dim": 1.0}, {"mscale": 1.0, "mscale_all_dim": 0.5},
                       {"max_position_embeddings": length}])  # fmt: skip


def scaling(random, config):
    """A rotary scaling; none and `default` among them."""
    if config["model_type"] == "ministral3":
        return temperature(random, config)
    length = config["max_position_embeddings"]
    dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    pairs = int(dim * config.get("partial_rotary_factor", 0.5 if config["model_type"] == "glm4" else 1.0)) // 2
    original = {"original_max_position_embeddings": random.choice([length // 2, length // 4, 32])}
    maybe = lambda keys, probability=0.5: keys if chance(random, probability) else {}
    kinds = ["none", "none", "default", "linear", "dynamic", "yarn", "yarn", "llama3", "longrope"]
    if config["model_type"] in LATENT:
        kinds = ["none", "none", "default", "yarn", "yarn"]
    if config["model_type"] in ROPE_BY_LAYER_TYPE:
        kinds = ["none", "none", "default", "linear", "yarn", "yarn", "llama3"]
    kind = random.choice(["none", "longrope", "default"] if config["model_type"] == "phi3" else kinds)
    factor = {"factor": random.choice([2, 4.0, 8.0, 1.5])}
    match kind:
        case "none":
            return None
        case "default":
            return {"rope_type": "default"}
        case "linear":
            return {"rope_type": "linear"} | factor
        case "dynamic":
            return {"rope_type": "dynamic"} | factor | maybe(original, 0.3)
        case "yarn":
            betas = maybe({"beta_fast": random.choice([32, 16.0]), "beta_slow": random.choice([1, 2.0])})
            more = random.choice(
                [{}, {}, {"finetuned": True}, {"attention_factor": 1.3}, {"mscale": 1.0, "mscale_all_dim": 0.7},
                 {"truncate": False}, {"truncate": True}, {"attn_factor": 1.0}, {"extrapolation_factor": 1.0}]
            )  # fmt: skip
            return {"rope_type": "yarn"} | factor | maybe(original, 0.8) | betas | more
        case "llama3":
            bounds = {"low_freq_factor": 1.0, "high_freq_factor": random.choice([4.0, 4, 6.0])}
            return {"rope_type": "llama3"} | factor | bounds | maybe(original, 0.9)
        case _:
            short = [round(random.uniform(1, 1.5), 3) for _ in range(pairs)]
            factors = {"short_factor": short, "long_factor": [round(random.uniform(1, 9), 3) for _ in range(pairs)]}
            more = maybe(factor, 0.2) | maybe({"attention_factor": 1.2}, 0.2)
            config.setdefault("original_max_position_embeddings", original["original_max_position_embeddings"])
            return {"rope_type": "longrope"} | factors | more | maybe(original, 0.3)


def spell_rope(random, config, rule):
    """The base and the scaling as one version or another writes them."""
    theta = config.pop("rope_theta")
    if config["model_type"] == "gpt_oss":
        # Without a word it would be YaRN with a factor of 32.
        config["rope_parameters"] = dict(rule or {"rope_type": "default"}, rope_theta=theta)
        return "new"
    if config["model_type"] in ROPE_BY_LAYER_TYPE:
        return spell_two_ropes(random, config, rule, theta)
    style = random.choice(["old", "old", "old both", "new", "new", "beside", "beside old", "bare"])
    as_type = {"type" if key == "rope_type" else key: value for key, value in (rule or {}).items()}
    if as_type.get("type") == "longrope" and config["model_type"] == "phi3" and chance(random, 0.3):
        as_type["type"] = "su"
    match style:
        case "old":
            config |= {"rope_theta": theta, "rope_scaling": random.choice([rule, as_type or None])}
        case "old both":
            config |= {"rope_theta": theta, "rope_scaling": dict(as_type, **rule) if rule else None}
        case "new":
            config["rope_parameters"] = dict(rule or {"rope_type": "default"}, rope_theta=theta)
        case "beside":
            # A model card's scaling, put into a config that transformers 5 wrote.
            config["rope_parameters"] = {"rope_type": "default", "rope_theta": theta}
            config["rope_scaling"] = random.choice([rule, as_type or None])
        case "beside old":
            config["rope_parameters"] = dict(rule or {"rope_type": "default"}, rope_theta=theta)
            config["rope_theta"] = random.choice([theta, 7000.0])
        case "bare":
            config |= {"rope_scaling": rule} if rule else {}
    return style


def spell_two_ropes(random, config, rule, theta):
    """A base and a scaling for each type of layer."""
    local = random.choice([300.0, 10000, 10000.0])
    style = random.choice(["old", "old", "new", "new", "new in part", "bare"])
    if config["model_type"] == "mellum":
        style = random.choice(["new", "none"])
    as_type = {"type" if key == "rope_type" else key: value for key, value in (rule or {}).items()}
    match style:
        case "old":
            config |= {"rope_theta": theta, "rope_scaling": random.choice([rule, as_type or None])}
            if config["model_type"] == "gemma3_text":
                config["rope_local_base_freq"] = local
        case "bare":
            config |= {"rope_scaling": rule} if rule else {}
        case "none":
            pass
        case _:
            full = dict(rule or {"rope_type": "default"}, rope_theta=theta)
            sliding = {"rope_type": "default", "rope_theta": local}
            if chance(random, 0.2):
                sliding |= {"rope_type": "linear", "factor": 2.0}
            config["rope_parameters"] = {"full_attention": full, "sliding_attention": sliding}
            if style == "new in part":
                del config["rope_parameters"][random.choice(["full_attention", "sliding_attention"])]
    return style


def spell(random, config):
    """Leaves keys out, makes some null, adds neighbours' and now and then one of a wrong type."""
    said = []
    for key in [key for key in OPTIONAL if key in config and chance(random, 0.1)]:
        if key == "num_key_value_heads" and config["model_type"] in MANY_KEY_HEADS and chance(random, 0.8):
            continue
        # transformers multiplies by it under some scalings, and takes none for it.
        if key == "head_dim" and config["model_type"] == "mixtral":
            continue
        said.append(f"no {key}")
        del config[key]
    may_be_null = lambda key: config["model_type"] in NULL_ONLY_IN.get(key, FAMILIES)
    nullable = [key for key in NULLABLE[:-3] if may_be_null(key)]
    others = [key for key in NULLABLE if may_be_null(key)]
    for key in [key for key in nullable if chance(random, 0.04)] + random.sample(others, int(chance(random, 0.04))):
        said.append(f"{key} null")
        config[key] = None
    for key in random.sample(sorted(NEIGHBOURS), random.randrange(8)):
        if key not in config and (NEIGHBOURS[key] is not None or may_be_null(key)):
            said.append(f"+{key}")
            config[key] = NEIGHBOURS[key]
    if chance(random, 0.1):
        said.append(wrong_type(random, config))
    if chance(random, 0.1) and config.get("hidden_act") == "silu":
        config["hidden_act"] = random.choice(["swish", "gelu"])
        said.append(f"hidden_act {config['hidden_act']}")
    return said


def wrong_type(random, config):
    """A key of another type than it should have."""
    inside = next((config[key] for key in ["rope_scaling", "rope_parameters"] if config.get(key)), None)
    where = random.choice([config, config, inside or config])
    keys = [key for key, value in where.items() if isinstance(value, (int, float)) and key != "vocab_size"]
    if not keys:
        return ""
    key = random.choice(keys)
    value = where[key]
    ways = [str(value), [value], None, float(value), int(value), not value, "auto"]
    where[key] = random.choice(ways)
    return f"{key}: {where[key]!r}"


# Weights


def random_state(model, generator):
    """Weights that make attention and logits far from flat, and not so steep that the last bit of an angle is seen;
    of few values each, so that they are packed well."""
    state = {}
    for name, tensor in model.state_dict().items():
        if "norm" in name and name.endswith(".weight"):
            # Gemma's are stored less 1.
            values = generator.integers(4, 13, tensor.shape) / 8 - ("Gemma" in type(model).__name__)
        else:
            scale = 1.5 if name.endswith(".sinks") else 0.3 if name.endswith(".bias") else 0.8 * tensor.shape[-1] ** -0.5
            step = 2.0 ** round(math.log2(scale / 2))
            values = generator.integers(-4, 5, tensor.shape) * step
        state[name] = torch.tensor(values, dtype=torch.float32)
    return state


def arrange_head(random, state, tied, said):
    """The output head of a tied or an untied model, as files have it."""
    embedding, head = state["model.embed_tokens.weight"], state.get("lm_head.weight")
    if head is None:
        return
    if not tied:
        if chance(random, 0.05):
            said.append("untied, without head")
            del state["lm_head.weight"]
        return
    way = random.choice(["without", "without", "same", "same", "differs", "head alone"])
    said.append(f"tied: {way}")
    state["lm_head.weight"] = embedding.clone()
    if way == "without":
        del state["lm_head.weight"]
    elif way == "differs":
        state["lm_head.weight"] = embedding.flip(0).contiguous()
    elif way == "head alone":
        del state["model.embed_tokens.weight"]


# Names of an expert's gate, up and down maps in files with a tensor an expert.
EACH = {"mixtral": ["w1", "w3", "w2"]}
# Other names of stacked experts and their routers.
STACKED = {"router.weight": "router.layer.weight", "experts.gate_up_proj": "input_linear.weight",
           "experts.down_proj": "output_linear.weight"}  # fmt: skip


def arrange_experts(random, family, state, said):
    """Experts as published files have them, an expert a tensor or in Granite's stacks; or as transformers 5 has them."""
    if family == "gpt_oss" or not any(".experts." in name for name in state):
        return
    if chance(random, 0.3):
        said.append("experts as in transformers 5")
        return
    for name in [name for name in state if ".experts." in name or "mlp.gate." in name or ".router." in name]:
        tensor = state.pop(name)
        if family == "granitemoe":
            start = name[: name.index("block_sparse_moe.") + len("block_sparse_moe.")]
            state[start + STACKED[name.removeprefix(start)]] = tensor
            continue
        renamed = name.replace(".mlp.", ".block_sparse_moe.") if family == "mixtral" else name
        if ".experts." not in name:
            state[renamed] = tensor
            continue
        gate, up, down = EACH.get(family, ["gate_proj", "up_proj", "down_proj"])
        path, kind = renamed.rsplit(".", 1)
        for number, expert in enumerate(tensor):
            maps = {down: expert} if kind == "down_proj" else dict(zip([gate, up], expert.chunk(2)))
            state |= {f"{path}.{number}.{map}.weight": values.contiguous() for map, values in maps.items()}
    if chance(random, 0.08):
        gone = random.choice(sorted(name for name in state if ".experts." in name or "_linear." in name))
        said.append(f"without {gone}")
        del state[gone]


def arrange(random, family, state, tied, said):
    """Names, leftovers and types of tensors as files have them."""
    arrange_experts(random, family, state, said)
    arrange_head(random, state, tied, said)
    if chance(random, 0.15):
        said.append("names without model.")
        state = {name.removeprefix("model."): tensor for name, tensor in state.items()}
    if chance(random, 0.1):
        said.append("inv_freq")
        state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    if chance(random, 0.03):
        said.append("a tensor more")
        state["model.extra.weight"] = torch.ones(4)
    types = random.choice([[torch.float32], [torch.float16], [torch.bfloat16], [torch.float16, torch.float32]])
    return {name: tensor.to(random.choice(types)).contiguous() for name, tensor in state.items()}


def save(random, state, directory, said):
    if chance(random, 0.7):
        save_file(state, directory / "model.safetensors", metadata={"format": "pt"} if chance(random, 0.8) else None)
        return
    count = random.choice([1, 2, 3])
    said.append(f"{count} shards")
    places = {name: f"model-{random.randrange(count) + 1:05}-of-{count:05}.safetensors" for name in state}
    for file in set(places.values()):
        save_file(
            {name: state[name] for name in state if places[name] == file}, directory / file, metadata={"format": "pt"}
        )
    write_json(directory / "model.safetensors.index.json", {"metadata": {"total_size": 1}, "weight_map": places})


def write_tokenizer(directory, size=len(VOCABULARY)):
    """Every character is a token."""
    more = [(id, f"<pad{id}>") for id in range(len(VOCABULARY), size)]
    flags = dict.fromkeys(["normalized", "single_word", "lstrip", "rstrip"], False)
    added = [{"id": id, "content": token, "special": True, **flags} for id, token in [*enumerate(SPECIAL), *more]]
    vocabulary = {token: id for id, token in enumerate(VOCABULARY)}
    model = {"type": "BPE", "vocab": vocabulary, "merges": [], "unk_token": "<unk>", "fuse_unk": False}
    write_json(directory / "tokenizer.json", {"version": "1.0", "added_tokens": added, "model": model})
    config = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    write_json(directory / "tokenizer_config.json", config)


def model_of(config_directory):
    """transformers' model of a config, with its warnings kept quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = transformers.AutoConfig.from_pretrained(config_directory)
        return transformers.AutoModelForCausalLM.from_config(config)


def make(random, directory, odd=True):
    """The files of one case, and what it is in words."""
    family = random.choice(FAMILIES)
    config = shape(random, family)
    rule = scaling(random, config)
    plain = dict(config)
    style = spell_rope(random, config, rule)
    said = [family, f"{(rule or {}).get('rope_type', 'no scaling')} ({style})"]
    said += spell(random, config) if odd else []
    write_json(directory / "config.json", plain)
    model = model_of(directory)
    write_json(directory / "config.json", config)
    try:
        model = model_of(directory)
    except Exception:
        # transformers refuses the config: weights as it would have them without the odd keys.
        said.append("(transformers refuses the config)")
    state = random_state(model, np.random.default_rng(random.randrange(2**32)))
    state = arrange(random, family, state, model.config.tie_word_embeddings, said)
    save(random, state, directory, said)
    if chance(random, 0.3):
        write_json(directory / "generation_config.json", {"eos_token_id": random.choice([1, [1, 2], None])})
    write_tokenizer(directory, len(VOCABULARY) + (1 if chance(random, 0.04) else 0))
    (directory / "text.txt").write_text(text(random), encoding="utf-8", newline="")
    return ", ".join(part for part in said if part)


def text(random):
    """Longer than most windows and lengths that the configs name."""
    return code(random, 60)[: random.choice([60, 130, 200])]


# The two sides


def token_ids(directory):
    """As the characters are numbered."""
    source = (directory / "text.txt").read_bytes().decode()
    return Tokenizer.from_file(str(directory / "tokenizer.json")).encode(source).ids


def expected(directory):
    """transformers' losses."""
    return losses(directory, token_ids(directory))


def losses(directory, ids):
    """transformers' losses of these ids; a refusal where it does not load or takes weights at random."""
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, info = transformers.AutoModelForCausalLM.from_pretrained(
                directory, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager",
                output_loading_info=True
            )
        if info["missing_keys"] or info.get("mismatched_keys"):
            raise Refusal(f"weights at random: {sorted(info['missing_keys'])[:4]}")
        ids = torch.tensor([ids])
        with torch.no_grad():
            logits = model.eval()(ids).logits[0, :-1].float()
    except Refusal:
        raise
    except Exception as error:
        raise Refusal(reason(error))
    nll = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
    if not torch.isfinite(nll).all():
        raise Refusal("losses that are not finite")
    return {"nll": [round(loss, 6) for loss in nll.tolist()]}


def ours(binary, directory, model=None):
    options = ["--model", model or directory, "--encoding", "rope", "--device", "cpu", "--json"]
    return {"nll": longcode(binary, "score", *options, directory / "text.txt")["nll"]}


def problem(expected, ours):
    """What differs; nothing where all agrees."""
    ours, theirs = np.array(ours["nll"]), np.array(expected["nll"])
    if ours.shape != theirs.shape:
        return f"{len(ours)} losses for {len(theirs)}"
    worst = np.abs(ours - theirs).max()
    return (
        ""
        if worst <= TOLERANCE
        else f"losses differ by {worst:.1e}, first at token {np.argmax(np.abs(ours - theirs) > TOLERANCE) + 1}"
    )
