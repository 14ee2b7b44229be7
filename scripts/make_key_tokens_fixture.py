#!/usr/bin/env python3
"""Writes crates/longcode-tasks/tests/benchmarks/key_tokens.json.gz: key tokens and LongPPL by its authors' own code.

    pip install torch transformers numpy
    python3 scripts/make_key_tokens_fixture.py CHECKOUTS

CHECKOUTS/LongPPL has PKU-ML/LongPPL at the commit in benchmark_fixtures/official.py; nothing of its code is kept here. The
evaluator is models/nano. The models are models/lookup, which has another vocabulary, and models/nano itself; both are loaded
by transformers, in float32. Two things are as here and not as there: a model's tokens begin with its BOS, and places are
bytes. Texts with a token so near to a threshold that another order of summation could decide otherwise are left out.

The texts are real code, and code with what makes bytes, characters and tokens differ: accents, emoji, CRLF, long lines that
are repeated, a text that is not longer than the short context.
"""

import argparse
import contextlib
import gzip
import io
import json
from pathlib import Path

import numpy
import torch
from benchmark_fixtures.official import Official, write_json
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "crates/longcode-tasks/tests/benchmarks/key_tokens.json.gz"
NAMES = ["merge_intervals", "find_key_token", "cal_overlap", "compute_longppl"]
# gain, ceiling, short, step.
KEYS = [(2.0, 2.0, 128, 64), (0.5, 3.0, 100, 33), (1.0, 1.0, 256, 512)]
NEAR = 3e-4


class WithBos:
    """A model's tokenizer that puts BOS before a text, as longcode does, whatever it is asked for."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def __call__(self, text, **kwargs):
        return self.tokenizer(text, **{**kwargs, "add_special_tokens": True})


class Losses:
    """Cross-entropies that are noted as they are made."""

    made = []

    def __init__(self, reduction):
        self.inner = torch.nn.functional.cross_entropy

    def __call__(self, logits, ids):
        loss = self.inner(logits, ids, reduction="none")
        Losses.made.append(loss.tolist())
        return loss


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.nn.CrossEntropyLoss = Losses
    official = Official(args.checkouts)
    scope = {"torch": torch, "np": numpy, "transformers": __import__("transformers")}
    merge, find, _, longppl = official.functions("LongPPL", "longppl/longppl.py", NAMES, scope)
    evaluator = load("nano")
    models = {name: load(name) for name in ["lookup", "nano"]}
    kept, evaluated, read, cases = [], [], [], []
    for text in texts():
        found = [evaluate(find, text, keys, evaluator) for keys in KEYS]
        if None in found:
            continue
        evaluated += [{"text": len(kept), **one} for one in found]
        for name, model in models.items():
            answers = [ask(longppl, text, keys, evaluator, model) for keys in KEYS]
            read.append({"text": len(kept), "model": name, **answers[0][0]})
            cases += [{"text": len(kept), "model": name, "keys": n, **one} for n, (_, one) in enumerate(answers)]
        kept.append(text)
    print(f"{len(cases)} cases, {sum(case['key_tokens'] for case in cases)} key tokens")
    sources = official.sources(["torch", "transformers", "numpy"])
    keys = [dict(zip(["gain", "ceiling", "short", "step"], keys)) for keys in KEYS]
    write_json(OUT, {"sources": sources, "keys": keys, "texts": kept, "evaluated": evaluated, "read": read, "cases": cases})


def load(name):
    path = ROOT / "models" / name
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(path)


def texts():
    with gzip.open(ROOT / "datasets/code-python.jsonl.gz", "rt") as file:
        files = [json.loads(line)["content"] for line in file]
    code = [text for text in files if 3000 < len(text) < 9000]
    word = "def größe_von_çà(überlänge):\n    return '🙂' * überlänge  # naïve\n\n"
    mixed = "".join(f"{word}x_{n} = größe_von_çà({n * 7919 % 1000})\r\n" for n in range(30))
    long_line = "table = {" + ", ".join(f"'key_{n % 13}': {n % 13 * 31}" for n in range(260)) + "}\n"
    return code[:5] + [mixed, long_line, code[5][:200]]


def evaluate(find, text, keys, evaluator):
    """What the evaluator says of a text; none where their code fails, or rounding could decide."""
    gain, ceiling, short, step = keys
    Losses.made = []
    try:
        pieces = find(text, *evaluator, short, step, alpha=gain, beta=-ceiling)
    except TypeError:
        # Their code iterates over a number where a single token is left after the last short context.
        return None
    long_losses = [loss for part in Losses.made[0::2] for loss in part]
    short_losses = [loss for part in Losses.made[1::2] for loss in part]
    for one, other in zip(long_losses, short_losses):
        gained, below = other - one - gain, ceiling - one
        if (abs(gained) < NEAR and below > -NEAR) or (abs(below) < NEAR and gained > -NEAR):
            return None
    offsets = evaluator[1](text, return_offsets_mapping=True)["offset_mapping"][short:]
    return {
        **places(text, offsets),
        "long": rounded(long_losses),
        "short": rounded(short_losses),
        "pieces": places(text, numpy.array(pieces).reshape(-1, 2).tolist()),
    }


def ask(longppl, text, keys, evaluator, model):
    """What a model loses on a text, and over its key tokens."""
    gain, ceiling, short, step = keys
    own = WithBos(model[1])
    with contextlib.redirect_stdout(io.StringIO()):
        answer = longppl(
            text, model[0], evaluator[0], own, evaluator[1], trunc_len=short, sliding_window=step, alpha=gain, beta=-ceiling
        )
    offsets = own(text, return_offsets_mapping=True)["offset_mapping"]
    known = answer["longppl"] is not None
    return (
        {**places(text, offsets), "losses": rounded(Losses.made[-1])},
        {"key_tokens": answer["n_key_token"] or 0, "longppl": float(answer["longppl"]) if known else None},
    )


def rounded(losses):
    return [round(loss, 4) for loss in losses]


def places(text, offsets):
    """Characters as bytes."""
    byte = [0]
    for char in text:
        byte.append(byte[-1] + len(char.encode()))
    return {"starts": [byte[start] for start, _ in offsets], "ends": [byte[end] for _, end in offsets]}


if __name__ == "__main__":
    main()
