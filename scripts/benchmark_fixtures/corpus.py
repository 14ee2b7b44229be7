"""Functions of the evaluation corpora, as text."""

import gzip
import json
import re

from tree_sitter_languages import get_language, get_parser

QUERIES = {
    "python": "(function_definition name: (_)) @f",
    "java": "(method_declaration name: (_)) @f",
}


def files(corpus, language):
    """The records of corpus/eval-LANGUAGE.jsonl.gz."""
    with gzip.open(corpus / f"eval-{language}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def functions(content, language):
    """(text, first line, line after the last, start byte, end byte) of every function, in order."""
    data = content.encode()
    tree = get_parser(language).parse(data)
    nodes = [node for node, _ in get_language(language).query(QUERIES[language]).captures(tree.root_node)]
    return [(data[n.start_byte : n.end_byte].decode(), n.start_point[0], n.end_point[0] + 1, n.start_byte, n.end_byte)
            for n in nodes]


def name_of(function, language):
    """A function's name."""
    pattern = r"def\s+(\w+)" if language == "python" else r"(\w+)\s*\("
    return re.search(pattern, function).group(1)


def some_functions(corpus, language, rng, count, lengths):
    """`count` functions whose length in characters is in `lengths`, each of another file."""
    records = files(corpus, language)
    rng.shuffle(records)
    chosen = []
    for record in records:
        fitting = [f[0] for f in functions(record["content"], language) if len(f[0]) in lengths]
        if fitting:
            chosen.append(rng.choice(fitting))
        if len(chosen) == count:
            return chosen
    raise SystemExit(f"the {language} corpus has only {len(chosen)} such functions")
