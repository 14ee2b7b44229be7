#!/usr/bin/env python3
"""Compares the function units of `longcode inspect` with what universal-ctags and TypeScript's compiler find.

usage: python3 scripts/check_functions_against_ctags.py LONGCODE_BINARY [--files N] [--typescript MODULE] PATHS...

PATHS are source files or folders of them. Of each language N files (100) are taken, evenly from their sorted
list. C, C++, C#, Go and Rust are held to universal-ctags (`apt-get install universal-ctags`), JavaScript and
TypeScript to the compiler whose module MODULE is (`npm install typescript`: node_modules/typescript), as
ctags does not say where their functions end; without MODULE they are left out.

A function agrees if both have it under one name, not inside of another function, if the line on which it is
declared lies in its region, and both end on the same line (ctags knows no ends in Rust). Prints the files,
functions and agreements of each language, and every difference. Exits with 1 if there is any.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

EXTENSIONS = {
    "c": ["c", "h"],
    "cpp": ["cc", "cpp", "cxx", "hh", "hpp", "hxx"],
    "csharp": ["cs"],
    "go": ["go"],
    "javascript": ["js", "cjs", "jsx", "mjs"],
    "rust": ["rs"],
    "typescript": ["ts", "cts", "mts", "tsx"],
}
# What ctags calls the language, and its kinds of functions.
CTAGS = {"c": ("C", "f"), "cpp": ("C++", "f"), "csharp": ("C#", "m"), "go": ("Go", "f"), "rust": ("Rust", "fP")}
BLANK = re.compile(rb"(?:\s|\xef\xbb\xbf|//[^\n]*|/\*.*?\*/|[;,])*", re.DOTALL)
FINDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "functions_of_typescript.js")


def files_of(paths):
    """language: sorted files."""
    by_extension = {"." + ending: language for language, endings in EXTENSIONS.items() for ending in endings}
    found = defaultdict(list)
    for path in paths:
        inside = [path]
        if os.path.isdir(path):
            inside = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
        for file in inside:
            language = by_extension.get(os.path.splitext(file)[1].lower())
            if language and os.path.isfile(file) and not file.endswith((".min.js", ".d.ts")):
                found[language].append(file)
    return {language: sorted(files) for language, files in sorted(found.items())}


def evenly(files, count):
    return [files[n * len(files) // count] for n in range(count)] if len(files) > count else files


def output_of(command):
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(command)} failed\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def plain(name):
    """A name without white space: `operator ==` is `operator==`; without the interface it is of: `I.M` is `M`."""
    name = re.sub(r"\s+", "", name or "")
    return name if name.startswith("operator") else name.split(".")[-1]


def ours(binary, path, text):
    """(name, first line, last line, end) of the function regions, less what joined them."""
    regions = json.loads(output_of([binary, "inspect", path, "--unit", "function", "--json"]))["regions"] or []
    found = []
    for region in regions:
        if region["kind"] == "function":
            start = BLANK.match(text, region["start"], region["end"]).end()
            end = start + len(text[start : region["end"]].rstrip())
            found.append((plain(region["name"]), line_of(text, start), line_of(text, end - 1), end))
    return found


def line_of(text, at):
    return text.count(b"\n", 0, at) + 1


def of_ctags(language, path):
    """(name, line, last line or none) of the outermost functions."""
    # A header may be of either; what C declares means the same in C++.
    name, kinds = CTAGS["cpp" if path.endswith(".h") else language]
    command = ["ctags", "--output-format=json", "--fields=+neKZ", f"--language-force={name}", f"--kinds-{name}={kinds}"]
    lines = output_of(command + ["--sort=no", "-f", "-", path]).decode(errors="replace")
    tags = [json.loads(line) for line in lines.splitlines()]
    tags = [tag for tag in tags if not tag["name"].startswith("__anon")]

    paths = {"::".join(filter(None, [tag.get("scope"), tag["name"]])) for tag in tags}

    def is_inside(tag):
        scope = tag.get("scope", "").split("::")
        if any("::".join(scope[:length]) in paths for length in range(1, len(scope) + 1) if language == "rust"):
            return True
        if tag.get("scopeKind") in ("function", "method"):
            return True
        return any(o["line"] < tag["line"] <= o.get("end", 0) for o in tags)

    return [(plain(tag["name"]), tag["line"], tag.get("end")) for tag in tags if not is_inside(tag)]


def of_typescript(module, files):
    """The same from TypeScript's compiler, for all files at once."""
    done = subprocess.run(
        ["node", FINDER, os.path.abspath(module)], input="\n".join(files).encode(), capture_output=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"error: {FINDER} failed\n{done.stderr.decode(errors='replace')}")
    return [[(plain(name), *lines) for name, *lines in found] for found in json.loads(done.stdout)]


def differences(text, mine, theirs):
    """(agreed, what differs in words)."""
    ends = [0] + [match.end() for match in re.finditer(rb"\n", text)] + [len(text)]

    def agrees(unit, other):
        (name, first, last, end), (wanted, line, wanted_last) = unit, other
        if name != wanted or not first <= line <= last:
            return False
        # The last region of a file goes on over blanks.
        return wanted_last in (None, last) or (
            wanted_last < last and BLANK.match(text, ends[wanted_last], end).end() == end
        )

    left, missing = list(mine), []
    for other in theirs:
        found = next((unit for unit in left if agrees(unit, other)), None)
        if found:
            left.remove(found)
        else:
            missing.append(other)
    words = [f"only theirs: {name} at line {line}..{last or '?'}" for name, line, last in missing]
    words += [f"only ours: {name} at line {first}..{last}" for name, first, last, _ in left]
    return len(theirs) - len(missing), words


def read(path):
    with open(path, "rb") as file:
        return file.read()


def is_utf8(path):
    try:
        read(path).decode()
    except UnicodeDecodeError:
        return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--typescript")
    parser.add_argument("--language", choices=sorted(EXTENSIONS))
    parser.add_argument("paths", nargs="+")
    asked = parser.parse_args()
    differ = False
    summary = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for language, files in files_of(asked.paths).items():
            if (language not in CTAGS and not asked.typescript) or asked.language not in (None, language):
                continue
            files = evenly([path for path in files if is_utf8(path)], asked.files)
            texts = [read(path) for path in files]
            mine = list(pool.map(lambda path, text: ours(asked.binary, path, text), files, texts))
            if language in CTAGS:
                theirs = list(pool.map(lambda path: of_ctags(language, path), files))
            else:
                theirs = of_typescript(asked.typescript, files)
            agreed = 0
            for path, text, one, other in zip(files, texts, mine, theirs):
                count, words = differences(text, one, other)
                agreed += count
                differ |= bool(words)
                for line in words:
                    print(f"{path}: {line}")
            counts = f"{sum(map(len, mine))} functions of ours, {sum(map(len, theirs))} of theirs, {agreed} agreed"
            summary.append(f"{language}: {len(files)} files, {counts}")
    print("\n".join(summary))
    sys.exit(1 if differ or not summary else 0)


if __name__ == "__main__":
    main()
