"""crates/longcode-tasks/tests/benchmarks/repoqa_answers.json: what RepoQA takes out of an output, which needle it is most like, and scores."""

import json
import random

from . import bleu
from .official import quietly, write_json
from .repoqa_sources import repositories

FENCE = "```"


def write(official, args):
    """Writes the fixture."""
    official.module("repoqa", ".", "repoqa.metric")
    query = official.module("repoqa", ".", "repoqa.utility").FUNCTION_QUERY
    scoring = official.module("repoqa", ".", "repoqa.compute_score")
    rng = random.Random(20240621)
    dataset = repositories(args.corpus, query)
    extractions = [{"language": language, "output": output, "text": scoring.sanitize_output(output, language)}
                   for language, output in extraction_cases()]
    cases = []
    for language, (repository,) in dataset.items():
        for needle in repository["needles"]:
            cases += [case(scoring, repository, language, needle, output)
                      for output in outputs(rng, repository, needle, language)]
    scores = compute(scoring, dataset, cases)
    fixture = official.sources(["nltk", "tree-sitter", "tree-sitter-languages"]) | {
        "how": "repoqa.compute_score, imported: sanitize_output and needle_evaluator (comments not ignored) for each case, "
        "compute_score for all together",
        "notes": "`best` is null where no needle shares a token with the output; `scores` are pass@1 by language and threshold",
        "thresholds": scoring.THRESHOLDS,
        "queries": {language: query[language] for language in dataset},
        "repositories_used": dataset,
        "extractions": extractions,
        "cases": cases,
        "scores": scores,
    }
    write_json(args.out / "repoqa_answers.json", fixture)


def case(scoring, repository, language, needle, output):
    verdict, best, similarity = scoring.needle_evaluator(output, needle["name"], repository, language, False)
    return {
        "language": language,
        "needle": needle["name"],
        "output": output,
        "extracted": scoring.sanitize_output(output, language),
        "is_best": verdict is scoring.Result.BEST_MATCH,
        "best": best,
        "similarity": similarity,
    }


def compute(scoring, dataset, cases):
    """{language or "all": {threshold: pass@1}} of the benchmark's table."""
    results = [{"language": c["language"], "repo": dataset[c["language"]][0]["repo"], "output": [c["output"]],
                "name": c["needle"], "position_ratio": 0.5, "needle_token_start": 0, "needle_token_end": 0}
               for c in cases]
    model = quietly(scoring.compute_score, "model", dataset, results, False)["model"]
    for result, one in zip((r for c in model["results"].values() for r in c), cases):
        assert (result["best_target"], result["best_similar_score"]) == (one["best"], one["similarity"])
    return {language: {str(threshold): float(value["pass@1"]) for threshold, value in table.items()}
            for language, table in model["scores"].items()}


def outputs(rng, repository, needle, language):
    """What a model could answer for a needle: right, near, other, cut, wrapped."""
    lines = repository["content"][needle["path"]].split("\n")
    whole = "\n".join(lines[needle["start_line"] : needle["end_line"]])
    data = repository["content"][needle["path"]].encode()
    exact = data[needle["start_byte"] : needle["end_byte"]].decode()
    other = rng.choice(["def f():\n    return 1", "int f(int a) {\n    return a;\n}", "no function"])
    choices = [
        lambda: f"{FENCE}{language}\n{exact}\n{FENCE}",
        lambda: f"{FENCE}\n{whole}\n{FENCE}",
        lambda: exact,
        lambda: f"The function is:\n\n{FENCE}{language}\n{exact}\n{FENCE}\n\nIt does what is described.",
        lambda: f"{FENCE}{language}\n{exact}",
        lambda: f"{FENCE}\n{other}\n{FENCE}\n{FENCE}\n{exact}\n{FENCE}",
        lambda: f"{FENCE}{language}\n{repository['content'][needle['path']]}\n{FENCE}",
        lambda: f"{FENCE}{language}\n{bleu.some_words_other(exact, rng)}\n{FENCE}",
        lambda: bleu.words_dropped(exact, rng),
        lambda: bleu.one_word_other(exact, rng),
        lambda: bleu.line_dropped(exact, rng),
        lambda: f"{FENCE}{language}\n{bleu.renamed(exact, rng)}\n{FENCE}",
        lambda: bleu.head(exact, rng),
        lambda: "",
        lambda: "I cannot find it.",
        lambda: f"{FENCE}{language}\n\n   \n\t{exact}\n{FENCE}",
    ]
    first = [choices[0](), choices[1]()]
    return first + [choice() for choice in rng.sample(choices[2:], 4)]


def extraction_cases():
    """Outputs by shape of fence, then by what a block holds."""
    f = FENCE
    python = "def f(a):\n    return a"
    shapes = [
        f"{f}python\n{python}\n{f}", f"{f}\n{python}\n{f}", f"{f}py\n{python}{f}", f"{f}python \t\n{python}\n{f}",
        f"{f}python title=x\n{python}\n{f}", f"{f}c++\n{python}\n{f}", f"{f}c++\n{python}\n{f}\nthen\n{f}",
        f" {f}python\n{python}\n {f}", f"x {f}python\n{python}\n{f}", f"x\n {f}python\n{python}\n{f}",
        f"x\n{f}python\n{python}\n {f}", f"x\n{f}python\n{python}\n{f}{f}", f"{f}{f}python\n{python}\n{f}{f}",
        f"{f}python\n{python}", f"{f}python {python} {f}", f"{f}{python}{f}", f"{f}\n{f}", f"{f}\n\n{f}",
        f"{f}python\n{f}", f"~~~\n{python}\n~~~", f"{f}python\r\n{python}\r\n{f}",
        f"{f}python\n\n\n    {python}\n{f}", f"{f}python\n\x0c\n{python}\n{f}",
        f"{f}python\n{python}\n{f}python\n{python}b\n{f}", f"{f}\nx = 1\n{f}\n{f}\n{python}\n{f}",
        f"{f}\nx = 1\n{f}\n{f}\ny = 2\n{f}", f"{f}\nx = 1\n{f}\n{f}\n{python}", f"{f}py_3\n{python}\n{f}",
        f"{f}py-3\n{python}\n{f}", f"{f}é\n{python}\n{f}", f"{f} python\n{python}\n{f}",
        f"{f}\n  x = '''\n{f}\n'''\n{f}", f"a\n{f}\nx\n{f} b\n{f}\n{python}\n{f}", python, f"  {python}  \n", "",
        "\n\n", f, f"{f}\n", f"\u00a0\u2003{python}\x1c", f"{f}python\u00a0\n{python}\n{f}",
        f"{f}python\n{python}\u2028{f}\n{f}",
    ]
    for shape in shapes:
        yield "python", shape
    blocks = {
        "python": [
            "@decorator\ndef f(a):\n    return a\n", "async def f():\n    await g()\n",
            "class A:\n    def f(self):\n        return 1\n\n    def g(self): pass\n",
            "def outer():\n    def inner():\n        pass\n    return inner\n",
            "    def f(self):\n        return 1\n", "        return 1\n", "f = lambda x: x\n", "class A: pass\n",
            "def f(:\n    return 1\n", "def f(a):\n  return a\n}\n",
            "def f(a: int) -> 'str':\n    \"\"\"é漢\"\"\"\n    return 'ü'\n\n\nprint(f(1))\n",
            "print 'x'\ndef f(): pass\n", "def\n", "def f\n", "if x:\n    def f(): pass\n",
            "def f(): return 1; x = 2\n# end\n", "\tdef f(x):\n\t\treturn x\n\tdef g(x): pass\n",
            "def f(x):\n    return x\n    # comment\n\n# after\n",
            "type X = int\ndef f[T](x: T) -> T:\n    return x\n", "match x:\n    case 1: pass\ndef f(): pass\n",
            "Here it is:\ndef f(x):\n    return x\n", "def f(x):\n    return x\nDone.\n", "def 漢(x):\n    return x\n",
            "exec 'x'\nprint >>f, x\ndef f(): pass\n",
        ],
        "java": [
            "public int f(int a) {\n    return a;\n}\n",
            "class A {\n    int f() { return 1; }\n    int g() { return 2; }\n}\n", "A(int x) { this.x = x; }\n",
            "class A { A() {} }\n", "@Override\npublic String toString() {\n    return \"é\";\n}\n",
            "interface I { int f(); default int g() { return 1; } }\n", "int f(int a) {\n    return a;\n",
            "private static <T extends Comparable<T>> T max(List<T> items) { return items.get(0); }\n",
            "Runnable r = () -> {};\n", "record P(int x) { int twice() { return 2 * x; } }\n",
            "/** Doc. */\nprotected void f() throws E { }\n", "int x = 1;\nint f() { return x; }\n",
            "abstract int f();\n", "class A { class B { void f() {} } void g() {} }\n", "new A() { void f() {} };\n",
            "enum E { X { void f() {} }; void g() {} }\n", "    public void f(int a) {\n        g(a);\n    }\n",
            "static int a(int b) { return b; } static int b() { return 1; }\n", "f(a) { }\n",
            "@interface A { int f() default 1; }\n",
        ],
        "cpp": [
            "int f(int a) {\n    return a;\n}\n", "int A::f() const { return 1; }\n",
            "struct A { int f() { return 1; } };\n", "int* f() { return 0; }\n", "int& f() { return x; }\n",
            "template <class T>\nT f(T a) { return a; }\n", "auto f() -> int { return 1; }\n",
            "static inline bool f(int a) noexcept { return a > 0; }\n", "int f(int a);\n",
            "void (*g(int x))(int) { return 0; }\n", "A::A() : x(1) {}\n", "#if X\nint f() { return 1; }\n#endif\n",
            "namespace n { int f() { return 1; } }\n", "extern \"C\" {\nint f(void) { return 1; }\n}\n",
            "bool operator==(A a, A b) { return true; }\n", "auto l = [](int a) { return a; };\n",
            "int f(int a) {\n    return a;\n", "MACRO(x) { return 1; }\n",
        ],
        "rust": [
            "fn f(a: i32) -> i32 {\n    a\n}\n", "pub async fn f() {}\n",
            "impl A {\n    fn f(&self) {}\n    fn g() {}\n}\n", "trait T { fn f(); fn g() { } }\n",
            "#[test]\nfn f() {}\n", "extern \"C\" { fn f(); }\n", "pub unsafe extern \"C\" fn f() {}\n",
            "let f = |x| x;\n", "mod m { fn f() {} }\n", "macro_rules! m { () => { fn f() {} } }\n",
            "fn f<'a, T: 'a>(x: &'a T) -> &'a T where T: Sized { x }\n",
            "/// Doc.\npub(crate) const fn f() -> u8 { b'\\'' }\n", "fn f(a: i32) {\n",
            "fn outer() { fn inner() {} }\n",
        ],
        "typescript": [
            "function f(a: number): number {\n  return a;\n}\n", "export function f<T>(a: T): T { return a; }\n",
            "export default async function f() {}\n", "const f = (a: number) => a;\n",
            "class A { f() { return 1; } }\n", "function* f() { yield 1; }\n",
            "const f = function g() { return 1; };\n", "declare function f(a: number): void;\n",
            "namespace N { export function f() {} }\n",
            "function f(a: string): string;\nfunction f(a: any) { return a; }\n", "f() { return 1; }\n",
            "export const A = () => <div/>;\nfunction f() { return 1; }\n", "function f(a) {\n  return a\n",
            "if (x) { function f() {} }\n", "const é = 1;\nfunction f() { return 'ü'; }\n",
        ],
    }
    for language, texts in blocks.items():
        for text in texts:
            yield language, f"{FENCE}\n{text}{FENCE}"
            if language in ("python", "java"):
                yield language, f"{FENCE}\nnothing here\n{FENCE}\n\nor\n\n{FENCE}{language}\n{text}\n{FENCE}"
