"""crates/longcode-tasks/tests/benchmarks/lca.json.gz: Long Code Arena's project-level completion, contexts, prompts, predictions and scores.

evaluate_generation of line_generators.py is run with a model that says what it is told to and keeps its inputs.
"""

import json
import random
import sys
import tempfile
import types
from pathlib import Path

import torch
from transformers import AutoTokenizer

from . import corpus
from .official import quietly, write_json

ROOT = "project_level_code_completion"
SEPARATORS = {"lang_sep_symbol": "", "meta_info_sep_symbol": "METASEP\n", "extension": ""}
MAX_SEQ_LEN = 160


def write(official, args):
    """Writes the fixture."""
    composer, datapoint = composer_of(official)
    rng = random.Random(20240612)
    contexts = [composed(composer, datapoint, record) for record in composer_cases()]
    records = project_records(args.corpus, rng)
    prepared = []
    for number, record in enumerate(records):
        point = datapoint(number, record["repo"], record["completion_lines"], snapshot_of(record),
                          completion_of(record))
        context = composer.context_composer(point)
        contexts.append({"record": f"records[{number}]", "context": context})
        prepared.append({"repo_id": number, "repo_name": record["repo"],
                         "completion_lines": record["completion_lines"], "context": context,
                         "completion": composer.completion_composer(point)})
    runs, results = generate(official, args.tokenizer, prepared, rng)
    generator = lines_module(official)
    fixture = official.sources(["transformers", "tokenizers", "torch", "thefuzz", "rapidfuzz"]) | {
        "how": "composers.path_distance_composer imported, with the separators of composers_config/python_standard.yaml; "
        "eval.line_generators imported and evaluate_generation run, with a model that answers `says` token by token and heeds the stopping "
        "criteria, and with evaluate's exact_match (not installed) as the mean of equal pairs",
        "notes": [
            "input_ids are what the model is given: the text's last max_seq_len tokens, <s> among them only where nothing is cut",
            "`generated` is what the model said before it was stopped, `prediction` the line that is scored",
            "the count of generated tokens that a newline waits for is kept from line to line of a record where an answer ended otherwise",
            "es of a class counts the classes before it as well; all figures are means over records",
        ],
        "max_seq_len": MAX_SEQ_LEN,
        "records": records,
        "contexts": contexts,
        "runs": runs,
        "results": results,
        "line_scores": line_scores(generator, rng, args.corpus),
    }
    write_json(args.out / "lca.json.gz", fixture)


def composer_of(official):
    for path in ("composers/base_composer.py", "composers/one_completion_file_composer.py",
                 "data_classes/datapoint_base.py",
                 "eval/config/composers_config/python_standard.yaml"):
        official.read("lca-baselines", f"{ROOT}/{path}")
    config = official.read("lca-baselines", f"{ROOT}/eval/config/composers_config/python_standard.yaml")
    for key, value in SEPARATORS.items():
        assert f"{key}: {json.dumps(value)}" in config, config
    composer = official.module("lca-baselines", ROOT,
                               "composers.path_distance_composer").PathDistanceComposer(**SEPARATORS)
    return composer, official.module("lca-baselines", ROOT,
                                     "data_classes.datapoint_commit_dataset").DatapointCommitDataset


def lines_module(official):
    """eval.line_generators, with a stand-in for `evaluate`, which would fetch its metric."""

    class ExactMatch:
        def compute(self, references, predictions):
            return {"exact_match": sum(a == b for a, b in zip(references, predictions)) / len(references)}

    sys.modules["evaluate"] = types.SimpleNamespace(load=lambda name: ExactMatch())
    return official.module("lca-baselines", ROOT, "eval.line_generators")


def snapshot_of(record):
    return dict(zip(record["repo_snapshot"]["filename"], record["repo_snapshot"]["content"]))


def completion_of(record):
    return {record["completion_file"]["filename"]: record["completion_file"]["content"]}


def composed(composer, datapoint, case):
    """A case's context; the error where the benchmark's code stops."""
    point = datapoint(0, case["repo"], {}, dict(case["snapshot"]), {case["completion_path"]: ""})
    try:
        return case | {"context": composer.context_composer(point)}
    except Exception as error:
        return case | {"error": f"{type(error).__name__}: {error}"}


def composer_cases():
    """Paths near and far, in every odd spelling; files that do not count."""

    def case(completion_path, names, **contents):
        snapshot = [[name, contents.get(name, f"<{name}>\n")] for name in names]
        return {"repo": "o__r", "completion_path": completion_path, "snapshot": snapshot}

    near = [
        "a.py", "b.py", "pkg/a.py", "pkg/b.py", "pkg/sub/a.py", "pkg/sub/deep/a.py", "other/a.py", "other/sub/a.py",
        "pkg2/sub/a.py",
    ]
    yield case("pkg/sub/x.py", near)
    yield case("pkg/sub/x.py", near[::-1])
    yield case("x.py", near)
    yield case("p/q/r/s/x.py", near)
    yield case("pkg/x.py", [
        "README.md", "pkg/a.py", "setup.cfg", "pkg/data.txt", "z.py", "pkg/LICENSE", "LICENSE.py", "licenses/a.txt",
        ".gitignore", ".github/a.yml", ".hidden.py", "pkg/.hidden", "License_notes.md", "Makefile", "a.PY", "b.pyi",
    ])
    big = {"big.txt": "é" * 15_999, "bigger.txt": "x" * 16_000, "big.py": "y" * 16_001}
    yield case("x.py", list(big), **big)
    yield case("./pkg/./x.py", [
        "pkg//a.py", "pkg/../b.py", "./c.py", "/abs/d.py", "pkg/x/e.py", "pkg\\f.py", "../g.py",
    ])
    yield case("pkg/x.py", ["pkg/x.py", "pkg/y.py"])
    yield case("x.py", ["only.md"])
    yield case("x.py", [".only"])
    yield case("x.py", [])
    yield case("pkg/x.py", ["pkg", "pkg/a", "a/pkg/x.py"])


def project_records(corpus_directory, rng):
    """Two small projects of the corpus, with lines of every class, first and last lines among them."""
    records = []
    for package in ("tornado", "jinja2"):
        files = [r for r in corpus.files(corpus_directory, "python") if r["repo_name"] == package]
        chosen = rng.sample(files, 3)
        heads = ["\n".join(r["content"].split("\n")[start : start + 28]) for r in chosen for start in [rng.randrange(60)]]
        content = heads[0] + "\n\nlast = 'ü'"
        count = content.count("\n") + 1
        classes = {name: sorted(rng.sample(range(count), 2)) for name in ("infile", "inproject", "common")}
        classes |= {"commited": [], "non_informative": [0], "random": [count - 1]}
        records.append({
            "repo": f"corpus__{package}",
            "commit_hash": "",
            "completion_file": {"filename": f"{package}/main.py", "content": content},
            "completion_lines": classes,
            "repo_snapshot": {"filename": [f"{package}/near.py", "far/away/file.py", "README.md"],
                              "content": [heads[1], heads[2], "# é漢😀\n"]},
        })
    records[1]["completion_lines"] = {"infile": [3], "inproject": [], "common": [5], "commited": [7],
                                      "non_informative": [1], "random": [2]}
    return records


ANSWERS = [
    "\n{line}\n", "{line}\nmore\n", "\n\n\n{line}\n", "{line}", "\n  \n{line}\n", "\n\r\n{line}\r\n", "", "\n",
    "\n{line} # and much more of it, on and on\n", "</s>\n{line}\n", "\nx\n{line}\n", "{line}{line}\n", "a b\nc\n",
    "\n" + "no newline at all " * 40, "\n{line}\n",
]


def generate(official, tokenizer_path, prepared, rng):
    """Every call of the model in both passes, and the benchmark's figures."""
    module = lines_module(official)
    official.read("lca-baselines", f"{ROOT}/model_hub/model_inference.py")
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    calls = []

    class Model:
        def generate(self, input_ids, max_new_tokens, do_sample, stopping_criteria, eos_token_id, pad_token_id):
            assert (max_new_tokens, do_sample, eos_token_id) == (100, False, tokenizer.eos_token_id)
            line = lines[len(calls)]
            says = rng.choice(ANSWERS).replace("{line}", line if rng.random() < 0.7 else line.replace("e", "a"))
            # </s> in the text is the token that ends.
            tokens = tokenizer.encode(says, add_special_tokens=False) + [eos_token_id]
            ids = input_ids
            for token in tokens[:max_new_tokens]:
                ids = torch.cat([ids, torch.tensor([[token]])], dim=-1)
                if any(criterion(ids, None) for criterion in stopping_criteria) or token == eos_token_id:
                    break
            generated = ids[0, input_ids.size(-1) :].tolist()
            calls.append({"says": says, "input_ids": input_ids[0].tolist(),
                          "generated": tokenizer.decode(generated, skip_special_tokens=True),
                          "new_tokens": len(generated)})
            return ids

    order = [(p["repo_id"], name, line)
             for p in prepared for name, found in p["completion_lines"].items() for line in found]
    texts = [p["completion"].split("\n") for p in prepared]
    lines = [texts[record][line] for record, _, line in order] * 2
    module.get_model = lambda args: (Model(), "cpu")
    with tempfile.TemporaryDirectory() as directory:
        inputs, out = Path(directory, "in.json"), Path(directory, "out.jsonl")
        inputs.write_text(json.dumps(prepared))
        config = module.GeneratorConfig(str(inputs), MAX_SEQ_LEN, 0, "m", "cpu", 0.0, str(tokenizer_path),
                                        "path_distance", 42, str(out))
        figures, _, differences, counts = quietly(module.evaluate_generation, config)
        written = [json.loads(line) for line in out.read_text().split("\n") if line]
    runs = []
    for (record, name, line), call, result in zip(order * 2, calls, written, strict=True):
        assert (result["line_class"], result["ground_truth"]) == (name, texts[record][line])
        runs.append({"record": record, "class": name, "line": line, "zero_context": result["zero_context"],
                     "truth": result["ground_truth"]} | call
                    | {"prediction": result["prediction_line"]})
    return runs, {"figures": figures, "em_difference": differences, "line_counts": counts}


def line_scores(module, rng, corpus_directory):
    """em and es of single lines, and of classes together."""
    from . import repobench

    cases = list(repobench.pairs(rng, corpus_directory))[:120]
    generator = object.__new__(module.LineGeneratorHF)
    scores = []
    for truth, prediction in cases:
        generator.generation_results = {"c": module.GenerationResults([prediction], [truth])}
        em = generator.calculate_exact_match()["c"]["exact_match"]
        scores.append({"truth": truth, "prediction": prediction, "em": em,
                       "es": generator.calculate_edit_similarity()["c"]["edit_similarity"]})
    return scores
