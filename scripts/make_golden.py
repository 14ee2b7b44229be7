#!/usr/bin/env python3
"""Makes the golden vectors of tests/golden: attention and per-token losses under every encoding, in float64.

    pip install numpy safetensors
    python3 scripts/make_golden.py --check tests/golden
    python3 scripts/make_golden.py --out DIR [--inputs tests/golden]

A second implementation of docs/encodings.md, written from that page and not from src/encoding: for every query i and
every key j that it sees, the angle of each pair of dimensions is distance times frequency, as the definition has it.
Nothing is rotated, and nothing rounded to f32 on the way.

--check computes every case anew and compares with what DIR holds. Tensors are stored in f32, so a value may be off by
half of its last bit; beyond that, and in the mean losses, which are stored in full, by 1e-9. Where one is off by more,
it exits with 1. --out writes attention, logits, zones, sight and choice (.json and .safetensors) to DIR.

How the stored inputs were drawn is not known: q, k, v, ids, segments, the network tiny-llama and the cases are read from
--inputs, and everything else is computed. A case is added by its line in zones.json and by --out tests/golden, a kind
by its function in `KINDS`, whose arguments are the keys; tests/common/golden.rs counts the cases. Keys that no case has
(logn, mscale and others, most defaults) are transcribed like the rest, but compared with nothing.

What a text gives to kinds that choose keys (segments, blocks, drawn edges) and what they choose is in golden_choice.py. The
cases of choice are drawn by draw_golden_cases.py.
"""

import argparse
import itertools
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import golden_choice
import numpy as np
from safetensors.numpy import load_file, save_file

GOLDEN = Path(__file__).resolve().parent.parent / "tests/golden"
FILES = ["attention", "logits", "zones", "sight", "choice"]
TOLERANCE = 1e-9
# Numbers of a case that are computed.
NUMBERS = ("mean_nll", "seen", "margin")
# Keys of a case that are none of its encoding.
OTHER_KEYS = ("name", "number", "kind", "heads", "given", *NUMBERS)


@dataclass
class Given:
    """What an encoding is given besides its keys."""

    d: int  # dimensions of a head
    base: float
    L0: int  # trained length
    L: int  # length of the sequence
    text: golden_choice.Text

    @property
    def h(self):
        return self.d // 2

    def theta(self, base=None):
        """theta_p of every pair, with another base if one is given."""
        return np.array([(base or self.base) ** (-2 * p / self.d) for p in range(self.h)])

    def f(self, unit):
        """f_i for every token i."""
        return self.text.segments(unit)

    def temperature(self, beta):
        """The factor on the logits of every query."""
        return np.array([1 + beta * math.log(1 + i // self.L0) for i in range(self.L)])

    def logn(self, wanted):
        """The factor on the logits of every query."""
        return np.array([max(1, math.log(i + 1) / math.log(self.L0)) if wanted else 1.0 for i in range(self.L)])


@dataclass
class Encoding:
    theta: np.ndarray  # angular frequency of each pair
    delta: Callable = lambda p, i, j: i - j  # distance of pair p
    scale: float | np.ndarray = 1.0  # of all logits, or of each query's
    sees: Callable = lambda i, j: True  # for j <= i
    choice: golden_choice.Blocks | None = None  # in place of `sees`


# One zone: other frequencies


def rope(given):
    return Encoding(given.theta())


def linear(given, factor):
    return Encoding(given.theta() / factor)


def ntk(given, factor=8):
    return Encoding(given.theta(given.base * factor ** (given.d / (given.d - 2))))


def dynamic_ntk(given, factor, original_max_position=None):
    L0 = original_max_position or given.L0
    if given.L <= L0:
        return rope(given)
    return Encoding(given.theta(given.base * (factor * given.L / L0 - (factor - 1)) ** (given.d / (given.d - 2))))


def yarn(given, factor, original_max_position=None, beta_fast=32, beta_slow=1, attention_factor=None):
    L0 = original_max_position or given.L0
    m = attention_factor or 0.1 * math.log(factor) + 1

    def c(r):
        return given.d * math.log(L0 / (2 * math.pi * r)) / (2 * math.log(given.base))

    low, high = max(math.floor(c(beta_fast)), 0), min(math.ceil(c(beta_slow)), given.d - 1)
    if low == high:
        high += 0.001
    g = np.clip((np.arange(given.h) - low) / (high - low), 0, 1)
    return Encoding(given.theta() * ((1 - g) + g / factor), scale=m**2)


def dynamic_yarn(given, original_max_position=None, beta_fast=32, beta_slow=1):
    L0 = original_max_position or given.L0
    if given.L <= L0:
        return rope(given)
    return yarn(given, given.L / L0, L0, beta_fast, beta_slow)


def clip(given, pairs=None, form="soft"):
    n = math.floor(5 * given.h / 16 + 0.5) if pairs is None else pairs
    theta = given.theta()
    for k, p in enumerate(range(given.h - n, given.h)):
        theta[p] *= 0 if form == "hard" else 1 if n == 1 else (1 + math.cos(math.pi * k / (n - 1))) / 2
    return Encoding(theta)


def nope(given, logit_factor=1):
    return Encoding(np.zeros(given.h), scale=logit_factor)


def llama3(given, factor, low_freq_factor=1, high_freq_factor=4, original_max_position=None):
    L0 = original_max_position or given.L0
    turns = L0 * given.theta() / (2 * math.pi)
    k = np.clip((turns - low_freq_factor) / (high_freq_factor - low_freq_factor), 0, 1)
    return Encoding(given.theta() * ((1 - k) / factor + k))


# Two zones: near and far


def rerope(given, window=512, logn=False):
    return Encoding(given.theta(), lambda p, i, j: min(i - j, window), given.logn(logn))


def leaky_rerope(given, window=512, factor=16, logn=False):
    def delta(p, i, j):
        t = i - j
        return t if t < window else window + (t - window) / factor

    return Encoding(given.theta(), delta, given.logn(logn))


def self_extend(given, window=512, group=None, logn=False):
    if group is None:
        assert window < 2 / 3 * given.L0, "no group makes distances that small"
        group = next(G for G in itertools.count(1) if window + (given.L - window) / G <= 2 / 3 * given.L0)
    return dpe(given, [group], window, logn)


def hirope(given, window=512, split=0.5, unit="function", logn=False):
    first = [math.floor(float(s) * given.h + 0.5) for s in str(split).split("/")]  # pair, of each level above tokens
    f = [given.f(u) for u in unit.split("/")]

    def delta(p, i, j):
        t, level = i - j, sum(p >= pair for pair in first)
        return t if level == 0 or t < window else f[level - 1][i] - f[level - 1][j] + window - 1

    return Encoding(given.theta(), delta, given.logn(logn))


def dpe(given, groups, window=512, logn=False):
    if isinstance(groups, str):
        groups = [int(G) for G in groups.split("/")]
    pairs = given.h // len(groups)  # of each group

    def delta(p, i, j):
        t, G = i - j, groups[p // pairs]
        return t if t < window else i // G - j // G + window - window // G

    return Encoding(given.theta(), delta, given.logn(logn))


def string(given, shift=None, local=128, logit_factor=1, logn=False):
    if shift is None:
        shift = round(given.L / 3)

    def delta(p, i, j):
        t = i - j
        return t if t < shift else t - shift + local

    return Encoding(given.theta(), delta, logit_factor * given.logn(logn))


# Three zones, and keys out of sight


def dual_chunk(given, chunk=None, local=None, mscale=False, logn=False):
    chunk, local = chunk or given.L0 * 3 // 4, given.L0 // 8 if local is None else local
    s = chunk - local

    def delta(p, i, j):
        a, b = i // s, j // s
        if a == b:
            return i - j
        if a == b + 1:
            return min(i % s + s, chunk) - j % s
        return min(2 * s - 1, chunk) - j % s

    scale = max(1, 0.1 * math.log(given.L / given.L0) + 1) if mscale else 1
    return Encoding(given.theta(), delta, scale * given.logn(logn))


def sliding_window(given, window=None):
    window = window or given.L0
    return Encoding(given.theta(), sees=lambda i, j: i - j < window)


def lm_infinite(given, window=None, sinks=10, ceiling=None, logn=False):
    window = window or given.L0
    ceiling = ceiling or window

    def delta(p, i, j):
        t = i - j
        return t if t < window else ceiling

    return Encoding(given.theta(), delta, given.logn(logn), lambda i, j: i - j < window or j < sinks)


def streaming_llm(given, window=None, sinks=4, positions="cache"):
    window = window or given.L0 - sinks

    def delta(p, i, j):
        t = i - j
        return t if t < window or positions == "text" else min(i, sinks + window - 1) - j

    return Encoding(given.theta(), delta, sees=lambda i, j: i - j < window or j < sinks)


# Keys that are chosen


def near_and_far(given, w, far):
    return lambda p, i, j: i - j if i - j < w else far.delta(p, i, j)


def blocks(
    given, unit="tokens:128", window=None, sinks=4, top=16, score="mean", by="head", far="clip", split=0.5,
    representatives=4, shortest=None, longest=None, logn=False,
):  # fmt: skip
    w = window or given.L0 // 2
    far = golden_choice.Far(far, w, split, given.h, given.f(unit))
    lengths = given.text.block_lengths(unit, shortest, longest)
    choice = golden_choice.Blocks(
        given.text, given.theta(), far, lengths,
        w=w, sinks=sinks, top=top, score=score, by=by, representatives=representatives,
    )  # fmt: skip
    return Encoding(given.theta(), near_and_far(given, w, far), given.logn(logn), choice=choice)


def structure(
    given, window=64, sinks=4, own=True, imports=True, signatures=True, globals=True, uses=True, shuffled=False,
    far="clip", split=0.5, unit="function", logn=False,
):  # fmt: skip
    far = golden_choice.Far(far, window, split, given.h, given.f(unit))
    sees = golden_choice.structure_sees(
        given.text, w=window, sinks=sinks, own=own, imports=imports, signatures=signatures, globals=globals,
        uses=uses, shuffled=shuffled,
    )  # fmt: skip
    return Encoding(given.theta(), near_and_far(given, window, far), given.logn(logn), sees)


KINDS = {
    kind.__name__: kind
    for kind in (
        rope, linear, ntk, dynamic_ntk, yarn, dynamic_yarn, llama3, clip, nope,
        rerope, leaky_rerope, self_extend, hirope, dpe, string,
        dual_chunk, sliding_window, lm_infinite, streaming_llm, blocks, structure,
    )
}  # fmt: skip


class Attention:
    """Attention over L tokens under an encoding, by the angle delta_p(i, j) theta_p of every i, j and p."""

    def __init__(self, encoding, L):
        self.scale = encoding.scale * np.ones(L)
        self.sees = np.zeros((L, L), bool)
        self.choice = encoding.choice
        angles = np.zeros((L, L, len(encoding.theta)))
        for i in range(L):
            for j in range(i + 1):
                self.sees[i, j] = encoding.sees(i, j)
                for p, theta in enumerate(encoding.theta):
                    angles[i, j, p] = encoding.delta(p, i, j) * theta
        self.cos, self.sin = np.cos(angles), np.sin(angles)
        self.seen = []  # the share of keys that each key head of each layer saw

    def logits(self, q, k):
        """`[T, d]` each."""
        d = q.shape[1]
        h = d // 2
        q, q_h = q[:, None, :h], q[:, None, h:]  # q_p and q_{p+h}, of queries down
        k, k_h = k[None, :, :h], k[None, :, h:]  # k_p and k_{p+h}, of keys across
        products = (q * k + q_h * k_h) * self.cos + (q * k_h - q_h * k) * self.sin
        return self.scale[:, None] / math.sqrt(d) * products.sum(-1)

    def of_heads(self, q, k, v, layer=0):
        """`[heads, T, d]` each; a head of k and v serves several heads of q that follow each other."""
        shared = len(q) // len(k)
        logits = np.stack([self.logits(q[n], k[n // shared]) for n in range(len(q))])
        # Within the window, all that its logits are taken for, distances are t.
        sees = self.choice(layer, q, k, logits) if self.choice else np.stack([self.sees] * len(k))
        self.seen += [one.sum() / math.comb(len(one) + 1, 2) for one in sees]
        weights = [softmax(np.where(sees[n // shared], logits[n], -np.inf)) for n in range(len(q))]
        return np.stack([weights[n] @ v[n // shared] for n in range(len(q))])


def softmax(a):
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Llama:
    def __init__(self, folder):
        self.config = json.loads((folder / "config.json").read_text())
        stored = load_file(folder / "model.safetensors")
        self.weights = {name: x.astype(np.float64) for name, x in stored.items()}

    def logits(self, ids, attention):
        heads, kv_heads = self.config["num_attention_heads"], self.config["num_key_value_heads"]
        x = self.weights["model.embed_tokens.weight"][ids]
        for n in range(self.config["num_hidden_layers"]):
            layer = f"model.layers.{n}"
            y = self.norm(x, f"{layer}.input_layernorm")
            q = split_heads(self.times(y, f"{layer}.self_attn.q_proj"), heads)
            k = split_heads(self.times(y, f"{layer}.self_attn.k_proj"), kv_heads)
            v = split_heads(self.times(y, f"{layer}.self_attn.v_proj"), kv_heads)
            out = np.concatenate(attention.of_heads(q, k, v, n), -1)
            x = x + self.times(out, f"{layer}.self_attn.o_proj")
            y = self.norm(x, f"{layer}.post_attention_layernorm")
            gate, up = self.times(y, f"{layer}.mlp.gate_proj"), self.times(y, f"{layer}.mlp.up_proj")
            x = x + self.times(gate / (1 + np.exp(-gate)) * up, f"{layer}.mlp.down_proj")
        return self.times(self.norm(x, "model.norm"), "lm_head")

    def times(self, x, name):
        return x @ self.weights[f"{name}.weight"].T

    def norm(self, x, name):
        """RMSNorm."""
        mean_square = (x**2).mean(-1, keepdims=True)
        return x / np.sqrt(mean_square + self.config["rms_norm_eps"]) * self.weights[f"{name}.weight"]


def split_heads(x, heads):
    """`[T, heads * d]` as `[heads, T, d]`."""
    return np.stack(np.split(x, heads, -1))


def losses(logits, ids):
    """-log p(ids[t+1] | ids[..=t]) in nats."""
    return np.array([-math.log(softmax(row)[token]) for row, token in zip(logits, ids[1:])])


class Maker:
    def __init__(self, inputs, files=FILES):
        self.about = {file: json.loads((inputs / f"{file}.json").read_text()) for file in files}
        stored = {file: load_file(inputs / f"{file}.safetensors") for file in files}
        self.inputs = {
            "attention": {name: stored["attention"][name] for name in ("q", "k", "v", "segments")},
            "logits": {name: stored["logits"][name] for name in ("ids", "segments")},
            "choice": stored.get("choice", {}),
        }
        self.llama = Llama(inputs / "tiny-llama")

    def attention_under(self, case, text, d=None):
        """Attention over a text under the encoding of a case, with heads of d dimensions."""
        keys = {key: value for key, value in case.items() if key not in OTHER_KEYS}
        config = self.llama.config
        base, temperature = keys.pop("base", config["rope_theta"]), keys.pop("temperature", 0)
        given = Given(d or config["head_dim"], base, config["max_position_embeddings"], text.L, text)
        encoding = KINDS[case["kind"]](given, **keys)
        encoding.scale = encoding.scale * given.temperature(temperature)
        return Attention(encoding, text.L)

    def text(self, file):
        segments = self.inputs[file]["segments"]
        return golden_choice.Text({"inner": segments.tolist()}, len(segments))

    def logits_and_losses(self, case):
        inputs = self.inputs["logits"]
        logits = self.llama.logits(inputs["ids"], self.attention_under(case, self.text("logits")))
        nll = losses(logits, inputs["ids"])
        case["mean_nll"] = float(nll.mean())
        return logits, nll

    def sight(self, file):
        """sight and choice: every case has a text of its own, and says what part of the keys its queries see."""
        about, tensors = self.about[file], {}
        for case in about["cases"]:
            tensors |= self.losses_of_sight(case)
        for case in about["attention"]:
            own = {name: self.inputs["choice"][f"{name}.{case['number']}"] for name in "qkv"} if "heads" in case else None
            tensors |= self.outputs_of_sight(case, own)
        return file, about, tensors

    def losses_of_sight(self, case):
        """The tensor of a case of the whole network, whose numbers are set."""
        ids = np.array(case["given"]["ids"])
        attention = self.attention_of_sight(case, len(ids))
        nll = losses(self.llama.logits(ids, attention), ids)
        case["mean_nll"] = float(nll.mean())
        add_numbers(case, attention)
        return {f"nll.{case['number']}": nll}

    def outputs_of_sight(self, case, own=None):
        """The tensors of a case of attention alone, whose numbers are set; with queries, keys and values of its own, or
        those of attention.safetensors."""
        q, k, v = self.vectors(own)
        attention = self.attention_of_sight(case, q.shape[1], q.shape[2])
        out = attention.of_heads(q, k, v)
        add_numbers(case, attention)
        return {f"out.{case['number']}": out} | {f"{name}.{case['number']}": x for name, x in (own or {}).items()}

    def vectors(self, own=None):
        return [(own or self.inputs["attention"])[name].astype(np.float64) for name in "qkv"]

    def attention_of_sight(self, case, L, d=None):
        """What a case has of its text is made anew."""
        given, text = case["given"], golden_choice.Text(case["given"], L)
        attention = self.attention_under(case, text, d)
        unit = case.get("unit", "function")
        if "segments" in given:
            given["segments"] = text.segment_lengths(unit)
        if "blocks" in given:
            given["blocks"] = [end - start for start, end in zip(attention.choice.starts, attention.choice.ends)]
        if "uses_shuffled" in given:
            given["uses_shuffled"] = text.drawn_uses()
        return attention

    def files(self):
        """What is in the files, tensors in float64, one file after the other."""
        for file in FILES:
            if file in ("sight", "choice"):
                yield self.sight(file)
                continue
            tensors = dict(self.inputs.get(file, {}))
            for case in self.about[file]["cases"]:
                number = case["number"] if file == "zones" else case["name"].split(".")[1]
                if file != "logits":
                    tensors[f"out.{number}"] = self.attention_under(case, self.text("attention")).of_heads(*self.vectors())
                if file != "attention":
                    logits, tensors[f"nll.{number}"] = self.logits_and_losses(case)
                if file == "logits":
                    tensors[f"logits.{number}"] = logits[::8]
            yield file, self.about[file], tensors


def add_numbers(case, attention):
    """What part of the keys was seen, and how close the closest choice was, where one was made by scores."""
    case["seen"] = float(np.mean(attention.seen))
    case.pop("margin", None)
    if attention.choice and attention.choice.margin < math.inf:
        case["margin"] = attention.choice.margin


def cases_of(about):
    return about["cases"] + about.get("attention", [])


def check(folder, file, about, tensors):
    """Whether a folder holds what was made."""
    stored = load_file(folder / f"{file}.safetensors")
    stored_about = json.loads((folder / f"{file}.json").read_text())
    numbers, stored_numbers = [
        [case.pop(key, 0) for case in cases_of(x) for key in NUMBERS] for x in (about, stored_about)
    ]
    shapes, stored_shapes = [{name: x.shape for name, x in y.items()} for y in (tensors, stored)]
    if about != stored_about or shapes != stored_shapes:
        print(f"{file}: other cases or tensors than were made")
        return False
    off = {name: np.abs(stored[name] - x) for name, x in tensors.items()}
    beyond = [(off[name] - np.spacing(np.abs(x).astype(np.float32)) / 2).max() for name, x in tensors.items()]
    off, beyond = np.max([x.max() for x in off.values()]), np.max([0, *beyond])
    off_numbers = np.abs(np.subtract(numbers, stored_numbers)).max()
    print(
        f"{file}: {len(cases_of(about))} cases, {len(tensors)} tensors; largest difference {off:.1e},"
        f" beyond f32's half last bit {beyond:.1e}, of mean losses, parts seen and margins {off_numbers:.1e}"
    )
    return beyond <= TOLERANCE and off_numbers <= TOLERANCE


def write(folder, file, about, tensors):
    tensors = {name: x.astype(np.float32) if x.dtype == np.float64 else x for name, x in tensors.items()}
    save_file(tensors, folder / f"{file}.safetensors")
    (folder / f"{file}.json").write_text(json.dumps(about, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", type=Path, metavar="DIR", help="compare with the files of DIR")
    what.add_argument("--out", type=Path, metavar="DIR", help="write the files to DIR")
    parser.add_argument("--inputs", type=Path, metavar="DIR", default=GOLDEN, help="inputs and cases [tests/golden]")
    args = parser.parse_args()
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    right = True
    for made in Maker(args.inputs).files():
        if args.out:
            write(args.out, *made)
        else:
            right = check(args.check, *made) and right
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
