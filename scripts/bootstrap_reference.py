"""Writes tests/bootstrap.json: studentised intervals, computed in numpy, that src/stats is held to.

    pip install numpy==2.4.6
    python scripts/bootstrap_reference.py tests/bootstrap.json

Made-up documents: lengths and losses differ much between documents and buckets, little between the two encodings. Here
are 200,000 resamples, so that what is left between the two is the chance of our 10,000. Standard errors are by
linearisation (the jackknife's to first order), within strata.
"""

import json
import sys

import numpy as np

RESAMPLES = 200_000
BATCH = 10_000
SCALES = {
    "loss": (lambda x: x, np.ones_like, False),
    "perplexity": (lambda x: x, np.ones_like, False),  # the interval is that of the loss, then exp of it
    "difference of losses": (lambda x: x, np.ones_like, True),
    "difference of perplexities": (np.exp, np.exp, True),
}


def figure(numerator, denominator, scale, slope):
    """Value and influences of `[..., n]` sums."""
    total = denominator.sum(-1, keepdims=True)
    ratio = numerator.sum(-1, keepdims=True) / total
    return scale(ratio)[..., 0], slope(ratio) * (numerator - ratio * denominator) / total


def standard_error(influences, strata):
    variance, start = 0.0, 0
    for size in strata:
        part = influences[..., start : start + size]
        variance = variance + size / (size - 1) * ((part - part.mean(-1, keepdims=True)) ** 2).sum(-1)
        start += size
    return np.sqrt(variance)


def statistic(pairs, others, name):
    scale, slope, paired = SCALES[name]
    value, influences = figure(*pairs, scale, slope)
    if paired:
        other, of_other = figure(*others, scale, slope)
        value, influences = value - other, influences - of_other
    return value, influences


def draw(strata, rng):
    start, parts = 0, []
    for size in strata:
        parts.append(start + rng.integers(0, size, (BATCH, size)))
        start += size
    return np.concatenate(parts, 1)


def case(name, strata, rng):
    n = sum(strata)
    tokens = np.round(rng.lognormal(7, 0.7, n)) + 2
    bucket = np.repeat(np.linspace(0.0, 0.8, len(strata)), strata)
    document = rng.normal(1.2, 0.35, n) + bucket
    pairs, others = [
        np.stack([np.round(tokens * (document + shift + rng.normal(0, 0.02, n)), 3), tokens]) for shift in (0.0, 0.01)
    ]
    value, influences = statistic(pairs, others, name)
    error = standard_error(influences, strata)
    off = []
    for _ in range(RESAMPLES // BATCH):
        drawn = draw(strata, rng)
        resampled, influences = statistic(pairs[:, drawn], others[:, drawn], name)
        off.append((resampled - value) / standard_error(influences, strata))
    low, high = np.quantile(np.concatenate(off), [0.025, 0.975])
    wide = np.sqrt(n / (n - 1))
    ends = [value - high * wide * error, value - low * wide * error]
    if name == "perplexity":
        error, value, ends = error * np.exp(value), np.exp(value), list(np.exp(ends))
    return {
        "figure": name,
        "strata": strata,
        "pairs": pairs.T.tolist(),
        "other": others.T.tolist(),
        "value": float(value),
        "low": float(ends[0]),
        "high": float(ends[1]),
        "standard_error": float(error),
    }


def main():
    rng = np.random.default_rng(20240419)
    designs = ([12], [20], [60], [6, 8, 10])
    cases = [case(name, strata, rng) for name in SCALES for strata in designs]
    made = f"scripts/bootstrap_reference.py, numpy {np.__version__}, {RESAMPLES} resamples"
    with open(sys.argv[1], "w") as file:
        json.dump({"made": made, "cases": cases}, file, indent=None)
        file.write("\n")


main()
