#!/usr/bin/env python3
"""Holds `longcode serve` to the clients that people have: OpenAI's Python package, lm-evaluation-harness, inspect_ai.

usage: python3 scripts/check_serve.py LONGCODE_BINARY

Serves models/nano, under its own encoding and under HiRoPE, on this machine alone.

openai (PyPI): models, completions of texts and ids, log-probabilities of a prompt (those of `longcode score`), greedy text
(that of `longcode generate`), seeds, stop strings, several choices, streams, chats, every error by its class, a key, many
requests at once, a client that goes away.

lm-evaluation-harness (PyPI: lm_eval[api]), where it is installed: multiple choice, rolling log-likelihood and generation
through `local-completions` with the server's tokenizer, one request at a time and several at once. Documents' log-likelihoods
are those of `longcode score`, under both encodings. Where torch and transformers are installed too, every document's are those
of `--model hf` on the same checkpoint, to 1e-3.

inspect_ai (PyPI), where it is installed: an answer through its provider `openai-api` is that of `longcode generate`.

Exits with 1 where something differs, and says what was left out.
"""

import concurrent.futures
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import openai

REPOSITORY = Path(__file__).resolve().parent.parent
NANO = REPOSITORY / "models/nano"
HIROPE = "hirope:window=128,logn=true"
ROWS = {"rope": "nano", HIROPE: f"nano@{HIROPE}"}
CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
KEY = "sk-only-for-this-check"


def require(condition, what):
    if not condition:
        sys.exit(f"error: {what}")


class Server:
    """`longcode serve` on a free port, until the block ends; SIGTERM must end it well."""

    def __init__(self, longcode, *arguments, key=None):
        environment = {**os.environ, **({"CHECK_SERVE_KEY": key} if key else {})}
        keyed = ["--api-key-env", "CHECK_SERVE_KEY"] if key else []
        command = [longcode, "serve", "--port", "0", "--device", "cpu", *keyed, *map(str, arguments)]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self.said = []
        for line in self.process.stderr:
            self.said.append(line)
            if "http://" in line:
                self.address = "http://" + line.split("http://")[1].split("/v1")[0]
                break
        else:
            sys.exit("error: the server ended: " + "".join(self.said))
        threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        require(self.process.wait(60) == 0, f"SIGTERM ended the server with {self.process.returncode}: {self.said}")

    def client(self, key="none", **options):
        return openai.OpenAI(base_url=f"{self.address}/v1", api_key=key, max_retries=0, **options)


def longcode_json(longcode, command, *arguments):
    done = subprocess.run([longcode, command, "--json", "--device", "cpu", *map(str, arguments)], capture_output=True, text=True)
    require(done.returncode == 0, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def documents():
    """Functions of this repository's scripts, as texts of some hundred tokens."""
    texts = [path.read_text() for path in sorted((REPOSITORY / "scripts").glob("*.py"))]
    return [text[:1500] for text in texts if len(text) > 1500][:6]


# ---- OpenAI's package


def check_openai(longcode, scratch):
    with Server(longcode, "--model", NANO, "--encoding", HIROPE) as server:
        client = server.client()
        names = [model.id for model in client.models.list()]
        require(names == list(ROWS.values()), f"models {names}")
        for encoding, model in ROWS.items():
            check_completions(longcode, scratch, client, encoding, model)
        check_sampling(client)
        check_streams(client)
        check_errors(client)
        check_many(client)
        check_leaving(server)
    check_chat(longcode, scratch)
    check_key(longcode)


def check_completions(longcode, scratch, client, encoding, model):
    for number, text in enumerate(documents()[:3]):
        file = scratch / f"{number}.py"
        file.write_text(text)
        scored = longcode_json(longcode, "score", "--model", NANO, "--encoding", encoding, file)[0]
        made = longcode_json(longcode, "generate", "--model", NANO, "--encoding", encoding, "--max-new-tokens", 24, file)[0]
        echoed = client.completions.create(model=model, prompt=text, max_tokens=0, echo=True, logprobs=3).choices[0]
        given = [-logprob for logprob in echoed.logprobs.token_logprobs[1:]]
        apart = max(abs(a - b) for a, b in zip(given, scored["nll"], strict=True))
        require(apart < 1e-5, f"{model}: losses of {file} are {apart} off")
        offsets = echoed.logprobs.text_offset
        spans = zip(offsets[1:], offsets[2:] + [len(text)], echoed.logprobs.tokens[1:])
        require(all(text[a:b] == token for a, b, token in spans if token.isascii()), f"{model}: offsets of {file}")
        body = {"model": model, "max_tokens": 24, "temperature": 0}
        for prompt in (text, [text], client_ids(client, text), [client_ids(client, text)]):
            choice = client.completions.create(prompt=prompt, **body).choices[0]
            require(choice.text == made["text"], f"{model}: {choice.text!r} is not {made['text']!r}")
    print(f"openai: {model} gives the losses of score and the texts of generate")


def client_ids(client, text):
    return client.post("../tokenize", cast_to=object, body={"prompt": text})["tokens"]


def check_sampling(client):
    body = {"model": "nano", "prompt": "def ", "max_tokens": 12, "temperature": 0.9, "top_p": 0.8, "n": 3}
    texts = [[choice.text for choice in client.completions.create(seed=seed, **body).choices] for seed in (1, 1, 2)]
    require(texts[0] == texts[1], "a seed does not repeat")
    require(texts[0] != texts[2] and len(set(texts[0])) > 1, "draws do not differ")
    stopped = client.completions.create(model="nano", prompt="def f(a):\n", max_tokens=64, temperature=0, stop=["\n"]).choices[0]
    require(stopped.finish_reason == "stop" and "\n" not in stopped.text, f"{stopped}")


def check_streams(client):
    body = {"model": "nano", "prompt": "class A:\n", "max_tokens": 40, "temperature": 0}
    whole = client.completions.create(**body).choices[0].text
    parts = list(client.completions.create(stream=True, stream_options={"include_usage": True}, **body))
    require("".join(part.choices[0].text for part in parts if part.choices) == whole, "the stream is another text")
    require(parts[-1].usage.completion_tokens == 40, f"{parts[-1]}")


def check_errors(client):
    def refused(kind, says, **changes):
        body = {"model": "nano", "prompt": "x", "max_tokens": 1, **changes}
        try:
            client.completions.create(**body)
        except openai.APIStatusError as error:
            require(type(error) is kind and says in str(error), f"{changes}: {error!r}")
        else:
            sys.exit(f"error: {changes} is not refused")

    refused(openai.NotFoundError, "no model `gpt`", model="gpt")
    refused(openai.BadRequestError, "top_k", extra_body={"top_k": 3})
    refused(openai.BadRequestError, "temperature", temperature=-1)
    refused(openai.BadRequestError, "a prompt has no token", prompt=[[]])
    refused(openai.BadRequestError, "embeddings", prompt=[5000])
    refused(openai.BadRequestError, "are the most of a sequence", max_tokens=10**6)
    try:
        client.chat.completions.create(model="nano", messages=[{"role": "user", "content": "x"}])
    except openai.BadRequestError as error:
        require("no chat template" in str(error), repr(error))
    else:
        sys.exit("error: a chat without a template is not refused")


def check_many(client):
    """Many at once are each what they are alone."""
    texts = [text[: 200 + 90 * number] for number, text in enumerate(documents() * 4)]

    def ask(text):
        return client.completions.create(model="nano", prompt=text, max_tokens=16, temperature=0).choices[0].text

    alone = [ask(text) for text in texts]
    with concurrent.futures.ThreadPoolExecutor(len(texts)) as pool:
        require(list(pool.map(ask, texts)) == alone, "requests at once are not what they are alone")


def check_leaving(server):
    """A client that goes away frees its place."""
    impatient = server.client(timeout=0.3)
    try:
        impatient.completions.create(model="nano", prompt="x", max_tokens=20000, temperature=1)
    except openai.APITimeoutError:
        pass
    else:
        sys.exit("error: 20,000 tokens within 0.3 s")
    done = server.client(timeout=20).completions.create(model="nano", prompt="x", max_tokens=4)
    require(done.usage.completion_tokens > 0, f"{done}")


def chatty(longcode, scratch):
    """nano with a chat template, what is said to it, and what `longcode generate` answers."""
    model, said = scratch / "chatty", "Finish this:\n```python\ndef add(a, b):\n```\n"
    if not model.exists():
        shutil.copytree(NANO, model)
        config = json.loads((model / "tokenizer_config.json").read_text())
        (model / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": CHAT}))
    prompt = scratch / "said.md"
    prompt.write_text(said)
    made = longcode_json(longcode, "generate", "--model", model, "--chat", "--max-new-tokens", 24, prompt)[0]
    return model, said, made


def check_chat(longcode, scratch):
    model, said, made = chatty(longcode, scratch)
    with Server(longcode, "--model", model, "--encoding", "hirope:window=16") as server:
        client = server.client()
        body = {"model": "chatty", "messages": [{"role": "user", "content": said}], "max_completion_tokens": 24, "temperature": 0}
        whole = client.chat.completions.create(logprobs=True, top_logprobs=2, **body).choices[0]
        require(whole.message.content == made["text"], f"{whole.message.content!r} is not {made['text']!r}")
        require(all(len(token.top_logprobs) == 2 for token in whole.logprobs.content), "top_logprobs")
        pieces = client.chat.completions.create(stream=True, **body)
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
        require(text == made["text"], "the stream of the chat is another text")
        parts = [{"type": "text", "text": part} for part in said.splitlines(keepends=True)]
        parted = {**body, "messages": [{"role": "user", "content": parts}]}
        require(client.chat.completions.create(**parted).choices[0].message.content == made["text"], "a message in parts")
        client.chat.completions.create(**{**body, "model": "chatty@hirope:window=16"})
        for changes in ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {"response_format": {"type": "json_object"}}):
            try:
                client.chat.completions.create(**body, **changes)
            except openai.BadRequestError as error:
                require("is not supported" in str(error), repr(error))
            else:
                sys.exit(f"error: {changes} is not refused")
    print("openai: chats, streams, errors, seeds, many at once, clients that leave")


def check_key(longcode):
    with Server(longcode, "--model", NANO, "--max-requests", 1, key=KEY) as server:
        try:
            server.client("another").models.list()
        except openai.AuthenticationError as error:
            require(KEY not in str(error), "an error has the key")
        else:
            sys.exit("error: another key is taken")
        client = server.client(KEY)
        slow = client.completions.create(model="nano", prompt="x", max_tokens=5000, temperature=1, stream=True)
        next(iter(slow))
        try:
            client.completions.create(model="nano", prompt="x", max_tokens=1)
        except openai.RateLimitError as error:
            require(error.response.headers["retry-after"] == "1", "no Retry-After")
        else:
            sys.exit("error: two requests where one is allowed")
        slow.close()
    require(KEY not in "".join(server.said), "the server's messages have the key")
    print("openai: a key, and a limit of requests")


# ---- lm-evaluation-harness

TASKS = {
    "choices": """
task: choices
dataset_path: json
dataset_kwargs: {data_files: {test: CHOICES}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{query}}"
doc_to_choice: "{{choices}}"
doc_to_target: gold
target_delimiter: ""
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "rolling": """
task: rolling
dataset_path: json
dataset_kwargs: {data_files: {test: ROLLING}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: byte_perplexity}, {metric: bits_per_byte}]
""",
    "lines": """
task: lines
dataset_path: json
dataset_kwargs: {data_files: {test: ROLLING}}
test_split: test
output_type: generate_until
doc_to_text: "{{text}}"
doc_to_target: ""
generation_kwargs: {until: ["\\n"], max_gen_toks: 24, do_sample: false}
metric_list: [{metric: exact_match}]
""",
}


def write_tasks(folder):
    """Questions of which line comes next, among four of the same file, and whole texts."""
    folder.mkdir()
    choices, rolling = folder / "choices.jsonl", folder / "rolling.jsonl"
    with choices.open("w") as questions, rolling.open("w") as texts:
        for text in documents():
            lines = text.splitlines(keepends=True)
            for at in (8, 16):
                four = [lines[at + 4 * step] for step in range(4)]
                questions.write(json.dumps({"query": "".join(lines[:at]), "choices": four, "gold": 0}) + "\n")
            texts.write(json.dumps({"text": text}) + "\n")
    for name, task in TASKS.items():
        task = task.replace("CHOICES", json.dumps(str(choices))).replace("ROLLING", json.dumps(str(rolling)))
        (folder / f"{name}.yaml").write_text(task)
    return folder


def lm_eval(folder, out, model, arguments):
    """The harness's metrics, and of each task its samples."""
    # As JSON: names of served encodings have commas in them.
    given = json.dumps(arguments, default=str)
    command = [
        sys.executable, "-m", "lm_eval", "--model", model, "--model_args", given, "--tasks", ",".join(TASKS),
        "--include_path", folder, "--output_path", out, "--log_samples", "--batch_size", "1",
    ]  # fmt: skip
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home"), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True)
    require(done.returncode == 0, done.stderr[-3000:])
    results = json.loads(next(out.rglob("results_*.json")).read_text())["results"]
    samples = {}
    for task in TASKS:
        lines = next(out.rglob(f"samples_{task}_*.jsonl")).read_text().splitlines()
        samples[task] = sorted(map(json.loads, lines), key=lambda sample: sample["doc_id"])
    return results, samples


def likelihoods(samples, task):
    """Of every document every log-likelihood."""
    def numbers(response):
        return float(response[0]) if isinstance(response, list) else float(response)

    return [[numbers(response[0]) for response in sample["resps"]] for sample in samples[task]]


def check_lm_eval(longcode, scratch):
    if not importlib.util.find_spec("lm_eval"):
        print("left out: lm_eval is not installed")
        return
    folder = write_tasks(scratch / "tasks")
    with Server(longcode, "--model", NANO, "--encoding", HIROPE) as server:
        for encoding, model in ROWS.items():
            served = {}
            for at_once in (1, 4):
                arguments = {
                    "model": model, "base_url": f"{server.address}/v1/completions", "tokenizer_backend": "remote",
                    "num_concurrent": at_once, "custom_prefix_token_id": 0,
                }  # fmt: skip
                results, served[at_once] = lm_eval(folder, scratch / f"{len(encoding)}-{at_once}", "local-completions", arguments)
            for task in ("choices", "rolling"):
                require(apart(served[1], served[4], task) < 1e-4, f"{model}: {task} differs with requests at once")
            files = []
            for number, text in enumerate(documents()):
                files.append(scratch / f"rolling-{number}.py")
                files[-1].write_text(text)
            scored = longcode_json(longcode, "score", "--model", NANO, "--encoding", encoding, *files)
            own = [[-sum(line["nll"])] for line in scored]
            furthest = furthest_of(likelihoods(served[1], "rolling"), own)
            require(furthest < 1e-3, f"{model}: rolling is {furthest} off longcode score")
            shown = ", ".join(
                f"{task} {name.split(',')[0]} {value:.6f}"
                for task, metrics in results.items()
                for name, value in metrics.items()
                if name.split(",")[0] in ("acc", "acc_norm", "bits_per_byte", "byte_perplexity")
            )
            print(f"lm_eval: {model}: {shown}; documents {furthest:.1e} off longcode score")
            if encoding == "rope":
                check_hf(folder, scratch, served[1])


def check_inspect(longcode, scratch):
    if not importlib.util.find_spec("inspect_ai"):
        print("left out: inspect_ai is not installed")
        return
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import exact
    from inspect_ai.solver import generate

    model, said, made = chatty(longcode, scratch)
    with Server(longcode, "--model", model) as server:
        os.environ |= {"LONGCODE_API_KEY": "none", "LONGCODE_BASE_URL": f"{server.address}/v1"}
        task = Task(dataset=[Sample(input=said, target=made["text"])], solver=generate(), scorer=exact())
        given = {"display": "none", "log_dir": str(scratch / "inspect"), "temperature": 0, "max_tokens": 24}
        log = eval(task, model="openai-api/longcode/chatty", **given)[0]
    require(log.status == "success", str(log.error))
    answer = log.samples[0].output.completion
    require(answer == made["text"], f"inspect_ai: {answer!r} is not {made['text']!r}")
    print("inspect_ai: an answer through openai-api is that of generate")


def check_hf(folder, scratch, served):
    if not (importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")):
        print("left out: --model hf, as torch and transformers are not installed")
        return
    # Windows as long as local-completions makes them, where hf would make those of the trained length.
    arguments = {"pretrained": NANO, "dtype": "float32", "add_bos_token": False, "max_length": 2048}
    _, local = lm_eval(folder, scratch / "hf", "hf", arguments)
    for task in ("choices", "rolling"):
        furthest = apart(local, served, task)
        require(furthest < 1e-3, f"{task} is {furthest} off --model hf")
        print(f"lm_eval: {task} is {furthest:.1e} off --model hf, of every document")
    texts = [[sample["resps"] for sample in samples["lines"]] for samples in (local, served)]
    require(texts[0] == texts[1], f"greedy lines are not those of --model hf: {texts}")


def apart(some, others, task):
    return furthest_of(likelihoods(some, task), likelihoods(others, task))


def furthest_of(some, others):
    pairs = zip(some, others, strict=True)
    return max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.split("\n\n")[1])
    longcode = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as scratch:
        check_openai(longcode, Path(scratch))
        check_lm_eval(longcode, Path(scratch))
        check_inspect(longcode, Path(scratch))


if __name__ == "__main__":
    main()
