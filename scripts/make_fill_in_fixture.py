#!/usr/bin/env python3
"""Writes crates/longcode-tasks/tests/benchmarks/fill_in.json.gz: prompts and scores of fill-in-the-middle by the code that
Qwen's Coder models are evaluated with (fim-bench) and by CrossCodeEval's own, on adversarial cases.

    python3 scripts/build_corpora.py eval-python eval-java
    pip install tokenizers fuzzywuzzy==0.18.0 python-Levenshtein==0.27.5 editdistance==0.8.1 tree-sitter==0.25.2 \\
        tree-sitter-python==0.25.0 tree-sitter-java==0.23.5 tree-sitter-c-sharp==0.23.1 tree-sitter-typescript==0.23.2 \\
        nltk numpy
    python3 scripts/make_fill_in_fixture.py CHECKOUTS

CHECKOUTS has QwenLM/Qwen3-Coder and amazon-science/cceval at the commits in benchmark_fixtures/official.py, below the names
that stand there. Their functions are cut out of their files, without the decorator that limits their time, and run with the
packages above in place of tree-sitter 0.20.1 with its compiled grammars: parsers are made by `tree_sitter.Parser`, and trees
of newer grammars count. Nothing of their code is kept here. The tokenizer is models/nano's, without <s>, with markers added.
"""

import argparse
import gzip
import itertools
import json
import keyword
import random
import re
from pathlib import Path
from typing import Callable, Dict, List

import editdistance
import numpy
import tree_sitter
import tree_sitter_c_sharp
import tree_sitter_java
import tree_sitter_python
import tree_sitter_typescript
from benchmark_fixtures.official import Official, quietly, write_json
from fuzzywuzzy import fuzz
from nltk.tokenize import RegexpTokenizer
from tokenizers import AddedToken, Tokenizer

ROOT = Path(__file__).resolve().parent.parent
FIM = "qwencoder-eval/base/benchmarks/fim-bench"
MARKERS = {
    "qwen": ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"],
    "starcoder": ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>", "<repo_name>", "<file_sep>"],
    "deepseek": ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
}
GRAMMARS = {
    "python": tree_sitter_python.language,
    "java": tree_sitter_java.language,
    "csharp": tree_sitter_c_sharp.language,
    "typescript": tree_sitter_typescript.language_typescript,
}
PARSERS = {name: tree_sitter.Parser(tree_sitter.Language(grammar())) for name, grammar in GRAMMARS.items()}


class Tokens:
    """The tokenizer as the benchmark's code calls it, without special tokens around a text."""

    def __init__(self, path):
        self.inner = Tokenizer.from_file(str(path))
        self.inner.no_truncation()
        for markers in MARKERS.values():
            self.inner.add_tokens([AddedToken(marker, normalized=False, special=True) for marker in markers])

    def encode(self, text):
        return self.inner.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        return self.inner.decode(ids, skip_special_tokens=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=Path)
    parser.add_argument("--corpus", type=Path, default=ROOT / "corpus")
    args = parser.parse_args()
    official = Official(args.checkouts)
    rng = random.Random(20250707)
    files = {language: corpus(args.corpus, language) for language in ("python", "java")}
    fixture = {
        "how": "functions cut out of fim-bench's utils.py and eval_metric.py and of cceval's eval_metric.py and eval_utils.py "
        "(scripts/make_fill_in_fixture.py says how they were run)",
        "prompts": prompts(official, files, rng),
        "tokens": splittings(official),
        "lines": lines(official, files, rng),
        "functions": functions(official, files, rng),
        "statements": statements(official, files, rng),
    }
    packages = ["tokenizers", "fuzzywuzzy", "Levenshtein", "editdistance", "tree-sitter", "tree-sitter-python", "nltk"]
    fixture = official.sources(packages) | fixture
    write_json(ROOT / "crates/longcode-tasks/tests/benchmarks/fill_in.json.gz", fixture)
    print({key: len(value) for key, value in fixture.items() if isinstance(value, list)})


def corpus(directory, language):
    with gzip.open(directory / f"eval-{language}.jsonl.gz", "rt", encoding="utf-8") as records:
        return [record["content"] for record in map(json.loads, records)]


def prompts(official, files, rng):
    """Records, and their prompts by prepare_prompt."""
    tokenizer = Tokens(ROOT / "models/nano/tokenizer.json")
    prepare = official.functions("Qwen3-Coder", f"{FIM}/utils.py", ["prepare_prompt"], {"List": List, "Dict": Dict})[0]
    found = []
    sizes = [(8192, 2048, 2048), (900, 200, 300), (300, 64, 100), (120, 1, 1), (64, 8, 8)]
    texts = [files["python"][n] for n in rng.sample(range(len(files["python"])), 3)]
    texts += ["", "x = '😀é漢'\n" * 40, "\n\n\n  \n", "def f():\n    return 1", "a <|fim_pad|> b\n"]
    for left, right in itertools.product(texts[:5], texts[1:]):
        for cross in (None, "", texts[2][:3000], "# é漢😀\n" * 60):
            family = rng.choice(list(MARKERS))
            limit, right_length, cross_length = rng.choice(sizes)
            task = rng.choice(["line_completion", "function_completion"]) if limit > 300 else "line_completion"
            args = argparse.Namespace(
                gen_length=50 if limit > 100 else 8, max_seq_length=limit, right_context_length=right_length,
                cfc_seq_length=cross_length,
            )
            kind = "codelm_leftright_context" if cross is None else "codelm_right_cfc_left"
            left_at, right_at = rng.randrange(len(left) + 1), rng.randrange(len(right) + 1)
            record = {"prompt": left[:left_at], "right_context": right[right_at:][:9000]}
            record["prompt"] = record["prompt"][-20000:]
            name = {"qwen": "Qwen2.5-Coder", "starcoder": "starcoder2", "deepseek": "deepseek-coder"}[family]
            prompt = prepare(tokenizer, task, kind, name, record["prompt"], record["right_context"], cross, args)
            found.append({
                "family": family, "task": task, "limit": limit, "max_new_tokens": args.gen_length,
                "right_tokens": right_length, "cross_tokens": cross_length, "cross": cross, **record, "prompt_made": prompt,
                "ids": tokenizer.encode(prompt),
            })
    return rng.sample(found, 60)


def fim_scorers(official):
    names = [
        "cal_edit_sim", "cal_edit_sim_repoeval", "tokenize_code", "cal_exact_match", "is_parse_valid", "get_valid_completion",
        "dfs", "collect_nodes", "get_ast", "get_functions", "get_function_completion", "process_examples",
    ]
    scope = {
        "re": re, "np": numpy, "fuzz": fuzz, "editdistance": editdistance, "List": List, "Callable": Callable,
        "TSNode": tree_sitter.Node, "parser": PARSERS["python"],
    }
    found = official.functions("Qwen3-Coder", f"{FIM}/eval_metric.py", names, scope)
    return dict(zip(names, found))


def splittings(official):
    split = fim_scorers(official)["tokenize_code"]
    codes = [
        "", " ", "x", "fooBar", "fooBARBaz", "aB1cD", "f(x, 'a\"b`c')", "snake_case_name", "a\u00a0b\x1cc\u2028d\u200be", "éA aÉ",
        "x!=y", "HTTPServer", "\n\t\r", "`'\"", "aBcDeF", "1a2B", "a\x85b", "😀aB", "_A_b", "ß²",
    ]
    return [{"code": code, "tokens": split(code)} for code in codes]


def generated(rng, target, others):
    """What a model could say in place of a target."""
    yield from [target, "", "\n", target + "\n", target + "\nmore = 1\n", "  " + target, target.replace("'", '"'),
                target.upper(), target[: len(target) // 2], target + ";", "\n\n" + target, target + " # comment",
                target.replace(" ", "  "), "x", "é" + target, target + "\r", "\x1c" + target]
    yield rng.choice(others)
    letters = list(target)
    rng.shuffle(letters)
    yield "".join(letters)


def some_lines(files, rng, count):
    chosen = []
    while len(chosen) < count:
        text = rng.choice(files).split("\n")
        at = rng.randrange(len(text))
        piece = "\n".join(text[at : at + rng.choice([1, 1, 1, 2, 3, 7])])
        if piece.strip():
            chosen.append(piece)
    return chosen


def scores(scorers, truncated):
    target, pred = [truncated["target"]], [truncated["pred"]]
    return {
        "pred": truncated["pred"], "target": truncated["target"], "em": bool(scorers["cal_exact_match"](target, pred)),
        "es": scorers["cal_edit_sim"](target, pred), "es_repoeval": scorers["cal_edit_sim_repoeval"](target, pred),
    }


def lines(official, files, rng):
    """As many lines as the target has."""
    scorers = fim_scorers(official)
    pieces = some_lines(files["python"], rng, 16) + ["x = 1", "a = 'b'", "  \n\n  y\n\n  z\n", "return\x1c", "é漢"]
    found = []
    for target in pieces:
        for text in generated(rng, target, pieces):
            example = {"prompt": "", "groundtruth": target, "task_id": "t"}
            truncated = quietly(scorers["process_examples"], "line_completion", ({"pred": text, "task_id": "t"}, example))
            found.append({"groundtruth": target, "text": text} | scores(scorers, truncated))
    return found


def function_cases(files, rng):
    """(what comes before, what fills it, what a model says)."""
    handmade = [
        ("def f(x):\n", "    return x + 1\n", "    return x + 1\n\ndef g():\n    pass\n"),
        ("def f(x):\n", "    return x + 1\n", "    return (x +\n"),
        ("def f(x):\n", "    return x + 1\n", ""),
        ("def f(x):\n", "    return x + 1\n", "return x"),
        ("def f(x):\n    ", "return x + 1\n", "return x + 1\n\n\n@d\nclass"),
        ("class A:\n    def f(self):\n        ", "return 1\n", "return 2\n\n    def g(self):\n        return 3\n"),
        ("class A:\n    def f(self):\n        \"\"\"Doc.\"\"\"\n", "        return 1\n", "        return 1\n        def h(): pass\n"),
        ("x = 1\n", "y = 2\n", "y = 3\n"),
        ("", "def f(): return 1\n", "def f(): return 2\n"),
        ("def f(:\n", "    return 1\n", "    return 1\n"),
        ("if x:\n    def f():\n        if y:\n            ", "z = 1\n", "z = 1\n        else:\n            z = 2\n    q = 3\n"),
        ("async def f():\n    ", "await g()\n", "await g()\n"),
        ("def f():\n    def g():\n        ", "return 1\n    return g\n", "return 1\n    return g\n"),
        ("def f():\n    x = [1,\n", "         2]\n", "         2]\n    return x\n"),
        ("def f():\n    s = '''a\n", "b'''\n", "b'''\n    return s\n"),
        ("def f():\n    ", "pass\n", "return 'é漢😀'  # 😀\n"),
        ("def f():\n    ", "pass # c", "pass # c\n# d\n"),
        ("def f():\n    # TODO\n    ", "pass", "\tpass"),
        ("def f():\n    ", "print 'x'\n", "print 'x'\n"),
        ("def f():\n    ", "return f'{x!r}'\n", "return f'{x!r:{y}}'\n"),
        ("def f(x):\n    ", "return\n", "x" * 300),
        ("def f(x):\n    ", "return\n", "match x:\n        case 1: pass\n"),
    ]
    yield from handmade
    while True:
        text = rng.choice(files)
        heads = [m for m in re.finditer(r"^( *)def .*:\n", text, re.M) if m.end() < 9000]
        if not heads:
            continue
        head = rng.choice(heads)
        rest = text[head.end() :].split("\n")
        indent = len(head.group(1))
        end = next((n for n, line in enumerate(rest) if line.strip() and len(line) - len(line.lstrip()) <= indent), len(rest))
        body = "\n".join(rest[:end]).rstrip("\n") + "\n"
        if not 20 < len(body) < 500:
            continue
        cut = rng.randrange(len(body))
        said = rng.choice([
            body, body + "\n\ndef other():\n    return 1\n", body[:cut], body[:cut] + body[cut + 1 :],
            "\n".join(rest[: end + 6]), body.replace("self", "other"), body + ")", body + "        x = (\n",
        ])
        yield text[: head.end()], body, said


def functions(official, files, rng):
    """The body of the function that the gap is in."""
    scorers = fim_scorers(official)
    found = []
    for before, target, said in itertools.islice(function_cases(files["python"], rng), 90):
        example = {"prompt": before, "groundtruth": target, "task_id": "t"}
        sample = {"pred": said, "task_id": "t"}
        truncated = quietly(scorers["process_examples"], "function_completion", (sample, example))
        found.append({"before": before, "groundtruth": target, "text": said} | scores(scorers, truncated))
    return found


def statements(official, files, rng):
    """CrossCodeEval's statement."""
    keywords = {"python": frozenset(k for k in keyword.kwlist if k not in ("True", "False"))}
    for language in ("java", "csharp", "typescript"):
        text = official.read("cceval", f"scripts/keywords/{language}.txt")
        keywords[language] = frozenset(line.strip() for line in text.split("\n") if line.strip())
    scope = {
        "re": re, "fuzz": fuzz, "List": List, "RegexpTokenizer": RegexpTokenizer, "get_language_keywords": keywords.get,
    }
    names = [
        "IDENTIFIER_REGEX", "string_pattern", "code_tokenizer", "cal_edit_sim", "is_identifier", "extract_identifiers",
        "get_bracket_lang_statement", "get_ast", "remove_comments", "is_parse_valid", "get_python_one_statement",
        "postprocess_code_lines",
    ]
    utils = dict(zip(names, official.functions("cceval", "scripts/eval_utils.py", names, scope)))
    scope = utils | {"parser": None}
    names = ["compute_id_match", "process_examples"]
    match, process = official.functions("cceval", "scripts/eval_metric.py", names, scope)
    cases = [
        ("python", "x = ", "foo(a, b)\n", said)
        for said in [
            "foo(a, b)\n", "foo(a, b)", "foo(a,\n    b)\nbar()\n", "foo(a, c)\nx", "\nfoo(a, b)\n", "", "foo(a, b) # c\n", "(\n",
            "foo('a#b', \"//c\")\n", "foo(a, b)\r\ny\n", "foo(None, True)\n", "'it\\'s'\n", "foo(_a, b2, 2b)\n", "été(a)\n",
        ]
    ]
    cases += [("python", "for x in y:\n    ", "x += 1\n", "x += 1\n    y\n"), ("python", "def f(:\n", "x\n", "x\n")]
    for language in ("java", "csharp", "typescript"):
        for said in [
            "foo(a, b);\n", "foo(a, b)", ";x", "{ return x; }", "if (x) { y", "foo(a) // c;\n;", "}", "string s = \"a;b\";",
            "new Foo<Bar>(a);", "", "foo('c', \"d\\\"e\");",
        ]:
            cases.append((language, "int x = ", "foo(a, b);", said))
    for text in some_lines(files["python"], rng, 40):
        before, target = text[: len(text) // 2], text[len(text) // 2 :] + "\n"
        cases.append(("python", before, target, rng.choice([target, target + "x = 1\n", target[::-1], target.replace("self", "cls")])))
    for text in some_lines(files["java"], rng, 20):
        cases.append(("java", "", text, rng.choice([text, text + ";", text.replace(" ", ""), text[1:]])))
    found = []
    for language, before, target, said in cases:
        scope["parser"] = PARSERS[language]
        example = {"prompt": before, "groundtruth": target}
        made, exact = process(language, ({"pred": said, "task_id": "t"}, example))
        both, extra, missing = match(made["pred_ids"], made["target_ids"])
        count = 2 * both + extra + missing
        found.append({
            "language": language, "before": before, "groundtruth": target, "text": said, "em": exact,
            "es": utils["cal_edit_sim"]([made["target"]], [made["pred"]]), "pred": made["pred"],
            "pred_ids": made["pred_ids"], "target_ids": made["target_ids"],
            "id_em": int(made["pred_ids"] == made["target_ids"]), "id_f1": 2 * both / count if count else 0,
        })
    return found


if __name__ == "__main__":
    main()
