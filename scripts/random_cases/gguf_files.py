"""Random GGUF files, written by the `gguf` package as llama.cpp's converter lays them out, against the directory that
they were made from: transformers' ids and losses of it."""

import json
import math

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast
from transformers.tokenization_utils_base import generate_merges

from . import checkpoints, tokenizers
from .common import chance, read_json, write_json

# What is kept of a case for the tests, and of how many.
STORED, STORED_CASES = ["model.gguf", "text.txt"], 50
ARCHITECTURES = {
    "llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "granite": "granite", "smollm3": "smollm3",
    "phi3": "phi3", "starcoder2": "starcoder2", "ministral3": "mistral3", "qwen3_moe": "qwen3moe",
    "qwen2_moe": "qwen2moe", "mixtral": "llama", "olmoe": "olmoe", "granitemoe": "granitemoe",
    "olmo2": "olmo2", "olmo3": "olmo2", "gemma2": "gemma2", "gemma3_text": "gemma3", "cohere2": "cohere2", "glm4": "glm4",
    "ernie4_5": "ernie4_5", "gpt_oss": "gpt-oss",
}  # fmt: skip
INTERLEAVED = ["llama", "granite", "smollm3", "mistral3", "granitemoe"]
# What llama.cpp knows of an architecture's router, and does not store.
NORMALISED = {"qwen3_moe": True, "qwen2_moe": False, "olmoe": False}
# Families of which some layers slide, in a pattern that llama.cpp knows or the file says.
WINDOWED = ["olmo3", "gemma2", "gemma3_text", "cohere2", "gpt_oss"]
# style of the tokenizer: llama.cpp's names for its pre-tokenizer
PRE = {
    "gpt2": ["gpt-2"], "smollm": ["smollm", "starcoder", "refact"], "qwen2": ["qwen2"],
    "llama3": ["llama-bpe", "llama3", "llama-v3"], "deepseek": ["deepseek-coder"],
}  # fmt: skip
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4"]
OWN_DIM = [*checkpoints.GEMMAS, "glm4", "ernie4_5", "gpt_oss"]
FLAGS = dict(single_word=False, lstrip=False, rstrip=False, normalized=False)


# The model


def model_config(random, size):
    """A config of a family that GGUF files have, with a scaling that they can say."""
    family = random.choice(list(ARCHITECTURES))
    config = checkpoints.shape(random, family)
    # Blocks of 32 along a row.
    width = random.choice([32, 32, 32, 64])
    heads = random.choice([2, 4])
    config |= {"hidden_size": width, "intermediate_size": random.choice([32, 32, 64]), "num_attention_heads": heads}
    config |= {
        "num_key_value_heads": random.choice([1, heads]),
        "vocab_size": size,
        "num_hidden_layers": random.choice([1, 1, 2, 4]),
    }
    for key in [
        "head_dim",
        "layer_types",
        "no_rope_layers",
        "no_rope_layer_interval",
        "use_sliding_window",
        "max_window_layers",
        "decoder_sparse_step",
        "mlp_only_layers",
        # llama.cpp has the bound of gpt-oss itself.
        "swiglu_limit",
    ]:
        config.pop(key, None)
    if "moe_intermediate_size" in config:
        config["moe_intermediate_size"] = random.choice([32, 64])
    if "shared_expert_intermediate_size" in config:
        config["shared_expert_intermediate_size"] = random.choice([32, 64])
    if family in NORMALISED:
        config["norm_topk_prob"] = NORMALISED[family]
    if family in ("qwen3", "ministral3", "qwen3_moe", "mixtral") or (family in ("llama", "mistral") and chance(random, 0.3)):
        config["head_dim"] = random.choice([8, 16, 32 // heads * 2])
    # The converter of Mistral and StarCoder2 stores no window, that of Phi-3 does.
    config["sliding_window"] = random.choice([None, 24]) if family == "phi3" else None
    if family in WINDOWED:
        config["sliding_window"] = 24
        if chance(random, 0.5):
            kinds = ["full_attention", "sliding_attention"]
            config["layer_types"] = [random.choice(kinds) for _ in range(config["num_hidden_layers"])]
    config.pop("sliding_window_pattern", None)
    for key in ["attention_bias", "layer_types"] if family in ("qwen2", "mistral", "qwen2_moe") else []:
        config.pop(key, None)
    if family in ("gemma2", "cohere2"):
        # Their files have no head of their own.
        config["tie_word_embeddings"] = True
    if family in OWN_DIM:
        config["head_dim"] = random.choice([16, 32])
    head_dim = config.get("head_dim", width // heads)
    if family in checkpoints.GEMMAS:
        # What the file does not say is known: llama.cpp has no cap of Gemma 3, and two for Gemma 2.
        config["query_pre_attn_scalar"] = head_dim
        if family == "gemma2":
            config["attn_logit_softcapping"] = config["attn_logit_softcapping"] or 50.0
            config["final_logit_softcapping"] = config["final_logit_softcapping"] or 30.0
        else:
            config.pop("final_logit_softcapping", None)
    # A matrix' rows are as long as blocks: attention's output has a column a dimension of the heads.
    if (heads * head_dim) % 32:
        own = family in ("qwen3", "llama", "mistral", "ministral3", "qwen3_moe", "mixtral")
        config["head_dim"] = head_dim = 32 // heads if own else head_dim
    rule = None
    while (
        rule is None
        or rule.get("rope_type") == "dynamic"
        or (rule.get("mscale", 1.0) != 1.0)
        or (family != "ministral3" and "mscale" in rule)
        or set(rule) & {"finetuned", "truncate", "attn_factor", "extrapolation_factor", "attention_factor"}
    ):
        rule = checkpoints.scaling(random, config) or {"rope_type": "default"}
        if rule["rope_type"] == "longrope" and family != "phi3":
            rule = None
        elif rule["rope_type"] == "llama3" and family in (*checkpoints.ROPE_BY_LAYER_TYPE, "gpt_oss"):
            rule = None
    if rule["rope_type"] != "longrope":
        config.pop("original_max_position_embeddings", None)
    config["rope_parameters"] = dict(rule, rope_theta=config.pop("rope_theta"))
    if family == "gpt_oss" and rule["rope_type"] == "yarn":
        # The file does not say it; the model was trained so.
        config["rope_parameters"]["truncate"] = False
    if family == "glm4":
        config["rope_parameters"]["partial_rotary_factor"] = config.pop("partial_rotary_factor", 0.5)
    if family == "phi3":
        config["rope_parameters"]["partial_rotary_factor"] = config.pop("partial_rotary_factor", 1.0)
        config["original_max_position_embeddings"] = config.get(
            "original_max_position_embeddings", config["max_position_embeddings"]
        )
        rule.pop("original_max_position_embeddings", None)
        config["rope_parameters"].pop("original_max_position_embeddings", None)
    if config["rope_parameters"]["rope_theta"] in (10000, 10000.0) and chance(random, 0.3):
        config["rope_theta_is_left_out"] = True
    if family in checkpoints.ROPE_BY_LAYER_TYPE:
        full = config["rope_parameters"]
        # llama.cpp takes one base for all of OLMo 3, and 10,000 for Gemma 3's layers that slide.
        local = 10000.0 if family == "gemma3_text" else full["rope_theta"]
        sliding = {"rope_type": "default", "rope_theta": local}
        config["rope_parameters"] = {"full_attention": full, "sliding_attention": sliding}
    return config


def first_rope(config):
    """The rope of the layers that see everything."""
    return config["rope_parameters"].get("full_attention", config["rope_parameters"])


class File:
    """A file to be, whose keys are of one integer type or another."""

    def __init__(self, random, path, architecture):
        self.random, self.architecture = random, architecture
        self.writer = gguf.GGUFWriter(path, architecture)

    def whole(self, name, value):
        add = self.random.choice(
            [self.writer.add_uint32] * 4 + [self.writer.add_uint64, self.writer.add_int32, self.writer.add_int64]
        )
        add(f"{self.architecture}.{name}", value)

    def number(self, name, value):
        add = self.random.choice([self.writer.add_float32] * 5 + [self.writer.add_float64])
        add(f"{self.architecture}.{name}", value)

    def maybe(self, probability=0.7):
        return chance(self.random, probability)

    def add_config(self, config):
        heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
        head_dim = config.get("head_dim") or config["hidden_size"] // heads
        self.writer.add_name("random")
        self.writer.add_file_type(1)
        self.writer.add_quantization_version(2)
        for name, key in [
            ("block_count", "num_hidden_layers"), ("context_length", "max_position_embeddings"), ("embedding_length", "hidden_size"),
            ("feed_forward_length", "intermediate_size"), ("attention.head_count", "num_attention_heads"),
        ]:  # fmt: skip
            self.whole(name, config[key])
        if kv != heads or self.maybe():
            self.whole("attention.head_count_kv", kv)
        if head_dim != config["hidden_size"] // heads or self.maybe(0.5):
            self.whole("attention.key_length", head_dim)
            self.whole("attention.value_length", head_dim)
        if self.maybe():
            self.whole("vocab_size", config["vocab_size"])
        rope = first_rope(config)
        turning = int(head_dim * rope.get("partial_rotary_factor", 1.0))
        if turning != head_dim or self.maybe():
            self.whole("rope.dimension_count", turning)
        if not config.pop("rope_theta_is_left_out", False):
            self.number("rope.freq_base", rope["rope_theta"])
        layer_norm = self.architecture in ("starcoder2", "cohere2")
        epsilon = next(config[key] for key in ["norm_epsilon", "layer_norm_eps", "rms_norm_eps"] if key in config)
        self.number("attention.layer_norm_epsilon" if layer_norm else "attention.layer_norm_rms_epsilon", epsilon)
        for name, key in [("embedding_scale", "embedding_multiplier"), ("residual_scale", "residual_multiplier"),
                          ("logit_scale", "logits_scaling"), ("attention.scale", "attention_multiplier"),
                          ("logit_scale", "logit_scale"), ("attn_logit_softcapping", "attn_logit_softcapping"),
                          ("final_logit_softcapping", "final_logit_softcapping")]:  # fmt: skip
            if key in config:
                self.number(name, config[key])
        self.add_experts(config)
        if "llama_4_scaling_beta" in rope:
            self.number("attention.temperature_scale", rope["llama_4_scaling_beta"])
        if config["model_type"] in WINDOWED and "layer_types" in config:
            slides = [kind == "sliding_attention" for kind in config["layer_types"]]
            self.writer.add_array(f"{self.architecture}.attention.sliding_window_pattern", slides)
        if config["sliding_window"]:
            self.whole("attention.sliding_window", config["sliding_window"])
        self.add_scaling(config, turning)

    def add_experts(self, config):
        count = config.get("num_experts", config.get("num_local_experts"))
        if count is None:
            return
        self.whole("expert_count", count)
        self.whole("expert_used_count", config["num_experts_per_tok"])
        if "moe_intermediate_size" in config:
            self.whole("expert_feed_forward_length", config["moe_intermediate_size"])
        if "shared_expert_intermediate_size" in config:
            self.whole("expert_shared_feed_forward_length", config["shared_expert_intermediate_size"])

    def add_scaling(self, config, turning):
        rule, length = first_rope(config), config["max_position_embeddings"]
        original = (
            rule.get("original_max_position_embeddings") or config.get("original_max_position_embeddings") or length
        )
        match rule["rope_type"]:
            case "default" if self.maybe(0.2):
                self.writer.add_string(f"{self.architecture}.rope.scaling.type", "none")
            case "linear":
                self.writer.add_string(f"{self.architecture}.rope.scaling.type", "linear")
                self.number("rope.scaling.factor", rule["factor"])
            case "yarn":
                self.writer.add_string(f"{self.architecture}.rope.scaling.type", "yarn")
                self.number("rope.scaling.factor", rule["factor"])
                self.whole("rope.scaling.original_context_length", original)
                if self.maybe(0.2):
                    self.writer.add_bool(f"{self.architecture}.rope.scaling.finetuned", self.maybe(0.5))
                if "mscale_all_dim" in rule:
                    self.number("rope.scaling.yarn_log_multiplier", rule["mscale_all_dim"])
                for key in ["beta_fast", "beta_slow"]:
                    if key in rule:
                        self.number(f"rope.scaling.yarn_{key}", rule[key])
            case "llama3":
                self.writer.add_tensor("rope_freqs.weight", llama3_factors(rule, turning, original))
            case "longrope":
                self.writer.add_tensor("rope_factors_long.weight", np.array(rule["long_factor"], np.float32))
                self.writer.add_tensor("rope_factors_short.weight", np.array(rule["short_factor"], np.float32))
                self.whole("rope.scaling.original_context_length", original)
                factor = rule.get("factor", length / original)
                plain = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
                self.number("rope.scaling.attn_factor", rule.get("attention_factor", plain))

    def add_weights(self, config, state):
        """Writes them, and returns them as the file has them."""
        of_matrices = self.random.choice(TYPES)
        architecture = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == self.architecture)
        names = gguf.get_tensor_name_map(architecture, config["num_hidden_layers"])
        stored = {}
        # llama.cpp's converter adds the 1 that the files of Gemma leave out.
        added = lambda name: config["model_type"] in checkpoints.GEMMAS and "norm" in name
        for name, tensor in apart_experts(state, config):
            values = tensor.numpy() + (1 if added(name) else 0)
            kind = of_matrices if values.ndim > 1 and not self.maybe(0.1) else "F32"
            if is_router(name):
                kind = "F32"
            if "embed" in name and self.maybe(0.3):
                kind = "F16"
            kind = gguf.GGMLQuantizationType[kind]
            heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}.get(name.split(".")[-2])
            turned = heads and self.architecture in INTERLEAVED
            data = quantize(interleaved(values, config[heads]) if turned else values, kind)
            back = dequantize(data, kind).astype(np.float32)
            back = (apart(back, config[heads]) if turned else back) - (1 if added(name) else 0)
            stored[name] = torch.tensor(back).contiguous()
            self.writer.add_tensor(gguf_name(names, name), data, raw_dtype=kind)
        return together(stored, config)

    def write(self):
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def is_router(name):
    return name.endswith((".mlp.gate.weight", ".router.weight", "shared_expert_gate.weight"))


def apart_experts(state, config):
    """The gate and up maps of experts, which transformers stacks, as two tensors; of gpt-oss, where they are transposed
    and by turns."""
    for name, tensor in state.items():
        if config["model_type"] == "gpt_oss" and ".experts." in name:
            tensor = tensor if name.endswith("_bias") else tensor.transpose(1, 2)
            parts = zip(["gate_proj", "up_proj"], [tensor[:, ::2], tensor[:, 1::2]])
            if "gate_up_proj" not in name:
                parts = [("down_proj", tensor)]
            for part, values in parts:
                yield name.replace("gate_up_proj", part), values.contiguous()
            continue
        if name.endswith("experts.gate_up_proj"):
            for part, values in zip(["gate_proj", "up_proj"], tensor.chunk(2, dim=1)):
                yield name.replace("gate_up_proj", part), values.contiguous()
        else:
            yield name, tensor


def together(state, config):
    """Undoes `apart_experts`."""
    if config["model_type"] == "gpt_oss":
        for name in [name for name in state if "experts.gate_proj" in name]:
            up = state.pop(name.replace("gate_proj", "up_proj"))
            both = torch.stack([state.pop(name), up], dim=2).flatten(1, 2)
            state[name.replace("gate_proj", "gate_up_proj")] = both
        for name in [name for name in state if ".experts." in name and not name.endswith("_bias")]:
            state[name] = state[name].transpose(1, 2).contiguous()
        return state
    for name in [name for name in state if name.endswith("experts.gate_proj")]:
        up = name.replace("gate_proj", "up_proj")
        state[name.replace("gate_proj", "gate_up_proj")] = torch.cat([state.pop(name), state.pop(up)], dim=1)
    return state


def gguf_name(names, name):
    """llama.cpp's name of a tensor of transformers'."""
    layer, _, part = name.removeprefix("model.layers.").partition(".")
    if part.endswith("sinks"):
        return f"blk.{layer}.attn_sinks.weight"
    for expert in ["gate", "up", "down"]:
        if part.endswith(f".experts.{expert}_proj_bias"):
            return f"blk.{layer}.ffn_{expert}_exps.bias"
    if part.startswith("mlp.router."):
        return f"blk.{layer}.ffn_gate_inp.{part.rpartition('.')[2]}"
    for expert in ["gate", "up", "down"]:
        if part.endswith(f".experts.{expert}_proj"):
            return f"blk.{layer}.ffn_{expert}_exps.weight"
    if part.endswith(".router.weight"):
        return f"blk.{layer}.ffn_gate_inp.weight"
    found = names.get_name(name, try_suffixes=(".weight", ".bias"))
    assert found, name
    return found


def interleaved(values, heads):
    """Rows of queries and keys in the order in which llama.cpp turns them, 0, h, 1, h + 1, ..."""
    return (
        values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
    )


def apart(values, heads):
    return (
        values.reshape(heads, values.shape[0] // heads // 2, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
    )


def llama3_factors(rule, dim, original):
    """Llama 3's rule as the factors that the frequencies are divided by."""
    factors = []
    for frequency in 1.0 / rule["rope_theta"] ** (np.arange(0, dim, 2) / dim):
        length = 2 * math.pi / frequency
        low, high = original / rule["low_freq_factor"], original / rule["high_freq_factor"]
        smooth = (original / length - rule["low_freq_factor"]) / (rule["high_freq_factor"] - rule["low_freq_factor"])
        between = 1 / ((1 - smooth) / rule["factor"] + smooth)
        factors.append(1 if length < high else rule["factor"] if length > low else between)
    return np.array(factors, np.float32)


# The tokenizer


def tokenizer_files(random, directory):
    """A tokenizer that both forms can say: its style and tokens with their types."""
    style = random.choice([*PRE, "legacy", "legacy"])
    tokenizer, _ = tokenizers.STYLES[style][0](random, style)
    content = json.loads(tokenizer.to_str())
    vocabulary = content["model"]["vocab"]
    byte_level = style != "legacy"
    content["post_processor"] = None
    if byte_level:
        content["pre_tokenizer"] = json.loads(
            json.dumps(content["pre_tokenizer"]).replace('"add_prefix_space": true', '"add_prefix_space": false')
        )
        content["model"]["ignore_merges"] = style == "llama3"
    else:
        scores = {token: -float(id) for token, id in vocabulary.items()}
        special = {"<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))}
        pairs = generate_merges({token: id for token, id in vocabulary.items()}, scores, special)
        content["model"]["merges"] = [list(pair) for pair in pairs]
    added = {token["content"]: token for token in content["added_tokens"]}
    new = [] if not byte_level else ["<|endoftext|>"]
    for token in new + random.sample([token for token in tokenizers.ADDED if token.strip() and token.isascii()], 3):
        id = vocabulary.setdefault(token, len(vocabulary))
        added.setdefault(token, {"id": id, "content": token, **FLAGS, "special": token in new or chance(random, 0.6)})
    content["added_tokens"] = sorted(({**token, **FLAGS} for token in added.values()), key=lambda token: token["id"])
    bos, eos = (
        ("<|endoftext|>", "<|im_end|>" if "<|im_end|>" in added else "<|endoftext|>") if byte_level else ("<s>", "</s>")
    )
    by_default = style in ("legacy", "llama3")
    adds_bos = random.choice([by_default, by_default, not by_default])
    if adds_bos:
        content["post_processor"] = tokenizers.bos_first(bos, added[bos]["id"])
    config = {
        "bos_token": bos,
        "eos_token": eos,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": adds_bos,
    }
    config |= {} if byte_level else {"unk_token": "<unk>"}
    write_json(directory / "tokenizer.json", content)
    write_json(directory / "tokenizer_config.json", config)
    return style, by_default


def add_tokenizer(random, file, directory, style, by_default):
    content, config = read_json(directory / "tokenizer.json"), read_json(directory / "tokenizer_config.json")
    vocabulary = content["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.get)
    added = {token["content"]: token for token in content["added_tokens"]}
    writer = file.writer
    writer.add_tokenizer_model("llama" if style == "legacy" else "gpt2")
    if style != "legacy":
        # Without a name longcode refuses the file, where llama.cpp warns and takes GPT-2's.
        writer.add_tokenizer_pre(random.choice(PRE[style]))
        writer.add_token_merges(
            [" ".join(pair) if isinstance(pair, list) else pair for pair in content["model"]["merges"]]
        )
    else:
        writer.add_token_scores([-float(id) for id in range(len(tokens))])
        if content["normalizer"]["normalizers"][0]["type"] != "Prepend":
            writer.add_add_space_prefix(False)
        if chance(random, 0.3):
            writer.add_unk_token_id(0)
    kind = lambda token: (
        gguf.TokenType.UNKNOWN
        if token == "<unk>"
        else gguf.TokenType.CONTROL
        if added[token]["special"]
        else gguf.TokenType.USER_DEFINED
    )
    types = [
        kind(token)
        if token in added
        else gguf.TokenType.BYTE
        if style == "legacy" and token.startswith("<0x")
        else gguf.TokenType.NORMAL
        for token in tokens
    ]
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_bos_token_id(vocabulary[config["bos_token"]])
    writer.add_eos_token_id(vocabulary[config["eos_token"]])
    if config["add_bos_token"] != by_default or chance(random, 0.5):
        writer.add_add_bos_token(config["add_bos_token"])
    return len(tokens)


def make(random, directory):
    """The files of one case, and what it is in words."""
    style, by_default = tokenizer_files(random, directory)
    size = len(read_json(directory / "tokenizer.json")["model"]["vocab"])
    config = model_config(random, size)
    file = File(random, directory / "model.gguf", ARCHITECTURES[config["model_type"]])
    add_tokenizer(random, file, directory, style, by_default)
    left_out = config.get("rope_theta_is_left_out", False)
    file.add_config(config)
    write_json(directory / "config.json", config)
    model = checkpoints.model_of(directory)
    state = checkpoints.random_state(model, np.random.default_rng(random.randrange(2**32)))
    if config["tie_word_embeddings"]:
        state.pop("lm_head.weight", None)
    save_file(file.add_weights(config, state), directory / "model.safetensors", metadata={"format": "pt"})
    file.write()
    text = tokenizers.text(random, [], config)[:600]
    (directory / "text.txt").write_text(text, encoding="utf-8", newline="")
    return f"{config['model_type']}, {first_rope(config)['rope_type']}, {style}" + (
        ", no freq_base" if left_out else ""
    )


# The two sides


def expected(directory):
    """transformers' ids and losses of the directory."""
    # As tokenizer.json says: the classes that AutoTokenizer takes for some families put their own parts in its place.
    ids = tokenizers.expected(directory, PreTrainedTokenizerFast)["ids"]
    return {"ids": ids} | checkpoints.losses(directory, ids)


def ours(binary, directory):
    model = directory / "model.gguf"
    return tokenizers.ours(binary, directory, model) | checkpoints.ours(binary, directory, model)


def problem(expected, ours):
    return tokenizers.problem(expected, ours) or checkpoints.problem(expected, ours)
