"""In the formats of InfiniteBench's Code.Debug and Code.Run."""

import ast
import builtins
import re

from .sources import write_jsonl

DEBUGGED = 12
TRIES = 400
PACKAGES = ["werkzeug", "tornado", "networkx", "xarray", "matplotlib", "mypy"]


def write_code_debug(corpus, rng, out):
    records = []
    for number in range(DEBUGGED):
        files = corpus.package("python", PACKAGES[number % len(PACKAGES)], 16_000)
        records.append(debug_record(corpus, rng, number, files))
    return write_jsonl(out / "infinitebench-code-debug-look-alike.jsonl.gz", records)


def debug_record(corpus, rng, number, files):
    """Files of a package, one function of one broken; options are functions of the same files."""
    tokens = [1500, 3000, 6000][number % 3]
    for _ in range(TRIES):
        chosen, total = [], 0
        for file in rng.sample(files, len(files)):
            if total >= tokens:
                break
            chosen.append(file)
            total += corpus.tokens(file.text)
        functions = [f for file in chosen for f in file.functions if not f.is_nested()]
        names = [f.qualified for f in functions]
        alone = [f for f in functions if names.count(f.qualified) == 1 and f.end - f.first > 4]
        broken = break_one(rng, BREAKS[number % len(BREAKS)], alone)
        if total <= tokens + 3000 and broken and len(alone) >= 4:
            return record_of(rng, number, chosen, alone, *broken)
    raise SystemExit(f"no context of {tokens} tokens for {BREAKS[number % len(BREAKS)].__name__}")


def record_of(rng, number, chosen, alone, function, text):
    options = [function.qualified, *rng.sample([f.qualified for f in alone if f is not function], 3)]
    rng.shuffle(options)
    letter = "ABCD"[options.index(function.qualified)]
    context = "\n\n".join(f"# File: {file.path}\n{text if file is function.file else file.text}" for file in chosen)
    return {
        "id": number,
        "context": context,
        "input": "Which funtion has deliberate error?",
        # Both forms that the benchmark's get_answer reads.
        "answer": [function.qualified, letter] if number % 2 else [function.qualified],
        "options": options,
    }


def break_one(rng, way, functions):
    """A function and the text of its file with that function broken, or none."""
    for function in rng.sample(functions, len(functions)):
        lines = function.file.text.split("\n")
        for changed in way(rng, function, lines[function.first : function.end]):
            text = "\n".join(lines[: function.first] + changed + lines[function.end :])
            if parses(text) == (way not in UNPARSED):
                return function, text
    return None


def parses(text):
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def rows(rng, lines):
    """The rows of a body, in any order."""
    return rng.sample(range(1, len(lines)), len(lines) - 1)


def without_declaration(rng, function, lines):
    """A variable's one assignment is deleted."""
    for row in rows(rng, lines):
        match = re.fullmatch(r"\s+(\w+) = [^\\(\[{]*(?:[(\[{].*[)\]}])?", lines[row])
        if match and match.group(1) not in function.parameters:
            name, rest = match.group(1), "\n".join(lines[:row] + lines[row + 1 :])
            stored = re.search(rf"\b{name}\b\s*(?:=[^=]|,|:|\+=)|\bas {name}\b|for [^\n]*\b{name}\b[^\n]* in\b", rest)
            if not stored and re.search(rf"\b{name}\b", "\n".join(lines[row + 1 :])) and f" {name} " not in lines[0]:
                yield lines[:row] + lines[row + 1 :]


def wrong_count(rng, function, lines):
    """A call of a builtin with a second argument that it does not take."""
    for row in rows(rng, lines):
        match = re.search(r"\b(len|id|ord|hash|repr|bool|callable)\((\w+)\)", lines[row])
        if match and not lines[row].lstrip().startswith("#"):
            call = f"{match.group(1)}({match.group(2)}, {match.group(2)})"
            yield lines[:row] + [lines[row].replace(match.group(), call, 1)] + lines[row + 1 :]


def endless(rng, function, lines):
    """A loop that does not end, before the last return."""
    for row in reversed(range(1, len(lines))):
        match = re.match(r"(\s+)return\b", lines[row])
        if match:
            yield lines[:row] + [f"{match.group(1)}while True:", f"{match.group(1)}    continue"] + lines[row:]


def wrong_indent(rng, function, lines):
    """A statement two columns to the left."""
    for row in rows(rng, lines):
        if re.match(r"\s+(return|\w+ = |self\.\w+ = |if )", lines[row]):
            yield lines[:row] + [lines[row][2:]] + lines[row + 1 :]


def undefined_name(rng, function, lines):
    """A parameter read under a name that nothing defines."""
    for row in rows(rng, lines):
        for name in function.parameters:
            other = f"{name}_value"
            read = rf"(?<![.\w\"']){name}\b(?!\s*=[^=])(?!\")"
            if re.match(r"\s+(return|if|for|\w+ = )", lines[row]) and re.search(read, lines[row]):
                if other not in function.file.mentioned and name not in dir(builtins):
                    yield lines[:row] + [re.sub(read, other, lines[row], count=1)] + lines[row + 1 :]


def unclosed(rng, function, lines):
    """A closing bracket is left out."""
    for row in rows(rng, lines):
        if re.search(r"\w\(.*\)$", lines[row]) and not lines[row].lstrip().startswith(("#", '"')):
            yield lines[:row] + [lines[row][:-1]] + lines[row + 1 :]


BREAKS = [without_declaration, wrong_count, endless, wrong_indent, undefined_name, unclosed]
UNPARSED = {wrong_indent, unclosed}


def write_code_run(corpus, rng, out):
    records = []
    for depth in [2, 4, 6, 8, 10]:
        for functions in [60, 120, 240]:
            records.append(run_record(rng, len(records), depth, functions))
    return write_jsonl(out / "infinitebench-code-run-look-alike.jsonl.gz", records)


def run_record(rng, number, depth, count):
    """`count` functions in `depth` layers, each calling one of the next layer and adding -12 to 17; the last add to x."""
    width = count // depth
    numbers = rng.sample(range(1, 2 * count), width * depth)
    layers = [numbers[i * width : (i + 1) * width] for i in range(depth)]
    called, added = {}, {}
    for layer, following in zip(layers, [*layers[1:], None]):
        for one in layer:
            called[one] = rng.choice(following) if following else None
            added[one] = rng.randint(-12, 17)
    code = "".join(source(one, called[one], added[one]) + "\n" for one in sorted(numbers))
    start, x = rng.choice(layers[0]), rng.randint(-10, 10)
    value, one = x, start
    while one is not None:
        value, one = value + added[one], called[one]
    return {
        "id": number,
        "context": f"\nHere is the content of functions_module.py:\n\n{code}",
        "answer": [value],
        "input": f"Please give me the exact number of the return value of func_{start}({x}). Your response should end with "
        "the sentence 'The return value is:'.",
        "options": [],
    }


def source(one, called, added):
    inner = f"func_{called}(x)" if called is not None else "x"
    outer = f" + {added}" if added > 0 else f" - {-added}" if added < 0 else ""
    return f"def func_{one}(x):\n    return {inner}{outer}\n"
