#!/usr/bin/env python3
"""Builds datasets/code-python.jsonl.gz and datasets/code-java.jsonl.gz from the evaluation corpora.

    python3 scripts/build_corpora.py eval-python eval-java
    python3 scripts/build_bundled_datasets.py

The corpus, by default what the first of the two writes, holds eval-python.jsonl.gz and eval-java.jsonl.gz (one source
file a line: repo_name, path, language, content) and licenses/PACKAGE/ (SOURCE.txt with a `licence:` line, and the
licence texts).

Each token bucket gets the same number of documents. A long document is a whole file; a short one is the head of a
file that no other document uses, cut where a definition has just ended (see `python_cuts`, `java_cuts`). The token
count decides the bucket only, with a margin, so that the buckets hold for a somewhat different tokenizer too.
The same corpus, tokenizer and seed give the same bytes. Needs the `tokenizers` package and nothing else.
"""

import argparse
import ast
import collections
import gzip
import json
import random
import re
import shutil
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
BUCKETS = [(0, 512), (512, 1024), (1024, 2048), (2048, 4096), (4096, 8192), (8192, 16384)]
# Buckets that end here or below are filled with heads of files: whole files of that size are too few.
HEADS_UP_TO = 2048
# How far a document's token count keeps from the bucket's edges, as a part of the edge.
MARGIN = 0.03
# The first bucket starts at 0; a shorter document than this has too little to predict.
FEWEST_TOKENS = 128
# At most this part of a head may be the comment that a file opens with, mostly its licence notice. The notice is
# kept, as the licences ask, but two files of a package share it: a head should be code in the main.
MOST_NOTICE = 0.5


def python_cuts(text):
    """Line counts of the heads that end before a top-level definition and hold at least one."""
    lines = text.split("\n")
    starts = [
        i
        for i in range(1, len(lines))
        if re.match(r"(def|class|async def) |@", lines[i]) and not lines[i - 1].strip()
    ]
    return [i for i in starts[1:] if parses("\n".join(lines[:i]))]


def parses(source):
    """False where the cut fell inside a string that spans lines."""
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


JAVA_OPAQUE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def java_cuts(text):
    """Line counts of the heads that end with the closing brace of a method (or another member of the outer class)."""
    code = JAVA_OPAQUE.sub(lambda m: "\n" * m.group().count("\n"), text)
    cuts, depth = [], 0
    for number, line in enumerate(code.split("\n"), start=1):
        depth += line.count("{") - line.count("}")
        if line.strip() == "}" and depth == 1:
            cuts.append(number)
    return cuts


NOTICE = {
    "python": re.compile(r"(\s*#[^\n]*\n)+"),
    "java": re.compile(r"\s*/\*.*?\*/", re.DOTALL),
}
CUTS = {"python": python_cuts, "java": java_cuts}


class Counter:
    """Token counts with the beginning-of-sequence token included."""

    def __init__(self, path):
        self.tokenizer = Tokenizer.from_file(str(path))

    def many(self, texts):
        return [len(e.ids) + 1 for e in self.tokenizer.encode_batch(texts, add_special_tokens=False)]


def limits(bucket):
    """The least and the most tokens of a document of the bucket."""
    low, high = bucket
    return max(low * (1 + MARGIN), FEWEST_TOKENS), high * (1 - MARGIN)


def spread(rng, files, count, take):
    """`count` documents, from the packages in turn; `take(file)` gives a document or None."""
    packages = collections.defaultdict(list)
    for file in files:
        packages[file["repo_name"]].append(file)
    names = sorted(packages)
    rng.shuffle(names)
    for name in names:
        rng.shuffle(packages[name])
    documents = []
    while len(documents) < count:
        names = [n for n in names if packages[n]]
        if not names:
            raise SystemExit(f"error: the corpus has only {len(documents)} of {count} documents for a bucket")
        for name in names:
            while packages[name] and len(documents) < count:
                document = take(packages[name].pop())
                if document:
                    documents.append(document)
                    break
    return documents


def whole(file, bucket):
    least, most = limits(bucket)
    if least <= file["tokens"] <= most:
        return document_of(file, file["content"], None)
    return None


def head(rng, counter, file, bucket):
    least, most = limits(bucket)
    text = file["content"]
    lines = text.split("\n")
    heads = ["\n".join(lines[:n]).rstrip() + "\n" for n in CUTS[file["language"]](text)]
    # No tokenizer here gives more than a token a byte or fewer than one for 16: the rest need no counting.
    heads = [h for h in heads if least <= len(h) <= 16 * most]
    fitting = [h for h, n in zip(heads, counter.many(heads)) if least <= n <= most]
    fitting = [h for h in fitting if notice_length(file["language"], h) <= MOST_NOTICE * len(h)]
    return document_of(file, rng.choice(fitting), text.rstrip().count("\n") + 1) if fitting else None


def notice_length(language, text):
    match = NOTICE[language].match(text)
    return match.end() if match else 0


def document_of(file, content, of_lines):
    """The line of the data set; `lines` is there for a head only, and says which lines of how many it is."""
    document = {key: file[key] for key in ["repo_name", "path", "language", "license"]}
    if of_lines is not None:
        last = content.count("\n")
        document["lines"] = f"1-{last} of {of_lines}"
    return document | {"size": len(content.encode()), "content": content}


def licence_of(licenses, package):
    for line in (licenses / package / "SOURCE.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("licence:"):
            return line.removeprefix("licence:").strip()
    return "see licenses/" + package


def read_corpus(path, licenses, counter):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        files = [json.loads(line) for line in lines]
    for file, tokens in zip(files, counter.many([f["content"] for f in files])):
        file["tokens"] = tokens
        file["license"] = licence_of(licenses, file["repo_name"])
        # The corpus repeats the package at the front of the path.
        file["path"] = file["path"].removeprefix(file["repo_name"] + "/")
    return files


def choose(rng, counter, files, per_bucket):
    """The documents by bucket. Whole files are chosen first: the heads take from what is left."""
    chosen, used = {}, set()

    def name(file):
        return file["repo_name"], file["path"]

    def fill(bucket, take):
        left = [f for f in files if name(f) not in used]
        chosen[bucket] = spread(rng, left, per_bucket, lambda f: take(f, bucket))
        used.update(map(name, chosen[bucket]))

    for bucket in BUCKETS:
        if bucket[1] > HEADS_UP_TO:
            fill(bucket, whole)
    for bucket in BUCKETS:
        if bucket[1] <= HEADS_UP_TO:
            fill(bucket, lambda f, b: head(rng, counter, f, b))
    return [(bucket, chosen[bucket]) for bucket in BUCKETS]


def write(path, documents):
    text = "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents)
    # No file name and no time in the gzip header, so that equal documents are equal bytes.
    with open(path, "wb") as out, gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=9, mtime=0) as gz:
        gz.write(text.encode())


def copy_licences(source, target, packages):
    for package in sorted(packages):
        shutil.rmtree(target / package, ignore_errors=True)
        # Contents alone: the copies are written with this user's ordinary permissions.
        shutil.copytree(source / package, target / package, copy_function=shutil.copyfile)
        (target / package).chmod(0o755)


def print_table(language, buckets, counter):
    print(f"{language}: documents by bucket and package")
    for (low, high), documents in buckets:
        tokens = sorted(counter.many([d["content"] for d in documents]))
        packages = sorted(collections.Counter(d["repo_name"] for d in documents).items())
        shares = ", ".join(f"{name} {count}" for name, count in packages)
        print(f"  [{low}, {high}): {len(documents)} of {tokens[0]} to {tokens[-1]} tokens: {shares}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=ROOT / "corpus", help="eval-*.jsonl.gz and licenses/ [corpus]")
    parser.add_argument(
        "--tokenizer",
        type=Path,
        default=ROOT / "scripts/corpora/tokenizer.json",
        help="tokenizer.json that counts the tokens [scripts/corpora/tokenizer.json]",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "datasets", help="directory to write [datasets]")
    parser.add_argument("--per-bucket", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    counter, licenses = Counter(args.tokenizer), args.corpus / "licenses"
    for language in ["python", "java"]:
        files = read_corpus(args.corpus / f"eval-{language}.jsonl.gz", licenses, counter)
        buckets = choose(random.Random(args.seed), counter, files, args.per_bucket)
        documents = [d for _, bucket in buckets for d in bucket]
        write(args.out / f"code-{language}.jsonl.gz", documents)
        copy_licences(licenses, args.out / "licenses", {d["repo_name"] for d in documents})
        print_table(language, buckets, counter)


if __name__ == "__main__":
    main()
