#!/usr/bin/env python3
"""Compares the function units of `longcode inspect` with CPython's own parser.

usage: python3 scripts/check_functions_against_ast.py LONGCODE_BINARY FILES_OR_JSONL.gz...

Every function or method definition that is not inside another one must be a region of kind `function`
with the same name, from its first decorator to the end of its last statement. A region may begin
earlier, by white space and comments that join it, and the last region of a file may end later, by the
same. No region may hold nothing else than that, unless the file does.

Arguments are Python files, or JSON lines (gzip or not) with the source in the field `content`.
Exits with 1 if anything differs. Files that `ast` cannot parse are skipped and counted.
"""

import ast
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor

# What may precede a definition in its region, and follow the last one in its file.
BLANK = re.compile(rb"(?:\s|\xef\xbb\xbf|#[^\r\n]*)*")


def sources(paths, field="content"):
    """(name, text) of every source in the given files; of JSON lines, what `field` holds."""
    for path in paths:
        if path.endswith((".jsonl", ".jsonl.gz")):
            opener = gzip.open if path.endswith(".gz") else open
            with opener(path, "rt", encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    record = json.loads(line)
                    yield record.get("path", path), record[field]
        else:
            with open(path, encoding="utf-8", newline="") as file:
                yield path, file.read()


def line_starts(text):
    """Byte offset of every line as `ast` counts lines: form feeds and the like end none."""
    return [0] + [match.end() for match in re.finditer(rb"\r\n|\r|\n", text)]


def outermost_functions(tree):
    """The function definitions outside of every other one, in the order of the text."""
    found, pending = [], [tree]
    while pending:
        for child in ast.iter_child_nodes(pending.pop()):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.append(child)
            else:
                pending.append(child)
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def expected(text):
    """(start, end, name) in bytes of every unit; None if `ast` cannot parse the text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    # `ast` leaves a byte order mark out of its columns.
    mark = 3 if text.startswith(b"\xef\xbb\xbf") else 0
    starts = line_starts(text)

    def offset(line, column):
        return starts[line - 1] + column + (mark if line == 1 else 0)

    units = []
    for node in outermost_functions(tree):
        start = offset(node.lineno, node.col_offset)
        if node.decorator_list:
            first = node.decorator_list[0]
            start = text.rindex(b"@", 0, offset(first.lineno, first.col_offset))
        units.append((start, offset(node.end_lineno, node.end_col_offset), node.name))
    return units


def inspected(binary, text):
    """The regions that `longcode inspect` finds."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "source.py")
        with open(path, "wb") as file:
            file.write(text)
        command = [binary, "inspect", path, "--unit", "function", "--json"]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(command)} failed\n{done.stderr.decode(errors='replace')}")
    return json.loads(done.stdout).get("regions") or []


def after_blank(text, start, end):
    """Where the white space and comments from `start` on end. (Not `fullmatch`, which would backtrack.)"""
    return BLANK.match(text, start, end).end()


def found_units(text, regions):
    """(start, end, name) of the function regions, less the blanks that joined them."""
    units = []
    for region in regions:
        if region["kind"] == "function":
            start = after_blank(text, region["start"], region["end"])
            units.append((start, region["end"], region["name"]))
    return units


def differences(text, wanted, found):
    """What differs, in words, one line each."""
    wanted = list(wanted)
    if wanted and found:
        end = wanted[-1][1]
        if found[-1][1] == len(text) and after_blank(text, end, len(text)) == len(text):
            wanted[-1] = (wanted[-1][0], len(text), wanted[-1][2])
    lines = [f"missing {name} at {start}..{end}" for start, end, name in sorted(set(wanted) - set(found))]
    return lines + [f"not in ast: {name} at {start}..{end}" for start, end, name in sorted(set(found) - set(wanted))]


def cover(text, regions):
    """Whether the regions are contiguous, cover the text and are numbered from 0."""
    at = 0
    for number, region in enumerate(regions):
        if region["start"] != at or region["end"] <= at or region["segment"] != number:
            return False
        at = region["end"]
    return not regions or at == len(text)


def check(binary, name, text):
    """(units, lines of differences), or None for a source that `ast` cannot parse."""
    text = text.encode("utf-8", "surrogatepass")
    wanted = expected(text)
    if wanted is None:
        return name, None, []
    regions = inspected(binary, text)
    lines = differences(text, wanted, found_units(text, regions))
    if not cover(text, regions):
        lines.append("the regions do not cover the text")
    blank = [region for region in regions if after_blank(text, region["start"], region["end"]) == region["end"]]
    lines.extend(f"only blanks at {region['start']}..{region['end']}" for region in blank if len(regions) > 1)
    return name, len(wanted), lines


def check_all(paths, check_one, what, parser):
    """Checks every source, prints what differs and how many there were, and exits."""
    files = units = skipped = differing = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, count, lines in pool.map(lambda source: check_one(*source), sources(paths)):
            if count is None:
                skipped += 1
                continue
            files += 1
            units += count
            differing += bool(lines)
            for line in lines:
                print(f"{name}: {line}")
    print(f"{files} files, {units} {what}, {differing} files differ, {skipped} skipped ({parser} cannot parse them)")
    sys.exit(1 if differing or not files else 0)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binary, paths = sys.argv[1], sys.argv[2:]
    check_all(paths, lambda name, text: check(binary, name, text), "functions", "ast")


if __name__ == "__main__":
    main()
