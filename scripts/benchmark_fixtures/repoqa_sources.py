"""Small sources in RepoQA's five languages, and repositories in the format of its file."""

import random

from tree_sitter_languages import get_language, get_parser

from . import corpus

CPP = {
    "src/queue.cpp": """// A queue of numbers.
#include <vector>

namespace queues {

int front(const std::vector<int>& items) {
    // The first, or -1.
    return items.empty() ? -1 : items.front();
}

struct Queue {
    int size() const { return count; }
    int count = 0;
};

template <typename T>
T largest(const std::vector<T>& items, T least) {
    for (const T& item : items) {
        if (least < item) least = item;
    }
    return least;
}

}  // namespace queues
""",
    "src/text.cpp": """static int count_words(const char* text) {
    int words = 0;
    bool inside = false;
    for (; *text; ++text) {
        bool letter = *text != ' ' && *text != '\\n';
        words += letter && !inside;
        inside = letter;
    }
    return words;
}

char* copy_of(const char* text) {
    return nullptr;
}

int Text::length() const {
    return 3;
}

void fill(int* out, int n) {
    for (int i = 0; i < n; ++i) {
        out[i] = i * i;  // größer
    }
}
""",
}
RUST = {
    "src/lib.rs": """//! Sums.

/// Adds all numbers.
pub fn sum_of(numbers: &[i64]) -> i64 {
    let mut sum = 0;
    for number in numbers {
        sum += number;
    }
    sum
}

pub struct Meter {
    value: u32,
}

impl Meter {
    #[inline]
    pub const fn value(&self) -> u32 {
        self.value
    }

    pub(crate) fn raise<T: Into<u32>>(&mut self, by: T) {
        self.value = self.value.saturating_add(by.into());
    }
}
""",
    "src/names.rs": """fn first_letters(words: &[&str]) -> String {
    words.iter().filter_map(|word| word.chars().next()).collect()
}

async fn never() -> ! {
    loop {}
}

macro_rules! made {
    () => {
        fn inside() {}
    };
}
""",
}
TYPESCRIPT = {
    "src/cart.ts": """export interface Item { price: number; count: number }

export function totalPrice(items: Item[]): number {
  // Prices are in cents.
  return items.reduce((sum, item) => sum + item.price * item.count, 0);
}

export const discount = (price: number): number => price * 0.9;

export async function loadItems(url: string): Promise<Item[]> {
  const answer = await fetch(url);
  if (!answer.ok) {
    throw new Error(`no items at ${url}`);
  }
  return answer.json();
}
""",
    "src/tree.ts": """class Tree<T> {
  constructor(readonly value: T, readonly children: Tree<T>[] = []) {}
  depth(): number {
    return 1 + Math.max(0, ...this.children.map((child) => child.depth()));
  }
}

function leaves<T>(tree: Tree<T>): T[] {
  return tree.children.length === 0 ? [tree.value] : tree.children.flatMap(leaves);
}

function* count(): Generator<number> {
  for (let i = 0; ; i++) yield i;
}

function nothing() {}
""",
}


def repositories(corpus_directory, query):
    """{language: [repository]}: Python and Java of the corpora's functions, the others of the sources above."""
    rng = random.Random(20240620)
    sources = {"cpp": CPP, "rust": RUST, "typescript": TYPESCRIPT}
    for language in ("python", "java"):
        sources[language] = corpus_files(corpus_directory, language, rng)
    languages = ["python", "cpp", "rust", "java", "typescript"]
    return {language: [repository(f"small/{language}", sources[language], language, query)] for language in languages}


def corpus_files(corpus_directory, language, rng):
    """Two files of three functions each."""
    functions = corpus.some_functions(corpus_directory, language, rng, 6, range(150, 420))
    if language == "python":
        # One inside a class: its lines begin with white space, its bytes do not.
        inside = "class Holder:\n    " + functions[2].replace("\n", "\n    ")
        return {"pkg/a.py": "\n\n\n".join([functions[0], functions[1], inside]) + "\n",
                "pkg/b.py": "\n\n".join(functions[3:])}
    wrapped = ["\n\n    ".join(functions[:3]), "\n\n    ".join(functions[3:])]
    return {f"src/{name}.java": f"class {name} {{\n    {body}\n}}\n" for name, body in zip("AB", wrapped)}


def repository(name, content, language, query):
    """A repository with every function a needle, as the benchmark's function_analysis.py counts them."""
    functions = {path: functions_of(text, language, query) for path, text in content.items()}
    needles = [{**function, "path": path, "description": f"\n1. **Purpose**: {function['name']}\n"}
               for path, found in functions.items() for function in found]
    return {
        "repo": name,
        "commit_sha": "0" * 40,
        "entrypoint_path": next(iter(content)).split("/")[0],
        "topic": "small",
        "content": content,
        "dependency": {path: [] for path in content},
        "functions": functions,
        "needles": needles,
    }


def functions_of(text, language, query):
    """Name, lines and bytes of the functions that the benchmark's query finds."""
    tree = get_parser(language).parse(text.encode())
    found = []
    for node, _ in get_language(language).query(query[language]).captures(tree.root_node):
        named = node.child_by_field_name("declarator") if language == "cpp" else node
        name = named.child_by_field_name("declarator" if language == "cpp" else "name").text.decode()
        found.append({
            "name": name,
            "start_line": node.start_point[0],
            "end_line": node.end_point[0] + 1,
            "start_byte": node.start_byte,
            "end_byte": node.end_byte,
        })
    return found
