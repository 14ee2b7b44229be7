#!/usr/bin/env python3
"""The same losses on every way to multiply that this processor has, and on older processors, under qemu.

usage: python3 scripts/check_processors.py LONGCODE_BINARY

Scores the head of this file with models/nano in every precision: as the processor is, with LONGCODE_CPU set to each way
that `longcode devices` lists, and under `qemu-x86_64 -cpu` Haswell (AVX2) and Nehalem (neither AVX nor FMA). In f32 a
token may differ by 1e-4, in split by 1e-3; in bf16 the mean by 2e-2. Says so where qemu-x86_64 (Debian: qemu-user) is not
there, and exits with 1 if anything differs.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TOKENS = 120
OLDER = ["Haswell", "Nehalem"]
TOLERANCES = {"f32": 1e-4, "split": 1e-3}  # of a token
BF16_TOLERANCE = 2e-2  # of the mean


def losses(longcode, text, precision, emulator=(), products=None):
    """The loss of every token."""
    environment = {**os.environ, **({"LONGCODE_CPU": products} if products else {})}
    command = [
        *emulator, longcode, "score", "--model", REPOSITORY / "models/nano", "--encoding", "hirope:window=32",
        "--max-tokens", TOKENS, "--device", "cpu", "--precision", precision, "--json", text,
    ]  # fmt: skip
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return json.loads(done.stdout)["nll"]


def ways(longcode):
    """Each way to run it: its name, and what `losses` takes."""
    told = subprocess.run([longcode, "devices"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    found = re.search(r"(\w+) products(?: \(LONGCODE_CPU can choose (.*)\))?", told)
    for products in [found[1], *(found[2].split(", ") if found[2] else [])]:
        yield products, {"products": products}
    if shutil.which("qemu-x86_64"):
        for processor in OLDER:
            yield processor, {"emulator": ["qemu-x86_64", "-cpu", processor]}
    else:
        print("skipped: no qemu-x86_64, so no older processors")


def main():
    longcode, failed = sys.argv[1], False
    with tempfile.NamedTemporaryFile("w", suffix=".py") as text:
        text.write(Path(__file__).read_text()[:2000])
        text.flush()
        expected = losses(longcode, text.name, "f32")
        for name, options in ways(longcode):
            for precision in ["f32", "split", "bf16"]:
                found = losses(longcode, text.name, precision, **options)
                worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
                mean = abs(sum(found) - sum(expected)) / len(expected)
                close = worst <= TOLERANCES[precision] if precision in TOLERANCES else mean <= BF16_TOLERANCE
                failed |= not close
                print(f"{'ok' if close else 'DIFFERS':7} {name}, {precision}: a token by {worst:.1e}, mean by {mean:.1e}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
