#!/usr/bin/env python3
"""Compares what `longcode inspect --references` says a Python file points at with CPython's own parser and tokenizer.

usage: python3 scripts/check_references_against_ast.py LONGCODE_BINARY MODEL FILES_OR_JSONL.gz...

From `ast` come import statements at any depth and the assignments of a module's body, from `tokenize` the names of
definitions (what follows `def` and `class`) and every other name. A use of a name that some definition has points at the
units of these definitions that come before its own; it counts from the first token that ends beyond it, if that is in
the same unit. Tokens and their units are taken from the output: `check_functions_against_ast.py` is about units.

MODEL is any directory with a tokenizer, as models/nano. Arguments are Python files, or JSON lines (gzip or not) with the
source in the field `content`. Exits with 1 if anything differs. Files that CPython cannot parse are skipped and counted.
Before Python 3.12 `tokenize` does not look into f-strings: their names are found here.
"""

import ast
import bisect
import io
import json
import keyword
import os
import re
import subprocess
import sys
import tempfile
import tokenize
import warnings

from check_functions_against_ast import check_all, line_starts


def parsed(text):
    """The tree and the tokens of a text; none if CPython cannot parse it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        return tree, list(tokenize.generate_tokens(io.StringIO(text.decode(), newline="").readline))
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return None


def expected(text, tree, words):
    """Byte ranges of imports, globals and lines with names of definitions; names of definitions; other identifiers."""
    starts = line_starts(text)

    def place(line, column):
        """Byte of a column in characters."""
        begin = starts[line - 1]
        end = starts[line] if line < len(starts) else len(text)
        return begin + len(text[begin:end].decode()[:column].encode())

    def range_of(node):
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    imports = [range_of(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assigned = (ast.Assign, ast.AugAssign, ast.AnnAssign)
    module = [range_of(node) for node in tree.body if isinstance(node, assigned)]
    names, identifiers, signatures, before = [], [], [], ""
    for word in words:
        if word.type == tokenize.NAME:
            at = place(*word.start)
            if before in ("def", "class"):
                names.append((at, word.string))
                line = bisect.bisect_right(starts, at) - 1
                end = starts[line + 1] if line + 1 < len(starts) else len(text)
                signatures.append((starts[line], end))
            elif not keyword.iskeyword(word.string):
                identifiers.append((at, word.string))
            before = word.string
        elif word.type == tokenize.STRING:
            begin = place(*word.start)
            found = names_in(word.string)
            identifiers.extend((begin + len(word.string[:at].encode()), name) for at, name in found)
            before = ""
        elif word.type not in (tokenize.NL, tokenize.COMMENT):
            before = ""
    return imports, signatures, module, names, identifiers


def names_in(string):
    """(offset, name) of every name in the replaced fields of an f-string."""
    prefix = re.match(r"[A-Za-z]*", string).group()
    if "f" not in prefix.lower():
        return
    fields, at = [], len(prefix)
    while at < len(string):
        if string.startswith(("{{", "}}"), at) and not fields:
            at += 2
            continue
        c, inside = string[at], bool(fields) and not fields[-1]["spec"]
        if c == "{" and (inside or not fields or fields[-1]["spec"]):
            fields.append({"spec": False, "brackets": 0} if not inside else {"spec": False, "brackets": 0, "dict": True})
        elif c == "}" and fields:
            fields.pop()
        elif inside and c in "([":
            fields[-1]["brackets"] += 1
        elif inside and c in ")]":
            fields[-1]["brackets"] -= 1
        elif inside and c in "'\"":
            end = string.find(c, at + 1)
            at = end if end > 0 else at
        elif inside and c in ":!" and fields[-1]["brackets"] == 0 and "dict" not in fields[-1] and string[at + 1] != "=":
            fields[-1]["spec"] = True
            at += len(re.match(r"(![ars])?:?", string[at:]).group()) - 1
        elif inside and (found := re.compile(r"[^\W\d]\w*").match(string, at)) and not re.match(r"\w", string[at - 1]):
            if not keyword.iskeyword(found.group()):
                yield at, found.group()
            at = found.end() - 1
        at += 1


def deciding(text, start, end):
    """The first byte of a token that is not white space."""
    piece = text[start:end].decode(errors="replace")
    white = len(piece) - len(piece.lstrip())
    return start if white == len(piece) else start + len(piece[:white].encode())


def uses(tokens, names, identifiers):
    """[token from which a use counts, unit pointed at], each unit once for a unit."""
    ends, furthest = [], 0
    for token in tokens:
        furthest = max(furthest, token["end"])
        ends.append(furthest)
    units = {}
    for at, name in names:
        token = bisect.bisect_right(ends, at)
        units.setdefault(name, set()).add(tokens[token]["segment"])
    found, known = [], set()
    for at, name in identifiers:
        begins, counts = bisect.bisect_right(ends, at), bisect.bisect_right(ends, at + len(name.encode()))
        if name not in units or counts == len(tokens):
            continue
        unit = tokens[counts]["segment"]
        if tokens[begins]["segment"] != unit:
            continue
        for target in units[name]:
            if target < unit and (unit, target) not in known:
                known.add((unit, target))
                found.append([counts, target])
    return sorted(found)


def inspected(binary, model, text):
    """What `longcode inspect` says."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "source.py")
        with open(path, "wb") as file:
            file.write(text)
        command = [binary, "inspect", path, "--tokenizer", model, "--references", "--json"]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(command)} failed\n{done.stderr.decode(errors='replace')}")
    return json.loads(done.stdout)


def check(binary, model, name, text):
    """(uses, lines of differences), or None for a source that CPython cannot parse."""
    text = text.encode("utf-8", "surrogatepass")
    known = None if text.startswith(b"\xef\xbb\xbf") else parsed(text)
    if known is None:
        return name, None, []
    imports, signatures, module, names, identifiers = expected(text, *known)
    said = inspected(binary, model, text)
    tokens, references = said["tokens"], said["references"]
    bytes_of = [deciding(text, token["start"], token["end"]) for token in tokens]
    lines = []
    for what, ranges in (("imports", imports), ("signatures", signatures), ("globals", module)):
        wanted = [n for n, byte in enumerate(bytes_of) if any(start <= byte < end for start, end in ranges)]
        if wanted != references[what]:
            off = sorted(set(wanted) ^ set(references[what]))
            lines.append(f"{what}: {len(off)} tokens differ, the first at byte {tokens[off[0]]['start']}")
    wanted = uses(tokens, names, identifiers)
    if wanted != references["uses"]:
        off = [one for one in wanted + references["uses"] if (one in wanted) != (one in references["uses"])]
        lines.append(f"uses: {len(off)} differ, the first at byte {tokens[off[0][0]]['start']}: {off[0]}")
    return name, len(wanted), lines


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    binary, model, paths = sys.argv[1], sys.argv[2], sys.argv[3:]
    check_all(paths, lambda name, text: check(binary, model, name, text), "uses", "CPython")


if __name__ == "__main__":
    main()
