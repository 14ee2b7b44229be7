#!/usr/bin/env python3
"""Compares the speed, memory and loss of longcode with llama.cpp: the same GGUF file, scoring and decoding, CPU.

    python scripts/compare_llama_cpp.py target/release/longcode MODEL.gguf [--file FILE] [--score 512 2048]
        [--context 1024 2048] [--new-tokens 64] [--precision f32] [--threads 2] [--repeats 3] [--out FILE.md]

Needs llama-cpp-python and numpy. Its own kernels for AMX, which a build for the processor at hand has, end here with
an illegal instruction (0.3.36); name the instructions instead:

    CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON -DGGML_AVX512=ON
        -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON -DGGML_AVX512_BF16=ON" pip install llama-cpp-python

Both sides take turns, each with a process of its own a measurement, so that a peak of memory is its own; the table has
medians. Scoring is a whole pass from token ids to the loss of every token. Decoding is the time of NEW tokens, one by
one and greedily, after a prompt of CONTEXT tokens, less that of 1 token. Both get the ids that longcode makes of the
file, over and over where it is short. llama.cpp multiplies 8-bit activations with these weights and keeps its cache in
f16; longcode's activations, sums and cache are f32, so losses differ by what that costs: by 2e-2 at most, else it exits with 1.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOLERANCE = 2e-2  # of the mean loss

COLUMNS = ["work", "tokens", "longcode tok/s", "llama.cpp tok/s", "ratio", "longcode peak MB", "llama.cpp peak MB"]


def peak_mb():
    """High-water mark of resident memory, in 10^6 bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


# -------------------------------------------------------------------------------------------------- llama.cpp side


def llama_process(request):
    """Answers one request, {model, ids, threads, new_tokens or none}, on stdout: seconds, loss or ids, peak."""
    import numpy
    from llama_cpp import Llama

    ids, new_tokens = request["ids"], request.get("new_tokens")
    llama = Llama(
        request["model"], n_ctx=len(ids) + (new_tokens or 0) + 8, n_threads=request["threads"],
        n_threads_batch=request["threads"], logits_all=new_tokens is None, n_gpu_layers=0, verbose=False,
    )  # fmt: skip
    if new_tokens is None:
        started = time.perf_counter()
        llama.eval(ids)
        logits = llama.scores[: len(ids) - 1]
        loss = 0.0
        for row, target in zip(logits, ids[1:]):
            top = row.max()
            loss += math.log(float(numpy.exp(row - top, dtype=numpy.float64).sum())) + float(top - row[target])
        answer = {"seconds": time.perf_counter() - started, "loss": loss / (len(ids) - 1)}
    else:
        llama.eval(ids)
        made, started = [], None
        for _ in range(new_tokens):
            token = llama.sample(temp=0.0)
            made.append(int(token))
            if len(made) == 1:
                started = time.perf_counter()
            if len(made) < new_tokens:
                llama.eval([token])
        answer = {"seconds": time.perf_counter() - started, "ids": made}
    print(json.dumps({**answer, "peak_mb": peak_mb()}))


def llama(given, ids, new_tokens=None):
    """The answer of a process of its own."""
    request = {"model": given.model, "ids": ids, "threads": given.threads, "new_tokens": new_tokens}
    done = subprocess.run(
        [sys.executable, __file__, "--llama-process"], input=json.dumps(request), stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        sys.exit(f"the llama.cpp process ended with {done.returncode} (-4, -11: built with AMX?)")
    return json.loads(done.stdout.splitlines()[-1])


# --------------------------------------------------------------------------------------------------- longcode side


def longcode(given, *arguments):
    """What a command prints, one JSON object."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(given.threads)}
    command = [given.longcode, *map(str, arguments)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def tokens(given, most):
    """The ids of the file, over and over, and the file's text so repeated."""
    text = Path(given.file).read_text()
    while True:
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(text)
            file.flush()
            found = longcode(given, "inspect", file.name, "--tokenizer", given.model, "--json")["tokens"]
        if len(found) >= most:
            return [token["id"] for token in found], text, [token["end"] for token in found]
        text += "\n" + text


def score(given, ids, length, folder, text):
    """Seconds, loss and peak of both sides, by turns."""
    ours, theirs = [], []
    path = folder / "score.py"
    path.write_text(text)
    loss = longcode(
        given, "score", "--model", given.model, "--encoding", "rope", "--max-tokens", length, "--device", "cpu",
        "--precision", given.precision, "--json", path,
    )["loss"]  # fmt: skip
    for _ in range(given.repeats):
        ours.append(longcode(
            given, "bench", "--model", given.model, "--encoding", "rope", "--length", length, "--device", "cpu",
            "--precision", given.precision, "--repeats", 1, "--warm-up", min(length, 512), "--json",
        ))  # fmt: skip
        theirs.append(llama(given, ids[:length]))
        progress(f"score {length}: longcode {ours[-1]['seconds']:.2f} s, llama.cpp {theirs[-1]['seconds']:.2f} s")
    peaks = ours[0]["peak_rss_mb"], max(side["peak_mb"] for side in theirs)
    speeds = [length / statistics.median(side["seconds"] for side in sides) for sides in (ours, theirs)]
    return speeds, peaks, (loss, theirs[0]["loss"])


def decode(given, ids, ends, text, context, folder):
    """Tokens a second of both sides, by turns."""
    path = folder / "prompt.py"
    path.write_bytes(text.encode()[: ends[context - 1]])

    def seconds(count):
        made = longcode(
            given, "generate", "--model", given.model, "--max-new-tokens", count, "--device", "cpu", "--precision",
            given.precision, "--json", path,
        )  # fmt: skip
        return made["seconds"], len(made["ids"])

    ours, theirs = [], []
    for _ in range(given.repeats):
        took, count = seconds(given.new_tokens)
        ours.append((count - 1) / took)
        answer = llama(given, ids[:context], given.new_tokens)
        theirs.append((given.new_tokens - 1) / answer["seconds"])
        progress(f"decode at {context}: longcode {ours[-1]:.1f} tok/s, llama.cpp {theirs[-1]:.1f} tok/s")
    return [statistics.median(side) for side in (ours, theirs)]


# ----------------------------------------------------------------------------------------------------- comparison


def compare(given):
    """The table; whether the losses agree."""
    import llama_cpp

    ids, text, ends = tokens(given, max([*given.score, *given.context]))
    rows, agree = [], True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for length in given.score:
            speeds, peaks, losses = score(given, ids, length, folder, text)
            rows.append(["score", length, *(f"{speed:.1f}" for speed in speeds), f"{speeds[0] / speeds[1]:.2f}",
                         *(round(peak) for peak in peaks)])  # fmt: skip
            progress(f"score {length}: loss {losses[0]:.5f} and {losses[1]:.5f}")
            agree &= abs(losses[0] - losses[1]) <= TOLERANCE
        for context in given.context:
            speeds = decode(given, ids, ends, text, context, folder)
            rows.append(["decode", context, *(f"{speed:.1f}" for speed in speeds), f"{speeds[0] / speeds[1]:.2f}", "", ""])
    cpu = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    lines = [
        f"llama-cpp-python {llama_cpp.__version__}, longcode in {given.precision}, {Path(given.model).name}, "
        f"{given.threads} threads, {cpu.split(':')[1].strip()}",
        "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
    ]  # fmt: skip
    table = "\n".join(lines) + "\n"
    print(table, end="")
    if given.out:
        given.out.write_text(table)
    return agree


def progress(line):
    print(line, file=sys.stderr, flush=True)


def main():
    if sys.argv[1:] == ["--llama-process"]:
        return llama_process(json.load(sys.stdin))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longcode", help="the binary")
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--file", default=__file__, help="whose tokens are read, by default this script")
    parser.add_argument("--score", type=int, nargs="*", default=[512, 2048], help="lengths")
    parser.add_argument("--context", type=int, nargs="*", default=[1024, 2048], help="lengths of prompts")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--precision", choices=["f32", "split", "bf16"], default="f32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, metavar="FILE.md")
    if not compare(parser.parse_args()):
        sys.exit("the losses differ by more than allowed")


if __name__ == "__main__":
    main()
