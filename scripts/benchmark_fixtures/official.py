"""The benchmarks' own code: where it is, at which commit, and its functions."""

import ast
import contextlib
import gzip
import hashlib
import importlib
import importlib.metadata
import io
import json
import platform
import sys
from pathlib import Path

# Directory below CHECKOUTS: repository and commit.
REPOSITORIES = {
    "repoqa": ("evalplus/repoqa", "ae876deb1365dbf5a15b0533723c8ed123eee586"),
    "repoqa-base_model": ("evalplus/repoqa, branch base_model", "327d7d04155c23ace061da85f8f2bf32b87f8dd1"),
    "LongBench": ("THUDM/LongBench", "2e00731f8d0bff23dc4325161044d0ed8af94c1e"),
    "long-code-bench": ("Zteefano/long-code-bench", "c4039249a76d323b7f8bc7109845e604f95e167e"),
    "InfiniteBench": ("OpenBMB/InfiniteBench", "88b3daa6989da2fbe0077170d7a3c84c25d5ae58"),
    "repobench": ("Leolty/repobench", "630c8658fa336c2d8cd86dcd26740fe172db07cd"),
    "lca-baselines": ("JetBrains-Research/lca-baselines", "5b1b5640dda26f405be409413bbda00a0b7b549e"),
    "Qwen3-Coder": ("QwenLM/Qwen3-Coder", "0ae30f55e9d6c47ff763c334f99c135ad68915dd"),
    "cceval": ("amazon-science/cceval", "25f9cab757f5607695a4e7cbe7c4fee09d423d4c"),
    "LongPPL": ("PKU-ML/LongPPL", "1decd2a70d9ee78488adea49c088f8bc472f4938"),
    # After pull request 22 (merged August 2024), from a copy of the file: its commit is not known.
    "InfiniteBench-pr22": ("OpenBMB/InfiniteBench", "not known: after pull request 22"),
}


class Official:
    """Functions of the checkouts, with a record of the files they are from."""

    def __init__(self, checkouts):
        self.checkouts = checkouts
        self.files = {}

    def read(self, repository, path):
        """A file's text, noted as a source."""
        data = (self.checkouts / repository / path).read_bytes()
        self.files.setdefault(repository, {})[path] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return data.decode()

    def module(self, repository, root, name):
        """A module, imported as the benchmark does, with `root` below the repository on the path."""
        directory = str(self.checkouts / repository / root)
        self.read(repository, f"{root}/{name.replace('.', '/')}.py".removeprefix("./"))
        top = name.split(".")[0]
        for loaded in [m for m in sys.modules if m == top or m.startswith(f"{top}.")]:
            del sys.modules[loaded]
        sys.path.insert(0, directory)
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(directory)

    def functions(self, repository, path, names, scope):
        """Functions, methods and constants cut out of a file and run with `scope` as their globals."""
        tree = ast.parse(self.read(repository, path))
        found = {}
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names:
                found.setdefault(node.name, node)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names:
                found.setdefault(node.targets[0].id, node)
        assert set(found) == set(names), (path, set(names) - set(found))
        for node in found.values():
            if isinstance(node, ast.FunctionDef):
                node.decorator_list, node.returns = [], None
            exec(compile(ast.Module([node], []), path, "exec"), scope)
        return [scope[name] for name in names]

    def sources(self, packages=()):
        """What a fixture says of where its values are from."""
        repositories = []
        for repository, files in sorted(self.files.items()):
            name, commit = REPOSITORIES[repository]
            repositories.append({"repository": name, "commit": commit, "blobs": dict(sorted(files.items()))})
        versions = {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in packages}
        return {"repositories": repositories, "versions": versions}


def quietly(function, *args, **kwargs):
    """A call whose prints are dropped."""
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args, **kwargs)


def write_json(path, value):
    """JSON, one case a line where a list of the top level has several, so that a diff can be read."""
    parts = []
    for key, part in value.items():
        if isinstance(part, list) and len(part) > 1:
            lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in part)
            parts.append(f"{json.dumps(key)}: [\n{lines}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(part, ensure_ascii=False)}")
    write_text(path, "{\n" + ",\n".join(parts) + "\n}\n")


def write_text(path, text):
    """UTF-8; gzip without name and time for a path that ends in .gz."""
    data = text.encode()
    if path.suffix == ".gz":
        packed = io.BytesIO()
        with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0, compresslevel=9) as out:
            out.write(data)
        data = packed.getvalue()
    path.write_bytes(data)
    print(f"{path}: {len(data)} bytes")
