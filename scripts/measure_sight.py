#!/usr/bin/env python3
"""What kinds that choose keys take, against RoPE, and what all other kinds take against an earlier binary.

usage: python3 scripts/measure_sight.py LONGCODE_BINARY CODE.py... [--before BINARY] [--out DIR] [--rounds N]

| measured | on | aim |
|---|---|---|
| `blocks` that see 6% of 32,768 keys, by blocks of 128, 32 and 16 tokens | `longcode bench` | at most 0.30 of RoPE's time |
| choosing the blocks | `choosing_seconds` of the same | at most 0.10 of that pass |
| `structure` on the first 16,384 tokens of each CODE.py | `longcode score` | at most 0.5 of RoPE's time |
| other kinds, 8,192 tokens, this binary and the one before | `longcode bench` | at most 1.02 |

A random checkpoint of SmolLM2-135M's shape with 4 layers and the tokenizer of models/nano (4,096 tokens), 2 threads. The
rows that are compared go in turn, --rounds times (2), and the least of each counts: seconds of the pass that is timed, and
seconds of both processors (user and system) of the process, which other work on the machine disturbs less. The model is
loaded in 0.2 s and is in the latter. Writes sight.csv and sight.md to --out (results/performance). Needs numpy and safetensors.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

REPOSITORY = Path(__file__).resolve().parent.parent
SHAPE = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=4096, hidden_size=576, intermediate_size=1536,
    num_hidden_layers=4, num_attention_heads=9, num_key_value_heads=3, head_dim=64, hidden_act="silu",
    max_position_embeddings=8192, rms_norm_eps=1e-5, rope_theta=100000.0, tie_word_embeddings=True,
    bos_token_id=0, eos_token_id=1, torch_dtype="float16",
)  # fmt: skip
BLOCKS = [
    "blocks:unit=tokens:128,window=560,top=3",
    "blocks:unit=tokens:32,window=560,top=14",
    "blocks:unit=tokens:32,window=560,top=14,score=bounds",
    "blocks:unit=tokens:32,window=560,top=14,score=attended",
    "blocks:unit=tokens:16,window=560,top=28,score=bounds",
]
OTHERS = [
    "rope", "rerope:window=512", "hirope:window=512,split=0.5", "self_extend:window=512,group=8",
    "dual_chunk:chunk=1536,local=256", "streaming_llm:window=508,sinks=4", "lm_infinite:window=512",
]  # fmt: skip
LENGTH, CODE_LENGTH, OTHER_LENGTH = 32768, 16384, 8192
FIELDS = ["what", "encoding", "length", "against", "seconds", "of_it", "cpu_seconds", "of_it_cpu", "seen", "choosing"]


def make_checkpoint(folder):
    draw = np.random.default_rng(0).standard_normal
    hidden, inner, key = SHAPE["hidden_size"], SHAPE["intermediate_size"], 3 * SHAPE["head_dim"]
    shapes = {
        "self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (key, hidden), "self_attn.v_proj": (key, hidden),
        "self_attn.o_proj": (hidden, hidden), "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }  # fmt: skip
    weights = {"model.embed_tokens": draw((SHAPE["vocab_size"], hidden)) * 0.02, "model.norm": np.ones(hidden)}
    for layer in range(SHAPE["num_hidden_layers"]):
        weights |= {f"model.layers.{layer}.{name}": draw(shape) * 0.02 for name, shape in shapes.items()}
        norms = ("input_layernorm", "post_attention_layernorm")
        weights |= {f"model.layers.{layer}.{name}": np.ones(hidden) for name in norms}
    save_file({f"{name}.weight": x.astype(np.float16) for name, x in weights.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(SHAPE))
    shutil.copy(REPOSITORY / "models/nano/tokenizer.json", folder)


class Least:
    """The least of several measurements of a command."""

    def __init__(self):
        self.seconds = self.cpu = self.choosing = float("inf")
        self.seen = None

    def add(self, command):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"RAYON_NUM_THREADS": "2"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if run.returncode:
            sys.exit(run.stderr.strip())
        found = json.loads(run.stdout.splitlines()[0])
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.cpu = min(self.cpu, cpu)
        self.seconds = min(self.seconds, found.get("seconds", cpu))
        self.choosing = min(self.choosing, found.get("choosing_seconds", 0.0))
        self.seen = found.get("seen", self.seen)
        print(f"{command[0]} {' '.join(map(str, command[3:8]))}: {cpu:.1f} s of processors", file=sys.stderr)


def bench(binary, model, encoding, length):
    return [binary, "bench", "--model", model, "--encoding", encoding, "--length", str(length), "--repeats", "1",
            "--warm-up", "2", "--device", "cpu", "--json"]  # fmt: skip


def score(binary, model, encoding, file):
    return [binary, "score", "--model", model, "--encoding", encoding, "--max-tokens", str(CODE_LENGTH), "--device",
            "cpu", "--json", file]  # fmt: skip


def in_turn(commands, rounds):
    least = [Least() for _ in commands]
    for _ in range(rounds):
        for one, command in zip(least, commands):
            one.add(command)
    return least


def row(what, encoding, length, against, ours, theirs):
    ratio, of_cpu = ours.seconds / theirs.seconds, ours.cpu / theirs.cpu
    choosing = ours.choosing / ours.seconds if ours.choosing else None
    numbers = [ours.seconds, ratio, ours.cpu, of_cpu, ours.seen, choosing]
    numbers = ["" if x is None else f"{x:.3f}" for x in numbers]
    return dict(zip(FIELDS, [what, encoding, str(length), against, *numbers]))


def measure(args, model):
    rope, *blocks = in_turn([bench(args.longcode, model, one, LENGTH) for one in ["rope", *BLOCKS]], args.rounds)
    for encoding, ours in zip(BLOCKS, blocks):
        ours.seen = share_seen(encoding, LENGTH)
        yield row("blocks", encoding, LENGTH, "rope", ours, rope)
    for file in args.code:
        commands = [score(args.longcode, model, one, file) for one in ("rope", "structure")]
        rope, ours = in_turn(commands, args.rounds)
        yield row(f"structure of {file.name}", "structure", CODE_LENGTH, "rope", ours, rope)
    if args.before:
        for encoding in OTHERS:
            commands = [bench(binary, model, encoding, OTHER_LENGTH) for binary in (args.longcode, args.before)]
            ours, before = in_turn(commands, args.rounds)
            yield row("other kinds", encoding, OTHER_LENGTH, "before", ours, before)


def share_seen(encoding, length):
    """The share of keys that blocks of equal length see: window, sinks, the rest of a block, and the best of those before."""
    keys = dict(key.split("=") for key in encoding.removeprefix("blocks:").split(","))
    size, window, top, sinks = int(keys["unit"].split(":")[1]), int(keys["window"]), int(keys["top"]), 4
    first = np.maximum(np.arange(length) - window + 1, 0)
    end = first // size * size
    chosen = np.minimum(top, end // size) * size
    # Sinks may be in a chosen block: at most as many more are seen.
    seen = np.arange(length) + 1 - end + chosen + np.where(end > top * size, sinks, 0)
    return seen.sum() / (length * (length + 1) / 2)


def write(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sight.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    lines = [FIELDS, ["---"] * 4 + ["---:"] * 6] + [list(row.values()) for row in rows]
    (folder / "sight.md").write_text("".join("| " + " | ".join(line) + " |\n" for line in lines))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("longcode", type=Path)
    parser.add_argument("code", type=Path, nargs="*")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "results/performance")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        make_checkpoint(Path(folder))
        for one in measure(args, folder):
            rows.append(one)
            write(args.out, rows)
    print((args.out / "sight.md").read_text(), end="")


if __name__ == "__main__":
    main()
