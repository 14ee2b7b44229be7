#!/usr/bin/env python3
"""Draws the cases of tests/golden/choice: kinds that choose keys, with keys and texts at random, and their vectors.

    pip install numpy safetensors
    python3 scripts/draw_golden_cases.py --seed 0 --out tests/golden

Every score, distance and chooser of `blocks` and every distance of `structure` is there, in texts of several files, with
controls, odd lengths, and (of attention alone) other numbers of heads and dimensions. What make_golden.py computes of
them is stored, and so are the queries, keys and values of attention. A case whose closest choice is closer than
`CLOSEST` is drawn again: two right implementations could differ there.
"""

import argparse
import random
from itertools import cycle, product
from pathlib import Path

import make_golden
import numpy as np

CLOSEST = 5e-5
SHAPES = [(3, 1, 8), (4, 4, 16), (6, 2, 12), (2, 1, 64), (8, 2, 16), (3, 3, 20)]  # heads, key heads, dimensions
UNITS = ["tokens:5", "tokens:16", "function", "file", "even:function", "shuffled:function", "even:tokens:9",
         "shuffled:tokens:7", "tokens:1", "function"]  # fmt: skip


class Drawer:
    def __init__(self, seed, llama):
        self.random = random.Random(seed)
        self.llama = llama

    def cases(self):
        scores = ["mean", "bounds", "attended", "random"]
        of_blocks = product(scores, ["clip", "token", "hirope"], ["head", "layer"])
        units = cycle(UNITS)
        keys = [("blocks", self.of_blocks(*one, next(units))) for one in of_blocks]
        of_structure = product(["clip", "token", "hirope"], [False, True], range(2))
        return keys + [("structure", self.of_structure(far, shuffled)) for far, shuffled, _ in of_structure]

    def of_blocks(self, score, far, by, unit):
        keys = {"unit": unit, "window": self.random.randint(1, 40), "top": self.random.randint(1, 5)}
        keys |= {"score": score, "by": by, "far": far, "sinks": self.random.randint(0, 6)}
        if score == "attended":
            keys["representatives"] = self.random.randint(1, 6)
        if "tokens" not in unit or self.random.random() < 0.3:
            shortest = self.random.randint(1, 9)
            keys |= {"shortest": shortest, "longest": self.random.randint(shortest, 24)}
        return keys | self.of_every_kind(far)

    def of_structure(self, far, shuffled):
        keys = {"window": self.random.randint(1, 20), "sinks": self.random.randint(0, 6), "far": far}
        keys |= {key: False for key in ("own", "imports", "signatures", "globals") if self.random.random() < 0.3}
        if shuffled:
            keys["shuffled"] = True
        elif self.random.random() < 0.3:
            keys["uses"] = False
        return keys | self.of_every_kind(far)

    def of_every_kind(self, far):
        keys = {"split": self.random.choice([0.25, 0.4, 0.75])} if far == "hirope" else {}
        choice = self.random.random()
        if choice < 0.2:
            keys["logn"] = True
        elif choice < 0.35:
            keys["temperature"] = 0.2
        return keys

    def given(self, kind, L):
        files = [0] + sorted(self.random.sample(range(20, L - 10), self.random.choice([0, 0, 1, 2])))
        inner, number = [], -1
        while len(inner) < L:
            number += 1
            inner += [number] * self.random.choice([1, 3, 8, 14, 22])
        inner = inner[:L]
        # A file's start begins a segment.
        borders = [t for t in range(L) if t in files or t and inner[t] != inner[t - 1]]
        inner = [sum(border <= t for border in borders) - 1 for t in range(L)]
        given = {"seed": self.random.randint(0, 9), "files": files, "sha256": f"{self.random.getrandbits(256):064x}"}
        return given | (self.references(inner, L) if kind == "structure" else {"inner": inner})

    def references(self, units, L):
        def flags():
            return sorted(t for start in self.random.sample(range(L), 3) for t in range(start, min(start + 6, L)))

        uses = {(c, self.random.randrange(units[c])) for c in self.random.choices(range(L), k=L // 6) if units[c]}
        names = ("imports", "signatures", "globals")
        return {"units": units, "uses": sorted(map(list, uses))} | {name: sorted(set(flags())) for name in names}

    def ids(self, L):
        return [self.random.randrange(self.llama.config["vocab_size"]) for _ in range(L)]

    def vectors(self, shape, L):
        heads, key_heads, d = shape
        draw = np.random.default_rng(self.random.getrandbits(32)).standard_normal
        return {name: draw((n, L, d)).astype(np.float32) for name, n in zip("qkv", (heads, key_heads, key_heads))}


def drawn(drawer, maker, number, kind, keys, shape=None):
    """A case whose choices are told apart, and its tensors; of attention alone if it has a shape."""
    while True:
        L = drawer.random.randint(90, 170)
        case = {"number": number, "kind": kind, **keys} | ({"heads": list(shape)} if shape else {})
        case["given"] = drawer.given(kind, L) | ({} if shape else {"ids": drawer.ids(L)})
        # To be made.
        case["given"] |= {"segments": [], "blocks": []} if kind == "blocks" else {}
        case["given"] |= {"uses_shuffled": []} if keys.get("shuffled") else {}
        tensors = maker.outputs_of_sight(case, drawer.vectors(shape, L)) if shape else maker.losses_of_sight(case)
        if case.get("margin", 1) > CLOSEST:
            case["given"] = case.pop("given")
            return case, tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    maker = make_golden.Maker(make_golden.GOLDEN, [file for file in make_golden.FILES if file != "choice"])
    drawer = Drawer(args.seed, maker.llama)
    of = f"drawn by scripts/draw_golden_cases.py --seed {args.seed}; notation as in sight.json"
    about, tensors = {"of": of, "cases": [], "attention": []}, {}
    wanted = [("cases", *one, None) for one in drawer.cases()]
    # One of each score, and two of structure.
    wanted += [("attention", *one, shape) for one, shape in zip(drawer.cases()[::6], SHAPES)]
    for where, kind, keys, shape in wanted:
        case, of_case = drawn(drawer, maker, len(about[where]), kind, keys, shape)
        about[where].append(case)
        tensors |= of_case
    make_golden.write(args.out, "choice", about, tensors)


if __name__ == "__main__":
    main()
