"""In the formats of LongBench v2 and LongCodeQA: questions about code with four options, one right by a parser."""

from .sources import write_json

# Language and package, in turn.
PACKAGES = [("python", "networkx"), ("java", "libcommons-lang3-java"), ("python", "xarray"), ("java", "maven"),
            ("python", "werkzeug"), ("java", "antlr4")]
LETTERS = "ABCD"
TRIES = 400
# The benchmark's words (src/long_code_bench/data/codeqa.py).
GOAL = ("You are going to be provided the content of a\nrepository and a question about it. Provide the answer to the "
        "question by\nstating ONLY the letter associated to the question.")


def write_longbench(corpus, rng, out):
    records = []
    for number in range(12):
        _, files, question = asked_about(corpus, rng, number, [1500, 3000, 6000][number % 3])
        context = "\n\n".join(f"File: {file.path}\n\n{file.text}" for file in files)
        records.append(longbench_record(rng, number, context, question, "Code Repository Understanding",
                                        "Code repo QA"))
    for number in range(12, 14):
        records.append(prose_record(corpus, rng, number))
    return write_json(out / "longbench-v2-look-alike.json.gz", records)


def longbench_record(rng, number, context, asked, domain, sub_domain):
    question, right, wrong = asked
    letter, options = shuffled(rng, right, wrong)
    return {
        "_id": f"{rng.getrandbits(96):024x}",
        "domain": domain,
        "sub_domain": sub_domain,
        "difficulty": ["easy", "hard"][number % 2],
        "length": "short",
        "question": question,
        **{f"choice_{name}": option for name, option in zip(LETTERS, options)},
        "answer": letter,
        "context": context,
    }


def prose_record(corpus, rng, number):
    """A record of another domain, which a run on code leaves out: what functions are for, in words."""
    files = rng.sample(corpus.package("python", "networkx", 20_000), 6)
    lines = [line.strip() for file in files for line in file.text.split("\n")]
    text = [line for line in lines if line.count(" ") > 6 and line[0].isupper() and line.endswith(".")]
    words = sorted({word.strip(".,()`") for line in text for word in line.split() if len(word) > 8 and word.isalpha()})
    elsewhere = {word for file in corpus.package("python", "werkzeug") for word in file.mentioned if len(word) > 8}
    others = sorted(elsewhere - set(words))
    asked = "Which of these words occurs in the text?", rng.choice(words), rng.sample(others, 3)
    return longbench_record(rng, number, "\n".join(text), asked, "Single-Document QA", "Academic")


def write_long_code_qa(corpus, rng, out):
    records = []
    for number in range(12):
        package, files, about = asked_about(corpus, rng, number + 1, [1500, 3000, 5000][number % 3])
        repo_text = "Repository:\n" + "".join(f"[start of {f.path}]\n{f.text}\n[end of {f.path}]\n" for f in files)
        question, right, wrong = about
        letter, options = shuffled(rng, right, wrong)
        asked = f"Question:\n{question}\n\n" + "\n".join(f"{name}) {option}" for name, option in zip(LETTERS, options))
        records.append({
            "prompt": f"{repo_text}\n{GOAL}\n{asked}",
            "repo": f"corpus/{package}",
            "repo_text": repo_text,
            "question": asked,
            "correct_letter": letter,
        })
    return write_json(out / "long-code-qa-32k-look-alike.json.gz", records)


def asked_about(corpus, rng, number, tokens):
    """A package, files of it that together have so many tokens and at most 3,000 more, and a question about them."""
    language, package = PACKAGES[number % len(PACKAGES)]
    files = corpus.package(language, package, 14_000)
    for _ in range(TRIES):
        chosen, total = [], 0
        for file in rng.sample(files, len(files)):
            if total >= tokens:
                break
            chosen.append(file)
            total += corpus.tokens(file.text)
        question = ask(rng, number, chosen) if total <= tokens + 3000 else None
        if question:
            return package, chosen, question
    raise SystemExit(f"no question about {tokens} tokens of {package}")


def shuffled(rng, right, wrong):
    options = [right, *wrong]
    rng.shuffle(options)
    return LETTERS[options.index(right)], options


def ask(rng, number, files):
    """A question, its answer and three others; none where there is nothing to ask."""
    kinds = [calls, follows, takes]
    for kind in kinds[number % len(kinds) :] + kinds[: number % len(kinds)]:
        if question := kind(rng, files):
            return question
    return None


def named_once(files):
    functions = [f for file in files for f in file.functions if not f.is_nested()]
    return [f for f in functions if [g.name for g in functions].count(f.name) == 1 and not f.name.startswith("__")]


def calls(rng, files):
    """Which function calls another one, that no other function calls."""
    functions = named_once(files)
    for called in rng.sample(functions, len(functions)):
        callers = [f for f in functions if f.calls(called.name) and f is not called]
        others = [f.name for f in functions if f not in callers and f is not called]
        if len(callers) == 1 and len(others) >= 3:
            return f"Which of these functions calls `{called.name}`?", callers[0].name, rng.sample(others, 3)
    return None


def follows(rng, files):
    """Which function comes next in a file."""
    functions = named_once(files)
    pairs = [(a, b) for a, b in zip(functions, functions[1:]) if a.file is b.file and not any(
        a.end <= f.first < b.first for f in a.file.functions)]
    if not pairs or len(functions) < 6:
        return None
    before, right = rng.choice(pairs)
    others = [f.name for f in functions if f not in (before, right)]
    question = f"Which function is defined directly after `{before.name}` in {before.file.path}?"
    return question, right.name, rng.sample(others, 3)


def takes(rng, files):
    """Which parameter a function has."""
    functions = named_once(files)
    every = sorted({name for f in functions for name in f.parameters})
    for function in rng.sample(functions, len(functions)):
        others = [name for name in every if name not in function.parameters]
        if function.parameters and len(others) >= 3:
            question = f"Which of these parameters does `{function.name}` take?"
            return question, rng.choice(function.parameters), rng.sample(others, 3)
    return None
