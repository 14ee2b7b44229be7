#!/usr/bin/env python3
"""Makes what tests/numbers/gguf.rs compares with, by other programs.

usage: python3 tests/gguf/make_fixtures.py        (needs gguf, numpy, safetensors, sentencepiece)

blocks.safetensors: NAME.bytes are three blocks of each quantisation, of random bytes whose f16 scales are replaced by
moderate numbers (one negative, one 0), and NAME.values what gguf.quants.dequantize (numpy) makes of them.
sentencepiece.json: a small BPE vocabulary that sentencepiece learnt from this file, and its ids of some texts.
"""

import io
import json
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
from gguf.quants import dequantize
from safetensors.numpy import save_file

# name: places of the f16 scales of a block
SCALES = {
    "F32": [], "F16": [], "BF16": [], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "MXFP4": [],
}  # fmt: skip
PLAIN = {"F32": np.float32, "F16": np.float16, "BF16": None}
BLOCKS = 3
HERE = Path(__file__).parent
TEXTS = [
    "def blocks(name, random):\n    return data.reshape(-1)\n",
    "  two spaces, 12345,\tand a tab",
    "äöü, 位置 and 🙂",
    "random.integers(0, 256, (BLOCKS, size), dtype=np.uint8)",
]


def blocks(name, random):
    _, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    if name in PLAIN:
        values = random.normal(size=64).astype(np.float32)
        bits = values.view(np.uint32) >> 16
        return np.frombuffer((bits.astype("<u2") if name == "BF16" else values.astype(PLAIN[name])).tobytes(), np.uint8)
    data = random.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for place in SCALES[name]:
        scales = np.array([0.0123, -1.7, 0.0], np.float16) * np.float16(1 + place / 100)
        data[:, place : place + 2] = scales[:, None].view(np.uint8)
    if name == "MXFP4":
        data[:, 0] = [0, 1, 121]  # two scales below the normal numbers
    return data.reshape(-1)


def write_blocks():
    random = np.random.default_rng(0)
    tensors = {}
    for name in SCALES:
        data = blocks(name, random)
        tensors[f"{name}.bytes"] = data
        kind = gguf.GGMLQuantizationType[name]
        # The two float types go through numpy views, which want their own type.
        source = data.view(PLAIN[name]) if PLAIN.get(name) else data
        tensors[f"{name}.values"] = np.ascontiguousarray(dequantize(source, kind).astype(np.float32).reshape(-1))
    made = {"gguf": version("gguf"), "numpy": np.__version__}
    save_file(tensors, HERE / "blocks.safetensors", metadata=made)


def piece_type(model, index):
    """The type that llama.cpp gives a piece."""
    if model.is_unknown(index):
        return gguf.TokenType.UNKNOWN
    if model.is_control(index):
        return gguf.TokenType.CONTROL
    return gguf.TokenType.BYTE if model.is_byte(index) else gguf.TokenType.NORMAL


def write_sentencepiece():
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(Path(__file__).read_text().splitlines()), model_writer=written, model_type="bpe",
        vocab_size=480, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        split_digits=True, allow_whitespace_only_pieces=True, minloglevel=2,
    )  # fmt: skip
    model = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    ids = range(model.vocab_size())
    made = {
        "sentencepiece": version("sentencepiece"),
        "tokens": [model.id_to_piece(i) for i in ids],
        "scores": [model.get_score(i) for i in ids],
        "types": [int(piece_type(model, i)) for i in ids],
        "texts": [{"text": text, "ids": model.encode(text)} for text in TEXTS],
    }
    (HERE / "sentencepiece.json").write_text(json.dumps(made, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_blocks()
    write_sentencepiece()
