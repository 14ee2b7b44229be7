"""In the format of the fill-in benchmarks that Qwen's Coder models are evaluated on: RepoEval, CCLongEval, CrossCodeEval."""

from build_completion_substitutes import first_use_of_import, home_of

from .completion import snippet
from .sources import write_jsonl

PACKAGES = {"python": [("networkx", 4), ("xarray", 4), ("mypy", 4), ("matplotlib", 4)],
            "java": [("maven", 4), ("libpdfbox2-java", 4), ("jackson-databind", 4)]}
# Fragments of other files of a record, the one that defines the name among them.
FRAGMENTS = 5
# For a model that was trained on 512 tokens: more lines of every package, with less around them.
SHORT = [
    ("networkx", 18), ("xarray", 6), ("mypy", 24), ("matplotlib", 12), ("sqlalchemy", 20), ("werkzeug", 6), ("tornado", 10),
]  # fmt: skip
SHORT_BYTES = {"left": 1500, "right": 800, "fragment": 300}
HEAD = "Here are some relevant code fragments from other files of the repo:"
FOUND_IN = "the below code fragment can be found in:"


def write_lines(corpus, rng, out):
    return write(corpus, rng, out, "repoeval-line-look-alike", "python", line_gap)


def write_functions(corpus, rng, out):
    return write(corpus, rng, out, "cclongeval-function-look-alike", "python", function_gap)


def write_statements(corpus, rng, out):
    return write(corpus, rng, out, "crosscodeeval-java-look-alike", "java", line_gap)


def write_short_lines(corpus, rng, out):
    return write(corpus, rng, out, "fill-in-lines-look-alike", "python", line_gap, SHORT, shortened)


def shortened(made):
    """A record with the end of what comes before the gap, the start of what comes after it, and three short fragments."""
    gold = [one for one in made["crossfile_context"]["list"] if one["is_gold"]]
    others = [one for one in made["crossfile_context"]["list"] if not one["is_gold"]]
    fragments = sorted(gold + others[:2], key=lambda one: one["filename"])
    for one in fragments:
        one["retrieved_chunk"] = whole_lines(one["retrieved_chunk"][:SHORT_BYTES["fragment"]])
    left = made["prompt"][-SHORT_BYTES["left"]:]
    return {
        **made,
        "prompt": left[left.find("\n") + 1:] if len(made["prompt"]) > len(left) else left,
        "right_context": whole_lines(made["right_context"][:SHORT_BYTES["right"]]),
        "crossfile_context": {"text": cross_text(fragments, "#"), "list": fragments},
    }


def whole_lines(text):
    return text[: text.rfind("\n") + 1] or text


def write(corpus, rng, out, name, language, gap, packages=None, change=lambda made: made):
    records = []
    for package, count in packages or PACKAGES[language]:
        found = 0
        files = corpus.package(language, package)
        for file in rng.sample(files, len(files)):
            if len(file.text) < 20_000 and (made := gap(file, files)):
                row, end, column, gold = made
                made = change(record(corpus, rng, file, files, (row, end, column), gold, f"{package}/{found}"))
                for one in made["crossfile_context"]["list"]:
                    del one["is_gold"]
                records.append(made)
                found += 1
            if found == count:
                break
        else:
            raise SystemExit(f"only {found} records of {package}")
    return write_jsonl(out / f"{name}.jsonl.gz", records)


def line_gap(file, files):
    """The first line that uses a name imported from another file, from its first character that is not white space."""
    imports_end = max((row for row, _ in file.imported.values()), default=None)
    for row, names in file.choices() if imports_end is not None else []:
        for name in names:
            home = home_of(file, name, files) if row > imports_end + 8 and first_use_of_import(file, row, name) else None
            if home and (gold := snippet(home, name)):
                line = file.lines[row]
                return row, row + 1, len(line) - len(line.lstrip()), gold
    return None


def function_gap(file, files):
    """The body of a function that uses such a name."""
    for function in file.functions:
        body = function.node.child_by_field_name("body")
        nodes = body.named_children
        is_documented = nodes[0].type == "expression_statement" and nodes[0].named_children[0].type == "string"
        first = nodes[1].start_point.row if is_documented and len(nodes) > 1 else body.start_point.row
        end = function.end
        if not 3 <= end - first <= 14 or first == function.first or function.is_nested():
            continue
        used = {word for row in range(first, end) for word in file.imported if word in file.lines[row]}
        for name in sorted(used):
            home = home_of(file, name, files)
            if home and (gold := snippet(home, name)):
                return first, end, 0, gold
    return None


def cross_text(fragments, sign):
    text = f"{sign} {HEAD}\n\n"
    for one in fragments:
        lines = "\n".join(f"{sign} {line}" for line in one["retrieved_chunk"].strip("\n").splitlines())
        text += f"{sign} {FOUND_IN}\n{sign} {one['filename']}\n{lines}\n\n"
    return text


def record(corpus, rng, file, files, place, gold, task_id):
    row, end, column = place
    others = [f for f in files if f is not file and f.functions]
    fragments = [{"retrieved_chunk": gold["snippet"], "filename": gold["path"], "score": None, "is_gold": True}]
    for other in rng.sample(others, min(FRAGMENTS - 1, len(others))):
        text = rng.choice(other.functions).text[:1500]
        fragments.append({"retrieved_chunk": text, "filename": other.path, "score": None, "is_gold": False})
    rng.shuffle(fragments)
    sign = {"python": "#", "java": "//"}[file.language]
    text = cross_text(fragments, sign)
    gap = "".join(file.lines[row:end])
    return {
        "prompt": "".join(file.lines[:row]) + gap[:column],
        "groundtruth": gap[column:].rstrip("\n"),
        "right_context": "\n" + "".join(file.lines[end:]),
        "crossfile_context": {"text": text, "list": fragments},
        "metadata": {"task_id": task_id, "repository": f"corpus/{file.package}", "file": file.path},
    }
