#!/usr/bin/env python3
"""Holds the scores of single tokens to transformers, and reads the parquet files with pandas and polars.

    pip install torch transformers pandas pyarrow polars
    python scripts/check_per_token.py --score target/release/longcode models/nano src/main.rs
    pip install pandas pyarrow polars
    python scripts/check_per_token.py --results RESULTS_DIR

--score scores the file (`longcode score --per-token`) and compares with transformers in float32: losses, ranks and entropies of
every token, and copies counted anew. --results compares per_token.parquet there with summary.csv: the mean loss and the share of
tokens of rank 1 of every model, encoding and task. Exits with 1 if something differs.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas
import polars


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--score", nargs=3, type=Path, metavar=("LONGCODE", "MODEL", "FILE"))
    parser.add_argument("--results", type=Path, metavar="RESULTS_DIR")
    args = parser.parse_args()
    if not (args.score or args.results):
        parser.error("give --score, --results or both")
    off = check_file(*args.score) if args.score else []
    off += check_results(args.results) if args.results else []
    print("nothing differs" if not off else "\n".join(off))
    sys.exit(bool(off))


def both(path):
    """The file by both readers, which must agree."""
    one, other = pandas.read_parquet(path), polars.read_parquet(path)
    assert list(one.columns) == other.columns and len(one) == len(other), (list(one.columns), other.columns)
    for column in other.columns:
        theirs = other[column].to_pandas()
        assert one[column].equals(theirs.astype(one[column].dtype)) or (one[column].isna() == theirs.isna()).all(), column
    print(f"{path.name}: {len(one)} rows, read alike by pandas {pandas.__version__} and polars {polars.__version__}")
    return one, other


def check_file(longcode, name, file):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "tokens.parquet"
        command = [longcode, "score", "--model", name, "--encoding", "rope", "--device", "cpu"]
        subprocess.run([*command, "--per-token", path, file], check=True)
        found, _ = both(path)
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32).eval()
    ids = tokenizer(file.read_text(), return_tensors="pt").input_ids
    with torch.no_grad():
        logits = model(ids).logits[0, :-1].double()
    targets = ids[0, 1:]
    log_p = logits.log_softmax(-1)
    loss = -log_p.gather(1, targets[:, None])[:, 0]
    entropy = -(log_p.exp() * log_p).sum(-1)
    target = logits.gather(1, targets[:, None])
    rank = (logits > target).sum(-1) + 1
    # Ranks may differ where logits nearly do not.
    near = ((logits - target).abs() < 1e-3).sum(-1) - 1
    off = []
    if found.token_id.tolist() != targets.tolist():
        return ["token ids differ"]
    for name, theirs in [("loss", loss), ("entropy", entropy)]:
        difference = (torch.tensor(found[name].to_numpy()).double() - theirs).abs().max().item()
        print(f"{name}: {difference:.1e} at most, over {len(found)} tokens")
        if difference > 1e-3:
            off.append(f"{name} differs by {difference}")
    ranks = (torch.tensor(found["rank"].to_numpy().astype("int64")) - rank).abs()
    print(f"rank: {(ranks > 0).sum().item()} differ, {ranks.max().item()} at most")
    if (ranks > near).any():
        off.append("ranks differ")
    seen, copies = {}, []
    everything = ids[0].tolist()
    for at in range(1, len(everything)):
        pair = tuple(everything[at - 1 : at + 1])
        copies.append(at - seen[pair] if pair in seen else 0)
        seen[pair] = at
    if found.copy_distance.tolist() != copies:
        off.append("copy distances differ")
    return off


def check_results(results):
    found, other = both(results / "per_token.parquet")
    summary = pandas.read_csv(results / "summary.csv")
    off, compared = [], 0
    for key, tokens in found.groupby(["model", "encoding", "task"]):
        here = summary[(summary.model == key[0]) & (summary.encoding == key[1]) & (summary.task == key[2])]
        of = lambda metric: here[(here.bucket == "all") & (here.metric == metric)].value.item()
        same = (polars.col("model") == key[0]) & (polars.col("encoding") == key[1]) & (polars.col("task") == key[2])
        for name, one, two in [
            ("loss", tokens.loss.astype("float64").mean(), other.filter(same)["loss"].cast(polars.Float64).mean()),
            ("accuracy", (tokens["rank"] == 1).mean(), (other.filter(same)["rank"] == 1).mean()),
        ]:
            compared += 1
            # Where two logits are the same, the first is the most likely one, and both have rank 1.
            most = 1e-6 if name == "loss" else 1e-3
            if max(abs(one - of(name)), abs(two - of(name))) > most:
                off.append(f"{key}: {name} is {one}, {two}, and {of(name)} in summary.csv")
    print(f"{compared} figures of {results / 'summary.csv'} made again")
    return off


if __name__ == "__main__":
    main()
