#!/usr/bin/env python3
"""Checks `context` and the losses by distance of `longcode` against transformers, CPython's tokenize and its ast.

usage: python3 scripts/check_far_context.py LONGCODE_BINARY [--files N] [--fixture FILE]

Needs torch and transformers. Windowed losses of tests/fixtures/python_difflib.py under models/nano are computed anew window by
window in float32 and must agree to 1e-4. Then N Python files (100) of the standard library, without f-strings, whose inside
tokenize does not look into: `longcode run` scores them, and in each the number of tokens of every group must be equal: by the
last copy of a pair of tokens, by the last use of an identifier (tokenize), by definition (ast); the groups' sums must be
those of `longcode score`'s losses.

--fixture FILE  write the windowed losses and the sums of their groups for tests/program/tasks.rs
"""

import argparse
import ast
import io
import json
import keyword
import os
import subprocess
import sys
import sysconfig
import tempfile
import tokenize
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import tokenizers
import torch
import transformers

REPOSITORY = Path(__file__).resolve().parent.parent
NANO = REPOSITORY / "models/nano"
SAMPLE = REPOSITORY / "tests/fixtures/python_difflib.py"
TOLERANCE = 1e-4
CONTEXT, STRIDE, FROM, EDGES = 96, 24, 64, [1, 8, 32, 128]
RUN = dict(starts=512, edges=[1, 128, 256, 512, 1024, 2048, 4096])


# ------------------------------------------------------------------------------------------------------- tokens


def encode(text):
    """Ids and byte offsets; nano's tokenizer adds BOS."""
    encoding = tokenizers.Tokenizer.from_file(str(NANO / "tokenizer.json")).encode(text)
    starts = [0]
    for character in text:
        starts.append(starts[-1] + len(character.encode()))
    ids, offsets = list(encoding.ids), [(starts[a], starts[b]) for a, b in encoding.offsets]
    config = json.loads((NANO / "tokenizer_config.json").read_text())
    if config.get("add_bos_token") and ids[0] != 0:
        ids, offsets = [0, *ids], [(0, 0), *offsets]
    return ids, offsets


def line_starts(text):
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    return starts


def identifiers(text):
    """(name, first byte) of every name that is no keyword, and the first bytes of names that are defined."""
    starts, lines = line_starts(text), text.splitlines()
    byte = lambda row, column: starts[row - 1] + len(lines[row - 1][:column].encode())
    names = [
        (token.string, byte(*token.start))
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string)
    ]
    by_byte = {at: name for name, at in names}
    defined = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            start = starts[node.lineno - 1] + node.col_offset  # ast counts bytes
            defined.add(min(at for at, name in by_byte.items() if at > start and name == node.name))
    return names, defined


def places(ids, offsets, text):
    """For each token its place by copy, reference and definition: "new", a distance, or None."""
    copy, last = [None] * len(ids), {}
    for t in range(1, len(ids)):
        pair = (ids[t - 1], ids[t])
        copy[t] = t - last[pair] if pair in last else "new"
        last[pair] = t
    reference, definition = [None] * len(ids), [None] * len(ids)
    names, defined = identifiers(text)
    used, definitions, taken = {}, {}, None
    for name, at in names:
        token = next((t for t, (start, end) in enumerate(offsets) if start <= at < end), None)
        if token is None:
            continue
        if token != taken:
            reference[token] = token - used[name] if used.get(name, token) < token else "new"
            if definitions.get(name, token) < token and at not in defined:
                definition[token] = token - definitions[name]
        taken, used[name] = token, token
        if at in defined:
            definitions[name] = token
    return {"copy": copy, "reference": reference, "definition": definition}


def groups(place, nll, starts, edges):
    """Tokens and losses of the groups: new, each distance, others."""
    counts, sums = [0] * (len(edges) + 2), [0.0] * (len(edges) + 2)
    for t in range(starts, len(place)):
        if place[t] == "new":
            group = 0
        elif place[t] is None or place[t] < edges[0]:
            group = len(edges) + 1
        else:
            group = sum(edge <= place[t] for edge in edges)
        counts[group] += 1
        sums[group] += nll[t - 1] if nll else 0.0
    return {"tokens": counts, "nll": sums}


# ------------------------------------------------------------------------------------------------------- windows


def windowed_losses(ids):
    """Every token from its own window, positions from 0, BOS in the place of each window's first token."""
    model = transformers.AutoModelForCausalLM.from_pretrained(NANO, dtype=torch.float32, attn_implementation="eager")
    kept, losses, start = CONTEXT - STRIDE, [], 0
    while start == 0 or start + kept < len(ids):
        window = ids[start : start + CONTEXT]
        with torch.no_grad():
            logits = model.eval()(torch.tensor([[ids[0], *window[1:]]])).logits[0, :-1]
        nll = torch.nn.functional.cross_entropy(logits, torch.tensor(window[1:]), reduction="none").tolist()
        losses += nll if start == 0 else nll[kept - 1 :]
        start += STRIDE
    return losses


def run(longcode, *arguments, cwd=None):
    done = subprocess.run([longcode, *map(str, arguments)], capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def check_windows(longcode, fixture):
    text = SAMPLE.read_text(encoding="utf-8")
    ids, offsets = encode(text)
    losses = windowed_losses(ids)
    spec = f"rope:context={CONTEXT},stride={STRIDE}"
    ours = json.loads(run(longcode, "score", "--model", NANO, "--encoding", spec, "--device", "cpu", "--json", SAMPLE))
    worst = max(abs(a - b) for a, b in zip(ours["nll"], losses, strict=True))
    print(f"{spec}: {len(losses)} losses, worst difference {worst:.1e}")
    if fixture:
        sums = {by: groups(place, losses, FROM, EDGES) for by, place in places(ids, offsets, text).items()}
        made = {"how": "python3 scripts/check_far_context.py LONGCODE --fixture FILE", "context": CONTEXT}
        made |= {"stride": STRIDE, "from": FROM, "copies": EDGES, "nll": [round(nll, 6) for nll in losses]}
        fixture.write_text(json.dumps(made | {"groups": sums}) + "\n")
    return worst <= TOLERANCE


# --------------------------------------------------------------------------------------------------------- files


def plain_files(count):
    """Files of the standard library of some length, without f-strings, that tokenize and ast read."""
    found = []
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.rglob("*.py"), key=lambda path: (len(path.parts), path)):
        if {"site-packages", "test", "tests", "lib2to3"} & set(path.parts):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if not 4_000 < len(text) < 60_000 or "\ufffd" in text or "\f" in text or "\r" in text:
            continue
        tree = ast.parse(text)
        if not any(isinstance(node, ast.JoinedStr) for node in ast.walk(tree)):
            found.append(path)
        if len(found) == count:
            break
    return found


def check_files(longcode, count):
    wrong, compared = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        texts = {str(path): path.read_text(encoding="utf-8") for path in plain_files(count)}
        lines = [json.dumps({"id": name, "text": text, "language": "python"}) for name, text in texts.items()]
        (scratch / "files.jsonl").write_text("\n".join(lines) + "\n")
        (scratch / "config.toml").write_text(
            f'name = "files"\n[[model]]\npath = "{NANO}"\n[[encoding]]\nkind = "rope"\ncontext = 512\n[[task]]\n'
            f'kind = "language_modeling"\ndataset = "files.jsonl"\nbuckets = [0, 8192]\nsamples = {len(texts)}\n'
            f"copies = {RUN['edges']}\n"
        )
        run(longcode, "run", "config.toml", "--device", "cpu", "--out", "out", cwd=scratch)
        for line in (scratch / "out/samples.jsonl").read_text().splitlines():
            line = json.loads(line)
            stored = line["outcome"].get("distances")
            if stored is None:
                continue
            text = texts[line["sample"]]
            ids, offsets = encode(text)
            for by, place in places(ids, offsets, text).items():
                expected = groups(place, None, RUN["starts"], RUN["edges"])["tokens"]
                compared += sum(expected)
                if stored[by]["tokens"] != expected:
                    wrong.append(f"{line['sample']}, {by}: {stored[by]['tokens']} for {expected}")
    print(f"{len(texts)} files, {compared} tokens in groups, {len(wrong)} differ")
    print("\n".join(wrong[:20]))
    return not wrong and len(texts) > 0


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("longcode", type=lambda path: Path(path).resolve())
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--fixture", type=Path)
    arguments = parser.parse_args()
    agree = check_windows(arguments.longcode, arguments.fixture)
    agree = check_files(arguments.longcode, arguments.files) and agree
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
