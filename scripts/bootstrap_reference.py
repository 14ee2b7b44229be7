"""Writes tests/bootstrap.json: intervals by scipy.stats.bootstrap that src/stats.rs is held to.

    pip install scipy==1.17.1
    python scripts/bootstrap_reference.py tests/bootstrap.json

Made-up documents: lengths and losses differ much between documents, little between the two encodings. scipy takes 200,000
resamples, so that what is left between the two is the chance of our 10,000.
"""

import json
import sys

import numpy as np
import scipy
from scipy.stats import bootstrap

RESAMPLES = 200_000


def ratio(numerator, denominator, axis):
    return numerator.sum(axis) / denominator.sum(axis)


STATISTICS = {
    "loss": lambda a, b, c, d, axis: ratio(a, b, axis),
    "perplexity": lambda a, b, c, d, axis: np.exp(ratio(a, b, axis)),
    "difference of losses": lambda a, b, c, d, axis: ratio(a, b, axis) - ratio(c, d, axis),
    "difference of perplexities": lambda a, b, c, d, axis: np.exp(ratio(a, b, axis)) - np.exp(ratio(c, d, axis)),
}


def case(name, n, rng):
    tokens = np.round(rng.lognormal(7, 0.7, n)) + 2
    document = rng.normal(1.2, 0.35, n)
    pairs = [np.round(tokens * (document + shift + rng.normal(0, 0.02, n)), 3) for shift in (0.0, 0.01)]
    data = (pairs[0], tokens, pairs[1], tokens)
    found = bootstrap(
        data,
        STATISTICS[name],
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=2_000,
        confidence_level=0.95,
        method="percentile",
        rng=rng,
    )
    return {
        "figure": name,
        "pairs": np.stack(data[:2], 1).tolist(),
        "other": np.stack(data[2:], 1).tolist(),
        "value": float(STATISTICS[name](*data, axis=-1)),
        "low": float(found.confidence_interval.low),
        "high": float(found.confidence_interval.high),
        "standard_error": float(found.standard_error),
    }


def main():
    rng = np.random.default_rng(20240419)
    cases = [case(name, n, rng) for name in STATISTICS for n in (4, 20, 100)]
    made = f"scripts/bootstrap_reference.py, scipy {scipy.__version__}, numpy {np.__version__}, {RESAMPLES} resamples"
    with open(sys.argv[1], "w") as file:
        json.dump({"made": made, "cases": cases}, file, indent=None)
        file.write("\n")


main()
