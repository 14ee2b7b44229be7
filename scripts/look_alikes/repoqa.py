"""In RepoQA's format: repositories with ten needle functions each."""

import re

from .sources import found, text_of, write_json

# Language, package, characters of a file at most, files.
REPOSITORIES = [("python", "tornado", 24_000, 12), ("java", "jsoup", 24_000, 12)]
NEEDLES, BINS, LONGEST = 10, 64, 2000
LOOPS = ["for_statement", "while_statement", "enhanced_for_statement"]
COMMENTS = {"comment", "line_comment", "block_comment"}


def write(corpus, rng, out):
    dataset = {}
    for language, package, most, count in REPOSITORIES:
        files = rng.sample(corpus.package(language, package, most), count)
        dataset.setdefault(language, []).append(repository(package, language, files, rng))
    return write_json(out / "repoqa-look-alike.json.gz", dataset)


def repository(package, language, files, rng):
    files = sorted(files, key=lambda file: file.path)
    dependency = {file.path: imported(file, files) for file in files}
    functions, start_byte, start_line = {}, 0, 0
    for path in in_order(dependency):
        file = next(file for file in files if file.path == path)
        functions[path] = [entry(function, start_byte, start_line) for function in file.functions]
        # Characters, not bytes, as in the benchmark's own count.
        start_byte += len(file.text)
        start_line += file.text.count("\n") + 1
    return {
        "repo": f"corpus/{package}",
        "commit_sha": "",
        "entrypoint_path": files[0].path.split("/")[0],
        "topic": "look-alike",
        "content": {file.path: file.text for file in files},
        "dependency": dependency,
        "functions": functions,
        "needles": needles(files, functions, start_byte, rng),
    }


def imported(file, files):
    """Paths of the files that an import names."""
    modules = [module for _, module in file.imported.values()]
    ends = [end for module in modules for end in (f"{module}.py", f"{module}.java", f"{module}/__init__.py")]
    others = [other.path for other in files if other is not file]
    return [path for path in others if any(f"/{path}".endswith(f"/{end}") for end in ends)]


def in_order(dependency):
    """The benchmark's order of files: depth first, each after those that it imports."""
    order, seen = [], set()

    def visit(path):
        seen.add(path)
        for other in dependency.get(path, []):
            if other not in seen:
                visit(other)
        order.append(path)

    for path in dependency:
        if path not in seen:
            visit(path)
    return order


def entry(function, start_byte, start_line):
    node = function.node
    comments = sum(len(text_of(n)) for kind in COMMENTS for n in found(node, kind))
    return {
        "name": function.name,
        "start_line": function.first,
        "end_line": function.end,
        "start_byte": node.start_byte,
        "end_byte": node.end_byte,
        "global_start_line": start_line + function.first,
        "global_end_line": start_line + function.end,
        "global_start_byte": start_byte + node.start_byte,
        "global_end_byte": start_byte + node.end_byte,
        "code_ratio": comments / len(function.text),
    }


def needles(files, functions, size, rng):
    """Functions whose name is alone in the repository, not too long, each of another part, with a description."""
    by_place = {(file.path, f.node.start_byte): f for file in files for f in file.functions}
    names = [f["name"] for found_here in functions.values() for f in found_here]
    taken, candidates = set(), []
    for path, found_here in functions.items():
        for one in found_here:
            part = one["global_start_byte"] // (size // BINS)
            text = description(by_place[path, one["start_byte"]])
            fits = names.count(one["name"]) == 1 and one["end_byte"] - one["start_byte"] <= LONGEST
            if fits and part not in taken and text:
                taken.add(part)
                candidates.append({**one, "path": path, "description": text})
    return rng.sample(candidates, NEEDLES)


def description(function):
    """The benchmark's four points, by rule: the documentation's first sentence without the name, and counts."""
    documentation = purpose(function)
    if not documentation:
        return None
    documentation = re.sub(rf"\b{function.name}\b", "it", documentation)
    body = function.node.child_by_field_name("body")
    returned = len(found(body, "return_statement")) if body else 0
    loops = sum(len(found(function.node, kind)) for kind in LOOPS)
    choices = len(found(function.node, "if_statement"))
    count = len(function.parameters)
    return (
        f"\n1. **Purpose**: {documentation}\n"
        f"2. **Input**: {count} parameter{'s' * (count != 1)}.\n"
        f"3. **Output**: {f'a value, from {returned} place' + 's' * (returned != 1) if returned else 'nothing'}.\n"
        f"4. **Procedure**: {loops} loop{'s' * (loops != 1)} and {choices} condition{'s' * (choices != 1)}, "
        f"over {function.end - function.first} lines.\n"
    )


def purpose(function):
    """The first sentence of a docstring or of the comment above a method."""
    if function.file.language == "python":
        match = re.search(r'^\s+[rub]*"""(.+?)(?:\n\s*\n|""")', function.text, re.DOTALL | re.MULTILINE)
        text = match.group(1) if match else ""
    else:
        above = function.node.prev_named_sibling
        text = text_of(above) if above is not None and above.type == "block_comment" else ""
        text = text.removeprefix("/**").removesuffix("*/").split("\n     * @")[0]
        text = re.sub(r"\{@\w+ ([^}]*)\}", r"\1", re.sub(r"<[^>]*>|^\s*\*", "", text, flags=re.MULTILINE)).split("@")[0]
    text = " ".join(text.replace("`", "").split())
    text = re.split(r"(?<=\.)\s", text)[0]
    return text if 20 < len(text) < 300 else None
