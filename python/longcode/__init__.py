"""Results of longcode as data frames. Nothing is computed here: the numbers are those that the program wrote.

    import longcode
    results = longcode.load("results/quickstart")
    results.summary          # every figure with its interval
    results.differences      # every figure less the baseline's
    results.samples          # one line for each sample and encoding

Frames are pandas', or polars' with ``load(dir, frames="polars")``; neither is needed to import this module.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

__all__ = ["Results", "load"]

# Columns of the CSV files that are no texts.
_NUMBERS = {
    "value", "ci_low", "ci_high", "difference", "all_low", "all_high", "contribution", "share", "mean_length", "before",
    "gain", "gain_low", "gain_high",
}  # fmt: skip
_COUNTS = {"n", "context", "effective"}
_BOOLEANS = {"excludes_0", "told_apart"}


class Results:
    """A results directory of ``longcode run``. Frames are read when they are asked for."""

    def __init__(self, directory: str | Path, frames: str = "pandas") -> None:
        self.directory = Path(directory)
        if not (self.directory / "environment.json").is_file():
            raise FileNotFoundError(f"{self.directory} is not a results directory: it has no environment.json")
        if frames not in ("pandas", "polars"):
            raise ValueError(f'frames is "{frames}": use "pandas" or "polars"')
        self._frames = frames

    def __repr__(self) -> str:
        return f"longcode.load({str(self.directory)!r})"

    @property
    def environment(self) -> dict[str, Any]:
        """Where and from what the numbers were made: versions, hashes, notes."""
        return json.loads((self.directory / "environment.json").read_text("utf-8"))

    @property
    def notes(self) -> list[str]:
        """What a reader of the numbers must know."""
        return self.environment.get("notes", [])

    @property
    def samples(self) -> Any:
        """One row for each sample and encoding: ``outcome`` is what its task measured, ``failed`` why there is none."""
        path = self.directory / "samples.jsonl"
        keys = ["model", "encoding", "task", "sample", "bucket", "tokens", "segments", "sha256", "seconds", "outcome",
                "failed"]  # fmt: skip
        columns: dict[str, list[Any]] = {key: [] for key in keys}
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                # A last line that was cut by a kill does not count.
                if line.endswith("\n"):
                    record = json.loads(line)
                    for key in keys:
                        columns[key].append(record.get(key))
        return self._frame(columns)

    @property
    def summary(self) -> Any:
        """Every figure: ``value`` with its interval, over ``n`` samples."""
        return self.table("summary")

    @property
    def differences(self) -> Any:
        """Every figure less the baseline's, over the samples that both have."""
        return self.table("differences")

    def table(self, name: str) -> Any:
        """Another CSV file of the report: ``contributions``, ``structure``, ``curve``."""
        path = self.directory / f"{name}.csv"
        if not path.is_file():
            there = sorted(file.stem for file in self.directory.glob("*.csv"))
            raise FileNotFoundError(f"{path} does not exist; there are {', '.join(there) or 'none'}")
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = next(rows)
            columns: dict[str, list[Any]] = {name: [] for name in header}
            for row in rows:
                for column, cell in zip(header, row, strict=True):
                    columns[column].append(_value(column, cell))
        return self._frame(columns)

    def _frame(self, columns: dict[str, list[Any]]) -> Any:
        if self._frames == "polars":
            import polars

            # Outcomes differ from task to task, and a polars column has one type: they stay JSON.
            texts = {
                key: [value if value is None else json.dumps(value) for value in values]
                for key, values in columns.items()
                if key == "outcome"
            }
            return polars.DataFrame({**columns, **texts}, strict=False)
        import pandas

        return pandas.DataFrame(columns)


def load(directory: str | Path, frames: str = "pandas") -> Results:
    """The results in a directory that ``longcode run`` or ``longcode report`` wrote."""
    return Results(directory, frames)


def _value(column: str, cell: str) -> Any:
    if cell == "":
        return None
    if column in _NUMBERS:
        return float(cell)
    if column in _COUNTS:
        return int(cell) if cell.lstrip("-").isdigit() else cell
    if column in _BOOLEANS:
        return cell == "true"
    # Before what a spreadsheet would take for a formula stands a quote.
    return cell[1:] if len(cell) > 1 and cell[0] == "'" and cell[1] in "=+-@\t\r\n＝＋－＠" else cell
