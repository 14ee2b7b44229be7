#!/usr/bin/env python3
"""What the GPU kernels become on interfaces that are not here: naga translates the WGSL of every kernel that
scoring and generating launch, on stored models of every number format, to SPIR-V, MSL and HLSL; spirv-val
checks the first, if it is installed.

    python3 scripts/gpu_offline.py LONGCODE [--table results/performance/gpu-kernels.csv] [--write]

LONGCODE is the program; the machine needs a Vulkan adapter (Mesa's software one is enough) and naga (`cargo
install naga-cli`). The table has, for each kernel and form, the lines, barriers, bytes of shared memory and
bindings of its text and the words of its SPIR-V. Without --write the texts are compared with the kept table,
and a kernel that is no longer there, is new, or has grown fails.
"""

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

COLUMNS = ["kernel", "forms", "lines", "barriers", "shared_bytes", "bindings", "spirv_words"]
SIZES = {"f32": 4, "u32": 4, "i32": 4, "f16": 2}


# Models with f16, bf16 and f32 weights; with layer norms; with heads that turn in part. Encodings of one zone
# and of three.
MODELS = [
    "llama-gqa-tied-float16",
    "granite-bfloat16",
    "llama-llama3-bias-float32",
    "starcoder2-sliding-float16",
    "phi3-partial-longrope-bfloat16",
]
ENCODINGS = ["rope", "dual_chunk:chunk=48,local=16"]


def texts(longcode, folder):
    """The WGSL of every kernel that the program launches, by CubeCL's own log; each text once."""
    source = folder / "text.py"
    source.write_text("".join(f"def f{n}(x):\n    return x + {n}\n" for n in range(40)))
    root = Path(__file__).resolve().parent.parent / "tests" / "transformers"
    found = {}
    for model in MODELS:
        for encoding in ENCODINGS:
            for command in [["score", "--max-tokens", "200"], ["generate", "--max-new-tokens", "2"]]:
                log = folder / "kernels.log"
                given = ["--model", root / model, "--encoding", encoding, "--device", "wgpu", source]
                environment = dict(os.environ, CUBECL_DEBUG_LOG=str(log))
                done = subprocess.run([longcode, *command, *given], env=environment, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{' '.join(map(str, done.args))}:\n{done.stderr}")
                found.update({text: name for name, text in wgsl(log.read_text())})
                log.unlink()
    return [(name, text) for text, name in found.items()]


def wgsl(log):
    """Name and text of each kernel in a log: its source is a block of ```wgsl after its name."""
    found = []
    for match in re.finditer(r"name: (\S+)(?:(?!```)[\s\S])*?```wgsl\n([\s\S]*?)```", log):
        found.append((match[1].split("::")[-1].split("<")[0], match[2]))
    return found


def shared_bytes(text):
    """Bytes of workgroup memory."""
    total = 0
    for of, lanes, kind, count in re.findall(r"var<workgroup> \w+\s*:\s*array<(vec(\d)<)?(\w+?)>?\s*,\s*(\d+)", text):
        total += SIZES.get(kind, 4) * int(lanes or 1) * int(count)
    return total


def translated(name, text, folder):
    """Words of the SPIR-V; naga's complaint ends the script."""
    source = folder / f"{name}.wgsl"
    source.write_text(text)
    for ending in ["spv", "metal", "hlsl"]:
        done = subprocess.run(["naga", str(source), str(source.with_suffix("." + ending))], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name}: naga makes no {ending} of it:\n{done.stderr}")
    binary = source.with_suffix(".spv")
    if shutil.which("spirv-val"):
        subprocess.run(["spirv-val", "--target-env", "vulkan1.1", str(binary)], check=True)
    return binary.stat().st_size // 4


def table(longcode):
    """A row for each kernel: the largest of its forms."""
    if not shutil.which("naga"):
        sys.exit("naga is not installed: cargo install naga-cli")
    rows, forms = {}, Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, text) in enumerate(texts(longcode, Path(folder))):
            words = translated(f"{name}-{number}", text, Path(folder))
            forms[name] += 1
            row = [text.count("\n"), text.count("workgroupBarrier()"), shared_bytes(text), text.count("@binding("), words]
            rows[name] = [max(pair) for pair in zip(rows.get(name, row), row)]
    if not rows:
        sys.exit("the log has no kernels: CubeCL writes it in another form")
    return [[name, forms[name], *rows[name]] for name in sorted(rows)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("longcode")
    arguments.add_argument("--table", type=Path, default=Path("results/performance/gpu-kernels.csv"))
    arguments.add_argument("--write", action="store_true", help="write the table instead of comparing with it")
    given = arguments.parse_args()
    rows = table(given.longcode)
    if given.write:
        with given.table.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
        return
    with given.table.open(newline="") as file:
        kept = {row[0]: [int(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]}
    here = {row[0]: row[1:] for row in rows}
    wrong = [f"{name}: in one table only" for name in sorted(kept.keys() ^ here.keys())]
    wrong += [
        f"{name}: {column} {now}, kept {before}"
        for name in sorted(kept.keys() & here.keys())
        for column, before, now in zip(COLUMNS[2:], kept[name][1:], here[name][1:])
        if now > 1.1 * before
    ]
    if wrong:
        sys.exit("\n".join([*wrong, "if that is meant: --write"]))
    print(f"{len(rows)} kernels are translated, and none has grown")


if __name__ == "__main__":
    main()
