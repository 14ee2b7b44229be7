#!/usr/bin/env python3
"""Writes files for the encoding `table`, as an example of how to try an encoding of your own without a line of Rust:
frequencies for any text (YaRN's), and positions of single texts (HiRoPE's, from the segments that `longcode inspect` finds).
The format: docs/encodings.md#a-table-of-your-own. Nothing beyond the standard library.

    make_table.py yarn models/nano --factor 2 > table.json
    make_table.py hirope models/nano examples/*.py --window 64 --split 0.5 > table.json
    longcode score --model models/nano --encoding table:file=table.json examples/*.py
"""

import argparse
import hashlib
import json
import math
import pathlib
import struct
import subprocess


def f32(number):
    """A number as transformers rounds it."""
    return struct.unpack("f", struct.pack("f", number))[0]


def shape(model):
    """Dimensions of a head, rope_theta and trained length of a checkpoint without a scaling of its own."""
    config = json.loads((pathlib.Path(model) / "config.json").read_text(encoding="utf-8"))
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return head, config.get("rope_theta", 10000.0), config["max_position_embeddings"]


def yarn(model, factor):
    """YaRN (Peng et al. 2023): slow pairs are interpolated, fast ones kept, with a ramp between; any text."""
    d, base, trained = shape(model)

    def pair_of(turns):
        return d * math.log(trained / (2 * math.pi * turns)) / (2 * math.log(base))

    low, high = max(math.floor(pair_of(32)), 0), min(math.ceil(pair_of(1)), d - 1)
    frequencies = []
    for pair in range(d // 2):
        theta = base ** (-2 * pair / d)
        ramp = min(max((pair - low) / (high - low or 0.001), 0), 1)
        frequencies.append(f32(theta * (1 - ramp) + theta / factor * ramp))
    return {"frequencies": frequencies, "scale": (0.1 * math.log(factor) + 1) ** 2}


def segments(longcode, model, path, unit):
    """The number of the segment of each token, BOS included."""
    command = [longcode, "inspect", "--json", "--tokenizer", model, "--unit", unit, path]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout)
    return [token["segment"] for token in found["tokens"]]


def hirope(model, paths, window, split, unit, longcode):
    """HiRoPE (Zhang et al. 2024): beyond the window, slow pairs count segments instead of tokens; a plan for each text."""
    pairs = shape(model)[0] // 2
    edge = math.floor(split * pairs + 0.5)
    texts = {}
    for path in paths:
        of_token = segments(longcode, model, path, unit)
        tokens = list(range(len(of_token)))
        far = {
            "pairs": [0, edge, pairs],
            "query": [tokens, [segment + window - 1 for segment in of_token]],
            "key": [tokens, of_token],
        }
        # The near zone begins at the first key that is less than `window` tokens back; its distances are those of tokens.
        near = {"first": [max(token + 1 - window, 0) for token in tokens]}
        texts[hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()] = {"zones": [far, near]}
    return {"texts": texts}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_yarn = kinds.add_parser("yarn", help=yarn.__doc__)
    of_yarn.add_argument("model")
    of_yarn.add_argument("--factor", type=float, required=True)
    of_hirope = kinds.add_parser("hirope", help=hirope.__doc__)
    of_hirope.add_argument("model")
    of_hirope.add_argument("paths", nargs="+", metavar="FILE")
    of_hirope.add_argument("--window", type=int, default=512)
    of_hirope.add_argument("--split", type=float, default=0.5)
    of_hirope.add_argument("--unit", default="function")
    of_hirope.add_argument("--longcode", default="longcode", help="the program")
    asked = vars(parser.parse_args())
    kind = asked.pop("kind")
    print(json.dumps({"yarn": yarn, "hirope": hirope}[kind](**asked)))


if __name__ == "__main__":
    main()
