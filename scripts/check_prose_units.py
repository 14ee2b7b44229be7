#!/usr/bin/env python3
"""Compares the units of prose of `longcode inspect` with finders that were written apart from them.

usage: python3 scripts/check_prose_units.py LONGCODE_BINARY FILES_OR_JSONL.gz...

| unit | finder | to |
|---|---|---|
| paragraph | runs of lines that are not blank | equal |
| sentence | the rules SB3 to SB998 of UAX 29, written down here, over each paragraph on one line; the classes of characters are uniseg's | equal |
| section of reStructuredText (.rst) | docutils' section titles, in order | at least 97.5% of the titles of either |
| section of Markdown (.md) | headings outside of lists and quotations of markdown-it, and of tree-sitter's grammar, by line | at least 97.5% of the headings of either |
| section of LaTeX (.tex) | pylatexenc's macros and environments that begin a line, by line | at least 97.5% |
| group | brackets taken out from the innermost to the outermost, around formulas found by one pattern; paragraphs in which a bracket is left over are unclear | equal |
| group of SMILES | branches and rings of the molecules below, by a parser of one pattern | equal |

Arguments are texts, or JSON lines (gzip or not) with `text` and `path` in each. Exits with 1 if anything differs by more.
Needs docutils, uniseg, markdown-it-py, tree-sitter, tree-sitter-markdown and pylatexenc.
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
import tree_sitter
import tree_sitter_markdown
from markdown_it import MarkdownIt
from pylatexenc import latexwalker
from uniseg.sentencebreak import sentence_break

from check_functions_against_ast import sources

# Share of titles that must be found, and must be titles.
ENOUGH = 0.975


def inspected(binary, text, unit):
    """The regions of a text; of others kinds where it has no unit."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "text.txt")
        with open(path, "wb") as file:
            file.write(text.encode())
        command = [binary, "inspect", path, "--unit", unit, "--json"]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(command)} failed\n{done.stderr.decode(errors='replace')}")
    return json.loads(done.stdout)["regions"]


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


MARKDOWN = tree_sitter.Parser(tree_sitter.Language(tree_sitter_markdown.language()))


def lines_of_tree_sitter(text):
    """The same by tree-sitter's grammar of Markdown."""
    lines, nodes = [], [MARKDOWN.parse(text.encode()).root_node]
    while nodes:
        node = nodes.pop()
        if node.type in ("atx_heading", "setext_heading"):
            lines.append(node.start_point[0])
        elif node.type in ("document", "section"):
            nodes.extend(node.children)
    return sorted(lines)


SECTIONS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph")


def lines_of_latex(text):
    """Lines, from 0, that begin with a section or an environment."""
    nodes, lines = latexwalker.LatexWalker(text).get_latex_nodes()[0], []
    while nodes:
        node, *nodes = nodes
        is_section = node.isNodeType(latexwalker.LatexMacroNode) and node.macroname in SECTIONS
        if is_section or node.isNodeType(latexwalker.LatexEnvironmentNode):
            if not text[text.rfind("\n", 0, node.pos) + 1 : node.pos].strip():
                lines.append(text.count("\n", 0, node.pos))
        if node.isNodeType(latexwalker.LatexEnvironmentNode) or node.isNodeType(latexwalker.LatexGroupNode):
            nodes = list(node.nodelist) + nodes
    return sorted(set(lines))


# Money is no formula: what begins or ends with a space after one dollar.
FORMULA = re.compile(r"(\$\$)(?:.+?)(?<!\\)\$\$|\$(?:[^$]*?)(?<=[^$\\])\$|\\\(.*?\\\)|\\\[.*?\\\]|\\.", re.DOTALL)
INNERMOST = re.compile(r"\(([^][(){}]*)\)|\[([^][(){}]*)\]|\{([^][(){}]*)\}")


def groups(paragraph):
    """(start, end) of formulas and outermost pairs of brackets; none if a bracket is left over."""
    found, at = [], 0
    kept = list(paragraph)
    while match := FORMULA.search(paragraph, at):
        start, end = match.span()
        word = match.group()
        loose = word[0] == "$" and word[:2] != "$$" and (word[1] in " \n" or word[-2] in " \n")
        if loose:
            at = start + 1
            continue
        at = end
        if len(word) == 2 and word[0] == "\\":
            kept[start:end] = "  "
        else:
            found.append((start, end))
            kept[start:end] = "." * (end - start)
    plain = "".join(kept)
    while match := INNERMOST.search(plain):
        start, end = match.span()
        found = [one for one in found if not start <= one[0] < end] + [(start, end)]
        plain = plain[:start] + "." * (end - start) + plain[end:]
    return None if re.search(r"[][(){}]", plain) else found


MOLECULES = """CC(=O)Oc1ccccc1C(=O)O aspirin
CN1C=NC2=C1C(=O)N(C(=O)N2C)C caffeine
CC(C)Cc1ccc(cc1)C(C)C(=O)O ibuprofen
C[C@H](N)C(=O)O alanine
CN1CCC[C@H]1c1cccnc1 nicotine
OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O glucose
C1CCC2(CC1)OCCO2 ketal
CC12CCC3C(C1CCC2O)CCC4=CC(=O)CCC34C testosterone
CC(C)(C)c1ccc(O)cc1 tert-butylphenol
ClC(Cl)(Cl)C(c1ccc(Cl)cc1)c1ccc(Cl)cc1 DDT
C%12CCCCC%12 cyclohexane
BrCC(Br)CBr tribromopropane
"""


def groups_of_smiles(line):
    """(start, end) of branches and rings of a SMILES string."""
    found, branches, rings, atom = [], [], {}, 0
    for match in re.finditer(r"\[[^]]*\]|Cl|Br|[A-Za-z*]|%\d\d|\d|[()]", line.split()[0]):
        word = match.group()
        if word == "(":
            branches.append(match.start())
        elif word == ")":
            found.append((branches.pop(), match.end()))
        elif word[0] in "%0123456789":
            if word in rings:
                found.append((rings.pop(word), match.end()))
            else:
                rings[word] = atom
        else:
            atom = match.start()
    return found


def group_edges(text):
    """Offsets, in characters, at which something begins: groups, and what follows them; and the paragraphs that have a
    bracket without another."""
    edges, unclear = set(), []
    for at, lines in paragraphs(text):
        joined = "\n".join(lines)
        found = groups(joined)
        if found is None:
            unclear.append((at, at + len(joined)))
        edges |= {at + edge for one in found or [] for edge in one}
    return edges, unclear


def heads(text, offsets):
    """The first characters from these offsets on that are not white, without the text's end."""
    found = {len(text) - len(text[at:].lstrip()) for at in offsets}
    return sorted(at for at in found if 0 < at < len(text))


def check_groups(binary, text, edges, unclear):
    """Whether the program divides a text there, but for what is unclear."""
    starts = [len(text.encode()[: region["start"]].decode()) for region in inspected(binary, text, "group")]
    first = len(text) - len(text.lstrip())
    # What follows a group may be in the paragraph below.
    ends = {text.index(text[end:].lstrip()[0], end) if text[end:].strip() else end for _, end in unclear}

    def known(offsets):
        inside = [at for at in heads(text, offsets) if at > first and at not in ends]
        return [at for at in inside if not any(start <= at < end for start, end in unclear)]

    return known(edges) == known(starts)


def in_common(wanted, found):
    """How many are in both, in order."""
    at, count = 0, 0
    for one in wanted:
        if one in found[at:]:
            at += found[at:].index(one) + 1
            count += 1
    return count


def section_lists(binary, kind, text):
    """Pairs of what a finder wants and what the program found."""
    regions = [region for region in inspected(binary, text, "section") if region["kind"] == "section"]
    if kind == ".rst":
        return [(titles_of_docutils(text), [region["name"] for region in regions])]
    ends = [0] + [at + 1 for at, byte in enumerate(text.encode()) if byte == 10]
    found = [bisect.bisect_right(ends, region["start"]) - 1 for region in regions]
    finders = {".md": [lines_of_markdown_it, lines_of_tree_sitter], ".tex": [lines_of_latex]}[kind]
    return [(finder(text), found) for finder in finders]


def differences(binary, text):
    """Units that must be equal and are not, and how many there are of each."""
    off, counts = [], {}
    for unit, wanted in (("paragraph", [at for at, _ in paragraphs(text)]), ("sentence", sentences(text))):
        # A region begins with the blank before it.
        starts = [region["end"] for region in inspected(binary, text, unit) if region["kind"] == unit]
        wanted = in_bytes(text, wanted)
        counts[unit] = len(wanted)
        if starts[:-1] != wanted[1:]:
            first = sorted(set(starts[:-1]) ^ set(wanted[1:]))
            off.append(f"{unit}: {len(first)} boundaries differ, the first at byte {first[:1]}")
    edges, unclear = group_edges(text)
    counts["group"], counts["unclear"] = len(edges), len(unclear)
    if edges and not check_groups(binary, text, edges, unclear):
        off.append("group: boundaries differ")
    return off, counts


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binary, paths = sys.argv[1], sys.argv[2:]
    counts = dict.fromkeys(("paragraph", "sentence", "group", "unclear"), 0)
    titles = {".rst": [0, 0, 0, 0], ".md": [0, 0, 0, 0], ".tex": [0, 0, 0, 0]}
    files = differing = 0
    for name, text in sources(paths, "text"):
        files += 1
        off, of_file = differences(binary, text)
        differing += len(off)
        for line in off:
            print(f"{name}: {line}")
        for unit, count in of_file.items():
            counts[unit] += count
        kind = os.path.splitext(name)[1]
        for wanted, found in section_lists(binary, kind, text) if kind in titles else []:
            both = in_common(wanted, found)
            for n, value in enumerate((1, len(wanted), len(found), both)):
                titles[kind][n] += value
            if both < max(len(wanted), len(found)):
                missing = [one for one in wanted if one not in found][:3]
                more = [one for one in found if one not in wanted][:3]
                print(f"{name}: sections: missing {missing}, more {more}")
    for line in MOLECULES.splitlines():
        if not check_groups(binary, line + "\n", {edge for one in groups_of_smiles(line) for edge in one}, []):
            differing += 1
            print(f"{line}: groups differ")
    few = False
    for kind, (count, wanted, found, both) in titles.items():
        few |= both < ENOUGH * max(wanted, found)
        print(f"{count} lists of sections of files {kind}: {wanted} headings, {found} found, {both} in both")
    print(f"{files} files, {counts}, {differing} lists differ")
    sys.exit(1 if differing or few or not files else 0)


if __name__ == "__main__":
    main()
