#!/usr/bin/env python3
"""structure.csv says what samples.jsonl says: `difference` and `mean_length` of every line, made again.

usage: python3 scripts/check_structure_csv.py RESULTS [REPORT]

RESULTS has samples.jsonl and config.toml; structure.csv is in REPORT, which is RESULTS where it is not given. A figure is
a ratio of sums over the samples that the unit's row and the control's row both have, as in summary.csv; `difference` is
above 0 where the unit is better; `mean_length` is tokens over segments of the unit's row. Figures that are made again:
`loss` over all tokens or from a position on, `exact_match` of lookup, and any that a task stores under its name. Of
others `mean_length` alone, and a line says so. Exits with 1 where something differs by more than 1e-9 of its size.
Standard library only (Python 3.11).
"""

import csv
import json
import math
import re
import sys
import tomllib
from pathlib import Path

TOLERANCE = 1e-9
LOWER_IS_BETTER = {"loss"}
PERCENT = 100.0


def key(row):
    """What rows share that differ in `unit` alone."""
    return json.dumps({k: v for k, v in row.items() if k not in ("name", "unit", "sweep")}, sort_keys=True, default=str)


def measure(outcome, metric):
    """Numerator and denominator of a sample's figure; None where it has none that can be made here."""
    name, _, start = metric.partition(" from ")
    if name == "loss" and start:
        distances = outcome.get("distances")
        if distances is None or distances["from"] != int(start):
            return None
        return sum(distances["copy"]["nll"]), sum(distances["copy"]["tokens"])
    if name == "loss":
        return sum(outcome["nll"]), outcome["tokens"]
    if name == "exact_match" and "returns" in outcome:
        found = re.match(r"\s*([0-9]*)", outcome["generated"]).group(1)
        return float(found == str(outcome["returns"][0])), 1
    value = outcome.get(name)
    if isinstance(value, bool):
        return PERCENT * value, 1
    return (value, 1) if isinstance(value, (int, float)) else None


def plain(cell):
    """A name without the sign that keeps a spreadsheet from taking it for a formula."""
    return cell[1:] if re.match("'[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]", cell) else cell


def ratio(pairs):
    return math.fsum(a for a, _ in pairs) / math.fsum(b for _, b in pairs)


def segments_level(unit, control):
    """The first level in which units differ."""
    pairs = zip(unit.split("/"), control.split("/"))
    return next(level for level, (one, other) in enumerate(pairs) if one != other)


def near(one, other, scale):
    return abs(one - other) <= TOLERANCE * max(abs(one), abs(other), scale)


def check(line, rows, samples):
    """What is wrong with a line, and whether its figure could be made again."""
    own = next(row for row in rows if row["name"] == line["encoding"])
    controls = [row["name"] for row in rows if row.get("unit") == line["control"] and key(row) == key(own)]
    of = lambda encoding: samples.get((line["model"], line["task"], encoding), {})
    found = []
    for control in controls:
        wrong, done = [], False
        shared = sorted(of(line["encoding"]).keys() & of(control).keys())
        both = [(of(line["encoding"])[sample], of(control)[sample]) for sample in shared]
        measured = [[measure(one["outcome"], line["metric"]) for one in pair] for pair in both]
        kept = [n for n, pair in enumerate(measured) if None not in pair]
        if kept:
            values = [ratio([measured[n][side] for n in kept]) for side in (0, 1)]
            sign = -1 if line["metric"].split(" ")[0] in LOWER_IS_BETTER else 1
            worth = sign * (values[0] - values[1])
            done = True
            # A difference is as exact as what it is a difference of.
            if not near(worth, float(line["difference"]), max(map(abs, values))):
                wrong.append(f"difference is {line['difference']}, not {worth!r}")
        level = segments_level(line["unit"], line["control"])
        units = [both[n][0] for n in (kept or range(len(both)))]
        known = bool(units) and all(len(one.get("segments", [])) > level for one in units)
        length = ratio([(one["tokens"], one["segments"][level]) for one in units]) if known else None
        if (length is None) != (line["mean_length"] == ""):
            wrong.append(f"mean_length is {line['mean_length']!r}, not {length}")
        elif length is not None and not near(length, float(line["mean_length"]), 0.0):
            wrong.append(f"mean_length is {line['mean_length']}, not {length!r}")
        found.append((wrong, done))
    if not found:
        return ["no row of the config is its control"], False
    return min(found, key=lambda one: len(one[0]))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    results, report = Path(sys.argv[1]), Path(sys.argv[-1])
    rows = tomllib.loads((results / "config.toml").read_text())["encoding"]
    samples = {}
    for text in (results / "samples.jsonl").read_text().splitlines():
        line = json.loads(text)
        if "outcome" in line:
            place = samples.setdefault((line["model"], line["task"], line["encoding"]), {})
            place.setdefault((line["bucket"], line["sample"]), line)
    with open(report / "structure.csv", newline="") as file:
        lines = [{name: plain(cell) for name, cell in line.items()} for line in csv.DictReader(file)]
    failed = 0
    for line in lines:
        name = f"{line['task']}, {line['encoding']} against {line['control']}"
        wrong, done = check(line, rows, samples)
        failed += bool(wrong)
        for what in wrong:
            print(f"{name}: {what}")
        if not done and not wrong:
            print(f"{name}: {line['metric']} is not made again here")
    print(f"{len(lines)} lines, {failed} wrong")
    sys.exit(1 if failed or not lines else 0)


if __name__ == "__main__":
    main()
