#!/usr/bin/env python3
"""Holds the manifests beside this file to the schema of the Kubernetes API, and does on this machine what their pods would do.

usage: python3 scripts/kubernetes/check.py LONGCODE_BINARY

Schema: every manifest, and what gpu.yaml makes of one, in the oldest and the newest version that is known; unknown fields
are refused, which every key is misspelt once for. Then what no schema says: rules that the API server has beyond it,
volumes and names that are referred to, one number of shards everywhere. Then the commands, as the manifests have them, on
a directory in place of the volume: each index of the run, one of them terminated and run again, the report, whose
summary.csv must be that of a run without shards; and the server, which must refuse whoever has no key. Needs the package
kubernetes-validate, which brings the schemas.
"""

import argparse
import copy
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MANIFESTS = ["settings", "volume", "plan", "run", "report", "files", "shard", "serve"]
# The first version whose Jobs have limits for each index without asking for them.
OLDEST = "1.29"
# Below these any key may stand.
FREE = {"data", "limits", "requests"}

# Seconds of work: a few short files under two encodings.
CONFIG = """
name = "tiny"
seed = 0
[[model]]
path = "models/nano"
[[encoding]]
name = "Truncation"
kind = "rope"
context = 128
[[encoding]]
kind = "rope"
[[task]]
kind = "language_modeling"
dataset = "code-python"
buckets = [0, 512, 1024]
samples = 8
"""


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("longcode", type=Path)
    longcode = parser.parse_args().longcode.resolve()
    documents = read()
    versions = [OLDEST, kubernetes_validate.latest_version()]
    for name, document in documents.items():
        for version in versions:
            what = refusal(document, version)
            require(not what, f"{name} in Kubernetes {version}: {what}")
    print(f"{len(documents)} manifests are of the schemas of Kubernetes {' and '.join(versions)}")
    misspelt = sum(refuse_misspelt(name, document, versions) for name, document in documents.items())
    print(f"{misspelt} misspelt keys are refused")
    check_jobs(documents)
    check_references(documents)
    check_service(documents)
    with tempfile.TemporaryDirectory() as volume:
        Cluster(longcode, documents, Path(volume)).check()


def require(condition, what):
    if not condition:
        sys.exit(f"error: {what}")


def read():
    """Every manifest by its kind and name; of shard.yaml those of its first part."""
    documents = {}
    for file in MANIFESTS:
        for document in yaml.safe_load_all((HERE / f"{file}.yaml").read_text().replace("PART", "1")):
            documents[f"{document['kind']} {document['metadata']['name']}"] = document
    gpu = yaml.safe_load((HERE / "gpu.yaml").read_text())
    for name in ["Job longcode-plan", "Job longcode-run"]:
        documents[f"{name} with gpu.yaml"] = patched(documents[name], gpu)
    return documents


def patched(value, patch):
    """A strategic merge, as far as gpu.yaml needs one: tables by key, lists by `name`."""
    if isinstance(value, dict):
        return value | {key: patched(value.get(key), new) for key, new in patch.items()}
    if isinstance(value, list):
        new = {entry["name"]: entry for entry in patch}
        merged = [patched(entry, new.pop(entry["name"], {})) for entry in value]
        return merged + list(new.values())
    return patch


def refusal(document, version):
    """What the schema has against a manifest, if anything."""
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
    return None


def refuse_misspelt(name, document, versions):
    """Misspells one key after the other; returns how many."""
    count = 0
    for *above, key in keys(document):
        if key in ("kind", "apiVersion", "app"):
            continue  # They say which schema it is; a label may have any name.
        wrong = copy.deepcopy(document)
        table = wrong
        for step in above:
            table = table[step]
        table[key + "x"] = table.pop(key)
        for version in versions:
            require(refusal(wrong, version), f"{name}: {key} misspelt is not refused, below {above}")
        count += 1
    return count


def keys(value, path=()):
    """Paths to all keys that have a meaning to Kubernetes."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield (*path, key)
            if key not in FREE:
                yield from keys(below, (*path, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from keys(below, (*path, number))


def pods(documents):
    for name, document in documents.items():
        if document["kind"] in ("Job", "Deployment"):
            yield name, document["spec"]["template"]["spec"]
        elif document["kind"] == "Pod":
            yield name, document["spec"]


def check_jobs(documents):
    """Rules of the API server for Jobs that are not in the schema, as far as these Jobs come near them."""
    for name, document in documents.items():
        if document["kind"] != "Job":
            continue
        spec = document["spec"]
        indexed = spec.get("completionMode") == "Indexed"
        rules = spec.get("podFailurePolicy", {}).get("rules", [])
        pod = spec["template"]["spec"]
        containers = {container["name"] for container in pod["containers"]}
        require(pod["restartPolicy"] == "Never", f"{name}: restartPolicy must be Never with a podFailurePolicy")
        require(indexed or "backoffLimitPerIndex" not in spec, f"{name}: backoffLimitPerIndex is for Indexed Jobs")
        require(not rules or spec["podReplacementPolicy"] == "Failed", f"{name}: podReplacementPolicy must be Failed")
        for rule in rules:
            require(len(rule) == 2, f"{name}: a rule has an action and one condition")
            require(rule["action"] != "FailIndex" or "backoffLimitPerIndex" in spec, f"{name}: FailIndex has no index")
            codes = rule.get("onExitCodes")
            require(not codes or codes["containerName"] in containers, f"{name}: a rule names no container of the pod")
        require(not indexed or spec["parallelism"] <= spec["completions"], f"{name}: more parallelism than completions")


def check_references(documents):
    """Volumes, claims and settings that are referred to exist, and there is one number of shards."""
    shards = int(documents["ConfigMap longcode"]["data"]["SHARDS"])
    for name, document in documents.items():
        completions = document["spec"].get("completions", shards) if "spec" in document else shards
        require(completions == shards, f"{name}: completions are not the {shards} SHARDS of settings.yaml")
    images = set()
    for name, pod in pods(documents):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            known = claim is None or f"PersistentVolumeClaim {claim}" in documents
            require(known, f"{name}: there is no claim {claim}")
            require(claim or volume["configMap"]["optional"], f"{name}: volume {volume['name']} must be optional")
        for container in pod["containers"]:
            images.add(container["image"])
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            require(mounted == set(volumes), f"{name}: volumes {set(volumes)}, mounted {mounted}")
            for source in container.get("envFrom", []):
                known = f"ConfigMap {source['configMapRef']['name']}" in documents
                require(known, f"{name}: settings that are not there")
            for variable in container.get("env", []):
                secret = variable.get("valueFrom", {}).get("secretKeyRef")
                needed = name == "Deployment longcode-serve"  # Without its key a server must not start.
                require(not secret or secret.get("optional", False) != needed, f"{name}: secret {variable['name']}")
            requests, limits = container["resources"]["requests"], container["resources"]["limits"]
            require(requests["memory"] == limits["memory"], f"{name}: memory that is asked for is not the limit")
    require(len(images) == 1, f"several images: {images}")


def check_service(documents):
    """The Service leads to the Deployment's pods, and both to the port that the server listens at."""
    deployment, service = documents["Deployment longcode-serve"]["spec"], documents["Service longcode-serve"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    require(deployment["selector"]["matchLabels"] == labels == service["selector"], "labels of serve.yaml differ")
    [container] = deployment["template"]["spec"]["containers"]
    [port] = container["ports"]
    settings = {entry["name"]: entry.get("value") for entry in container["env"]}
    require(settings["PORT"] == str(port["containerPort"]), "PORT of serve.yaml is not containerPort")
    targets = [service["ports"][0]["targetPort"]]
    targets += [container[probe]["httpGet"]["port"] for probe in ("readinessProbe", "livenessProbe")]
    require(set(targets) == {port["name"]}, f"ports of serve.yaml: {targets}")


class Cluster:
    """A directory in place of the volume, and one pod at a time."""

    def __init__(self, longcode, documents, volume):
        self.documents, self.volume = documents, volume
        programs = volume / "bin"
        programs.mkdir()
        (programs / "longcode").symlink_to(longcode)
        self.environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}")
        config = volume / "tiny.toml"
        config.write_text(CONFIG)
        self.settings = dict(documents["ConfigMap longcode"]["data"], CONFIG=str(config))
        self.shards = int(self.settings["SHARDS"])

    def start(self, document, **variables):
        """The pod's process: its command after Kubernetes' own expansion of $(NAME), in the image's directory."""
        [container] = document["spec"]["template"]["spec"]["containers"]
        given = {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry}
        settings = self.settings | given | variables
        settings = {key: value.replace("/data/", f"{self.volume}/data/") for key, value in settings.items()}
        command = [
            re.sub(r"\$\(([^)]*)\)", lambda found: settings.get(found[1], found[0]), text)
            for text in container["command"] + container["args"]
        ]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, document, code=0, **variables):
        process = self.start(document, **variables)
        output, _ = process.communicate()
        require(process.returncode == code, f"exit code {process.returncode}, not {code}, of {process.args}\n{output}")
        return output

    def results(self, part=None):
        name = Path(self.settings["RESULTS"]).name + (f"-{part}-of-{self.shards}" if part else "")
        return self.volume / "data/results" / name

    def check(self):
        run, report = self.documents["Job longcode-run"], self.documents["Job longcode-report"]
        require("products" in self.run(self.documents["Job longcode-plan"]), "plan.yaml has told no plan")
        print("plan.yaml has told its plan")

        wrong = self.run(run, code=refused(run), JOB_COMPLETION_INDEX="0", CONFIG="config/none.toml")
        require("none.toml" in wrong, f"a config that is not there is not named:\n{wrong}")
        self.terminate(run)
        for index in range(self.shards):
            self.run(run, JOB_COMPLETION_INDEX=str(index))
            require(self.results(index + 1).is_dir(), f"index {index} has left no {self.results(index + 1)}")
        self.run(run, code=refused(run), JOB_COMPLETION_INDEX=str(self.shards))
        print(f"run.yaml has run {self.shards} shards, one of them in two pods")

        self.run(report)
        whole = self.volume / "whole"
        command = ["longcode", "run", self.settings["CONFIG"], "--device", "cpu", "--out", whole]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True, capture_output=True)
        same = (self.results() / "summary.csv").read_bytes() == (whole / "summary.csv").read_bytes()
        require(same, "summary.csv of all shards is not that of a whole run")
        print("report.yaml has made the summary.csv of a run without shards")

        # The same shards as run.yaml has, so there they are done.
        before = {part: self.samples(part) for part in range(1, self.shards + 1)}
        for part in before:
            documents = yaml.safe_load_all((HERE / "shard.yaml").read_text().replace("PART", str(part)))
            self.run(next(document for document in documents if document["kind"] == "Job"))
            require(self.samples(part) == before[part], f"shard.yaml of part {part} is another shard")
        print("shard.yaml has the same shards")
        self.serve()

    def serve(self):
        """The server as its pod starts it, but at a free port."""
        deployment = self.documents["Deployment longcode-serve"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        refused, _ = self.start(deployment, PORT=str(port), KEY="").communicate()
        require("KEY" in refused, f"a server without a key has started:\n{refused}")
        process = self.start(deployment, PORT=str(port), KEY="sk-of-a-secret")
        while not self.get(port, "/health"):
            require(process.poll() is None, "the server has ended")
            time.sleep(0.05)
        require(not self.get(port, "/v1/models"), "models are listed without the key")
        models = self.get(port, "/v1/models", {"Authorization": "Bearer sk-of-a-secret"})
        require(b"nano@hirope" in models, f"{models}")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate()
        require(process.returncode == 0, f"exit code {process.returncode} of a server that was terminated:\n{output}")
        require("sk-of-a-secret" not in output, "the server's messages have the key")
        print("serve.yaml has served a model, to those who have the key")

    def get(self, port, path, headers=None):
        """The body of an answer; none where there is no server, or it refuses."""
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers or {})
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read()
        except OSError:
            return None

    def samples(self, part):
        path = self.results(part) / "samples.jsonl"
        return path.read_bytes() if path.exists() else b""

    def terminate(self, run):
        """Ends the first pod as Kubernetes does, when something is stored and something is left."""
        process = self.start(run, JOB_COMPLETION_INDEX="0")
        while not self.samples(1) and process.poll() is None:
            time.sleep(0.01)
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate()
        seconds = time.monotonic() - asked
        require(process.returncode == 1, f"exit code {process.returncode} of a pod that was terminated:\n{output}")
        grace = run["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        require(seconds < grace, f"it took {seconds:.1f} s to end, of {grace}")
        print(f"a pod that was terminated ended after {seconds * 1000:.0f} ms")


def refused(job):
    """The exit code that the Job does not try again."""
    [code] = [rule["onExitCodes"]["values"] for rule in job["spec"]["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    return code[0]


if __name__ == "__main__":
    main()
