"""crates/longcode-tasks/tests/benchmarks/bleu.jsonl.gz: RepoQA's similarity of two functions, NLTK's sentence BLEU.

The first line says where the values are from; every other line is [reference, hypothesis, score].
"""

import json
import random
import re
import sys
import warnings

from .corpus import some_functions
from .official import write_text

PAIRS = 2000
SPACES = [chr(c) for c in range(sys.maxunicode + 1) if re.fullmatch(r"\s", chr(c))]
# Look like white space and are none to Python's `\s` and `strip`.
NO_SPACES = ["\u200b", "\ufeff", "\u180e", "\u2060", "\x00", "\x08"]


def write(official, args):
    """Writes the fixture."""
    warnings.simplefilter("ignore", SyntaxWarning)
    similarity = official.module("repoqa", ".", "repoqa.metric").compute_function_similarity
    pairs = make_pairs(random.Random(20240623), args.corpus)
    stripped = [c for c in map(chr, range(sys.maxunicode + 1)) if not c.strip()]
    assert stripped == SPACES
    head = official.sources(["nltk"]) | {
        "how": "repoqa.metric.compute_function_similarity(hypothesis, reference), imported; lines are [reference, hypothesis, score]",
        "white_space": "code points that `\\s` matches and `strip` takes off: " + " ".join(f"{ord(c):04X}" for c in SPACES),
        "note": "int 0 where no token is shared, a float otherwise; empty text is one empty token",
    }
    lines = [head] + [[reference, hypothesis, similarity(hypothesis, reference)] for reference, hypothesis in pairs]
    write_text(args.out / "bleu.jsonl.gz", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def make_pairs(rng, corpus):
    """Handmade pairs, then functions against what a model could make of them."""
    pairs = list(edge_cases())
    originals = some_functions(corpus, "python", rng, 45, range(60, 500))
    originals += some_functions(corpus, "java", rng, 45, range(60, 500))
    changes = [
        identical, no_indent, one_word_other, some_words_other, words_dropped, words_swapped, words_doubled, head,
        tail, middle, head_only, twice, line_dropped, lines_swapped, renamed, other_spaces, no_space_lookalike, glued,
        shuffled, reversed_words, one_word_repeated, few_words, with_prose, cut_words,
    ]
    i = 0
    while len(pairs) < PAIRS:
        # A function's pairs stand together: the file stays small.
        reference = originals[i * len(originals) // (PAIRS - 100) % len(originals)]
        if rng.random() < 0.08:
            hypothesis = rng.choice(originals)
        else:
            hypothesis = rng.choice(changes)(reference, rng)
        if rng.random() < 0.15:
            hypothesis = rng.choice(changes)(hypothesis, rng)
        pair = (reference, hypothesis)
        pairs.append(pair if rng.random() < 0.7 else pair[::-1])
        i += 1
    return pairs


def edge_cases():
    """Texts of no, one and few tokens, every white space, brevity, repeats."""
    short = ["", " ", "\n\t ", "a", " a\n", "b", "a b", "b a", "a a", "a b c", "a b d", "c b a", "a b c d", "a b c e",
             "d c b a", "a a a a", "a a a a a a a a", "x a b c d y", "a b c d e f g h"]
    for reference in short:
        for hypothesis in short:
            yield reference, hypothesis
    text = "def f ( a , b ) : return a + b"
    for space in SPACES + NO_SPACES:
        yield text, text.replace(" ", space)
        yield text, f"{space}def f{space} ( a , b ) : return {space}a - b{space}"
    words = [f"w{i}" for i in range(400)]
    for reference, hypothesis in [(400, 1), (400, 3), (400, 40), (40, 400), (400, 399), (399, 400), (7, 6), (6, 7)]:
        yield " ".join(words[:reference]), " ".join(words[:hypothesis])
    for shared in range(1, 8):
        # One run of `shared` words in common: the first order without a match is shared + 1.
        yield " ".join(words[:20]), " ".join(words[100:110] + words[5 : 5 + shared] + words[200:210])
        yield " ".join(words[:20]), " ".join(words[5 : 5 + shared] + words[200 : 200 + 7 - shared])
    yield "é e\u0301 ﬁ fi", "e\u0301 é fi ﬁ"
    yield "😀 😀 x", "😀 x 😀"


def split(text):
    """Words and the spaces between, so that only words are changed."""
    return re.split(r"(\s+)", text)


def on_words(text, change):
    """Text with its list of words changed in place and spaces kept, as long as there are as many."""
    words = change(text.split())
    return " ".join(words)


def identical(text, rng):
    return text


def no_indent(text, rng):
    return "\n".join(line.strip() for line in text.split("\n"))


def one_word_other(text, rng):
    parts = split(text)
    parts[rng.randrange(0, len(parts), 2)] = "other"
    return "".join(parts)


def some_words_other(text, rng):
    share = rng.choice([0.1, 0.3, 0.6, 0.9])
    return "".join(p if p.isspace() or rng.random() > share else rng.choice([
        "x", "self", "0", "return",
    ]) for p in split(text))


def words_dropped(text, rng):
    share = rng.choice([0.05, 0.2, 0.5])
    return on_words(text, lambda words: [w for w in words if rng.random() > share])


def words_swapped(text, rng):
    parts = split(text)
    for _ in range(rng.randrange(1, 6)):
        a, b = rng.randrange(0, len(parts), 2), rng.randrange(0, len(parts), 2)
        parts[a], parts[b] = parts[b], parts[a]
    return "".join(parts)


def words_doubled(text, rng):
    return on_words(text, lambda words: [w for word in words for w in [word] * rng.choice([1, 1, 1, 2, 3])])


def head(text, rng):
    return text[: rng.randrange(1, len(text) + 2)]


def tail(text, rng):
    return text[-rng.randrange(1, len(text) + 2) :]


def middle(text, rng):
    return tail(head(text, rng), rng)


def head_only(text, rng):
    return text.split("\n")[0]


def twice(text, rng):
    return text + rng.choice(["\n", "\n\n", ""]) + text


def line_dropped(text, rng):
    lines = text.split("\n")
    del lines[rng.randrange(len(lines))]
    return "\n".join(lines)


def lines_swapped(text, rng):
    lines = text.split("\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return "\n".join(lines)


def renamed(text, rng):
    names = re.findall(r"[A-Za-z_]\w*", text)
    return re.sub(rf"\b{rng.choice(names)}\b", "renamed", text) if names else text


def other_spaces(text, rng):
    return re.sub(r"\s", lambda _: rng.choice(SPACES), text)


def no_space_lookalike(text, rng):
    return re.sub(r"\s", lambda m: rng.choice([m.group(), m.group() + rng.choice(NO_SPACES)]), text)


def glued(text, rng):
    return re.sub(r"\s+", lambda m: rng.choice([m.group(), ""]), text)


def shuffled(text, rng):
    words = text.split()
    rng.shuffle(words)
    return " ".join(words)


def reversed_words(text, rng):
    return " ".join(reversed(text.split()))


def one_word_repeated(text, rng):
    words = text.split() or ["x"]
    return " ".join([rng.choice(words)] * rng.choice([1, 2, 3, 5, len(words)]))


def few_words(text, rng):
    words = text.split()
    start = rng.randrange(len(words) + 1)
    return " ".join(words[start : start + rng.randrange(6)])


def with_prose(text, rng):
    return f"Here is the function:\n\n{text}\n\n" + rng.choice(["", "It does what is asked for.", "```"])


def cut_words(text, rng):
    return on_words(text, lambda words: [w[: rng.randrange(1, len(w) + 1)] for w in words])
