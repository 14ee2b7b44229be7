#!/usr/bin/env python3
"""Writes crates/longcode-text/tests/tokenizers.json: small tokenizers with configs as they are found, and transformers' ids.

usage: python3 scripts/make_tokenizer_fixtures.py        (needs transformers)

Each case is a directory: tokenizer.json (one of the bases, changed), tokenizer_config.json, and what older files lie
beside. The ids are those of AutoTokenizer; null where two files give a token two ids, which longcode refuses. A
continuation's text is what decoding the whole adds to decoding the prompt.
"""

import json
import os
import random
import tempfile
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "crates/longcode-text/tests/tokenizers.json"
TEXTS = [
    "def f(a):\n    return a + 12  # <extra_0> <|im_end|>",
    " <mask>  x\t<mask>y<extra_1>z <fim> ",
    "<s>let x = [1, 2];</s>\n<extra_0><extra_1>",
    "word<fim>word <fim> äöü 🙂",
]
CONTINUATIONS = [("def f(a):", "    return a"), ("x", " = 1"), ("x =", "\n  äöü 🙂"), ("", " a b"), ("a\n", "   b")]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    train(tokenizer, ["<|endoftext|>", "<s>"], pre_tokenizers.ByteLevel.alphabet())
    return json.loads(tokenizer.to_str())


def qwen2():
    saved = byte_level()
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    part = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    saved["normalizer"] = {"type": "NFC"}
    saved["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, part]}
    return saved


def sentence_piece(kind):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(parts)
    if kind == "prepend":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    tokenizer.model = models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    train(tokenizer, ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)], [])
    saved = json.loads(tokenizer.to_str())
    saved["added_tokens"] = [token for token in saved["added_tokens"] if token["id"] < 3]
    return saved


def train(tokenizer, special, alphabet):
    text = (ROOT / "tests/transformers/sample.py").read_text()
    lines = text.splitlines(keepends=True)
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + 150, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)


def added(content, **flags):
    token = {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {**token, **flags}


def load(files):
    with tempfile.TemporaryDirectory() as directory:
        for name, value in files.items():
            Path(directory, name).write_text(json.dumps(value))
        return AutoTokenizer.from_pretrained(directory)


def case(name, base, bases, config, patch=None, others=None, texts=TEXTS, refused=False):
    saved = {**bases[base], **(patch or {})}
    files = {"tokenizer.json": saved, "tokenizer_config.json": config, **(others or {})}
    made = {"name": name, "base": base, "patch": patch or {}, "config": config, "others": others or {}}
    if refused:
        return {**made, "texts": texts, "ids": None}
    tokenizer = load(files)
    ids = [tokenizer(text)["input_ids"] for text in texts]
    return {**made, "texts": texts, "ids": ids}


def continuations(bases):
    made = []
    for base in bases:
        tokenizer = load({"tokenizer.json": bases[base], "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"}})
        for before, after in CONTINUATIONS:
            context = tokenizer(before)["input_ids"]
            whole = tokenizer(before + after)["input_ids"]
            same = 0
            while same < min(len(context), len(whole)) and context[same] == whole[same]:
                same += 1
            context, ids = whole[:same], whole[same:]
            decode = lambda ids: tokenizer.decode(ids, skip_special_tokens=True)
            text = decode(context + ids)[len(decode(context)) :]
            made.append({"base": base, "context": context, "ids": ids, "text": text})
    return made


def random_cases(bases, count):
    random.seed(34)
    names = ["<extra_0>", "<extra_1>", "<mask>", "<fim>", "<|im_end|>"]
    flags = lambda: {flag: random.random() < 0.3 for flag in ("lstrip", "rstrip", "single_word", "normalized", "special")}
    for number in range(count):
        base = random.choice(list(bases))
        size = len(bases[base]["model"]["vocab"])
        tokens = random.sample(names, 4)
        own, decoder, map_file, added_file = [], {}, {}, {}
        at = size
        for token in tokens[:2]:
            if random.random() < 0.6:
                own.append({"id": at, **added(token, **flags())})
                at += 1
        for token in tokens[1:]:
            if random.random() < 0.5 and all(token != other["content"] for other in own):
                decoder[str(at)] = added(token, **flags())
                at += 1
        config = {"tokenizer_class": "PreTrainedTokenizerFast"}
        others = {}
        if decoder and random.random() < 0.7:
            config["added_tokens_decoder"] = decoder
            if own:
                config["added_tokens_decoder"].update({str(token["id"]): {k: v for k, v in token.items() if k != "id"} for token in own})
        if random.random() < 0.5:
            config[random.choice(["additional_special_tokens", "extra_special_tokens"])] = random.sample(names, 2)
        if random.random() < 0.4:
            config["bos_token"] = random.choice(["<s>", tokens[0]])
        if random.random() < 0.4:
            config["pad_token"] = random.choice([tokens[1], {"__type": "AddedToken", **added(tokens[2], **flags())}])
        if random.random() < 0.3:
            config["image_token"] = tokens[3]
        if random.random() < 0.4:
            config["add_bos_token"] = "bos_token" in config and random.random() < 0.5
        if "added_tokens_decoder" not in config and random.random() < 0.5:
            others["special_tokens_map.json"] = {"mask_token": added("<mask>", lstrip=True), "eos_token": tokens[0]}
        yield case(f"random {number}", base, bases, config, {"added_tokens": bases[base]["added_tokens"] + own}, others)


def main():
    bases = {
        "byte level": byte_level(),
        "qwen2": qwen2(),
        "prepend": sentence_piece("prepend"),
        "metaspace": sentence_piece("metaspace"),
    }
    size = {name: len(base["model"]["vocab"]) for name, base in bases.items()}
    fast = {"tokenizer_class": "PreTrainedTokenizerFast"}
    byte, bos = size["byte level"], {"bos_token": "<s>"}
    template = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    space = {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}}
    decoder = lambda *tokens: {"added_tokens_decoder": {str(id): token for id, token in tokens}}
    cases = [
        case("decoder alone", "byte level", bases, {**fast, **decoder((byte, added("<extra_0>")), (byte + 1, added("<mask>", lstrip=True)))}),
        case("additional alone", "byte level", bases, {**fast, "additional_special_tokens": ["<extra_0>", "<extra_1>"]}),
        case("extra alone", "prepend", bases, {**fast, "extra_special_tokens": ["<extra_0>", "<mask>"]}),
        case("extra by name", "byte level", bases, {**fast, "extra_special_tokens": {"fim_token": "<fim>"}}),
        case("a token of the model", "byte level", bases, {**fast, "image_token": "<fim>"}),
        case("pad alone", "metaspace", bases, {**fast, "pad_token": "<mask>", "eos_token": "<extra_0>"}),
        case("not special", "byte level", bases, {**fast, **decoder((byte, added("<fim>", special=False, single_word=True)))}),
        case("flags of two", "byte level", bases, {**fast, **decoder((byte, added("<mask>", lstrip=True))), "mask_token": "<mask>"}),
        case("added_tokens.json", "byte level", bases, fast, others={"added_tokens.json": {"<extra_0>": byte, "<fim>": byte + 1}}),
        case("special_tokens_map.json", "byte level", bases, fast, others={"special_tokens_map.json": {"mask_token": added("<mask>", rstrip=True)}}),
        case("a gap", "byte level", bases, {**fast, **decoder((byte + 7, added("<extra_0>")))}, refused=True),
        case("another id", "byte level", bases, {**fast, **decoder((5, added("<extra_0>")))}, refused=True),
        case("another id of its own", "byte level", bases, fast, {"added_tokens": [{"id": 9, **added("<s>")}]}, refused=True),
        case("bos by the template", "byte level", bases, {**fast, **bos}, {"post_processor": template}),
        case("bos not, though by the template", "byte level", bases, {**fast, **bos, "add_bos_token": False}, {"post_processor": template}),
        case("bos by the config", "byte level", bases, {**fast, **bos, "add_bos_token": True}),
        case("no bos to add", "byte level", bases, {**fast, "add_bos_token": True}),
    ]
    for base in ("byte level", "qwen2"):
        for name in ("GPT2Tokenizer", "Qwen2TokenizerFast", "PreTrainedTokenizerFast", None):
            for model in ("llama", "qwen2", "qwen3", "starcoder2", "granite", None):
                for wanted in (None, False, True):
                    for saved in (False, True):
                        config = {"tokenizer_class": name} if name else {}
                        if wanted is not None:
                            config["add_prefix_space"] = wanted
                        patch = {}
                        if saved:
                            patch = {"pre_tokenizer": json.loads(json.dumps(bases[base]["pre_tokenizer"]).replace('"add_prefix_space": false', '"add_prefix_space": true'))}
                        others = {"config.json": {"model_type": model}} if model else {}
                        class_ = class_of(config, others)
                        if class_ in ("GPT2Tokenizer", "Qwen2Tokenizer") and class_ != {"byte level": "GPT2Tokenizer", "qwen2": "Qwen2Tokenizer"}[base]:
                            continue
                        label = f"space: {base}, {name}, {model}, {wanted}, {saved}"
                        cases.append(case(label, base, bases, config, patch, others, TEXTS[:1]))
    for base in ("prepend", "metaspace"):
        for name in ("LlamaTokenizer", "LlamaTokenizerFast"):
            for model in ("llama", "mistral", None):
                for space in (None, False, True):
                    for legacy in (None, False, True):
                        given = {"tokenizer_class": name, "add_prefix_space": space, "legacy": legacy}
                        config = {key: value for key, value in given.items() if value is not None}
                        others = {"config.json": {"model_type": model}} if model else {}
                        cases.append(case(f"{base}, {name}, {model}, {space}, {legacy}", base, bases, config, None, others))
    text = json.dumps(bases["byte level"]).replace("<|endoftext|>", "<|other|>")
    unnamed = {key: value for key, value in json.loads(text).items() if key in ("model", "added_tokens")}
    for name in ("GPT2Tokenizer", "Qwen2Tokenizer", "LlamaTokenizer"):
        base = "prepend" if name == "LlamaTokenizer" else "qwen2" if name == "Qwen2Tokenizer" else "byte level"
        patch = {} if base == "prepend" else unnamed
        for config in ({}, {"eos_token": None, "bos_token": "<s>"}, {"eos_token": "<fim>"}):
            cases.append(case(f"defaults of {name}, {config}", base, bases, {"tokenizer_class": name, **config}, patch, None, ["a<|endoftext|>b <s> </s><fim>"]))
    cases += random_cases(bases, 100)
    made = {"transformers": transformers.__version__, "how": "python3 scripts/make_tokenizer_fixtures.py", "bases": bases}
    text = json.dumps({**made, "cases": cases, "continuations": continuations(bases)}, ensure_ascii=False, indent=None)
    OUT.write_text(text + "\n")
    print(len(cases), "cases", OUT.stat().st_size, "bytes")


def class_of(config, others):
    with tempfile.TemporaryDirectory() as directory:
        for name, value in {"tokenizer.json": byte_level(), "tokenizer_config.json": config, **others}.items():
            Path(directory, name).write_text(json.dumps(value))
        return type(AutoTokenizer.from_pretrained(directory)).__name__


if __name__ == "__main__":
    main()
