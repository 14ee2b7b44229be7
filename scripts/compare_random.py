#!/usr/bin/env python3
"""Compares longcode with other programs on random files: checkpoints, tokenizers, chat templates, GGUF files.

usage: python3 scripts/compare_random.py LONGCODE_BINARY [--only checkpoints|tokenizers|templates|gguf] [--seed N]
           [--cases N] [--case N] [--keep DIR] [--store DIR]

Needs torch, transformers (5), tokenizers, jinja2, safetensors and gguf; nothing is fetched. 100 cases of each kind:

checkpoints  configs as found in the wild (old and new spellings, keys of neighbouring versions, defaults left out, null
             keys, two places that disagree, wrong types), tied and untied heads that differ, names without `model.`,
             shards; transformers reads the same directory, losses per token must agree to 1e-4 in float32
tokenizers   byte-level and SentencePiece-like BPE, Unigram, WordPiece, with added tokens in every place of
             tokenizer.json and tokenizer_config.json; ids must be those of transformers' AutoTokenizer
templates    chat templates of the features that published ones have, mixed; texts must be those of Jinja2 as
             transformers sets it up
gguf         files that the `gguf` package writes of such checkpoints and tokenizers; losses and ids must be those of the
             directory

Both may also refuse. What longcode alone refuses is listed with its message, and does not count as different; what the
other program alone refuses does. Exits with 1 if any case differs.

--seed N     another set of cases (0)
--cases N    so many of each kind (100)
--case N     this one alone
--keep DIR   keep the files of every case in DIR
--store DIR  write the cases in which both agree, with what is expected, for tests/numbers/random.rs
"""

import argparse
import gzip
import importlib
import json
import logging
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TQDM_DISABLE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RUST_BACKTRACE"] = "0"

from random_cases.common import Crash, Refusal

KINDS = {
    "checkpoints": "random_cases.checkpoints",
    "tokenizers": "random_cases.tokenizers",
    "templates": "random_cases.templates",
    "gguf": "random_cases.gguf_files",
}
OUTCOMES = ["agree", "both refuse", "longcode refuses", "DIFFERS"]


def parse_arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n\n")[0])
    parser.add_argument("longcode", type=Path)
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--case", type=int)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--store", type=Path)
    return parser.parse_args()


def outcome(module, binary, directory):
    """What became of a case, about it in words, and what is expected (none where the other program refuses)."""
    try:
        theirs = module.expected(directory)
    except Refusal as refusal:
        theirs, their_reason = None, str(refusal)
    try:
        ours = module.ours(binary, directory)
    except Refusal as refusal:
        ours, our_reason = None, str(refusal)
    except Crash as crash:
        return "DIFFERS", str(crash), theirs
    if theirs is None:
        return (
            ("both refuse", f"{our_reason}\n{'':17}there: {their_reason}", None)
            if ours is None
            else ("DIFFERS", f"refused there: {their_reason}", None)
        )
    if ours is None:
        return "longcode refuses", our_reason, theirs
    try:
        problem = module.problem(theirs, ours)
    except Refusal as refusal:
        return "longcode refuses", str(refusal), theirs
    return ("DIFFERS", problem, theirs) if problem else ("agree", "", theirs)


def files(directory, names):
    """A case's files by name, all or these: text as it is, other bytes in hex."""
    stored = {}
    for path in sorted(directory.iterdir()):
        if names and path.name not in names:
            continue
        content = path.read_bytes()
        try:
            stored[path.name] = content.decode()
        except UnicodeDecodeError:
            stored[path.name] = {"hex": content.hex()}
    return stored


def run_kind(name, arguments, scratch):
    """Runs the cases of a kind, prints those that are not plainly equal, and returns what became of each."""
    module = importlib.import_module(KINDS[name])
    numbers = range(arguments.cases) if arguments.case is None else [arguments.case]
    became, stored = Counter(), []
    for number in numbers:
        directory = scratch / f"{name}-{number:03}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        what = module.make(random.Random(f"{name} {arguments.seed} {number}"), directory)
        result, about, theirs = outcome(module, arguments.longcode, directory)
        became[result] += 1
        if result != "agree" or arguments.case is not None:
            print(f"{result:16} {directory.name}: {what}\n{'':17}{about}".rstrip(), flush=True)
        if result != "DIFFERS" and len(stored) < getattr(module, "STORED_CASES", arguments.cases):
            stored.append(
                {
                    "case": number,
                    "what": what,
                    "refused": result == "longcode refuses",
                    "expected": theirs,
                    "files": files(directory, getattr(module, "STORED", None)),
                }
            )
        if not (arguments.keep or arguments.case is not None):
            shutil.rmtree(directory)
    if arguments.store:
        store(arguments.store / f"{name}.jsonl.gz", stored)
    return became


def store(path, cases):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases)
    # No time of writing: the same cases are the same bytes.
    path.write_bytes(gzip.compress(lines.encode(), 9, mtime=0))


def print_table(became):
    print(f"\n{'':12}" + "".join(f"{outcome:>18}" for outcome in OUTCOMES))
    for name, counts in became.items():
        print(f"{name:12}" + "".join(f"{counts[outcome]:>18}" for outcome in OUTCOMES))


def main():
    arguments = parse_arguments()
    logging.disable(logging.WARNING)
    became = {}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = arguments.keep or Path(temporary)
        if arguments.case is not None and not arguments.keep:
            scratch = Path(tempfile.mkdtemp(prefix="compare-random-"))
            print(f"files in {scratch}")
        for name in arguments.only or KINDS:
            became[name] = run_kind(name, arguments, scratch)
    print_table(became)
    sys.exit(1 if any(counts["DIFFERS"] for counts in became.values()) else 0)


if __name__ == "__main__":
    main()
