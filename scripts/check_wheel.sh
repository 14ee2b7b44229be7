#!/usr/bin/env bash
# Installs a wheel into a fresh virtual environment, runs its quickstart on one sample a bucket in an empty folder, and
# reads the results from Python: check_wheel.sh WHEEL [PYTHON]
set -euo pipefail
wheel=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${2:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "$wheel[pandas,polars]"
cd "$work"
venv/bin/longcode --version
venv/bin/longcode quickstart --limit 1 --device cpu > terminal.txt
head -n 20 terminal.txt
venv/bin/python - <<'PYTHON'
import csv

import longcode

place = "longcode-quickstart/results/quickstart"
results = longcode.load(place)
with open(f"{place}/summary.csv", encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
assert len(results.summary) == len(rows) > 0
assert list(results.summary["value"]) == [float(row["value"]) for row in rows]
assert {"difference", "excludes_0"} <= set(results.differences.columns)
assert results.differences["excludes_0"].dtype == bool
samples = results.samples
assert samples["outcome"].notna().all() and set(samples["encoding"]) == set(results.summary["encoding"])
polars = longcode.load(place, frames="polars")
assert polars.summary.shape == results.summary.shape and polars.samples.height == len(samples)
assert results.environment["models"][0]["trained_length"] == 512
for wrong in ({"directory": "."}, {"directory": place, "frames": "arrow"}):
    try:
        longcode.load(**wrong)
    except (FileNotFoundError, ValueError) as error:
        print("refused:", error)
    else:
        raise AssertionError(wrong)
print(len(samples), "samples,", len(rows), "figures read")
PYTHON
