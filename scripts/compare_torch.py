#!/usr/bin/env python3
"""Compares the speed, memory and loss of longcode with PyTorch: same checkpoint, lengths and encodings, CPU.

    python scripts/compare_torch.py target/release/longcode [--model DIR | --shape smollm2-135m|tinyllama-1.1b]
        [--stored float32|bfloat16] [--precision f32|split|bf16] [--torch-dtype float32|bfloat16]
        [--length 4096 8192] [--encoding rope ntk:factor=8 hirope:window=512,split=0.5 ...] [--repeats 3]
        [--threads 2] [--out FILE.md]

Needs torch, safetensors and numpy. Without --model a random checkpoint of that shape, stored in that type, is made in a
temporary directory (0.5 to 4.4 GB), seeded. --precision is longcode's, --torch-dtype PyTorch's: weights and activations
in that type, norms, softmax inside `scaled_dot_product_attention` and losses as PyTorch has them.
Prints a Markdown table; --out writes it, and a CSV with every timed pass next to it.

What is timed, on both sides: a whole scoring pass from token ids to the loss of every token, rotation tables
included, loading excluded. Both score the ids and segments of `longcode bench`. After a warm-up on fewer tokens the two
take turns (A B A B ...), so that drift of the machine hits both; the table has the medians. The PyTorch side lives in one process
per encoding and length, so that its peak memory is its own. A peak is all that is resident while scoring:
the weights, and the libraries, which are several hundred MB of PyTorch's.

The PyTorch side is what one would write there. Kinds of one rotation use `scaled_dot_product_attention`; windowed kinds
do as the repositories of the methods: two full L x L score matrices, `torch.where` on the window, causal mask, softmax.
That is done for all heads at once ("two-pass"), or head by head where the matrices of all heads would take more than
6 GB ("two-pass by head").

Before timing, both score the first 1,500 tokens of this file with segments of 128 tokens under every encoding. Exits
with 1 if their mean loss, or the loss of any one token, differs by more than 1e-3; where one of them multiplies bf16
numbers, if their mean loss differs by more than 2e-2.
Random weights hardly feel positions, so there this shows the forward to be the same, not the encodings; a trained
checkpoint (--model models/nano) shows those.
"""

import argparse
import csv
import datetime
import json
import math
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

REPOSITORY = Path(__file__).resolve().parent.parent
TOKENIZER = REPOSITORY / "tests/golden/tiny-llama/tokenizer.json"
SMOLLM2_135M = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=49152, hidden_size=576, intermediate_size=1536,
    num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, head_dim=64, hidden_act="silu",
    max_position_embeddings=8192, rms_norm_eps=1e-5, rope_theta=100000.0, rope_scaling=None, tie_word_embeddings=True,
    attention_bias=False, mlp_bias=False, bos_token_id=0, eos_token_id=1, torch_dtype="float32",
)  # fmt: skip
TINYLLAMA_1B = dict(
    SMOLLM2_135M, vocab_size=32000, hidden_size=2048, intermediate_size=5632, num_hidden_layers=22,
    num_attention_heads=32, num_key_value_heads=4, max_position_embeddings=2048, rope_theta=10000.0,
    tie_word_embeddings=False,
)  # fmt: skip
SHAPES = {"smollm2-135m": SMOLLM2_135M, "tinyllama-1.1b": TINYLLAMA_1B}
ENCODINGS = [
    "rope", "ntk:factor=8", "rerope:window=512", "leaky_rerope:window=512", "self_extend:window=512,group=8",
    "hirope:window=512,split=0.5",
]  # fmt: skip
SEGMENT = 128  # tokens, as in `longcode bench`
WARM_UP = 2048  # tokens, before every timed pass of longcode and once in the process of PyTorch
CHECKED_TOKENS = 1500
TOLERANCE = 1e-3
BF16_TOLERANCE = 2e-2  # of the mean, where one side multiplies bf16 numbers
LOGIT_ROWS = 512  # positions whose logits exist at a time
SCORE_BYTES = 6e9  # of the score matrices alive at a time: near, far and chosen

COLUMNS = [
    "encoding", "length", "longcode tok/s", "PyTorch tok/s", "ratio", "longcode peak MB", "PyTorch peak MB",
    "loss longcode", "loss PyTorch", "PyTorch attention",
]  # fmt: skip


# ---------------------------------------------------------------------------------------------------- checkpoint


def make_checkpoint(directory, config, stored):
    """Writes a random checkpoint: weights normal(0, 0.02), norms 1, stored in a type."""
    torch.manual_seed(0)
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    query = config["num_attention_heads"] * config["head_dim"]
    key = config["num_key_value_heads"] * config["head_dim"]
    matrices = {
        "self_attn.q_proj": (query, hidden), "self_attn.k_proj": (key, hidden), "self_attn.v_proj": (key, hidden),
        "self_attn.o_proj": (hidden, query), "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }  # fmt: skip
    weights = {
        "model.embed_tokens.weight": torch.randn(config["vocab_size"], hidden) * 0.02,
        "model.norm.weight": torch.ones(hidden),
    }
    for layer in range(config["num_hidden_layers"]):
        for name, shape in matrices.items():
            weights[f"model.layers.{layer}.{name}.weight"] = torch.randn(shape) * 0.02
        for name in ["input_layernorm", "post_attention_layernorm"]:
            weights[f"model.layers.{layer}.{name}.weight"] = torch.ones(hidden)
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = torch.randn(config["vocab_size"], hidden) * 0.02
    weights = {name: tensor.to(stored) for name, tensor in weights.items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    config = {**config, "torch_dtype": str(stored).removeprefix("torch.")}
    (directory / "config.json").write_text(json.dumps(config, indent=1))
    shutil.copy(TOKENIZER, directory / "tokenizer.json")


def read_config(model):
    """config.json of a LLaMA checkpoint that this file's forward covers."""
    config = json.loads((model / "config.json").read_text())
    unsupported = [key for key in ["rope_scaling", "attention_bias", "mlp_bias"] if config.get(key)]
    if config["model_type"] != "llama" or unsupported:
        sys.exit(f"{model}: only plain LLaMA checkpoints can be compared {unsupported or ''}")
    config.setdefault("head_dim", config["hidden_size"] // config["num_attention_heads"])
    return config


# ----------------------------------------------------------------------------------------------------- encodings


@dataclass
class Encoding:
    """A kind of position encoding and its keys, as `longcode --encoding` takes them."""

    kind: str
    keys: dict

    # Keys of each kind with their defaults; None is computed.
    KINDS = {
        "rope": {}, "linear": {"factor": None}, "ntk": {"factor": 8}, "rerope": {"window": 512},
        "leaky_rerope": {"window": 512, "factor": 16}, "self_extend": {"window": 512, "group": None},
        "hirope": {"window": 512, "split": 0.5},
    }  # fmt: skip

    @classmethod
    def parse(cls, text):
        """`kind` or `kind:key=value,key=value`."""
        kind, _, given = text.partition(":")
        given = {key: float(value) for key, value in (item.split("=") for item in given.split(",") if item)}
        if kind not in cls.KINDS or not given.keys() <= cls.KINDS[kind].keys():
            raise argparse.ArgumentTypeError(f"{text!r}: kinds and keys are {cls.KINDS}")
        if kind == "linear" and "factor" not in given:
            raise argparse.ArgumentTypeError("linear needs a factor")
        return cls(kind, {**cls.KINDS[kind], **given})

    @property
    def window(self):
        """Tokens of the near rotation, None where there is one rotation only."""
        return int(self.keys["window"]) if "window" in self.keys else None

    def frequencies(self, config):
        """theta_p of each pair, rounded to float32 where transformers rounds."""
        dim, base, factor = config["head_dim"], config["rope_theta"], self.keys.get("factor")
        if self.kind == "ntk":
            base *= factor ** (dim / (dim - 2))
        exponents = numpy.arange(0, dim, 2, dtype=numpy.float32) / numpy.float32(dim)
        theta = (1 / (base ** exponents.astype(numpy.float64)).astype(numpy.float32)).astype(numpy.float64)
        return theta / factor if self.kind == "linear" else theta

    def far_positions(self, config, segments):
        """Positions of queries and of keys beyond the window, one a token and pair."""
        window, pairs = self.window, config["head_dim"] // 2
        tokens = numpy.arange(len(segments), dtype=numpy.float64)
        if self.kind == "rerope":
            query, key = numpy.full_like(tokens, window), numpy.zeros_like(tokens)
        elif self.kind == "leaky_rerope":
            key = tokens / self.keys["factor"]
            query = key + window - window / self.keys["factor"]
        elif self.kind == "self_extend":
            group = self.keys["group"] or smallest_group(len(segments), window, config["max_position_embeddings"])
            key = tokens // group
            query = key + window - window // group
        else:
            key = numpy.asarray(segments, dtype=numpy.float64)
            query = key + window - 1
        query, key = (numpy.repeat(side[:, None], pairs, axis=1) for side in (query, key))
        if self.kind == "hirope":
            split = int(self.keys["split"] * pairs + 0.5)
            query[:, :split] = key[:, :split] = tokens[:, None]
        return query, key

    def rotations(self, config, segments):
        """(cos, sin) of near queries and keys, then of far queries and of far keys where there is a window."""
        theta = self.frequencies(config)
        near = numpy.arange(len(segments))[:, None] * theta
        angles = [near, near]
        if self.window:
            angles += [positions * theta for positions in self.far_positions(config, segments)]
        return [tuple(torch.from_numpy(f(a)).float() for f in (numpy.cos, numpy.sin)) for a in angles]


def smallest_group(length, window, trained):
    """Self-Extend's group where none is given: the smallest G with w + (L - w) / G <= (2/3) L0."""
    return max(math.ceil(max(length - window, 0) / (2 / 3 * trained - window)), 1)


# --------------------------------------------------------------------------------------------------- PyTorch side


def rotate(x, rotation):
    """Rotates dimension p of x [heads, tokens, head_dim] with p + h."""
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def heads_at_once(heads, length):
    """How many heads' score matrices are made together in the two-pass form."""
    return heads if 3 * 4 * heads * length**2 <= SCORE_BYTES else 1


def attention_name(encoding, heads, length):
    """What the table calls the attention of the PyTorch side."""
    if not encoding.window:
        return "sdpa"
    return "two-pass" if heads_at_once(heads, length) == heads else "two-pass by head"


def two_pass_attention(near, far, value, is_near, is_future):
    """Attention with two full score matrices; near and far are (query, key) of [heads, tokens, head_dim]."""
    heads, length, dim = value.shape
    step, out = heads_at_once(heads, length), torch.empty_like(value)
    for first in range(0, heads, step):
        part = slice(first, first + step)
        near_scores, far_scores = (q[part] @ k[part].transpose(1, 2) for q, k in (near, far))
        scores = torch.where(is_near, near_scores, far_scores)
        del near_scores, far_scores
        weights = torch.softmax(scores.mul_(dim**-0.5).masked_fill_(is_future, -torch.inf), dim=-1)
        del scores
        out[part] = weights @ value[part]
    return out


class Llama:
    """A LLaMA forward that gives the loss of every token."""

    def __init__(self, model, dtype):
        self.config = read_config(model)
        shards = [load_file(file) for file in sorted(model.glob("*.safetensors"))]
        self.weights = {name: tensor.to(dtype) for shard in shards for name, tensor in shard.items()}
        self.dtype = dtype

    def linear(self, x, name):
        return F.linear(x, self.weights[f"{name}.weight"])

    def norm(self, x, name):
        return F.rms_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.config["rms_norm_eps"])

    def attend(self, x, name, rotations, masks):
        """Self-attention of x [tokens, hidden]; masks are given for windowed encodings."""
        heads, dim = self.config["num_attention_heads"], self.config["head_dim"]
        q, k, v = (
            self.linear(x, f"{name}.{side}_proj").unflatten(1, (-1, dim)).transpose(0, 1) for side in "qkv"
        )
        rotated = [rotate(side, rotation) for side, rotation in zip([q, k, q, k], rotations)]
        shared = heads // self.config["num_key_value_heads"]
        rotated[1::2] = [key.repeat_interleave(shared, dim=0) for key in rotated[1::2]]
        v = v.repeat_interleave(shared, dim=0)
        if masks is None:
            batch = (side[None] for side in (*rotated, v))
            out = F.scaled_dot_product_attention(*batch, is_causal=True)[0]
        else:
            out = two_pass_attention(rotated[:2], rotated[2:], v, *masks)
        return self.linear(out.transpose(0, 1).flatten(1), f"{name}.o_proj")

    def feed_forward(self, x, name):
        gate, up = (self.linear(x, f"{name}.{side}_proj") for side in ["gate", "up"])
        return self.linear(F.silu(gate) * up, f"{name}.down_proj")

    @torch.inference_mode()
    def score(self, encoding, ids, segments):
        """Loss of tokens 1.. of ids, in nats."""
        length, window = len(ids), encoding.window
        rotations = encoding.rotations(self.config, segments)
        rotations = [tuple(table.to(self.dtype) for table in rotation) for rotation in rotations]
        every = torch.ones(length, length, dtype=torch.bool) if window else None
        masks = (every.triu(1 - window), every.triu(1)) if window else None
        ids = torch.tensor(ids)
        x = F.embedding(ids, self.weights["model.embed_tokens.weight"])
        for layer in range(self.config["num_hidden_layers"]):
            name = f"model.layers.{layer}"
            x = x + self.attend(self.norm(x, f"{name}.input_layernorm"), f"{name}.self_attn", rotations, masks)
            x = x + self.feed_forward(self.norm(x, f"{name}.post_attention_layernorm"), f"{name}.mlp")
        return self.losses(self.norm(x, "model.norm")[:-1], ids[1:])

    def losses(self, x, targets):
        """Cross-entropy of each position, with the logits of a few positions at a time."""
        head = self.weights["model.embed_tokens.weight" if self.config["tie_word_embeddings"] else "lm_head.weight"]
        chunks = zip(x.split(LOGIT_ROWS), targets.split(LOGIT_ROWS))
        losses = (F.cross_entropy(F.linear(rows, head).float(), target, reduction="none") for rows, target in chunks)
        return torch.cat(list(losses))


def torch_process(pipe, model, encoding, threads, dtype):
    """Answers each (ids, segments) with the seconds of a pass, its losses and the peak memory so far."""
    torch.set_num_threads(threads)
    llama = Llama(model, dtype)
    reset_peak()
    while True:
        ids, segments = pipe.recv()
        started = time.perf_counter()
        losses = llama.score(encoding, ids, segments)
        pipe.send((time.perf_counter() - started, losses.tolist(), peak_mb()))


def reset_peak():
    """Starts a new high-water mark of resident memory, as `longcode bench` does (Linux, proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb():
    """High-water mark of resident memory, in 10^6 bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


class TorchSide:
    """A process of its own that scores under one encoding in PyTorch."""

    def __init__(self, model, encoding, given):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        arguments = (other, model, encoding, given.threads, getattr(torch, given.torch_dtype))
        self.process = context.Process(target=torch_process, args=arguments, daemon=True)
        self.process.start()
        other.close()  # so that the end of the process ends a wait for its answer

    def score(self, ids, segments):
        """Seconds of the pass, loss of every token, peak MB."""
        try:
            self.pipe.send((ids, segments))
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            sys.exit(f"the PyTorch process ended with {self.process.exitcode} (-9: out of memory?)")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join()


# -------------------------------------------------------------------------------------------------- longcode side


class Longcode:
    """The binary under test, on the CPU."""

    def __init__(self, binary, model, given):
        self.binary, self.model, self.precision = binary, str(model), given.precision
        self.environment = {**os.environ, "RAYON_NUM_THREADS": str(given.threads)}

    def run(self, *arguments):
        """What the command prints."""
        command = [self.binary, *arguments]
        done = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        return done.stdout

    def bench(self, encoding, length):
        """Seconds of a pass and peak MB, after a warm-up."""
        row = json.loads(self.run(
            "bench", "--model", self.model, "--encoding", encoding, "--length", str(length), "--device", "cpu",
            "--precision", self.precision, "--repeats", "1", "--warm-up", str(WARM_UP), "--json",
        ))  # fmt: skip
        return row["seconds"], row["peak_rss_mb"]

    def losses(self, encoding, file):
        """Loss of every token of the file's first CHECKED_TOKENS."""
        return json.loads(self.run(
            "score", "--model", self.model, "--encoding", encoding, "--unit", f"tokens:{SEGMENT}",
            "--max-tokens", str(CHECKED_TOKENS), "--device", "cpu", "--precision", self.precision, "--json", file,
        ))["nll"]  # fmt: skip

    def tokens(self, file):
        """Ids and segments of the file's first CHECKED_TOKENS."""
        tokens = json.loads(self.run(
            "inspect", file, "--tokenizer", self.model, "--unit", f"tokens:{SEGMENT}", "--json"
        ))["tokens"][:CHECKED_TOKENS]  # fmt: skip
        return [token["id"] for token in tokens], [token["segment"] for token in tokens]


# ----------------------------------------------------------------------------------------------------- comparison


def compare_losses(longcode, model, given):
    """{encoding: (mean loss of longcode, of PyTorch, largest difference of a token)}."""
    found = {}
    ids, segments = longcode.tokens(__file__)
    for spec in given.encoding:
        ours = longcode.losses(spec, __file__)
        with TorchSide(model, Encoding.parse(spec), given) as side:
            theirs = side.score(ids, segments)[1]
        if len(ours) != len(theirs):
            sys.exit(f"{spec}: {len(ours)} losses of longcode, {len(theirs)} of PyTorch")
        largest = max(abs(a - b) for a, b in zip(ours, theirs))
        found[spec] = statistics.fmean(ours), statistics.fmean(theirs), largest
        progress(f"{spec}: loss {found[spec][0]:.6f} and {found[spec][1]:.6f}, a token differs by up to {largest:.1e}")
    return found


def compare_speed(longcode, model, spec, length, given):
    """Seconds of each timed pass and peak MB: of longcode, then of PyTorch, which take turns."""
    vocabulary = read_config(model)["vocab_size"]
    ids = [n * 7919 % vocabulary for n in range(length)]
    segments = [n // SEGMENT for n in range(length)]
    ours, theirs = [], []
    with TorchSide(model, Encoding.parse(spec), given) as side:
        side.score(ids[:WARM_UP], segments[:WARM_UP])
        for _ in range(given.repeats):
            ours.append(longcode.bench(spec, length))
            seconds, _, peak = side.score(ids, segments)
            theirs.append((seconds, peak))
            progress(f"{spec} at {length}: longcode {ours[-1][0]:.3f} s, PyTorch {seconds:.3f} s")
    return [([seconds for seconds, _ in side], max(peak for _, peak in side)) for side in (ours, theirs)]


def row(spec, length, speed, losses, heads):
    """A row of the table, and the seconds of every pass for the CSV."""
    (ours, our_peak), (theirs, their_peak) = speed
    our_speed, their_speed = (length / statistics.median(side) for side in (ours, theirs))
    cells = [
        spec, length, f"{our_speed:.1f}", f"{their_speed:.1f}", f"{our_speed / their_speed:.2f}", round(our_peak),
        round(their_peak), f"{losses[0]:.5f}", f"{losses[1]:.5f}",
        attention_name(Encoding.parse(spec), heads, length),
    ]  # fmt: skip
    return cells, [" ".join(f"{seconds:.4f}" for seconds in side) for side in (ours, theirs)]


def markdown(header, rows, losses):
    """The header line, the table and how far the losses agree."""
    lines = [header, "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(map(str, cells)) + " |" for cells, _ in rows]
    largest = max(difference for *_, difference in losses.values())
    lines += ["", f"Largest difference of one token's loss: {largest:.1e}."]
    return "\n".join(lines) + "\n"


def write_csv(file, header, rows):
    """The table with the seconds of every pass, after a comment line."""
    with file.open("w", newline="") as out:
        out.write(f"# {header}\n")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*COLUMNS, "longcode seconds", "PyTorch seconds"])
        writer.writerows([*cells, *passes] for cells, passes in rows)


def header_line(longcode, given):
    """Versions, threads, processor and date."""
    cpu = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return (
        f"torch {torch.__version__} in {given.torch_dtype}, {longcode.run('--version').strip()} in {given.precision}, "
        f"{given.model or f'{given.shape} stored in {given.stored}'}, {given.threads} threads, "
        f"{cpu.split(':')[1].strip()}, {datetime.date.today()}"
    )


def progress(line):
    print(line, file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longcode", help="the binary")
    parser.add_argument("--model", type=Path, help="Hugging Face directory of a LLaMA checkpoint")
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m", help="of the random checkpoint")
    types = ["float32", "bfloat16"]
    parser.add_argument("--stored", choices=types, default="float32", help="of the random checkpoint")
    parser.add_argument("--precision", choices=["f32", "split", "bf16"], default="f32")
    parser.add_argument("--torch-dtype", choices=types, default="float32")
    parser.add_argument("--length", type=int, nargs="+", default=[4096, 8192])
    parser.add_argument("--encoding", nargs="+", default=ENCODINGS)
    parser.add_argument("--repeats", type=int, default=3, help="timed passes of each side")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="also writes FILE.md and FILE.csv")
    given = parser.parse_args()
    try:
        for spec in given.encoding:
            Encoding.parse(spec)
    except (argparse.ArgumentTypeError, ValueError) as error:
        parser.error(str(error))
    return given


def compare(given, model):
    """The whole comparison; whether the losses agree."""
    longcode = Longcode(given.longcode, model, given)
    heads = read_config(model)["num_attention_heads"]
    header = header_line(longcode, given)
    losses = compare_losses(longcode, model, given)
    rows = []
    for length in given.length:
        for spec in given.encoding:
            speed = compare_speed(longcode, model, spec, length, given)
            rows.append(row(spec, length, speed, losses[spec], heads))
    table = markdown(header, rows, losses)
    print(table, end="")
    if given.out:
        given.out.write_text(table)
        write_csv(given.out.with_suffix(".csv"), header, rows)
    if given.precision == "bf16" or given.torch_dtype == "bfloat16":
        return all(abs(ours - theirs) <= BF16_TOLERANCE for ours, theirs, _ in losses.values())
    return all(abs(ours - theirs) <= TOLERANCE and one <= TOLERANCE for ours, theirs, one in losses.values())


def main():
    given = arguments()
    with tempfile.TemporaryDirectory() as made:
        model = given.model or Path(made)
        if not given.model:
            make_checkpoint(model, SHAPES[given.shape], getattr(torch, given.stored))
        agree = compare(given, model)
    if not agree:
        sys.exit("the losses differ by more than allowed")


if __name__ == "__main__":
    main()
