#!/usr/bin/env python3
"""Real logs of lm-evaluation-harness 0.4.13 and inspect_ai 0.3.285, and SciPy's paired permutation tests of them.

    pip install lm_eval==0.4.13 inspect_ai==0.3.285 scipy==1.17.1
    HF_HUB_OFFLINE=1 python scripts/make_harness_logs.py

writes crates/longcode-compare/tests/logs/. Two made-up models, "careful" and "hasty", answer 24 questions: neither harness
needs a real one to log. Of the files that the harnesses wrote, results_*.json keep what tells of the model, the version and
the metrics, and inspect_ai's samples lose their events and messages; samples_*.jsonl are unchanged.
"""

import hashlib
import json
import pathlib
import random
import shutil
import tempfile

OUT = pathlib.Path(__file__).resolve().parent.parent / "crates/longcode-compare/tests/logs"
DOCS = [
    {
        "id": n,
        "question": f"def f{n}():\n    return {100 + n * 7}\n\nWhat does f{n}() return?",
        "answer": str(100 + n * 7),
        "choices": [str(100 + n * 7), str(200 + n), str(300 + n), str(400 + n)],
    }
    for n in range(24)
]
SKILL = {"careful": 0.9, "hasty": 0.3}
TASKS = {
    "returns": """
output_type: generate_until
doc_to_text: "{{question}}\\nAnswer:"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8}
filter_list:
  - {name: strict, filter: [{function: take_first}]}
  - name: number
    filter: [{function: regex, regex_pattern: "([0-9]+)"}, {function: take_first}]
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
""",
    "choices": """
output_type: multiple_choice
doc_to_text: "{{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: 0
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    "rolling": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}}"
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
""",
}


def chance(*what):
    return random.Random(hashlib.sha256(repr(what).encode()).digest())


def answer(model, n, epoch=0):
    draw = chance(model, n, epoch)
    if draw.random() < SKILL[model]:
        return DOCS[n]["answer"] if draw.random() < 0.5 else "It is " + DOCS[n]["answer"]
    return "7"


def number(text):
    return int(text.split("def f")[1].split("(")[0])


def lm_eval_logs(work):
    import lm_eval
    from lm_eval.api.model import LM
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    (work / "docs.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in DOCS))
    for name, text in TASKS.items():
        head = f"task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {work}/docs.jsonl}}}}\ntest_split: test"
        (work / f"{name}.yaml").write_text(head + text + "metadata: {version: 1.0}\n")

    class Model(LM):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def generate_until(self, requests, **_):
            return [answer(self.name, number(request.args[0])) for request in requests]

        def loglikelihood(self, requests, **_):
            def of(context, choice):
                right = choice.strip() == DOCS[number(context)]["answer"]
                worse = 0 if right else 5 * SKILL[self.name]
                return (-5 * chance(self.name, context, choice).random() - worse, False)

            return [of(*request.args) for request in requests]

        def loglikelihood_rolling(self, requests, **_):
            of = lambda text: -len(text) * (1.2 - SKILL[self.name] / 2 + chance(self.name, text).random() / 2)
            return [of(request.args[0]) for request in requests]

    for name in SKILL:
        manager = TaskManager(include_path=str(work))
        results = lm_eval.simple_evaluate(
            model=Model(name), tasks=list(TASKS), task_manager=manager, log_samples=True, bootstrap_iters=0
        )
        samples = results.pop("samples")
        tracker = EvaluationTracker(output_path=str(work / "out"))
        tracker.general_config_tracker.model_source = "made-up"
        tracker.general_config_tracker.model_name = name
        tracker.general_config_tracker.model_name_sanitized = name
        tracker.save_results_aggregated(results=results, samples=samples)
        for task, of_task in samples.items():
            tracker.save_results_samples(task_name=task, samples=of_task)
    kept = ["results", "higher_is_better", "model_source", "model_name", "lm_eval_version", "n-samples"]
    for path in (work / "out").rglob("*.json*"):
        out = OUT / "lm_eval" / path.relative_to(work / "out")
        out.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            found = json.loads(path.read_text())
            out.write_text(json.dumps({key: found[key] for key in kept if key in found}, indent=1) + "\n")
        else:
            shutil.copy(path, out)


def inspect_logs(work):
    import tiktoken

    # It counts a made-up model's tokens with a tokenizer that it would have to fetch.
    class Bytes:
        def encode(self, text, **_):
            return list(text.encode())

    tiktoken.get_encoding = tiktoken.encoding_for_model = lambda _: Bytes()
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, get_model
    from inspect_ai.scorer import Score, includes, match, mean, scorer
    from inspect_ai.solver import generate

    @scorer(metrics={"*": [mean()]})
    def parts():
        async def score(state, target):
            text = state.output.completion
            return Score(value={"length": len(text) / 10, "digits": sum(c.isdigit() for c in text)})

        return score

    for name, epochs in [("careful", 1), ("hasty", 1), ("hasty", 3)]:
        dataset = [Sample(id=f"f{doc['id']}", input=doc["question"], target=doc["answer"]) for doc in DOCS]
        task = Task(
            name="returns", dataset=dataset, solver=generate(), scorer=[match(), includes(), parts()], epochs=epochs
        )
        said = [answer(name, n, epoch) for epoch in range(epochs) for n in range(len(DOCS))]
        outputs = [ModelOutput.from_content(f"mockllm/{name}", text) for text in said]
        model = get_model(f"mockllm/{name}", custom_outputs=outputs)
        log = eval(
            task, model=model, log_dir=str(work / "logs"), log_format="json", display="none", max_connections=1,
            max_samples=1,
        )[0]
        found = json.loads(pathlib.Path(log.location.removeprefix("file://")).read_text())
        for sample in found["samples"]:
            for key in ["events", "events_data", "attachments", "messages", "store"]:
                sample.pop(key, None)
        for key in ["task_file", "revision"]:
            found["eval"].pop(key, None)
        out = OUT / "inspect_ai"
        out.mkdir(parents=True, exist_ok=True)
        out = out / f"{name}-{epochs}.json"
        out.write_text(json.dumps(found, separators=(",", ":")) + "\n")


def permutation_tests():
    """For each figure of both models: its mean difference, and the p-value over all exchanges or 200,000 of them."""
    import numpy
    from scipy.stats import permutation_test

    def lm_eval_values(name):
        values = {}
        for path in sorted((OUT / "lm_eval" / name).glob("samples_*.jsonl")):
            task = path.name.removeprefix("samples_").rsplit("_", 1)[0]
            for line in map(json.loads, path.read_text().splitlines()):
                for metric in line["metrics"]:
                    key = f"{task} {metric}" + (f",{line['filter']}" if line["filter"] != "none" else "")
                    values.setdefault(key, {})[line["doc_id"]] = line[metric]
        return values

    def inspect_values(name):
        of = {"C": 1.0, "I": 0.0}
        found = json.loads((OUT / "inspect_ai" / f"{name}.json").read_text())
        values = {}
        for sample in found["samples"]:
            for scorer, score in sample["scores"].items():
                value = score["value"]
                each = value.items() if isinstance(value, dict) else [(None, of[value])]
                for key, one in each:
                    figure = f"returns {scorer}" + (f".{key}" if key else "")
                    values.setdefault(figure, {}).setdefault(sample["id"], []).append(one)
        return {figure: {id: numpy.mean(of) for id, of in ids.items()} for figure, ids in values.items()}

    def test(one, other):
        ids = sorted(one)
        a, b = (numpy.array([side[id] for id in ids], dtype=float) for side in (one, other))
        if a.ndim == 2:
            a, b = (side * [-1, 1] for side in (a, b))
            index = numpy.arange(len(a))

            def statistic(x, y, axis=-1):
                # Samples are exchanged whole: by their number among those of both.
                both = numpy.concatenate([a, b])
                sums = [both[of.astype(int)].sum(axis=axis - 1 if axis < 0 else axis) for of in (x, y)]
                return sums[0][..., 0] / sums[0][..., 1] - sums[1][..., 0] / sums[1][..., 1]

            data = (index, index + len(a))
        else:
            data, statistic = (a, b), lambda x, y, axis=-1: x.mean(axis=axis) - y.mean(axis=axis)
        # Exchanges of samples that are the same change nothing: without them all can be counted.
        differ = [n for n in range(len(a)) if not numpy.array_equal(a[n], b[n])]
        count = numpy.inf if 2 ** len(a) <= 1 << 24 and len(differ) <= 24 and len(a) <= 13 else 200_000
        found = permutation_test(
            data, statistic, permutation_type="samples", n_resamples=count, vectorized=True,
            rng=numpy.random.default_rng(0), batch=2000,
        )
        return {"difference": float(found.statistic), "p": float(found.pvalue), "n": len(a)}

    found = {}
    for harness, values, sides in [
        ("lm_eval", lm_eval_values, ("careful", "hasty")),
        ("inspect_ai", inspect_values, ("careful-1", "hasty-1")),
        ("inspect_ai, epochs", inspect_values, ("careful-1", "hasty-3")),
    ]:
        one, other = map(values, sides)
        found[harness] = {figure: test(one[figure], other[figure]) for figure in one}
    (OUT / "scipy.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        lm_eval_logs(pathlib.Path(work))
        inspect_logs(pathlib.Path(work))
    permutation_tests()
