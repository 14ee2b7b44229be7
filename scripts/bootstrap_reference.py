"""Writes crates/longcode-stats/tests/reference.json: intervals computed in numpy, that crates/longcode-stats is held to.

    pip install numpy==2.4.6 scipy==1.17.1
    python scripts/bootstrap_reference.py crates/longcode-stats/tests/reference.json

Made-up documents: lengths and losses differ much between documents and buckets, little between the two encodings. Here
are 200,000 resamples, so that what is left between the two is the chance of our 10,000. The definitions are those of
docs/reports.md, "Intervals": residuals from the bucket's centre, pooled, drawn with replacement, each counted in the
place of the document that it is given to.
"""

import json
import sys

import numpy as np
from scipy import stats

RESAMPLES = 200_000
BATCH = 10_000
LEVEL = 0.05
SHORT_SIDE = 0.95
FIGURES = ("loss", "perplexity", "difference of losses", "difference of perplexities")


def buckets(strata):
    ends = np.cumsum(strata)
    return [slice(end - size, end) for end, size in zip(ends, strata)]


def influences(numerator, denominator, strata):
    """How much each document moves the ratio of sums, centred in its bucket, so that their squares add up to a
    variance."""
    total = denominator.sum(-1, keepdims=True)
    ratio = numerator.sum(-1, keepdims=True) / total
    off = (numerator - ratio * denominator) / total
    parts = []
    for bucket in buckets(strata):
        part = off[..., bucket]
        size = part.shape[-1]
        parts.append((part - part.mean(-1, keepdims=True)) * np.sqrt(size / (size - 1)))
    return ratio[..., 0], np.concatenate(parts, -1)


def standard_error(numerator, denominator, strata):
    return np.sqrt((influences(numerator, denominator, strata)[1] ** 2).sum(-1))


def student(denominator, strata):
    """Quantile of Student's distribution by Satterthwaite's degrees of freedom, for documents that spread alike."""
    weights = denominator / denominator.sum()
    variances = [(weights[bucket] ** 2).sum() for bucket in buckets(strata)]
    degrees = sum(variances) ** 2 / sum(v**2 / (size - 1) for v, size in zip(variances, strata))
    return stats.t.ppf(1 - LEVEL / 2, degrees)


def interval(numerator, denominator, strata, rng):
    """Value, ends and standard error of a ratio of sums."""
    n = len(numerator)
    value = numerator.sum() / denominator.sum()
    error = standard_error(numerator, denominator, strata)
    means, residuals = np.empty(n), np.empty(n)
    losses = numerator / denominator
    sizes = []
    for bucket in buckets(strata):
        means[bucket] = numerator[bucket].sum() / denominator[bucket].sum()
        sizes.append(denominator[bucket].sum() ** 2 / (denominator[bucket] ** 2).sum())
    within = ((losses - means) ** 2).sum() / (n - len(strata))
    of_buckets, sizes = np.array([means[bucket.start] for bucket in buckets(strata)]), np.array(sizes)
    centre = np.average(of_buckets, weights=sizes)
    between = (sizes * (of_buckets - centre) ** 2).sum() / max(1, len(strata) - 1)
    kept = 0.0 if between <= within else 1 - within / between
    residuals = losses - centre - kept * (means - centre)
    residuals -= residuals.mean()
    residuals *= np.sqrt(within / (residuals**2).mean())
    off = []
    for _ in range(RESAMPLES // BATCH):
        drawn = residuals[rng.integers(0, n, (BATCH, n))]
        resampled = denominator * (means + drawn)
        shift = resampled.sum(-1) / denominator.sum() - value
        off.append(shift / standard_error(resampled, np.broadcast_to(denominator, resampled.shape), strata))
    low, high = np.quantile(np.concatenate(off), [LEVEL / 2, 1 - LEVEL / 2])
    effective = denominator.sum() ** 2 / (denominator**2).sum()
    wide = 1 + (1 / 3 + (len(strata) - 1) / 10) / effective
    short = SHORT_SIDE * student(denominator, strata)
    return value, value - max(high * wide, short) * error, value + max(-low * wide, short) * error, error


def of_exponentials(ratios, other, denominator, strata):
    """The difference of two perplexities from that of the losses, by square-and-add with what the other's loss is
    off."""
    value, low, high, error = ratios
    base = other.sum() / denominator.sum()
    off = student(denominator, strata) * standard_error(other, denominator, strata)
    at = lambda base, ratio: np.exp(base) * np.expm1(ratio)
    measured = at(base, value)

    def end(ratio, sign):
        shift = max(0, *(sign * (at(base + by, value) - measured) for by in (-off, off)))
        far = measured + sign * np.hypot(at(base, ratio) - measured, shift)
        return np.clip(far, *sorted(at(base + by, ratio) for by in (-off, off)))

    return measured, end(low, -1), end(high, 1), error * np.exp(base + value)


def case(name, strata, rng):
    n = sum(strata)
    tokens = np.round(rng.lognormal(7, 0.7, n)) + 2
    bucket = np.repeat(np.linspace(0.0, 0.8, len(strata)), strata)
    document = rng.normal(1.2, 0.35, n) + bucket
    ours, other = [np.round(tokens * (document + shift + rng.normal(0, 0.02, n)), 3) for shift in (0.0, 0.01)]
    if name.startswith("difference"):
        found = interval(ours - other, tokens, strata, rng)
        if name.endswith("perplexities"):
            found = of_exponentials(found, other, tokens, strata)
    else:
        found = interval(ours, tokens, strata, rng)
        if name == "perplexity":
            found = *np.exp(found[:3]), found[3] * np.exp(found[0])
    value, low, high, error = map(float, found)
    return {
        "figure": name,
        "strata": strata,
        "pairs": np.stack([ours, tokens], 1).tolist(),
        "other": np.stack([other, tokens], 1).tolist(),
        "value": value,
        "low": low,
        "high": high,
        "standard_error": error,
    }


def main():
    rng = np.random.default_rng(20240419)
    designs = ([12], [20], [60], [6, 8, 10], [4, 4, 4, 4, 4])
    cases = [case(name, strata, rng) for name in FIGURES for strata in designs]
    made = f"scripts/bootstrap_reference.py, numpy {np.__version__}, {RESAMPLES} resamples"
    with open(sys.argv[1], "w") as file:
        json.dump({"made": made, "cases": cases}, file, indent=None)
        file.write("\n")


main()
