#!/usr/bin/env python3
"""Makes training text from which a small model can learn the function lookup (`kind = "lookup"`, constant bodies).

    python3 scripts/build_corpora.py train-python
    pip install tokenizers
    python3 scripts/make_lookup_corpus.py                # corpus/lookup-1.jsonl.gz to lookup-4.jsonl.gz
    longcode train configs/train-lookup-1.toml           # which makes the vocabulary, too
    python3 scripts/make_lookup_corpus.py --lessons 5 6 --tokens 8000000 --tokenizer trained/lookup-1/tokenizer.json
    for lesson in 2 3 4; do longcode train configs/train-lookup-$lesson.toml; done

Every document is a Python file as the task's prompts are: generated functions that return a number among real ones of
the training corpus, then assertions about generated functions, in another order, with the right number. What is
evaluated is not trained on: the real functions are those of the training corpus, and no generated function has a word
of the task's in its name, for all of its words come from names of the corpus' own functions, the task's taken out
(`src/task/lookup/needle.rs`). Numbers are of two and three digits as the task's, as there are no others to copy.

Lessons, one file each:
  1  two or three functions with unlike names of common words, which are one token each, and nothing else
  2  three to six whose names share their words or their number with others
  3  the same with all words that are used often
  4  the same among real functions, up to 256 tokens
  5  the same with rare words, of several tokens each, as the task's are; at all lengths up to --length
  6  the same, of nearly that length, beginning with one of the two functions that are asked about, so that the largest
     distances are met as often as others
The last two need the model's own vocabulary: of a file beyond the trained length the end, where the questions are, is cut off.
A lesson holds --tokens tokens. The same corpus, tokenizer and seed give the same bytes.
"""

import argparse
import ast
import collections
import gzip
import itertools
import json
import random
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from build_bundled_datasets import write

ROOT = Path(__file__).resolve().parent.parent
NEEDLES = ROOT / "src/task/lookup/needle.rs"
# Tokens of the longest real function, as in the task.
LONGEST = 256
# The trained length.
LENGTH = 512
# Real functions to choose from; more would only take longer to read.
FILLERS = 20_000
# The letters of a name's word.
WORD = re.compile(r"[a-z]{3,9}")
# Words of a name to choose from, two in the task: were all of one form, they could be found by counting tokens.
WORDS = (1, 2, 2, 3)
# Words, by in how many of the corpus' function names they stand: so many of the most used, which a vocabulary has whole;
# those of at least so many names; all, of most of which a vocabulary has pieces alone.
COMMON, FREQUENT, ALL = 256, 5, None
NUMBERS, RETURNS = range(10, 100), range(100, 1000)
BLANK = "\n\n\n"


@dataclass
class Lesson:
    needles: range
    # COMMON, FREQUENT, ALL.
    words: int | None
    # Whether names share words and numbers.
    alike: bool
    # Tokens of a document with real functions, BOS among them; without them it is as long as it is.
    tokens: range | None
    # Of the functions, so many are asked about; none: all.
    asked: int | None = None
    # Whether the file begins with one that is asked about.
    from_first: bool = False


def lessons(length):
    return [
        Lesson(range(2, 4), COMMON, False, None),
        Lesson(range(3, 7), COMMON, True, None),
        Lesson(range(3, 7), FREQUENT, True, None),
        Lesson(range(3, 7), FREQUENT, True, range(0, min(length, 256) + 1)),
        Lesson(range(3, 9), ALL, True, range(length // 4, length + 1)),
        Lesson(range(3, 9), ALL, True, range(length * 7 // 8, length + 1), asked=2, from_first=True),
    ]


# Real functions, and words for names


def functions(text):
    """Names and texts of the functions and methods of a file that stand in no other one, as if they stood in no class."""
    lines = text.split("\n")
    open_nodes = list(ast.parse(text).body)
    for node in open_nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno] + [decorator.lineno for decorator in node.decorator_list])
            yield node.name, unindented(lines[first - 1 : node.end_lineno])
        elif isinstance(node, ast.ClassDef):
            open_nodes.extend(node.body)


def unindented(lines):
    white = [len(line) - len(line.lstrip(" \t")) for line in lines]
    return "\n".join(line[min(own, white[0]) :] for line, own in zip(lines, white)).rstrip()


def compiles(text):
    try:
        compile(text, "filler", "exec")
        return True
    except (SyntaxError, ValueError):
        return False


def read_functions(corpus):
    """All functions of the corpus, no two of one name, by name."""
    found = {}
    with gzip.open(corpus, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            for name, text in functions(json.loads(line)["content"].replace("\r\n", "\n")):
                found.setdefault(name, text)
    return found


def words_of(names):
    """Words that function names are made of, but for the task's, the most used first, by how many each lesson takes."""
    source = NEEDLES.read_text(encoding="utf-8")
    taken = re.findall(r'"([a-z]+)"', " ".join(re.findall(r"const (?:VERBS|NOUNS): [^=]*= \[([^\]]*)\]", source)))
    if len(taken) != 24:
        raise SystemExit(f"error: {NEEDLES} has {len(taken)} words of names, not 24\n  fix: mend words_of")
    uses = collections.Counter(word for name in names for word in set(name.split("_")) if WORD.fullmatch(word))
    words = sorted((word for word in uses if word not in taken), key=lambda word: (-uses[word], word))
    return {COMMON: words[:COMMON], FREQUENT: [word for word in words if uses[word] >= FREQUENT], ALL: words}


# Documents


def names(rng, words, count, alike):
    """As many names; alike, most share their words with one and their number with another."""
    groups = (count + 2) // 2 if alike else count
    stems = set()
    while len(stems) < groups:
        stems.add("_".join(rng.sample(words, rng.choice(WORDS))))
    numbers = rng.sample(NUMBERS, groups)
    if not alike:
        return [f"{stem}_{number}" for stem, number in zip(sorted(stems), numbers)]
    pairs = list(itertools.product(sorted(stems), numbers))
    return [f"{stem}_{number}" for stem, number in rng.sample(pairs, count)]


class Maker:
    def __init__(self, tokenizer, words, fillers):
        self.tokenizer, self.words, self.fillers = tokenizer, words, fillers

    def tokens(self, text):
        return len(self.tokenizer.encode(text).ids)

    def document(self, rng, lesson):
        """A file of the lesson and its tokens; none where the generated functions alone are too long."""
        needles = names(rng, self.words[lesson.words], rng.choice(lesson.needles), lesson.alike)
        returns = dict(zip(needles, rng.sample(RETURNS, len(needles))))
        definitions = {name: f"def {name}():\n    return {number}{BLANK}" for name, number in returns.items()}
        rng.shuffle(needles)
        asked = needles[: lesson.asked]
        questions = "".join(f"assert {name}() == {returns[name]}\n" for name in asked)
        text = "".join(definitions.values()) + questions
        tokens = self.tokens(text)
        if lesson.tokens is None:
            return text, tokens
        first = definitions[rng.choice(asked)] if lesson.from_first else None
        real = self.choose(rng, rng.choice(lesson.tokens) - tokens)
        while True:
            pieces = [*definitions.values(), *real]
            rng.shuffle(pieces)
            if first:
                pieces.sort(key=lambda piece: piece != first)
            text = "".join(pieces) + questions
            tokens = self.tokens(text)
            if tokens < lesson.tokens.stop:
                return text, tokens
            if not real:
                return None
            # What the pieces have by themselves was too little by what their borders take.
            real.pop()

    def choose(self, rng, room):
        """Real functions that fit, of a few drawn ones."""
        chosen = []
        for text, tokens in rng.sample(self.fillers, 24):
            if tokens <= room:
                chosen.append(text)
                room -= tokens
        return chosen

    def documents(self, seed, number, lesson, tokens):
        rng = random.Random(f"lesson {number} of {seed}")
        made, documents = 0, []
        while made < tokens:
            if found := self.document(rng, lesson):
                documents.append({"text": found[0], "language": "python", "lesson": number})
                made += found[1]
        return documents


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=ROOT / "corpus/train-python.jsonl.gz", help="real functions")
    parser.add_argument("--tokenizer", type=Path, default=ROOT / "models/nano/tokenizer.json", help="tokenizer.json")
    parser.add_argument("--out", type=Path, default=ROOT / "corpus", help="directory to write [corpus]")
    parser.add_argument("--length", type=int, default=LENGTH, help=f"of the longest documents, tokens [{LENGTH}]")
    parser.add_argument("--tokens", type=int, default=6_000_000, help="of each lesson, about [6000000]")
    parser.add_argument("--lessons", type=int, nargs="+", default=range(1, 5), help="which to write [1 to 4]")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    # Of invalid escapes in the corpus' strings.
    warnings.simplefilter("ignore")
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    found = read_functions(args.corpus)
    words = words_of(found)
    drawn = random.Random(args.seed).sample(sorted(found), len(found))
    texts = itertools.islice((found[name] + BLANK for name in drawn if compiles(found[name])), FILLERS)
    texts = list(texts)
    counts = [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]
    fillers = [(text, count) for text, count in zip(texts, counts) if count <= LONGEST]
    print(f"{len(fillers)} real functions, {len(words[ALL])} words for names")
    maker = Maker(tokenizer, words, fillers)
    args.out.mkdir(parents=True, exist_ok=True)
    for number, lesson in enumerate(lessons(args.length), 1):
        if number not in args.lessons:
            continue
        documents = maker.documents(args.seed, number, lesson, args.tokens)
        path = args.out / f"lookup-{number}.jsonl.gz"
        write(path, documents)
        print(f"{path}: {len(documents)} documents, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
