"""Files and functions of the evaluation corpora, and how look-alikes are written."""

import functools
import gzip
import json
import re

from build_completion_substitutes import PARSERS, File, text_of
from tokenizers import Tokenizer

FUNCTIONS = {"python": "function_definition", "java": "method_declaration"}
CLASSES = {"class_definition", "class_declaration", "interface_declaration", "enum_declaration"}


class Corpus:
    """The evaluation corpora, and the tokenizer that lengths are counted by."""

    def __init__(self, directory, tokenizer):
        self.directory = directory
        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.tokenizer.no_truncation()

    def tokens(self, text):
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    @functools.lru_cache(maxsize=None)
    def records(self, language):
        with gzip.open(self.directory / f"eval-{language}.jsonl.gz", "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    @functools.lru_cache(maxsize=None)
    def package(self, language, name, most=10**9):
        """The files of a package that have at most `most` characters, by path."""
        chosen = [r for r in self.records(language) if r["repo_name"] == name and len(r["content"]) <= most]
        return [Source(record) for record in sorted(chosen, key=lambda r: r["path"])]


class Source(File):
    """A file with its functions."""

    def __init__(self, record):
        super().__init__(record)
        root = PARSERS[self.language].parse(self.text.encode()).root_node
        # An archive's own folder says nothing.
        self.path = re.sub(r"^[^/]*-[0-9][^/]*/", "", self.path)
        self.functions = [Function(self, node) for node in found(root, FUNCTIONS[self.language])]


class Function:
    """A function: where it is and what it says."""

    def __init__(self, file, node):
        self.file, self.node = file, node
        self.text = text_of(node)
        self.name = text_of(node.child_by_field_name("name"))
        self.first, self.end = node.start_point.row, node.end_point.row + 1
        names = map(parameter, node.child_by_field_name("parameters").named_children)
        self.parameters = [name for name in names if name]
        outer = [text_of(n.child_by_field_name("name")) for n in parents(node) if n.type in CLASSES]
        self.qualified = f"{outer[0]}.{self.name}" if outer else self.name

    def calls(self, name):
        body = self.node.child_by_field_name("body")
        return body is not None and re.search(rf"\b{name}\(", text_of(body)) is not None

    def is_nested(self):
        return any(parent.type in FUNCTIONS.values() for parent in parents(self.node))


def found(root, kind):
    """Nodes of a type, in the order of the text."""
    stack, nodes = [root], []
    while stack:
        node = stack.pop()
        if node.type == kind:
            nodes.append(node)
        stack.extend(reversed(node.children))
    return nodes


def parents(node):
    while node := node.parent:
        yield node


def parameter(node):
    """A parameter's name; none for self, `*` and comments."""
    named = node.child_by_field_name("name")
    if named is None:
        named = next((n for n in [node, *node.named_children] if n.type == "identifier"), None)
    name = text_of(named) if named is not None else None
    return None if name in (None, "self", "cls") else name


def write_json(path, value):
    """One JSON document, gzip, without name and time."""
    write_gzip(path, json.dumps(value, ensure_ascii=False, indent=None))
    return path


def write_jsonl(path, records):
    """An object a line, gzip, without name and time."""
    write_gzip(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    return path


def write_gzip(path, text):
    with open(path, "wb") as out, gzip.GzipFile("", "wb", 9, out, 0) as packed:
        packed.write(text.encode())
