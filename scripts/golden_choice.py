"""Which keys `blocks` and `structure` choose, and what a text gives them, for make_golden.py: docs/encodings.md
("Keys that are chosen", "Segments") in numpy, one query, one key and one block after the other."""

import hashlib
import math
from itertools import pairwise

import numpy as np


class Text:
    """What a case says about its text (`given`), and what follows from that."""

    def __init__(self, given, L):
        self.given, self.L = given, L
        self.files = given.get("files", [0])  # first token of each
        self.seed, self.hash = given.get("seed", 0), given.get("sha256", "")

    def draw(self, *words):
        words = " ".join(str(word) for word in words)
        return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big")

    def file_ranges(self):
        return list(pairwise([*self.files, self.L]))

    def inner(self, unit):
        """The index of each token's segment, of a unit that is no control."""
        if unit.startswith("tokens:"):
            return [i // int(unit.removeprefix("tokens:")) for i in range(self.L)]
        if unit == "file":
            return [sum(first <= i for first in self.files) - 1 for i in range(self.L)]
        return self.given["inner"] if "inner" in self.given else self.given["units"]

    def control(self, how, lengths_of_files):
        """The lengths of a control's parts, of the lengths that UNIT has in each file."""
        made = []
        for number, lengths in enumerate(lengths_of_files):
            T, n = sum(lengths), len(lengths)
            if how == "even":
                borders = [k * T // n for k in range(n + 1)]
                lengths = [b - a for a, b in pairwise(borders)]
            elif how == "shuffled":
                lengths = list(lengths)
                for k in range(n - 1, 0, -1):
                    r = self.draw("shuffled", self.seed, self.hash, number, k) % (k + 1)
                    lengths[k], lengths[r] = lengths[r], lengths[k]
            made += lengths
        return made

    def segment_lengths(self, unit):
        how, unit = split_control(unit)
        inner, of_files = self.inner(unit), []
        for start, end in self.file_ranges():
            begins = [start, *(t for t in range(start + 1, end) if inner[t] != inner[t - 1]), end]
            of_files.append([b - a for a, b in pairwise(begins)])
        if how is None:  # a segment may reach over a file's start
            begins = [0, *(t for t in range(1, self.L) if inner[t] != inner[t - 1]), self.L]
            return [b - a for a, b in pairwise(begins)]
        return self.control(how, of_files)

    def segments(self, unit):
        return [number for number, length in enumerate(self.segment_lengths(unit)) for _ in range(length)]

    def block_lengths(self, unit, shortest, longest):
        how, unit = split_control(unit)
        number = int(unit.removeprefix("tokens:")) if unit.startswith("tokens:") else None
        shortest = (1 if number else 32) if shortest is None else shortest
        longest = max(number or 512, shortest) if longest is None else longest
        inner, of_files = self.inner(unit), []
        for x in range(self.L):
            if x in self.files:
                of_files.append([0])
            elif of_files[-1][-1] == longest or inner[x] != inner[x - 1] and of_files[-1][-1] >= shortest:
                of_files[-1].append(0)
            of_files[-1][-1] += 1
        return self.control(how, of_files)

    def drawn_uses(self):
        """`uses`, with units drawn by chance in place of those that are pointed at."""
        units, uses = self.given["units"], self.given["uses"]
        drawn = {}  # of each unit A: what becomes of a unit
        for A in {units[c] for c, _ in uses}:
            targets = list(dict.fromkeys(unit for c, unit in sorted(uses) if units[c] == A))
            m, before = len(targets), list(range(A))
            for k in range(m):
                r = k + self.draw("edges", self.seed, self.hash, A, k) % (A - k)
                before[k], before[r] = before[r], before[k]
            drawn[A] = dict(zip(targets, before))
        return [[c, drawn[units[c]][unit]] for c, unit in uses]


def split_control(unit):
    for how in ("even", "shuffled"):
        if unit.startswith(f"{how}:"):
            return how, unit.removeprefix(f"{how}:")
    return None, unit


class Far:
    """What keys with t >= w turn by: a distance, and positions of queries and keys that differ by it."""

    def __init__(self, far, w, split, h, f):
        first = math.floor(split * h + 0.5)

        def by(of_clip, of_token, of_segment):
            def of_pair(p, i):
                return of_clip if far == "clip" else of_token(i) if far == "token" or p < first else of_segment(i)

            return of_pair

        self.query = by(w - 1, lambda i: i, lambda i: f[i] + w - 1)
        self.key = by(0, lambda j: j, lambda j: f[j])

    def delta(self, p, i, j):
        return self.query(p, i) - self.key(p, j)


def turned(x, position, theta):
    """`[L, d]`: each pair p, p + h of token i turned by position(p, i) theta_p."""
    h = len(theta)
    angles = np.array([[position(p, i) * theta[p] for p in range(h)] for i in range(len(x))])
    cos, sin = np.cos(angles), np.sin(angles)
    low, high = x[:, :h], x[:, h:]
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], -1)


class Blocks:
    """The choice of `blocks`: what every query of every key head of a layer sees."""

    def __init__(self, text, theta, far, lengths, *, w, sinks, top, score, by, representatives):
        self.text, self.theta, self.far = text, theta, far
        self.w, self.sinks, self.top = w, sinks, top
        self.score, self.by, self.representatives = score, by, representatives
        self.starts = [sum(lengths[:n]) for n in range(len(lengths))]
        self.ends = [*self.starts[1:], text.L]
        self.margin = math.inf  # the closest choice so far

    def __call__(self, layer, q, k, near_logits):
        """`q [heads, L, d]`, `k [key heads, L, d]` before they turn, `near_logits [heads, L, L]` of distances t."""
        group, L = len(q) // len(k), self.text.L
        of_heads = [
            self.scores(layer, g, q[g * group : (g + 1) * group], k[g], near_logits[g * group : (g + 1) * group])
            for g in range(len(k))
        ]
        who = [[score] for score in of_heads]
        if self.by == "layer":
            who = [of_heads[:1] if self.score == "random" else of_heads] * len(k)
        return np.array([[self.of_query(i, scores) for i in range(L)] for scores in who])

    def of_query(self, i, scores):
        b = max(i - self.w + 1, 0)
        open_blocks = [B for B, end in enumerate(self.ends) if end <= b]
        e = max((self.ends[B] for B in open_blocks), default=0)
        seen = np.array([e <= j <= i or j < self.sinks and j <= i for j in range(self.text.L)])
        for B in self.best(open_blocks, self.top, lambda B: sum(score(i, B) for score in scores)):
            seen[self.starts[B] : self.ends[B]] = True
        return seen

    def best(self, numbers, count, score):
        """Those with the largest scores, of equal ones the later."""
        if len(numbers) <= count or count == 0:
            return numbers[:count]
        scores = {n: score(n) for n in numbers}
        order = sorted(numbers, key=lambda n: (scores[n], n), reverse=True)
        last, first_not = scores[order[count - 1]], scores[order[count]]
        if last != first_not and self.score != "random":
            self.margin = min(self.margin, (last - first_not) / max(abs(x) for x in scores.values()))
        return order[:count]

    def scores(self, layer, g, q, k, near_logits):
        """The score of block B for query i."""
        if self.score == "random":
            return lambda i, B: self.text.draw("random", self.text.seed, self.text.hash, layer, g, B)
        q = turned(q.mean(0), self.far.query, self.theta)
        k = turned(k, self.far.key, self.theta)
        # Later blocks nobody can choose.
        ranges = [(a, b) for a, b in zip(self.starts, self.ends) if b <= self.text.L - self.w]
        if self.score == "bounds":
            largest = [k[a:b].max(0) for a, b in ranges]
            smallest = [k[a:b].min(0) for a, b in ranges]
            return lambda i, B: float(np.maximum(q[i] * largest[B], q[i] * smallest[B]).sum())
        if self.score == "attended":
            mass = self.masses(near_logits)
            speak = [self.best(range(a, b), self.representatives, lambda j: mass[j]) for a, b in ranges]
            means = [k[keys].mean(0) for keys in speak]
        else:
            means = [k[a:b].mean(0) for a, b in ranges]
        return lambda i, B: float(q[i] @ means[B])

    def masses(self, near_logits):
        """Of every key: its softmax weight among the window's keys alone, over the queries that have it there."""
        mass = np.zeros(self.text.L)
        for logits in near_logits:
            for i in range(self.text.L):
                first = max(i - self.w + 1, 0)
                weights = np.exp(logits[i, first : i + 1] - logits[i, first : i + 1].max())
                mass[first : i + 1] += weights / weights.sum()
        return mass


def structure_sees(text, *, w, sinks, own, imports, signatures, globals, uses, shuffled):
    """Whether query i sees key j <= i."""
    given = text.given
    units = given["units"]
    flags = {"imports": imports, "signatures": signatures, "globals": globals}
    flagged = {j for name, wanted in flags.items() if wanted for j in given[name]}
    pairs = text.drawn_uses() if shuffled else given["uses"]
    pointed = {}  # of each unit: (from which token on, unit)
    for c, unit in pairs if uses else []:
        pointed.setdefault(units[c], []).append((c, unit))

    def sees(i, j):
        return (
            i - j < w
            or j < sinks
            or own and units[i] == units[j]
            or j in flagged
            or any(c <= i and unit == units[j] for c, unit in pointed.get(units[i], []))
        )

    return sees
