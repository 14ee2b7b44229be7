#!/usr/bin/env python3
"""Compares the units of prose of `longcode inspect` with finders that were written apart from them.

usage: python3 scripts/check_prose_units.py LONGCODE_BINARY FILES_OR_JSONL.gz...

| unit | finder | to |
|---|---|---|
| paragraph | runs of lines that are not blank | equal |
| sentence | the rules SB3 to SB998 of UAX 29, written down here, over each paragraph on one line; the classes of characters are uniseg's | equal |
| section of reStructuredText (.rst) | docutils' section titles, in order | at least 97.5% of the titles of either |
| section of Markdown (.md) | markdown-it's headings outside of lists and quotations, by line | at least 97.5% |

Arguments are texts, or JSON lines (gzip or not) with `text` and `path` in each. Exits with 1 if anything differs by more.
Needs docutils, uniseg and markdown-it-py.
"""

import bisect
import json
import os
import re
import subprocess
import sys
import tempfile

import docutils.core
import docutils.nodes
import docutils.utils
from markdown_it import MarkdownIt
from uniseg.sentencebreak import sentence_break

from check_functions_against_ast import sources

# Share of titles that must be found, and must be titles.
ENOUGH = 0.975


def inspected(binary, text, unit):
    """The regions of a text; none if it has no unit."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "text.txt")
        with open(path, "wb") as file:
            file.write(text.encode())
        command = [binary, "inspect", path, "--unit", unit, "--json"]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(command)} failed\n{done.stderr.decode(errors='replace')}")
    return [region for region in json.loads(done.stdout)["regions"] if region["kind"] == unit]


def paragraphs(text):
    """(offset, lines) of every run of lines that are not blank, in characters."""
    found, at, run = [], 0, None
    for line in text.split("\n"):
        if line.strip():
            run = run or (at, [])
            run[1].append(line)
        elif run:
            found.append(run)
            run = None
        at += len(line) + 1
    return found + ([run] if run else [])


# A letter for each class of characters; those of a class without one do not count (SB5).
CLASSES = {
    "UPPER": "U", "LOWER": "L", "OLETTER": "O", "NUMERIC": "N", "ATERM": "A", "STERM": "T", "CLOSE": "C", "SP": "S",
    "SCONTINUE": "X", "SEP": "P", "CR": "P", "LF": "P", "OTHER": ".",
}


def sentence_starts(text):
    """Where sentences begin in a text of one line, by the rules of UAX 29."""
    kept = [(at, CLASSES[sentence_break(c).name]) for at, c in enumerate(text) if sentence_break(c).name in CLASSES]
    classes = "".join(letter for _, letter in kept)
    starts = [0]
    for found in re.finditer("([AT])(C*)(S*)(P?)|P", classes):
        end, term = found.end(), found.group(1)
        if end == len(classes):
            continue
        rest = classes[end:]
        if term and not found.group(4):
            bare = not found.group(2) and not found.group(3)
            before = classes[found.start() - 1] if found.start() else ""
            if term == "A" and bare and (rest[0] == "N" or rest[0] == "U" and before in ("U", "L")):
                continue  # SB6, SB7
            if term == "A" and re.match("[^OULPAT]*L", rest):
                continue  # SB8
            if rest[0] in "XAT":
                continue  # SB8a
        starts.append(kept[end][0])
    return starts


def sentences(text):
    """Offsets of every sentence, in characters."""
    found = []
    for at, lines in paragraphs(text):
        joined = " ".join(lines).replace("\r", " ")
        starts = sentence_starts(joined)
        ends = starts[1:] + [len(joined)]
        found.extend(at + start for start, end in zip(starts, ends) if joined[start:end].strip())
    return found


def in_bytes(text, offsets):
    """Byte offsets of characters."""
    return [len(text[:at].encode()) for at in offsets]


def titles_of_docutils(text):
    """Titles of all sections, in order."""
    settings = {"report_level": 5, "halt_level": 6, "doctitle_xform": False, "file_insertion_enabled": False, "raw_enabled": False}
    document = docutils.core.publish_doctree(text, settings_overrides=settings)
    return [section[0].rawsource.strip() for section in document.findall(docutils.nodes.section)]


def lines_of_markdown_it(text):
    """Lines, from 0, of all headings that are not within another block."""
    tokens = MarkdownIt("commonmark").parse(text)
    return [token.map[0] for token in tokens if token.type == "heading_open" and token.level == 0]


def in_common(wanted, found):
    """How many are in both, in order."""
    at, count = 0, 0
    for one in wanted:
        if one in found[at:]:
            at += found[at:].index(one) + 1
            count += 1
    return count


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binary, paths = sys.argv[1], sys.argv[2:]
    counts = {"paragraph": 0, "sentence": 0}
    titles = {".rst": [0, 0, 0, 0], ".md": [0, 0, 0, 0]}
    files = differing = 0
    for name, text in sources(paths, "text"):
        files += 1
        for unit, wanted in (("paragraph", [at for at, _ in paragraphs(text)]), ("sentence", sentences(text))):
            # A region begins with the blank before it.
            starts = [region["end"] for region in inspected(binary, text, unit)]
            wanted = in_bytes(text, wanted)
            counts[unit] += len(wanted)
            if starts[:-1] != wanted[1:]:
                differing += 1
                off = sorted(set(starts[:-1]) ^ set(wanted[1:]))
                print(f"{name}: {unit}: {len(off)} boundaries differ, the first at byte {off[:1]}")
        kind = os.path.splitext(name)[1]
        if kind not in titles:
            continue
        regions = inspected(binary, text, "section")
        if kind == ".rst":
            wanted, found = titles_of_docutils(text), [region["name"] for region in regions]
        else:
            ends = [0] + [at + 1 for at, byte in enumerate(text.encode()) if byte == 10]
            heads = [region["start"] for region in regions]
            wanted, found = lines_of_markdown_it(text), [bisect.bisect_right(ends, at) - 1 for at in heads]
        both = in_common(wanted, found)
        for n, value in enumerate((1, len(wanted), len(found), both)):
            titles[kind][n] += value
        if both < max(len(wanted), len(found)):
            missing = [one for one in wanted if one not in found][:3]
            more = [one for one in found if one not in wanted][:3]
            print(f"{name}: sections: missing {missing}, more {more}")
    few = False
    for kind, (count, wanted, found, both) in titles.items():
        few |= both < ENOUGH * max(wanted, found)
        print(f"{count} files {kind}: {wanted} headings, {found} found, {both} in both")
    print(f"{files} files, {counts['paragraph']} paragraphs, {counts['sentence']} sentences, {differing} lists differ")
    sys.exit(1 if differing or few or not files else 0)


if __name__ == "__main__":
    main()
