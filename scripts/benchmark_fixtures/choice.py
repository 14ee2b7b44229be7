"""crates/longcode-tasks/tests/benchmarks/multiple_choice.json: LongBench v2, LongCodeQA, InfiniteBench Code.Debug and Code.Run.

What each benchmark's own code asks, cuts, reads out of an answer and scores.
"""

import io
import json
import os
import random
import re
import tempfile
from pathlib import Path
from types import SimpleNamespace

from transformers import AutoTokenizer

from . import corpus
from .official import quietly, write_json

LETTERS = "ABCD"


def write(official, args):
    """Writes the fixture."""
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    rng = random.Random(20241220)
    texts = long_texts(args.corpus, rng)
    fixture = {
        "tokenizer": "models/nano (adds <s>), loaded by transformers' AutoTokenizer",
        "longbench_v2": longbench(official, tokenizer, texts, rng),
        "long_code_qa": long_code_qa(official, texts, rng),
        "infinitebench": infinitebench(official, tokenizer, texts, rng),
    }
    write_json(args.out / "multiple_choice.json", official.sources(["transformers", "tokenizers"]) | fixture)


def long_texts(corpus_directory, rng):
    """Code to be cut in the middle, with characters of several bytes where a cut may fall."""
    python = [f["content"] for f in corpus.files(corpus_directory, "python") if len(f["content"]) > 8000]
    start = rng.randrange(1000)
    code = rng.choice(python)[start : start + 2600]
    return {
        "code": "\n\n  " + code + "\n \t\n",
        "wide": "".join(rng.choice(["é", "漢", "😀", "ß", " ", "x", "\n"]) for _ in range(500)),
        "short": "def f(x):\n    return x + 1\n",
        "marked": "# $Q$ and $C_A$ and $DOC$ and {context} {0} %s\n" + code[:300],
    }


# LongBench v2


def longbench(official, tokenizer, texts, rng):
    scope = {"re": re, "json": json, "os": os, "tqdm": lambda items: items,
             "time": SimpleNamespace(sleep=lambda s: None)}
    templates = {
        "template_0shot": "0shot",
        "template_0shot_cot": "0shot_cot",
        "template_no_context": "0shot_no_context",
        "template_rag": "0shot_rag",
        "template_0shot_cot_ans": "0shot_cot_ans",
    }
    for name, file in templates.items():
        scope[name] = official.read("LongBench", f"prompts/{file}.txt")
    extract, get_pred = official.functions("LongBench", "pred.py", ["extract_answer", "get_pred", "query_llm"],
                                           scope)[:2]
    scope["AutoTokenizer"] = SimpleNamespace(from_pretrained=lambda *a, **k: tokenizer)
    scope["model_map"] = {"nano": "nano"}
    scope["URL"] = scope["API_KEY"] = ""

    def run(items, outputs, limit):
        """What get_pred asks a server for and writes, with a server that answers `outputs` in turn."""
        prompts, answers = [], iter(outputs)

        def create(**request):
            prompts.append(request)
            return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=next(answers)))])

        client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
        scope["OpenAI"] = lambda **_: client
        scope["maxlen_map"] = {"nano": limit}
        out = io.StringIO()
        args = SimpleNamespace(model="nano", rag=0, no_context=False, cot=False)
        quietly(get_pred, [dict(item) for item in items], args, out)
        return prompts, [json.loads(line) for line in out.getvalue().split("\n") if line]

    prompts = []
    for name, limits in [("short", [10**6, 40, 41]), ("code", [10**6, 300, 301, 77]), ("marked", [10**6, 120]),
                         ("wide", [400, 401, 402, 403, 404, 405])]:
        record = longbench_record(name, texts[name])
        for limit in limits:
            requests, _ = run([record], ["x"], limit)
            assert [requests[0][k] for k in ("temperature", "max_tokens")] == [0.1, 128]
            prompts.append({"record": name, "max_len": limit, "prompt": requests[0]["messages"][0]["content"]})
    outputs = [*LONGBENCH_OUTPUTS, *random_outputs(rng, LONGBENCH_PIECES, 150)]
    items = [{**longbench_record(str(i), "x"), "answer": rng.choice(LETTERS)} for i in range(len(outputs))]
    written = {r["_id"]: r for r in run(items, outputs, 10**6)[1]}
    answers = []
    for item, output in zip(items, outputs):
        record = written.get(item["_id"])
        answers.append({"output": output, "answer": item["answer"], "written": record is not None}
                       | ({"pred": record["pred"], "judge": record["judge"]} if record else {}))
    judged = [{k: record[k] for k in ("pred", "judge", "difficulty", "length")} for record in written.values()]
    for record in judged:
        record["difficulty"], record["length"] = rng.choice(["easy", "hard"]), rng.choice(["short", "medium", "long"])
    return {
        "how": "pred.py's get_pred and query_llm, cut out of the file and run with a server that answers `output` and "
        "keeps what it is asked (one user message, temperature 0.1, 128 new tokens); result.py as a script, with "
        "`compensated` as it is (False) and True",
        "notes": "an empty output is not written: the record is in no denominator; `pred` is null where no letter is found",
        "records": {name: longbench_record(name, texts[name]) for name in ["short", "code", "marked", "wide"]},
        "prompts": prompts,
        "answers": answers,
        "judged": judged,
        "tables": {str(flag): result_table(official, judged, flag) for flag in (False, True)},
    }


def longbench_record(name, context):
    return {
        "_id": name,
        "domain": "Code Repository Understanding",
        "sub_domain": "Code repo QA",
        "difficulty": "hard",
        "length": "short",
        "question": " What does $C_B$ do?\n" if name == "marked" else f"\tWhat is {name}? \n\n",
        "choice_A": " the first\n",
        "choice_B": "the second: (A) $C_C$" if name == "marked" else "the second",
        "choice_C": "",
        "choice_D": "\u00a0the fourth\u3000",
        "answer": "B",
        "context": context,
    }


def result_table(official, judged, compensated):
    """The lines that result.py writes for one model's records."""
    text = official.read("LongBench", "result.py")
    assert text.count("compensated = False") == 1
    text = text.replace("compensated = False", f"compensated = {compensated}")
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        try:
            os.mkdir("results")
            Path("results/nano.jsonl").write_text("".join(json.dumps(record) + "\n" for record in judged))
            exec(compile(text, "result.py", "exec"), {})
            return Path("result.txt").read_text().split("\n")
        finally:
            os.chdir(before)


LONGBENCH_OUTPUTS = [
    "", " ", "\n", "A", "(A)", "The correct answer is (A)", "The correct answer is (A).", "The correct answer is A",
    "the correct answer is (A)", "The correct answer is: (A)", "The correct answer is  (A)",
    "The correct answer is\n(A)", "The correct answer is **(B)**", "**The correct answer is (C).**",
    "The *correct* answer* is (*D*)", "The correct answer is B. The correct answer is (C)",
    "The correct answer is (C). The correct answer is (D)", "The correct answer is (E). The correct answer is D",
    "The correct answer is (a)", "The correct answer is Apple", "The correct answer is (AB)",
    "The correct answer is (A", "The correct answer is (insert answer here)", "The correct answer is option B",
    "The correct answer is not (A)", "I think The correct answer is (B) because", "The correct answer is [A]",
    "The correct answer is $A$", "The correct answer is \\(A\\)", "The correct answer is Ａ",
    "The correct answer is\u00a0(A)", "The correct answer is Because", "The correct answer is (Ä)",
    "The correct answer is ( A )", "Answer: A", "The correct answer is *", "The correct answer is **A**nd more",
]
LONGBENCH_PIECES = [
    "The correct answer is ", "The correct answer is (", "the correct answer is ", "correct ", "answer ", "*", "**",
    "(", ")", "A", "B", "C", "D", "E", ".", "\n", " ", "(B)", "(D)", "The correct answer is (C)",
    "The correct answer is B", "is",
]


def random_outputs(rng, pieces, count):
    return ["".join(rng.choice(pieces) for _ in range(rng.randrange(1, 9))) for _ in range(count)]


# LongCodeQA


def long_code_qa(official, texts, rng):
    scope = {}
    exec("from typing import Dict, List, Literal, Optional", scope)
    scope["re"] = re
    path = "src/long_code_bench/inference/codeqa_eval.py"
    parse, evaluate = official.functions("long-code-bench", path, ["_parse_final_answer", "_evaluate_predictions"],
                                         scope)
    outputs = [*QA_OUTPUTS, *random_outputs(rng, QA_PIECES, 200)]
    answers = [{"output": output, "letter": parse(None, output)} for output in outputs]
    predictions = [{"text": output, "correct_letter": rng.choice(LETTERS)} for output in outputs]
    evaluator = SimpleNamespace(_parse_final_answer=lambda response: parse(None, response))
    metrics = evaluate(evaluator, predictions)
    try:
        evaluate(evaluator, [{"response": "A", "correct_letter": "A"}])
        as_run = "scored"
    except KeyError as error:
        as_run = f"KeyError: {error}"
    return {
        "how": "codeqa_eval.py's _parse_final_answer and _evaluate_predictions, codeqa.py's _create_dataset, cut out of "
        "their files and run",
        "notes": f"the runner writes `response` and the evaluator reads `text`: run as published it stops with {as_run}. "
        "How the released files' `prompt` was made is not in the repository: the builder writes the prompt alone, the right "
        "answer always A. The prompts here are the builder's",
        "answers": answers,
        "correct_letters": "".join(p["correct_letter"] for p in predictions),
        "metrics": metrics,
        "prompts": builder_prompts(official, texts),
    }


def builder_prompts(official, texts):
    """What the builder of the data set makes of a repository and an issue, question after repository."""
    # The file is Python 3.12's: the function is cut out of the text.
    text = official.read("long-code-bench", "src/long_code_bench/data/codeqa.py")
    function = re.search(r"^def _create_dataset\(.*?(?=^def )", text, re.DOTALL | re.MULTILINE).group()
    scope = {"json": json}
    exec("from typing import Dict, List, Literal, Optional", scope)
    scope |= {"IssueToQA": dict, "gitrep": SimpleNamespace(GitHubRepository=object)}
    exec(function, scope)
    files = {"a.py": texts["short"], "tests/test_a.py": "assert True", "b/c.py": "", "mytests.py": "x",
             "é.md": "no newline"}
    issue = {"question": "What is f?", "correct_answer": "one", "incorrect_answers": ["two", "three\n", "four"]}

    class Repository:
        def __enter__(self):
            return SimpleNamespace(read_files=lambda: dict(files))

        def __exit__(self, *_):
            return None

    prompts = []
    for form in ["post", "pre", "without"]:
        with tempfile.TemporaryDirectory() as directory:
            out = f"{directory}/out.json"
            scope["_create_dataset"]({"o/r": {1: issue}}, {"o/r": Repository()}, out, form)
            prompts.append({"format": form, "files": files, "issue": issue,
                            "prompt": json.loads(Path(out).read_text())[0]})
    return prompts


QA_OUTPUTS = [
    "", " ", "A", "a", "d", "E", "A)", "A.", "(A)", " B \n", "B\n\n", "Final Answer: C", "final answer:c",
    "FINAL ANSWER:\n\nD", "Final Answer: **C**", "Final Answer: C\nFinal Answer: D", "Final Answer C",
    "Final Answer: E\nA", "Final Answer: all", "Final Answer: Because it is", "Final Answer: dunno",
    "The answer is A", "The answer is A.", "answer:A", "xA", "_A", "1A", "-A", "éA", "A\u00a0", "A\u200b",
    "The answer is a b", "cab", "ab c", "I choose d\t", "Final Answer:\u3000b", "Final  Answer: B",
    "not B but Final Answer: A, or B", "A B C D", "A\x1c", "ＡA", "Final Answer:A)", "B)\nThis is why. C",
    "ſ\nFinal Answer: d", "FINAL ANſWER: b", "final anſwer: a", "Fınal Answer: C", "FİNAL ANSWER: C",
]
QA_PIECES = [
    "Final Answer:", "final answer: ", "Final", " Answer", ":", " ", "\n", "A", "b", "C", "d", "e", ")", ".", "word ",
    "*", "-", "_", "B",
]


# InfiniteBench


def infinitebench(official, tokenizer, texts, rng):
    templates = official.module("InfiniteBench", "src", "prompt")
    scope = {"re": re, "Path": Path} | {k: getattr(templates, k) for k in dir(templates) if k.endswith("_templates")}
    names = ["MODEL_TO_PROMPT_TEMPLATE", "create_prompt", "get_answer", "DATA_NAME_TO_MAX_NEW_TOKENS"]
    _, create_prompt, get_answer, new_tokens = official.functions("InfiniteBench", "src/eval_utils.py", names, scope)
    cutter = official.functions("InfiniteBench", "src/eval_yarn_mistral.py", ["truncate_input", "truncate_by_tokens"],
                                {})[1]

    prompts = []
    examples = infinitebench_examples(texts)
    for name, (task, example) in examples.items():
        for model in ["yarn-mistral", "gpt4"]:
            try:
                prompt = create_prompt(dict(example), task, model, "data")
            except Exception as error:
                prompts.append({"example": name, "model": model, "error": f"{type(error).__name__}: {error}"})
                continue
            prompts.append({"example": name, "model": model, "label": get_answer(example, task), "prompt": prompt})
            if model == "yarn-mistral" and name in LIMITS:
                for limit in LIMITS[name]:
                    cut = quietly(cutter, prompt, tokenizer, limit)
                    prompts.append({"example": name, "model": model, "max_tokens": limit, "prompt": cut})
    return {
        "how": "eval_utils.py's create_prompt and get_answer, eval_yarn_mistral.py's truncate_by_tokens and "
        "compute_scores.py's scorers, cut out of their files and run; `after_pr22` is get_score_one_code_debug of a copy "
        "of compute_scores.py made after pull request 22 (the snapshot does not have it)",
        "max_new_tokens": {task: new_tokens[task] for task in ("code_debug", "code_run")},
        "examples": {name: {"task": task} | example for name, (task, example) in examples.items()},
        "prompts": prompts,
        "code_run": code_run_scores(official, rng),
        "code_debug": code_debug_scores(official, rng),
    }


LIMITS = {"debug_code": [10**6, 300, 301, 40], "run_wide": [400, 401, 402, 403, 404, 405], "run_one": [10**6, 60, 61]}


def infinitebench_examples(texts):
    options = ["Foo.bar", "baz", "set_option", "Foo.__init__"]
    ask = "Please give me the exact number of the return value of {}. Your response should end with the sentence 'The return value is:'."
    debug = {"id": 0, "context": texts["code"], "input": "", "options": options}
    run = {"id": 1, "context": "def func_7(x):\n    return x - 3\n", "options": []}
    return {
        "debug_code": ("code_debug", debug | {"answer": ["baz", "B"]}),
        "debug_string": ("code_debug", debug | {"context": "{braces} {0} %d", "answer": "Foo.__init__"}),
        "debug_list": ("code_debug", debug | {"context": "", "answer": ["set_option"]}),
        "debug_letter_not_of_name": ("code_debug", debug | {"context": "x", "answer": ["baz", "D"]}),
        "run_one": ("code_run", run | {"input": ask.format("func_7(-5)"), "answer": [-8]}),
        "run_two_calls": ("code_run", run | {"input": "func_7(x) func_07(12) func_8(1)", "answer": [9]}),
        "run_no_call": ("code_run", run | {"input": ask.format("func_x(1)"), "answer": [1]}),
        "run_wide": ("code_run", run | {"context": texts["wide"], "input": ask.format("func_7(3)"), "answer": [0]}),
    }


def code_run_scores(official, rng):
    score = official.functions("InfiniteBench", "src/compute_scores.py", ["get_score_one_code_run"], {})[0]
    outputs = [*RUN_OUTPUTS, *random_outputs(rng, RUN_PIECES, 120)]
    return [{"output": output, "label": label, "score": float(score(output, label, "yarn-mistral"))}
            for output in outputs for label in [rng.choice([[-8], [-8], [-8], [10], [0], [1000], -8, ["-8"]])]
            ] + [{"output": output, "label": [label], "score": float(score(output, [label], "yarn-mistral"))}
                 for output, label in RUN_PAIRS]


RUN_OUTPUTS = [
    "", " ", "-8", " -8.", "-8\n", "The value is -8", "-8 is it", "-8.0", "8", "- 8", "--8", "`-8`", "'-8'", '"-8"',
    "-8,", "(-8)", "**-8**", "x=-8", "= -8", ": -8", "is:-8", "-8!", "The return value is: -8", "-8\n\nExplanation",
    "-08", "−8", "-8 .", "-8'", "-8\x1c",
]
RUN_PAIRS = [
    ("+10", 10), ("1_000", 1000), ("１０", 10), ("٣", 3), ("1e1", 10), ("10.", 10), ("10.0", 0), ("10.0", 10),
    ("0x0a", 10), ("1__0", 10), ("_10", 10), ("10_", 10), ("+-10", 10), ("-0", 0), ("99999999999999999999999999", 0),
    ("³", 3), ("१०", 10), ("\u200b10", 10), ("10\u00a0", 10), ("+ 10", 10), ("007", 7), ("True", 1), ("1０", 10),
    ("-_8", -8), ("10:", 10), ("func_10", 10), ("a 3 b 10", 10),
]
RUN_PIECES = ["-8", "10", "0", "1000", " ", ".", "\n", ":", "`", "'", "-", "+", "the value ", "is", "_", ",", "8"]


def code_debug_scores(official, rng):
    scorers = {}
    for version, repository in [("snapshot", "InfiniteBench"), ("after_pr22", "InfiniteBench-pr22")]:
        scorers[version] = official.functions(
            repository, "src/compute_scores.py", ["get_score_one_code_debug"], {"re": re})[0]
    labels = [["Foo.bar", "A"], ["baz", "B"], ["set_option", "C"], ["Foo.__init__", "D"]]
    cases = [(output, label) for output in DEBUG_OUTPUTS for label in [labels[1], rng.choice(labels)]]
    cases += DEBUG_PAIRS
    cases += [(output, rng.choice(labels)) for output in random_outputs(rng, DEBUG_PIECES, 250)]
    return [{"output": output, "label": label} | {
        version: float(score(output, label, "yarn-mistral")) for version, score in scorers.items()}
        for output, label in cases]


DEBUG_OUTPUTS = [
    "", " ", "B", " B", "B.", "B:", "B)", "(B)", "B. baz", "B.baz", "A. Foo.bar", "b.", "baz", " baz", "bazaar",
    "The answer is: B", "The answer is:B", "answer is:  B", "The answer is B", "is: B", "is:\nB", "answer:B",
    "answer: B", "answer: baz", "Answer: B", "The correct option is: B", "The correct option is:B",
    "correct option is: A. B", "Option B", "option: B", "is: option B", "is: `baz`", "is: **B**", "is: - B", "is:",
    "answer:", "The answer is: ", "this: B", "A\nB", "B\nA", "A B", "B A", "A or B", "I", "A function B",
    "I choose B", "It is a bug in B", "The function baz is wrong", "B_", "_B", "B1", "éB", "É B", "B-A", "A-B",
    "B\u2028A", "B\rA", "A\x0bB", "A\n\nB. baz", "J", "K B", "B K", "answer is: A. is: B", "is: A answer is: B",
    "answer is: is: B", "\tB.", "\u00a0B.", "D.\nThe answer is: B", "Option Option B", "BB", "Because", "B:", "B\n",
    "is: B", "is:   B", "answer is:Bx", "Ｂ", "Ｂ. x", "The bug", "A B-",
]
DEBUG_PAIRS = [
    ("set_option", ["set_option", "C"]), ("is: set_option", ["set_option", "C"]), ("is: set_", ["set_option", "C"]),
    ("C", ["set_option", "C"]), ("a-b", ["a-b", "C"]), ("is: a b", ["a b", "C"]),
    ("Foo.__init__", ["Foo.__init__", "D"]), ("Foo", ["Foo.__init__", "D"]),
    ("Foo.__init__ is: A", ["Foo.__init__", "D"]), ("D is not: A", ["Foo.__init__", "D"]), ("A", ["A", "D"]),
    ("is: A", ["A", "D"]),
]
DEBUG_PIECES = [
    "A", "B", "C", "D", "I", ".", ":", " ", "  ", "\n", "answer is:", "is:", "answer:", "The correct option is:",
    "correct option is: ", "baz", "Foo.bar", "Foo.__init__", "set_option", "Option ", "option ", "*", "-", "`", "a ",
    "the function ", "A.", "B.", "C:", "D. ",
]
