"""crates/longcode-tasks/tests/benchmarks/repobench.json: RepoBench v1.1's prompts, first lines and scores."""

import random
import sys
import warnings

from transformers import AutoTokenizer

from . import bleu, corpus
from .official import write_json

BUDGETS = [None, 15800, 700, 500, 350, 200, 60, 1]


def write(official, args):
    """Writes the fixture."""
    rng = random.Random(20240205)
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    construct = official.module("repobench", "data", "utils").construct_prompt
    first_line = official.functions("repobench", "run.py", ["get_first_line_not_comment"], {})[0]
    records = prompt_records(args.corpus, rng)
    prompts = []
    for name, (language, record) in records.items():
        for budget in BUDGETS:
            prompt = construct(record, language=language, tokenizer=tokenizer, max_token_nums=budget)
            prompts.append({"record": name, "language": language, "max_token_nums": budget, "prompt": prompt})
    lines = [{"language": language, "code": code, "line": first_line(code, language)}
             for language, code in generated(rng)]
    scorers = {kind: metrics(official, kind == "levenshtein") for kind in ("difflib", "levenshtein")}
    scores = []
    for truth, prediction in pairs(rng, args.corpus):
        similarity = {kind: scorer.edit_similarity_score([truth], [prediction]) for kind, scorer in scorers.items()}
        exact = scorers["difflib"].exact_match_score([truth], [prediction])
        scores.append({"truth": truth, "prediction": prediction, "em": exact, "es": similarity})
    truths, predictions = [s["truth"] for s in scores], [s["prediction"] for s in scores]
    fixture = official.sources(["transformers", "tokenizers", "fuzzywuzzy", "Levenshtein"]) | {
        "how": "data/utils.py and evaluation/metrics.py imported, get_first_line_not_comment cut out of run.py; the tokenizer is "
        "models/nano's (encode adds <s>, to every line too). `es` by fuzzywuzzy over difflib (what requirements.txt asks for) "
        "and over the Levenshtein library; both called as eval.py does, the truth first",
        "notes": "eval.py as published does not start: it imports codebleu_score, which metrics.py does not have",
        "records": {name: record for name, (_, record) in records.items()},
        "prompts": prompts,
        "first_lines": lines,
        "scores": scores,
        "all": {
            "em": scorers["difflib"].exact_match_score(truths, predictions),
            "es": {kind: scorer.edit_similarity_score(truths, predictions) for kind, scorer in scorers.items()},
        },
    }
    write_json(args.out / "repobench.json", fixture)


def metrics(official, levenshtein):
    """The benchmark's metrics, with fuzzywuzzy over the Levenshtein library or over difflib."""
    for name in [m for m in sys.modules if m.split(".")[0] in ("fuzzywuzzy", "Levenshtein")]:
        del sys.modules[name]
    if not levenshtein:
        sys.modules["Levenshtein"] = None
    warnings.simplefilter("ignore")
    module = official.module("repobench", "evaluation", "metrics")
    sys.modules.pop("Levenshtein", None)
    matcher = "fuzzywuzzy.StringMatcher" if levenshtein else "difflib"
    assert module.fuzz.SequenceMatcher.__module__ == matcher
    return module


def prompt_records(corpus_directory, rng):
    """{name: (language, record)}: of the corpora's functions, and of edge cases."""
    records = {}
    for language in ("python", "java"):
        functions = corpus.some_functions(corpus_directory, language, rng, 7, range(200, 700))
        context = [{"identifier": "x", "path": f"p/{i}.src", "snippet": text} for i, text in enumerate(functions[:6])]
        lines = functions[6].split("\n")
        records[language] = language, {
            "repo_name": "owner/repo",
            "file_path": "a/b.src",
            "context": context,
            "import_statement": "import a\n\n\n\n\nimport b" if language == "python" else "import a.B;\nimport c.D;",
            "cropped_code": "\n".join(lines[: len(lines) // 2]) + "\n    \t\n\u00a0",
            "next_line": lines[len(lines) // 2],
        }
    empty = {"repo_name": "", "file_path": "", "context": [], "import_statement": "", "cropped_code": "",
             "next_line": ""}
    records["empty"] = "python", empty
    records["newlines"] = "java", empty | {
        "context": [{"identifier": "", "path": "x", "snippet": "a\n\n\n\n\nb\n\n\nc\n\n"},
                    {"identifier": "", "path": "y", "snippet": ""},
                    {"identifier": "", "path": "z", "snippet": "\r\n\r\n\r\n\r\nd\n \n\n\n\n "}],
        "import_statement": "\n\n\n",
        "cropped_code": "\n\n\n\ne\n\n\n\n\n\nf\x1c\x1f\u2028\u200b",
    }
    records["wide"] = "python", empty | {
        "repo_name": "ö/漢",
        "context": [{"identifier": "", "path": "é.py", "snippet": "\n".join("# é漢😀" * (i % 5) for i in range(40))}],
        "cropped_code": "x = '😀'\n",
    }
    records["long_file"] = "python", records["python"][1] | {"cropped_code": records["java"][1]["context"][0]["snippet"] * 6}
    return records


def generated(rng):
    """What a model could go on with, in both languages."""
    quotes = '"""'
    python = [
        "", "\n", "\n\n\n", "   ", " \n\t\n", "x = 1", "\n\n  x = 1\n", "# c\nx = 1", "  # c\n  x = 1", "#",
        "# a\n# b", "x = 1 # c\ny", f"{quotes}doc{quotes}\nx = 1", f"{quotes}doc{quotes}",
        f"{quotes}doc\nmore\n{quotes}\nx = 1", f"{quotes}\ndoc\n{quotes}\nx = 1", f"{quotes}doc\nmore{quotes}\nx = 1",
        f"{quotes}one{quotes}\n{quotes}two{quotes}\nx = 1\ny = 2", "'''a\nb'''\nx", f"'''a\n{quotes}\nx",
        f"{quotes}\nx = 1", f"    {quotes}doc{quotes}\n    x = 1\n    {quotes}\n    y = 2",
        f"r{quotes}doc{quotes}\nx", f"x = {quotes}a\nb{quotes}", f"{quotes}a{quotes} # b\nx\n{quotes}\ny",
        "\r\nx = 1\r\n", "\rx\n", "\x0c\nx", "\u2028x\ny", "\u200b\nx", "\u00a0\nx", "//c\nx",
        "'''\n'''\n'''\nx\n'''\ny", "'x'", '""', "''", "'''",
    ]
    java = [
        "", "\n\n", "int x;", "// c\nint x;", "  // c\n\n  int x;", "/* c */\nint x;",
        "/* c */ int x;\nint y;\n/* d */\nint z;", "/*\n * c\n */\nint x;", "/** c\n * d */\nint x;", "/* a\nb\nc",
        "* c\nint x;", "*/\nint x;", "int x; // c", "int x; /* c", "# c\nint x;", "/*/\nint x;\n*/\nint y;",
        "/**/\nint x;", "/* a */\n/* b */\nint x;", "//\n//\n", "\r\n// c\r\nint x;\r\n",
        "/* c */\r\nint x;\r\n*/\r\nint y;", "   \n/*", '"""\nx', "/ / c\nx", "@A\nint x;",
    ]
    yield from (("python", code) for code in python)
    yield from (("java", code) for code in java)
    pieces = {
        "python": [quotes, "'''", "#", "x = 1", "\n", "\n", "\n", "  ", "doc", "y", "\t", "\r"],
        "java": ["/*", "*/", "//", "int x;", "\n", "\n", "\n", "  ", "doc", "*", "\r"],
    }
    for language, parts in pieces.items():
        for _ in range(90):
            yield language, "".join(rng.choice(parts) for _ in range(rng.randrange(1, 14)))


def pairs(rng, corpus_directory):
    """(truth, prediction): handmade, then lines of code against changed ones."""
    yield from [
        ("", ""), ("", "x"), ("x", ""), (" ", " "), (" ", ""), ("x", "x"), ("x = 1", "x=1"), ("x = 1", "  x  =\t1 "),
        ("x = 1", "x = 1\r"), ("a b", "b a"), ("tide", "diet"), ("diet", "tide"), ("return x", "return y"),
        ("é", "e\u0301"), ("x\u00a0y", "x y"), ("x\u200by", "x y"), ("x\x1cy", "x y"), ("abc", "abcabc"),
        ("a" * 201, "a" * 200), ("ab" * 120, "ba" * 120), ("x" * 150 + "y" * 60, "y" * 60 + "x" * 150), ("😀", "😁"),
        ("x = 1;", "x = 1"), ("ab", "a"), ("abcd", "ab"),
    ]
    lines = []
    for language in ("python", "java"):
        for function in corpus.some_functions(corpus_directory, language, rng, 12, range(200, 900)):
            lines += [line for line in function.split("\n") if len(line.strip()) > 8]
    changes = [
        bleu.identical, bleu.one_word_other, bleu.words_dropped, bleu.words_swapped, bleu.head, bleu.tail,
        bleu.renamed, bleu.glued, bleu.no_indent, bleu.twice,
    ]
    for _ in range(180):
        line = rng.choice(lines)
        yield line, rng.choice(lines) if rng.random() < 0.25 else rng.choice(changes)(line, rng)
