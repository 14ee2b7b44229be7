#!/usr/bin/env python3
"""How fast `longcode serve` answers, and what it keeps: results/performance/serving.csv.

usage: python3 scripts/measure_serving.py LONGCODE_BINARY [--model DIR] [--gguf FILE] [--requests 64] [--out CSV]

Asks for 64 continuations of 64 tokens each after prompts of 256 tokens, which share nothing: one after the other, and all at
once. Then the same file by llama-cpp-python's server (PyPI: llama-cpp-python[server]), one after the other, where it is
installed and a GGUF file is given; ours serves that file too. Then one prompt of 2,048 tokens with 8 questions, as the cache
of beginnings answers them and without it. Then memory under 1,000 requests. Rounds alternate, and the median of each counts.
"""

import argparse
import concurrent.futures
import csv
import gzip
import importlib.util
import json
import os
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PROMPT, NEW = 256, 64


class Server:
    """A program that listens at a port of its own while the block lasts."""

    def __init__(self, command, ready, environment=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [str(part).replace("PORT", str(self.port)) for part in command]
        environment = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{ready}", timeout=5).read()
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"error: {command} has ended")
                time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def ask(self, body, path="/v1/completions"):
        data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)

    def resident(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def ours(longcode, model, *more):
    return Server([longcode, "serve", "--model", model, "--device", "cpu", "--port", "PORT", *more], "/health")


def theirs(gguf):
    command = [sys.executable, "-m", "llama_cpp.server", "--model", gguf, "--port", "PORT", "--n_ctx", 4096, "--host", "127.0.0.1"]
    return Server([*command, "--n_threads", os.cpu_count(), "--n_threads_batch", os.cpu_count()], "/v1/models")


def sources():
    with gzip.open(REPOSITORY / "datasets/code-python.jsonl.gz", "rt") as lines:
        return "".join(json.loads(line)["content"] for line in lines)


def cut(server, count, tokens, seed=0):
    """Texts of Python, each of so many tokens, which begin at places that a seed draws."""
    text, draw = sources(), random.Random(seed)

    def one():
        start = draw.randrange(len(text) - 40 * tokens)
        ids = server.ask({"prompt": text[start : start + 20 * tokens], "add_special_tokens": False}, "/tokenize")["tokens"]
        return server.ask({"tokens": ids[:tokens]}, "/detokenize")["prompt"]

    return [one() for _ in range(count)]


def tokens_a_second(server, prompts, at_once):
    """New tokens of all answers over the time that they took."""
    def ask(prompt):
        return server.ask({"prompt": prompt, "max_tokens": NEW, "temperature": 0})["usage"]["completion_tokens"]

    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        made = sum(pool.map(ask, prompts))
    return made / (time.monotonic() - started)


def measure_batching(longcode, model, requests, rounds):
    results = {1: [], requests: []}
    with ours(longcode, model, "--cache-mb", 0) as server:
        tokens_a_second(server, cut(server, 4, PROMPT, 99), 4)
        for number in range(rounds):
            for at_once in results:
                results[at_once].append(tokens_a_second(server, cut(server, requests, PROMPT, number), at_once))
    for at_once, figures in results.items():
        yield f"longcode, {requests} requests, {at_once} at once", model, statistics.median(figures), "tokens/s"


def measure_llama(longcode, gguf, requests, rounds):
    if not gguf or not importlib.util.find_spec("llama_cpp"):
        print("left out: llama-cpp-python's server, which is not installed, or has no --gguf")
        return
    with ours(longcode, gguf) as server:
        texts = [cut(server, requests, PROMPT, number) for number in range(rounds)]
        short = cut(server, 2, PROMPT, 99)
    results = {"longcode": [], "llama-cpp-python": []}
    for asked in texts:
        for name, start in (("longcode", lambda: ours(longcode, gguf, "--cache-mb", 0)), ("llama-cpp-python", lambda: theirs(gguf))):
            with start() as server:
                tokens_a_second(server, short, 1)
                results[name].append(tokens_a_second(server, asked, 1))
    for name, figures in results.items():
        yield f"{name}, the same GGUF file, 1 at once", gguf, statistics.median(figures), "tokens/s"


def measure_prefixes(longcode, model, rounds):
    """Seconds for 8 questions of 64 tokens on one text of 2,048, all scored."""
    results = {"kept": [], "not kept": []}
    for number in range(rounds):
        for name, megabytes in (("kept", 1024), ("not kept", 0)):
            with ours(longcode, model, "--cache-mb", megabytes) as server:
                [text], questions = cut(server, 1, 2048, number), cut(server, 8, 64, number + 100)
                tokens_a_second(server, cut(server, 2, PROMPT, 99), 1)
                started = time.monotonic()
                for question in questions:
                    body = {"prompt": text + question, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
                    server.ask(body)
                results[name].append(time.monotonic() - started)
    for name, figures in results.items():
        yield f"8 scored questions on one text of 2,048 tokens, its beginning {name}", model, statistics.median(figures), "s"


def measure_memory(longcode, model):
    """Resident memory while 1,000 requests go by, 8 at once, half of them scored."""
    with ours(longcode, model) as server:
        texts = cut(server, 1000, PROMPT)

        def ask(number):
            body = {"prompt": texts[number], "max_tokens": 8, "temperature": number % 3 / 2}
            server.ask(body | ({"echo": True, "logprobs": 1} if number % 2 else {}))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for done in range(0, 1000, 100):
                list(pool.map(ask, range(done, done + 100)))
                yield f"resident after {done + 100} requests", model, server.resident(), "MB"


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("longcode", type=Path)
    parser.add_argument("--model", type=Path, default=Path("models/nano"))
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["batching", "llama", "prefixes", "memory"], nargs="*")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    longcode = args.longcode.resolve()
    measures = {
        "batching": lambda: measure_batching(longcode, args.model, args.requests, args.rounds),
        "llama": lambda: measure_llama(longcode, args.gguf, min(args.requests, 16), args.rounds),
        "prefixes": lambda: measure_prefixes(longcode, args.model, args.rounds),
        "memory": lambda: measure_memory(longcode, args.model),
    }
    rows = []
    for name in args.only or measures:
        for what, model, figure, unit in measures[name]():
            rows.append([what, model.name, f"{figure:.2f}", unit, f"{platform.machine()}, {os.cpu_count()} cores"])
            print(*rows[-1], sep=", ", flush=True)
    if args.out:
        with args.out.open("w", newline="") as file:
            csv.writer(file).writerows([["what", "model", "figure", "unit", "machine"], *rows])


if __name__ == "__main__":
    main()
