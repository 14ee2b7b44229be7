#!/usr/bin/env python3
"""Builds datasets/look-alikes/: small files in the formats of benchmarks that cannot be bundled.

    python3 scripts/build_corpora.py eval-python eval-java
    pip install tokenizers tree-sitter tree-sitter-python tree-sitter-java pyarrow==26.0.1
    python3 scripts/make_look_alikes.py

They are **not the benchmarks**: other code, other questions, made by rules. They are there to try a benchmark's loader,
prompts and scores without a download, at lengths that a model trained on 512 tokens feels (1,000 to 8,000 tokens). No
number that they give says anything about the benchmark. The same corpus, tokenizer, pyarrow and seed give the same bytes.

- repoqa: two repositories; descriptions are made from docstrings and counts, not by a language model.
- longbench-v2, long-code-qa-32k: questions with one right answer that a parser found.
- infinitebench-code-debug: one function of each context broken on purpose, in the ways that the paper lists.
- infinitebench-code-run: functions that call one another, as the benchmark's builder makes them, fewer of them.
- repobench-v1.1: the first line that uses a name imported from another file.
- lca-project-level: lines of a file by where their names are from.
- repoeval-line, cclongeval-function, crosscodeeval-java: a line, or the body of a function, that uses a name from another file,
  with fragments of other files, the one that defines the name among them.
- longcodeu-cu-p: files of a package, and the names of their functions, in the fields that are assumed of CU_P.
- fill-in-lines: 96 such lines with little around them, for models/nano-fill.
"""

import argparse
import random
from pathlib import Path

from look_alikes import completion, fill_in, infinitebench, longcodeu, questions, repoqa
from look_alikes.sources import Corpus

ROOT = Path(__file__).resolve().parent.parent
WRITERS = [
    repoqa.write,
    questions.write_longbench,
    questions.write_long_code_qa,
    infinitebench.write_code_debug,
    infinitebench.write_code_run,
    completion.write_repobench,
    completion.write_lca,
    fill_in.write_lines,
    fill_in.write_functions,
    fill_in.write_statements,
    fill_in.write_short_lines,
    longcodeu.write_cu_p,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=ROOT / "corpus", help="eval-*.jsonl.gz [corpus]")
    parser.add_argument("--tokenizer", type=Path, default=ROOT / "models/nano/tokenizer.json")
    parser.add_argument("--out", type=Path, default=ROOT / "datasets/look-alikes")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    corpus = Corpus(args.corpus, args.tokenizer)
    for write in WRITERS:
        path = write(corpus, random.Random(f"{write.__module__}.{write.__name__} {args.seed}"), args.out)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
