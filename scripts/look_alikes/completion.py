"""In the formats of RepoBench v1.1 and of Long Code Arena's project-level completion: parquet."""

import pyarrow
import pyarrow.parquet
from build_completion_substitutes import first_use_of_import, home_of


COMPLETED = {"python": [("networkx", 4), ("xarray", 4), ("mypy", 4), ("matplotlib", 4)],
             "java": [("maven", 4), ("libpdfbox2-java", 4), ("jackson-databind", 4), ("libxalan2-java", 4)]}
LEVELS = [(1600, "2k"), (3600, "4k"), (7200, "8k"), (10_800, "12k")]
PROJECTS = ["werkzeug", "tornado", "networkx"]
# Characters of a project's other files at most: its smallest set has below 48,000.
PROJECT = 28_000
# Names that say nothing of a project: the benchmark's list of common APIs, a part of it (eval/common_apis.py).
COMMON = [
    "index", "main", "run", "update", "reset", "delete", "save", "get", "setup", "load", "start", "create", "execute",
    "post",
]
PER_CLASS = 3


def write_repobench(corpus, rng, out):
    for language, packages in COMPLETED.items():
        records = [r for package, count in packages for r in next_lines(corpus, rng, language, package, count)]
        text = pyarrow.string()
        snippet = pyarrow.struct([("identifier", text), ("path", text), ("snippet", text)])
        schema = pyarrow.schema([
            ("repo_name", text), ("file_path", text), ("context", pyarrow.list_(snippet)), ("import_statement", text),
            ("token_num", pyarrow.int64()), ("cropped_code", text), ("all_code", text), ("next_line", text),
            ("gold_snippet_index", pyarrow.int64()), ("created_at", text), ("level", text)])
        path = out / f"repobench-v1.1-{language}-look-alike.parquet"
        write_parquet(path, records, schema)
    return path


def write_parquet(path, records, schema):
    table = pyarrow.Table.from_pylist(records, schema=schema)
    pyarrow.parquet.write_table(table, path, compression="zstd", compression_level=19, row_group_size=4)


def next_lines(corpus, rng, language, package, count):
    """First uses of names imported from another file of the package, one a file."""
    files = corpus.package(language, package)
    records = []
    for file in rng.sample(files, len(files)):
        if len(file.text) < 30_000 and (record := next_line(corpus, rng, file, files, package)):
            records.append(record)
        if len(records) == count:
            return sorted(records, key=lambda r: r["file_path"])
    raise SystemExit(f"only {len(records)} records of {package}")


def next_line(corpus, rng, file, files, package):
    imports_end = max((row for row, _ in file.imported.values()), default=None)
    if imports_end is None:
        return None
    for row, names in file.choices():
        for name in names:
            is_first = row > imports_end + 8 and first_use_of_import(file, row, name)
            home = home_of(file, name, files) if is_first else None
            gold = snippet(home, name) if home else None
            if gold:
                return repobench_record(corpus, rng, file, files, package, row, imports_end, gold)
    return None


def snippet(file, name):
    """The text of a class or function, at most 40 lines; none where the file has it not as one."""
    starts = file.defined.get(name, [])
    if len(starts) != 1:
        return None
    lines = file.lines[starts[0] : starts[0] + 40]
    return {"identifier": name, "path": file.path, "snippet": "".join(lines).rstrip("\n")}


def repobench_record(corpus, rng, file, files, package, row, imports_end, gold):
    others = [f for f in files if f is not file and f.functions]
    wanted = rng.choice([1200, 2400, 4000])
    context = [gold]
    code = "".join(file.lines[imports_end + 1 : row])
    statement = "".join(file.lines[: imports_end + 1])
    tokens = corpus.tokens(gold["snippet"] + statement + code)
    while tokens < wanted:
        other = rng.choice(others)
        function = rng.choice(other.functions)
        more = {"identifier": function.name, "path": other.path, "snippet": function.text[:2500]}
        context.append(more)
        tokens += corpus.tokens(more["snippet"])
    rng.shuffle(context)
    return {
        "repo_name": f"corpus/{package}",
        "file_path": file.path,
        "context": context,
        "import_statement": statement.rstrip("\n"),
        "token_num": tokens,
        "cropped_code": code,
        "all_code": "".join(file.lines[imports_end + 1 :]),
        "next_line": file.lines[row].rstrip("\r\n"),
        "gold_snippet_index": context.index(gold),
        # No date of the code: the field is there for the benchmark's choice by date.
        "created_at": f"2023-{rng.choice(['10-20', '11-15', '12-01', '12-31'])} 00:00:00+00:00",
        "level": next((name for most, name in LEVELS if tokens <= most), "16k"),
    }


def write_lca(corpus, rng, out):
    records = [project(corpus, rng, package) for package in PROJECTS]
    text, number = pyarrow.string(), pyarrow.list_(pyarrow.int32())
    classes = ["infile", "inproject", "common", "commited", "non_informative", "random"]
    schema = pyarrow.schema([
        ("repo", text), ("commit_hash", text),
        ("completion_file", pyarrow.struct([("filename", text), ("content", text)])),
        ("completion_lines", pyarrow.struct([(name, number) for name in classes])),
        ("repo_snapshot", pyarrow.struct([("filename", pyarrow.list_(text)), ("content", pyarrow.list_(text))])),
    ])
    path = out / "lca-project-level-look-alike.parquet"
    write_parquet(path, records, schema)
    return path


def project(corpus, rng, package):
    """A file to complete, files that it imports from and others, and pages that are no code."""
    files = corpus.package("python", package, 20_000)
    for file in rng.sample(files, len(files)):
        lines = line_classes(rng, file, files)
        chosen = others(rng, file, files)
        if all(lines[name] for name in ("infile", "inproject", "random", "non_informative")) and chosen:
            break
    snapshot = {f.path: f.text for f in sorted(chosen, key=lambda f: f.path)}
    snapshot["README.md"] = f"# {package}\n\n" + "\n".join(f"- {path}" for path in snapshot) + "\n"
    snapshot[".hidden"] = "left out by the composer\n"
    snapshot["LICENSE"] = f"see licenses/{package}\n"
    return {
        "repo": f"corpus__{package}",
        "commit_hash": "",
        "completion_file": {"filename": file.path, "content": file.text},
        "completion_lines": lines,
        "repo_snapshot": {"filename": list(snapshot), "content": list(snapshot.values())},
    }


def others(rng, file, files):
    """Files that this one imports from, then any, as many as fit; none where one of the first does not."""
    homes = {home.path for name in sorted(file.imported) if (home := home_of(file, name, files))}
    near = [f for f in files if f.path in homes]
    far = [f for f in files if f is not file and f not in near]
    chosen, room = [], PROJECT
    for other in near + rng.sample(far, len(far)):
        if len(other.text) <= room:
            chosen.append(other)
            room -= len(other.text)
        elif other in near:
            return []
    return chosen


def line_classes(rng, file, files):
    """Rows, from 0, by where the names of a whole statement are from; none of a commit, which a file alone has not."""
    rows = {name: [] for name in ("infile", "inproject", "common", "commited", "non_informative", "random")}
    for row, names in file.choices():
        text = file.lines[row]
        if any(home_of(file, name, files) for name in names if name in file.imported):
            rows["inproject"].append(row)
        elif any(file.defined.get(name) and file.defined[name][0] < row for name in names):
            rows["infile"].append(row)
        elif any(f".{name}(" in text for name in COMMON):
            rows["common"].append(row)
        else:
            rows["random"].append(row)
    short = [row for row, line in enumerate(file.lines)
             if line.strip() and (len(line.strip()) < 12 or line.startswith("import "))]
    rows["non_informative"] = short[5:]
    return {name: sorted(rng.sample(found, min(PER_CLASS, len(found)))) for name, found in rows.items()}
