#!/usr/bin/env python3
"""Writes crates/longcode-tasks/tests/benchmarks/: what the benchmarks' own code makes of adversarial cases.

    python3 scripts/build_corpora.py eval-python eval-java
    pip install nltk==3.10.4 tree-sitter==0.21.3 tree-sitter-languages==1.10.2 fuzzywuzzy==0.18.0 thefuzz==0.22.1 \\
        python-Levenshtein==0.27.5 transformers torch rich numpy tempdir appdirs wget jsonlines
    python3 scripts/make_benchmark_fixtures.py CHECKOUTS [NAME ...]

CHECKOUTS is a directory with the benchmarks' repositories at the commits in benchmark_fixtures/official.py, each below
the name that stands there. Their functions are imported, or cut out of their files and run where a file needs packages
that have nothing to do with them; nothing of their code is kept here. A fixture says which files (by git's blob hash)
and which package versions its values are from. The same checkouts, corpus and packages give the same bytes.
"""

import argparse
from pathlib import Path

from benchmark_fixtures import bleu, choice, lca, repobench, repoqa_answers, repoqa_context
from benchmark_fixtures.official import Official

ROOT = Path(__file__).resolve().parent.parent
WRITERS = {
    "bleu": bleu.write,
    "multiple_choice": choice.write,
    "repoqa_answers": repoqa_answers.write,
    "repoqa_context": repoqa_context.write,
    "repobench": repobench.write,
    "lca": lca.write,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=Path)
    parser.add_argument("names", nargs="*", choices=[[], *WRITERS], help="default: all")
    parser.add_argument("--corpus", type=Path, default=ROOT / "corpus")
    parser.add_argument("--tokenizer", type=Path, default=ROOT / "models/nano")
    parser.add_argument("--out", type=Path, default=ROOT / "crates/longcode-tasks/tests/benchmarks")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    for name in args.names or WRITERS:
        WRITERS[name](Official(args.checkouts), args)


if __name__ == "__main__":
    main()
