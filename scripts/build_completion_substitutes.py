#!/usr/bin/env python3
"""Builds datasets/lcc-substitute.jsonl.gz and datasets/repobench-p-substitute.jsonl.gz from the evaluation corpora.

    python3 scripts/build_corpora.py eval-python eval-java
    pip install tokenizers tree-sitter tree-sitter-python tree-sitter-java
    python3 scripts/build_completion_substitutes.py

LongBench's LCC and RepoBench-P cannot be bundled; these are other files in their format (input, context, answers,
length in white-space words, dataset, language, all_classes, _id), so that completion can be tried without a download.
Their numbers are not comparable to the official sets'.

The line to complete is a whole statement that uses a name which nothing nearby gives away:
- LCC-like: one file, cut before the line. The name (a function, class, field or module variable) is defined in the
  file, once, and occurs nowhere in the FAR lines above the line.
- RepoBench-P-like: other files of the package, then the file, cut before the line. The name is imported from one of
  those files, its definition lies at least FAR lines above, and the line is its first use in the file.
One record a file, buckets by length as LongBench-E's, packages in turn; the same corpus and seed give the same bytes.
"""

import argparse
import collections
import gzip
import json
import random
import re
from pathlib import Path

import tree_sitter_java
import tree_sitter_python
from tree_sitter import Language, Parser

from build_bundled_datasets import licence_of, write

ROOT = Path(__file__).resolve().parent.parent
# Words of a record, inside LongBench-E's buckets (below 4000, below 8000, the rest) and near their lower edges, which
# keeps the files small; and how many records of a language there are.
BUCKETS = [((700, 2500), 14), ((4000, 5000), 6), ((8000, 9000), 4)]
# Lines between the line to complete and the last place above that has its name.
FAR = 200
# Characters of the line without its indentation, and of the name; a short name is often a common word.
LINE, NAME = range(15, 121), 6
# The scorer drops a generated line that has one of these, so that no such answer could be found.
DROPPED = ["`", "#", "//"]

FUNCTIONS_AND_CLASSES = {
    "python": {"function_definition", "class_definition"},
    "java": {"method_declaration", "class_declaration", "interface_declaration", "enum_declaration"},
}
STATEMENTS = {
    "python": {"expression_statement", "return_statement", "raise_statement", "assert_statement"},
    "java": {"expression_statement", "return_statement", "throw_statement", "local_variable_declaration"},
}
IDENTIFIERS = {"identifier", "type_identifier"}
GRAMMARS = {"python": tree_sitter_python.language(), "java": tree_sitter_java.language()}
PARSERS = {name: Parser(Language(grammar)) for name, grammar in GRAMMARS.items()}
COMMENT = {"python": "#", "java": "//"}


class File:
    """A source file: its lines, and where which names are defined, imported, used by a whole line and mentioned."""

    def __init__(self, record):
        self.package, self.language = record["repo_name"], record["language"]
        # The corpus repeats the package at the front of the path.
        self.path = record["path"].removeprefix(self.package + "/")
        self.text = record["content"]
        self.lines = self.text.splitlines(keepends=True)
        self.defined = collections.defaultdict(list)
        # In comments and strings too: they give a name away as well as code does.
        self.mentioned = collections.defaultdict(list)
        for row, line in enumerate(self.lines):
            for word in re.findall(r"\w+", line):
                self.mentioned[word].append(row)
        self.imported = {}
        self.statements = []
        # Rows are lines that end in \n: a file where splitlines sees others would be cut in the wrong place.
        if len(self.lines) == self.text.count("\n") + (not self.text.endswith("\n")):
            self.read(PARSERS[self.language].parse(self.text.encode()).root_node)

    def read(self, root):
        stack = [root]
        while stack:
            node = stack.pop()
            row = node.start_point.row
            if name := defined_by(node, self.language):
                self.defined[name].append(row)
            self.imported |= imports(node)
            if node.type in STATEMENTS[self.language] and row == node.end_point.row:
                if self.lines[row].strip() == text_of(node):
                    self.statements.append(node)
            stack.extend(reversed(node.children))

    def choices(self):
        """Row and names of every line that may be completed, top to bottom."""
        for node in self.statements:
            row, line = node.start_point.row, text_of(node)
            if len(line) in LINE and not any(mark in line for mark in DROPPED):
                yield row, sorted(set(used_names(node)))

    def words_above(self, row):
        return sum(len(line.split()) for line in self.lines[:row])

    def above(self, row):
        return "".join(self.lines[:row])


def text_of(node):
    return node.text.decode()


def defined_by(node, language):
    """The name of a function, a class, a field of Java, or a variable of a Python module."""
    if node.type in FUNCTIONS_AND_CLASSES[language]:
        return text_of(node.child_by_field_name("name"))
    if node.type == "variable_declarator" and node.parent.type == "field_declaration":
        return text_of(node.child_by_field_name("name"))
    if node.type == "assignment" and node.parent.parent.type == "module":
        target = node.child_by_field_name("left")
        return text_of(target) if target.type == "identifier" else None
    return None


def imports(node):
    """What `from a.b import c, d` and `import a.b.C;` bring in: name to the row that says so and the path of the module."""
    if node.type == "import_from_statement":
        names = [name for name in node.children_by_field_name("name") if name.type == "dotted_name"]
        module = text_of(node.child_by_field_name("module_name")).strip(".").replace(".", "/")
        return {text_of(name): (name.start_point.row, module) for name in names}
    if node.type == "import_declaration":
        path = text_of(node).removeprefix("import").rstrip("; ").strip().replace(".", "/")
        return {path.rsplit("/", 1)[-1]: (node.start_point.row, path)}
    return {}


def used_names(node):
    """Names that a statement uses: not those that it sets, and of others' attributes and methods none."""
    if node.type in IDENTIFIERS and node.end_byte - node.start_byte >= NAME and not set_here(node) and own(node):
        yield text_of(node)
    for child in node.children:
        yield from used_names(child)


def set_here(node):
    """Whether the name is a target, a declared variable or a keyword."""
    field = {"assignment": "left", "variable_declarator": "name", "keyword_argument": "name"}.get(node.parent.type)
    return field is not None and node.parent.child_by_field_name(field) == node


def own(node):
    """Whether the name stands alone or is an attribute or a method of the object itself."""
    member = {"attribute": "attribute", "field_access": "field", "method_invocation": "name"}.get(node.parent.type)
    if member is None or node.parent.child_by_field_name(member) != node:
        return True
    holder = node.parent.child_by_field_name("object")
    return holder is None or text_of(holder) in {"self", "cls", "this"}


def far_in_file(file, row, name):
    """LCC-like: defined once, above, and not mentioned in the last FAR lines."""
    defined, above = file.defined.get(name, []), [r for r in file.mentioned[name] if r < row]
    return len(defined) == 1 and defined[0] < row and max(above) < row - FAR


def first_use_of_import(file, row, name):
    """RepoBench-P-like: imported, and mentioned in the import alone before this line."""
    return name in file.imported and all(r >= row or r == file.imported[name][0] for r in file.mentioned[name])


def home_of(file, name, package):
    """The one file of the package that an imported name is from (a Python module may be a folder), if it defines it."""
    module = file.imported[name][1]
    places = [f"/{module}.java", f"/{module}.py", f"/{module}/"]
    found = [
        other
        for other in package
        if other is not file
        and len(other.defined.get(name, [])) == 1
        and any(place in "/" + other.path for place in places)
    ]
    return found[0] if len(found) == 1 else None


def record_of(kind, file, row, name, context, given, others):
    answer = file.lines[row].rstrip("\r\n")
    sources = [f"{other.package}/{other.path}" for other in others] + [f"{file.package}/{file.path}:1-{row}"]
    return {
        "input": given,
        "context": context,
        "answers": [answer],
        "length": len((context + given).split()),
        "dataset": f"{kind}-substitute",
        "language": file.language,
        "all_classes": None,
        "_id": f"{file.package}/{file.path}:{row + 1}",
        "name": name,
        "sources": sources,
    }


def lcc_like(rng, file, words, _):
    found = []
    for row, names in file.choices():
        if row > FAR and words[0] <= file.words_above(row) < words[1]:
            found += [(row, name) for name in names if far_in_file(file, row, name)]
    if not found:
        return None
    row, name = rng.choice(found)
    return record_of("lcc", file, row, name, file.above(row), "", [])


def repobench_like(rng, file, words, package):
    found = []
    for row, names in file.choices():
        for name in (name for name in names if first_use_of_import(file, row, name)):
            home = home_of(file, name, package)
            found += [(row, name, home)] if home else []
    rng.shuffle(found)
    for row, name, home in found:
        others = fill(rng, file, home, package, words, file.words_above(row))
        if others is None:
            continue
        context = "".join(f"{COMMENT[file.language]} Path: {o.path}\n{o.text.rstrip()}\n\n" for o in others)
        below = context.count("\n") + row - home.defined[name][0]
        if below > FAR:
            given = f"{COMMENT[file.language]} Path: {file.path}\n{file.above(row)}"
            record = record_of("repobench-p", file, row, name, context, given, others)
            if words[0] <= record["length"] < words[1]:
                return record
    return None


def fill(rng, file, home, package, words, already):
    """The defining file first, then others of the package until the words are there; None where they cannot be."""
    chosen, total = [home], already + len(home.text.split())
    rest = [other for other in package if other is not file and other is not home]
    rng.shuffle(rest)
    for other in rest:
        if total >= words[0]:
            break
        size = len(other.text.split())
        if total + size < words[1]:
            chosen.append(other)
            total += size
    return chosen if words[0] <= total < words[1] else None


def choose(rng, make, files, per_bucket):
    """Records of every bucket, from the packages in turn; the longest bucket first, as fewest files can fill it."""
    packages = collections.defaultdict(list)
    for file in files:
        packages[file.package].append(file)
    used, records = set(), []
    for words, count in reversed(per_bucket):
        queues = [rng.sample(packages[name], len(packages[name])) for name in sorted(packages)]
        rng.shuffle(queues)
        bucket = []
        while len(bucket) < count and any(queues):
            for queue in queues:
                record = next_record(rng, make, queue, words, packages, used) if len(bucket) < count else None
                bucket += [record] if record else []
        if len(bucket) < count:
            raise SystemExit(f"error: only {len(bucket)} of {count} records of {words[0]} to {words[1]} words")
        records = sorted(bucket, key=lambda record: record["_id"]) + records
    return records


def next_record(rng, make, queue, words, packages, used):
    while queue:
        file = queue.pop()
        record = None if file.path in used else make(rng, file, words, packages[file.package])
        if record:
            used.add(file.path)
            return record
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=ROOT / "corpus", help="eval-*.jsonl.gz and licenses/ [corpus]")
    parser.add_argument("--out", type=Path, default=ROOT / "datasets", help="directory to write [datasets]")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    files = {}
    for language in ["python", "java"]:
        with gzip.open(args.corpus / f"eval-{language}.jsonl.gz", "rt", encoding="utf-8") as lines:
            files[language] = [File(json.loads(line)) for line in lines]
    for kind, make in [("lcc", lcc_like), ("repobench-p", repobench_like)]:
        records = []
        for language in ["python", "java"]:
            records += choose(random.Random(args.seed), make, files[language], BUCKETS)
        for record in records:
            record["license"] = licence_of(args.corpus / "licenses", record["_id"].split("/", 1)[0])
        path = args.out / f"{kind}-substitute.jsonl.gz"
        write(path, records)
        print(f"{path}: {len(records)} records, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
