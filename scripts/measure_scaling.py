#!/usr/bin/env python3
"""Time and peak memory of a scoring pass against the length, for some encodings: a table and a picture.

usage: python3 scripts/measure_scaling.py LONGCODE_BINARY --model DIR --out DIR [--length N ...] [--encoding SPEC ...]

Runs `longcode bench` for one length and encoding after the other (each in a process of its own, so that a peak is its
own), and writes scaling.csv, scaling.md and scaling.svg. Lengths that are there already are not measured again, so that
long ones can be added later. Needs Python's standard library alone.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
from pathlib import Path

LENGTHS = [1024, 2048, 4096, 8192, 16384, 32768]
ENCODINGS = ["rope", "hirope:window=512,split=0.5"]
FIELDS = ["encoding", "length", "seconds", "tokens_per_second", "peak_rss_mb", "device", "repeats"]
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]  # Okabe and Ito's, told apart by the colour-blind
DASHES = ["", "6 3", "2 3", "8 3 2 3"]


def parse_arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("longcode", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--length", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--encoding", nargs="+", default=ENCODINGS)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=2048, help="tokens of the pass that is not timed")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def measure(arguments, encoding, length):
    command = [arguments.longcode, "bench", "--model", arguments.model, "--encoding", encoding, "--length", str(length)]
    command += ["--repeats", str(arguments.repeats), "--device", arguments.device, "--json"]
    command += ["--warm-up", str(arguments.warm_up)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr.strip())
    row = json.loads(run.stdout)
    print(f"{encoding} at {length}: {row['seconds']:.2f} s, peak {row['peak_rss_mb']:.0f} MB", file=sys.stderr)
    return {field: row[field] for field in FIELDS}


def read(path):
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["length"] = int(row["length"])
        row["seconds"], row["peak_rss_mb"] = float(row["seconds"]), float(row["peak_rss_mb"])
    return rows


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def table(rows, encodings):
    """Seconds and MB of each encoding by length, and time as a ratio to the first encoding's."""
    at = {(row["encoding"], row["length"]): row for row in rows}
    header = ["length"] + [f"{name}, {unit}" for name in encodings for unit in ("s", "MB")]
    header += [f"time, {name} / {encodings[0]}" for name in encodings[1:]]
    lines = [header, ["---:"] * len(header)]
    for length in sorted({row["length"] for row in rows}):
        found = [at.get((name, length)) for name in encodings]
        cells = [text for row in found for text in ((f"{row['seconds']:.2f}", f"{row['peak_rss_mb']:.0f}") if row else ("-", "-"))]
        ratios = [f"{row['seconds'] / found[0]['seconds']:.2f}" if row and found[0] else "-" for row in found[1:]]
        lines.append([str(length)] + cells + ratios)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def panel(rows, encodings, field, title, left):
    """A log-log chart of one field against the length."""
    width, height, top = 300, 220, 40
    lengths = sorted({row["length"] for row in rows})
    values = [row[field] for row in rows]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high += high == low
    spread = max(math.log2(lengths[-1] / lengths[0]), 1)
    x = lambda length: left + math.log2(length / lengths[0]) / spread * width
    y = lambda value: top + height - (math.log10(value) - low) / (high - low) * height
    parts = [f'<text x="{left}" y="{top - 14}" font-weight="bold">{title}</text>']
    for power in range(low, high + 1):
        level = y(10**power)
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{level + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for length in lengths:
        label = f"{length // 1024}k"
        parts.append(f'<text x="{x(length):.1f}" y="{top + height + 18}" text-anchor="middle">{label}</text>')
    for number, name in enumerate(encodings):
        own = sorted((row["length"], row[field]) for row in rows if row["encoding"] == name)
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        points = " ".join(f"{x(length):.1f},{y(value):.1f}" for length, value in own)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts += [f'<circle cx="{x(length):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>' for length, value in own]
    return parts


def picture(rows, encodings):
    parts = panel(rows, encodings, "seconds", "seconds a pass", 60)
    parts += panel(rows, encodings, "peak_rss_mb", "peak resident memory, MB", 440)
    parts.append('<text x="400" y="300" text-anchor="middle">tokens</text>')
    for number, name in enumerate(encodings):
        colour, dash, left = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)], 60 + 320 * number
        parts.append(f'<line x1="{left}" x2="{left + 28}" y1="326" y2="326" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts.append(f'<text x="{left + 34}" y="330">{name}</text>')
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="780" height="345" font-family="DejaVu Sans, sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = read(arguments.out / "scaling.csv")
    done = {(row["encoding"], row["length"]) for row in rows}
    for length in arguments.length:
        for encoding in arguments.encoding:
            if (encoding, length) in done:
                continue
            rows.append(measure(arguments, encoding, length))
            write_csv(arguments.out / "scaling.csv", rows)
            (arguments.out / "scaling.md").write_text(table(rows, arguments.encoding))
            (arguments.out / "scaling.svg").write_text(picture(rows, arguments.encoding))
    print(table(rows, arguments.encoding), end="")


if __name__ == "__main__":
    main()
