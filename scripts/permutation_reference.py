#!/usr/bin/env python3
"""Paired permutation tests by SciPy 1.17.1, for crates/longcode-stats/tests/permutation.json.

    python scripts/permutation_reference.py > crates/longcode-stats/tests/permutation.json

Cases of up to 12 samples are exact; the others are from 200,000 exchanges. Where samples weigh differently the statistic is
the difference of two ratios of sums, and a sample is exchanged with its weight.
"""

import json

import numpy
from scipy.stats import permutation_test

rng = numpy.random.default_rng(0)


def case(name, a, b):
    a, b = (numpy.asarray(side, dtype=float) for side in (a, b))
    both = numpy.concatenate([a, b])
    index = numpy.arange(len(a))

    def statistic(x, y, axis=-1):
        # Along the axis are the numbers of samples among those of both sides.
        x, y = (both[numpy.moveaxis(side, axis, -1).astype(int)].sum(axis=-2) for side in (x, y))
        return x[..., 0] / x[..., 1] - y[..., 0] / y[..., 1]

    exact = len(a) <= 12
    found = permutation_test(
        (index, index + len(a)), statistic, permutation_type="samples", vectorized=True, batch=1000,
        n_resamples=numpy.inf if exact else 200_000, rng=numpy.random.default_rng(1),
    )
    return {
        "name": name, "exact": exact, "pairs": a.tolist(), "others": b.tolist(),
        "difference": float(found.statistic), "p": float(found.pvalue),
    }


def alike(values):
    return [[value, 1.0] for value in values]


cases = []
for n in [3, 6, 9, 12, 40, 300]:
    a = rng.normal(size=n)
    cases.append(case(f"{n} means", alike(a), alike(a - 0.3 + rng.normal(size=n))))
    weights = rng.integers(50, 900, size=n)
    loss = rng.gamma(4, 0.5, size=n)
    same = [[value * w, w] for value, w in zip(loss, weights)]
    near = [[(value + 0.1 + rng.normal() / 3) * w, w] for value, w in zip(loss, weights)]
    cases.append(case(f"{n} losses over tokens", same, near))
    other = [[value * w * 1.1, w + rng.integers(0, 60)] for value, w in zip(loss, weights)]
    cases.append(case(f"{n} losses over other tokens", same, other))
    hits = rng.random(n) < 0.6
    cases.append(case(f"{n} hits", alike(hits), alike(rng.random(n) < 0.4)))
ties = [0, 0, 1, 1, 2, 2, 2, 3, 3, 5]
cases.append(case("10 with ties", alike(ties), alike([1, 0, 0, 1, 0, 2, 1, 1, 0, 3])))
cases.append(case("8 that are all larger by the same", alike([value + 1 for value in ties[:8]]), alike(ties[:8])))
print(json.dumps({"cases": cases}, indent=1))
