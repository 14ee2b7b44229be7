#!/usr/bin/env python3
"""Compares `longcode score` of a GGUF file with transformers' own loading of it, on the CPU in float32.

usage: python3 scripts/compare_gguf.py LONGCODE_BINARY MODEL.gguf FILE...

Needs torch, transformers (5) and gguf. Of every file the token ids must be equal, every entry of "nll" must agree to
1e-3, and `longcode generate` must go on with the same 64 tokens as greedy `generate`. One line a file; exits with 1 if
any differs.

transformers cuts a text as GPT-2 does where it does not know the file's `tokenizer.ggml.pre`. SmolLM's, which cuts
digits off one by one first (as the model's own tokenizer.json does), is put in its place here; the line then says by
how many tokens transformers' ids differ without that.
"""

import argparse
import difflib
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TQDM_DISABLE"] = "1"

import gguf
import torch
import transformers
from tokenizers import pre_tokenizers

TOLERANCE = 1e-3
NEW_TOKENS = 64
PRE_TOKENIZERS = {
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
}


def parse_arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("longcode", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    return parser.parse_args()


def longcode(binary, *arguments):
    run = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr.strip())
    return [json.loads(line) for line in run.stdout.splitlines()]


class Reference:
    """The file as transformers loads it."""

    def __init__(self, path):
        where = dict(pretrained_model_name_or_path=str(path.parent), gguf_file=path.name)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            **where, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
        pre = gguf.GGUFReader(path).get_field("tokenizer.ggml.pre")
        self.pre_tokenizer = PRE_TOKENIZERS.get(pre.contents()) if pre else None

    def ids(self, text):
        """Ids as the file asks for, and as transformers gives them."""
        plain = self.tokenizer(text)["input_ids"]
        if self.pre_tokenizer is None:
            return plain, plain
        backend = self.tokenizer.backend_tokenizer
        kept, backend.pre_tokenizer = backend.pre_tokenizer, self.pre_tokenizer()
        ids = self.tokenizer(text)["input_ids"]
        backend.pre_tokenizer = kept
        return ids, plain

    def nll(self, ids):
        with torch.no_grad():
            logits = self.model(torch.tensor([ids])).logits[0, :-1]
        return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").double()

    def greedy(self, ids):
        """What it goes on with, without the end-of-sequence token."""
        prompt = torch.tensor([ids])
        with torch.no_grad():
            new = self.model.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW_TOKENS, do_sample=False
            )[0, len(ids) :].tolist()
        ends = self.model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        return new[:-1] if new and new[-1] in ends else new


def ids_that_differ(ours, theirs):
    blocks = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    return len(ours) - sum(block.size for block in blocks)


def compare(arguments, reference, path):
    """The worst difference of a file's losses, with a line about it."""
    options = ["--model", arguments.model, "--encoding", "rope", "--device", "cpu", "--json"]
    ours = longcode(arguments.longcode, "score", *options, path)[0]
    tokens = longcode(arguments.longcode, "inspect", path, "--tokenizer", arguments.model, "--json")[0]["tokens"]
    ids, plain = reference.ids(path.read_text(encoding="utf-8"))
    if [token["id"] for token in tokens] != ids:
        print(f"DIFFERS {path.name}: {len(tokens)} ids for {len(ids)}, or others")
        return float("inf")
    nll = reference.nll(ids)
    worst = (torch.tensor(ours["nll"], dtype=torch.double) - nll).abs().max().item()
    note = f"; {ids_that_differ(ids, plain)} ids differ without the file's pre-tokenizer" if ids != plain else ""
    new = longcode(arguments.longcode, "generate", *options, "--max-new-tokens", NEW_TOKENS, path)[0]["ids"]
    expected = reference.greedy(ids)
    verdict = "ok" if worst <= TOLERANCE and new == expected else "DIFFERS"
    losses = f"loss {ours['loss']:.4f} for {nll.mean():.4f}, {worst:.1e}"
    same = next((n for n, (a, b) in enumerate(zip(new, expected)) if a != b), min(len(new), len(expected)))
    print(f"{verdict:7} {path.name}: {len(ids)} tokens, {losses}; {same} of {len(expected)} new tokens{note}")
    return worst if new == expected else float("inf")


def main():
    arguments = parse_arguments()
    reference = Reference(arguments.model)
    worst = max(compare(arguments, reference, path) for path in arguments.files)
    print(f"transformers {transformers.__version__}: worst difference {worst:.1e}")
    sys.exit(0 if worst <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
