"""crates/longcode-tasks/tests/benchmarks/repoqa_context.json.gz: RepoQA's order of files, code context and prompts.

The whole of search_needle_function.evaluate_model is run, with the tokenizer of models/nano in CodeLlama's place and a
model that keeps its prompts.
"""

import json
import random
import sys
import tempfile
import types
from pathlib import Path

from transformers import AutoTokenizer

from . import corpus
from .official import quietly, write_json
from .repoqa_sources import functions_of

SIZES = [512, 1024, 2048]


def write(official, args):
    """Writes the fixture."""
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    query = official.module("repoqa", ".", "repoqa.utility").FUNCTION_QUERY
    dataset = repositories(args.corpus, query)
    contexts, base = [], []
    for size in SIZES:
        for request in run(official, "repoqa", dataset, tokenizer, size):
            contexts.append({"context_size": size} | request)
    for request in run(official, "repoqa-base_model", dataset, tokenizer, SIZES[0], is_base_model=True):
        kept = {key: request[key] for key in ("language", "repo", "name", "prompt", "stop")}
        base.append(kept | {"context_size": SIZES[0]})
    sys.setrecursionlimit(10_000)
    sort = official.module("repoqa", ".", "repoqa.utility").topological_sort
    orders = [{"dependency": graph, "order": sort(graph)} for graph in graphs(random.Random(20240624))]
    fixture = official.sources(["transformers", "tokenizers"]) | {
        "how": "search_needle_function.evaluate_model, imported and run (backend hf, caching off) with AutoTokenizer giving "
        "models/nano and a provider that keeps prompts; `base_prompts` the same of the branch base_model (backend vllm, "
        "is_base_model); `orders` by utility.topological_sort",
        "notes": [
            "order: depth-first, post-order, over the keys of `dependency` in file order, neighbours in list order, each path once",
            "files only in `content` are left out; a neighbour that is no key is a leaf (and must be in `content`)",
            "start_byte and end_byte cut the file as a string of characters",
            "tokens are counted line by line, each line with its newline, without special tokens",
            "the text above the needle on its own line becomes a line: a newline stands between indentation and needle",
            "base_prompts: the language after ``` is that of the data set's last language, for every task",
        ],
        "dataset": dataset,
        "orders": orders,
        "contexts": contexts,
        "base_prompts": base,
    }
    write_json(args.out / "repoqa_context.json.gz", fixture)


def run(official, checkout, dataset, tokenizer, size, **options):
    """Every task of the data set as the benchmark makes it, and the prompt that its model is given."""
    requests = []

    class Provider:
        """In place of HfProvider and VllmProvider."""

        def __init__(self, *_, **__):
            self.tokenizer = types.SimpleNamespace(chat_template="x")

        def generate_reply(self, prompt, **request):
            assert request.pop("n") == 1 and request.pop("max_tokens") == 1024 and request.pop("system_msg") is None
            requests.append({"prompt": prompt} | request)
            return ["nothing"]

    for name in ("compute_score", "metric", "utility", "search_needle_function"):
        module = official.module(checkout, ".", f"repoqa.{name}")
    for name, provider in [("hf", "HfProvider"), ("vllm", "VllmProvider")]:
        sys.modules[f"repoqa.provider.{name}"] = types.SimpleNamespace(**{provider: Provider})
    module.AutoTokenizer = types.SimpleNamespace(from_pretrained=lambda name: named(name, tokenizer))
    with tempfile.TemporaryDirectory() as directory:
        module.CACHE_DIR = f"{directory}/cache"
        path = Path(directory, "data.json")
        path.write_text(json.dumps(dataset))
        sys.path.insert(0, str(official.checkouts / checkout))
        try:
            quietly(module.evaluate_model, "m", backend="vllm" if options else "hf", code_context_size=size,
                    result_dir=directory, caching=False, dataset_path=str(path), **options)
        finally:
            sys.path.pop(0)
        lines = Path(directory, f"ntoken_{size}", "m.jsonl").read_text().splitlines()
    tasks = [json.loads(line) for line in lines]
    assert len(tasks) == len(requests) == sum(len(r["needles"]) for repos in dataset.values() for r in repos)
    keep = ["language", "repo", "name", "path", "position_ratio", "description", "code_context", "needle_token_start",
            "needle_token_end", "code_context_ntokens"]
    return [{key: task[key] for key in keep} | request for task, request in zip(tasks, requests)]


def named(name, tokenizer):
    assert name == "codellama/CodeLlama-7b-Instruct-hf"
    return tokenizer


def repositories(corpus_directory, query):
    """Two repositories of the corpora and a tiny one of edge cases."""
    rng = random.Random(20240622)
    dataset = {"python": [edge_repository(query)], "java": []}
    for language, package in [("python", "werkzeug"), ("java", "jsoup")]:
        records = [r for r in corpus.files(corpus_directory, language) if r["repo_name"].startswith(package)]
        records = [r for r in records if len(r["content"]) < 14000] or records
        chosen = rng.sample(records, min(5, len(records)))
        content = {r["path"]: r["content"] for r in chosen}
        paths = list(content)
        dependency = {path: rng.sample(paths, rng.randrange(len(paths))) for path in paths}
        functions = {path: functions_of(text, language, query) for path, text in content.items()}
        flat = [{**f, "path": path} for path, found in functions.items() for f in found
                if 80 < f["end_byte"] - f["start_byte"] < 1500]
        needles = [{**n, "description": description(n)} for n in rng.sample(flat, 6)]
        dataset[language].append({"repo": f"corpus/{package}", "commit_sha": "", "entrypoint_path": "", "topic": "",
                                  "content": content, "dependency": dependency, "functions": {}, "needles": needles})
    return dataset


def description(needle):
    return f"\n1. **Purpose**: {needle['name']} in words\n2. **Input**: what it takes.\n"


def edge_repository(query):
    """Characters of several bytes above a needle, no newline at an end, empty files, a cycle, a file left out, a needle
    bigger than the context."""
    big = "def big(x):\n" + "".join(f"    x = x * {i} + {i * i}\n" for i in range(160)) + "    return x"
    content = {
        "a/one.py": "# one\n\n\ndef first():\n    return 1\n\n\nclass A:\n    def inside(self):\n        return 'x'\n",
        "a/wide.py": "# é 漢 😀\nname = 'größe'\n\ndef after_wide(x):\n    # ü\n    return x + 1\n\nend = 1\n",
        "a/empty.py": "",
        "b/big.py": big,
        "b/last.py": "\n\n\n\ndef last(): return 2",
        "b/crlf.py": "def crlf(x):\r\n    return x\r\n\r\ny = 1\r\n",
        "left_out.py": "never = 1\n",
    }
    dependency = {
        "b/big.py": ["a/wide.py", "b/last.py", "a/wide.py"],
        "a/one.py": ["a/empty.py", "b/big.py"],
        "a/wide.py": ["a/one.py"],
        "b/crlf.py": [],
    }
    functions = {path: functions_of(text, "python", query) for path, text in content.items()}
    needles = [{**f, "path": path, "description": description(f)} for path, found in functions.items() for f in found]
    return {"repo": "small/edges", "commit_sha": "", "entrypoint_path": "", "topic": "", "content": content,
            "dependency": dependency, "functions": {}, "needles": needles}


def graphs(rng):
    """Chains, cycles, several roots, unknown neighbours, self-loops, then random ones."""
    yield {}
    yield {"a": []}
    yield {"a": ["a"]}
    yield {"a": ["b"], "b": ["c"], "c": ["a"]}
    yield {"c": ["b"], "b": ["a"], "a": []}
    yield {"a": ["x", "y"], "b": ["y", "z"], "y": ["b"]}
    yield {"a": ["b", "b", "c"], "c": ["b"], "d": ["a"]}
    for size in [3, 5, 8, 12, 12, 20]:
        names = [f"n{i}" for i in range(size)]
        keys = rng.sample(names, size - size // 5)
        yield {key: rng.sample(names, rng.randrange(min(5, size))) for key in keys}
