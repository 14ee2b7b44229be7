#!/usr/bin/env python3
"""Compares the training speed of longcode with PyTorch: same model, samples, optimizer, float32, CPU.

    python scripts/compare_torch_training.py target/release/longcode corpus/train-python.jsonl.gz
        [--length 512] [--batch 16] [--micro-batch 16] [--steps 8] [--rounds 3] [--threads 2]

Needs torch, safetensors and numpy; the model is of the shape of models/nano, the tokens are longcode's. The two take
turns (A B A B ...), so that drift of the machine hits both; the table has the median over the steps of all rounds but
each round's first. Every round of PyTorch starts from the weights that longcode's round started from.

Before the table PyTorch scores the held-out samples with the weights that longcode ended with, and exits with 1 if its
loss differs from longcode's by more than 1e-4: the two trained the same network.

The PyTorch side is what one would write there: nn.functional, scaled_dot_product_attention, cross_entropy over all
logits, AdamW(foreach), clip_grad_norm_; `--compile` wraps it in torch.compile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

REPOSITORY = Path(__file__).resolve().parent.parent
SHAPE = {
    "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 3,
    "num_key_value_heads": 1, "head_dim": 64, "rope_theta": 1000.0,
}  # fmt: skip
OPTIMIZER = {
    "learning_rate": 1e-3, "final_share": 0.1, "warmup_steps": 100, "beta_1": 0.9, "beta_2": 0.95, "epsilon": 1e-8,
    "weight_decay": 0.1, "clip_norm": 1.0,
}  # fmt: skip
HELD_OUT = 32  # samples


def toml(table):
    """Keys of a TOML table, one a line."""
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + "\n"


def write_config(path, given):
    """A training of `given.steps` steps on the bundled tokenizer."""
    path.write_text(
        toml({"name": "speed", "length": given.length, "batch": given.batch, "micro_batch": given.micro_batch})
        + "[corpus]\n" + toml({"datasets": [str(given.corpus.resolve())], "held_out": 0.05})
        + "[tokenizer]\n" + toml({"path": str(REPOSITORY / "models/nano")})
        + "[model]\n" + toml(SHAPE)
        + "[optimizer]\n" + toml(OPTIMIZER)
        + "[budget]\n" + toml({"steps": given.steps})
        + "[output]\n" + toml({"validation_steps": 10**9, "validation_samples": HELD_OUT})
    )  # fmt: skip


def train_longcode(given, config, out):
    """Rows of training.csv: loss and tokens a second of each step."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(given.threads)}
    command = [given.longcode.resolve(), "train", config, "--out", out, "--device", "cpu"]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rows = [line.split(",") for line in (out / "training.csv").read_text().splitlines()[1:]]
    return [(float(row[3]), float(row[6])) for row in rows]


class Llama(torch.nn.Module):
    """The network of models/nano, from a checkpoint's tensors."""

    def __init__(self, weights, length):
        super().__init__()
        self.weights = torch.nn.ParameterDict({name.replace(".", "/"): w.clone() for name, w in weights.items()})
        dim = SHAPE["head_dim"]
        theta = SHAPE["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        angles = torch.arange(length)[:, None] * theta
        self.cos, self.sin = angles.cos().float(), angles.sin().float()

    def weight(self, name):
        return self.weights[f"{name}.weight".replace(".", "/")]

    def rotate(self, x):
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * self.cos - second * self.sin, second * self.cos + first * self.sin], dim=-1)

    def attend(self, x, name):
        q, k, v = (
            F.linear(x, self.weight(f"{name}.{side}_proj")).unflatten(2, (-1, SHAPE["head_dim"])).transpose(1, 2)
            for side in "qkv"
        )
        out = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, is_causal=True, enable_gqa=True)
        return F.linear(out.transpose(1, 2).flatten(2), self.weight(f"{name}.o_proj"))

    def forward(self, ids, targets):
        """Mean loss of ids [batch, length]."""
        embedding = self.weight("model.embed_tokens")
        x = F.embedding(ids, embedding)
        norm = lambda x, name: F.rms_norm(x, x.shape[-1:], self.weight(name), 1e-5)  # noqa: E731
        for layer in range(SHAPE["num_hidden_layers"]):
            name = f"model.layers.{layer}"
            x = x + self.attend(norm(x, f"{name}.input_layernorm"), f"{name}.self_attn")
            h = norm(x, f"{name}.post_attention_layernorm")
            gate, up = (F.linear(h, self.weight(f"{name}.mlp.{side}_proj")) for side in ["gate", "up"])
            x = x + F.linear(F.silu(gate) * up, self.weight(f"{name}.mlp.down_proj"))
        logits = F.linear(norm(x, "model.norm"), embedding)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def train_torch(given, start, stream):
    """As train_longcode, on windows of the stream in its order."""
    torch.set_num_threads(given.threads)
    model = Llama(load_file(start), given.length)
    run = torch.compile(model) if given.compile else model
    matrices = [w for w in model.parameters() if w.ndim == 2]
    vectors = [w for w in model.parameters() if w.ndim == 1]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups, betas=(OPTIMIZER["beta_1"], OPTIMIZER["beta_2"]), eps=OPTIMIZER["epsilon"],
        weight_decay=OPTIMIZER["weight_decay"], foreach=True,
    )  # fmt: skip
    rows = []
    for step in range(given.steps):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = OPTIMIZER["learning_rate"] * (step + 1) / OPTIMIZER["warmup_steps"]
        optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        for first in range(0, given.batch, given.micro_batch):
            numbers = range(step * given.batch + first, step * given.batch + first + given.micro_batch)
            samples = [sample(stream, n, given.length) for n in numbers]
            ids, targets = (torch.cat(side) for side in zip(*samples))
            part = run(ids, targets) * (given.micro_batch / given.batch)
            part.backward()
            loss += part.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIMIZER["clip_norm"])
        optimizer.step()
        rows.append((loss, given.batch * given.length / (time.perf_counter() - started)))
    return rows


def sample(stream, number, length):
    """Inputs and targets [1, length]: `<s>` before a window of the stream that does not start with it."""
    ids = torch.from_numpy(stream[number * length : (number + 1) * length + 1].astype(numpy.int64))
    if ids[0] != 0:
        ids = torch.cat([torch.zeros(1, dtype=torch.int64), ids[:-1]])
    return ids[None, :-1], ids[None, 1:]


def read_tokens(work):
    """The streams to train on and to validate with, of work/tokens.bin."""
    about = json.loads((work / "tokens.json").read_text())
    ids = numpy.fromfile(work / "tokens.bin", dtype=f"<u{about['bytes']}")
    return ids[: about["train_tokens"]], ids[about["train_tokens"] :]


@torch.no_grad()
def held_out_loss(given, out, stream):
    """Mean loss of the first held-out samples under the weights that longcode ended with."""
    model = Llama(load_file(out / "model.safetensors"), given.length)
    losses = [model(*sample(stream, n, given.length)) for n in range(HELD_OUT)]
    return torch.stack(losses).mean().item()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longcode", type=Path, help="the binary")
    parser.add_argument("corpus", type=Path, help="JSON lines to train on")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    return parser.parse_args()


def main():
    given = arguments()
    speeds = {"longcode": [], "PyTorch": []}
    with tempfile.TemporaryDirectory() as made:
        config = Path(made) / "speed.toml"
        write_config(config, given)
        for number in range(given.rounds):
            out = Path(made) / f"round-{number}"
            ours = train_longcode(given, config, out)
            stream, held_out = read_tokens(out / "work")
            theirs = train_torch(given, out / "work/step-00000000/model.safetensors", stream)
            for name, rows in [("longcode", ours), ("PyTorch", theirs)]:
                speeds[name] += [speed for _, speed in rows[1:]]
                medians = statistics.median(speed for _, speed in rows[1:])
                print(f"{name}: {medians:.0f} tok/s, last loss {rows[-1][0]:.4f}", file=sys.stderr, flush=True)
        report = json.loads((out / "training.json").read_text())
        ours, theirs = report["validation_loss"], held_out_loss(given, out, held_out)
    ours_speed, their_speed = (statistics.median(speeds[name]) for name in ["longcode", "PyTorch"])
    print(f"torch {torch.__version__}{', compiled' if given.compile else ''}, float32, {given.threads} threads, "
          f"{given.batch} samples of {given.length}, {given.micro_batch} at a time")  # fmt: skip
    print("| longcode tok/s | PyTorch tok/s | ratio |\n|---|---|---|")
    print(f"| {ours_speed:.0f} | {their_speed:.0f} | {ours_speed / their_speed:.2f} |")
    print(f"loss of {HELD_OUT} held-out samples: longcode {ours:.6f}, PyTorch {theirs:.6f}")
    if abs(ours - theirs) > 1e-4:
        sys.exit("the losses differ")


if __name__ == "__main__":
    main()
