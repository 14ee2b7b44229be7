"""What the kinds of cases share: refusals, running longcode, random code."""

import json
import subprocess
from string import Template

# Longer, and something hangs.
SECONDS = 60


class Refusal(Exception):
    """A program takes a case's files for wrong, with its reason."""


class Crash(Exception):
    """longcode ended otherwise than by an answer or an error in words."""


def longcode(binary, *arguments):
    """The JSON that a command prints; a refusal where it says why in words, with exit code 2."""
    try:
        run = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise Crash(f"longcode took more than {SECONDS} s")
    if run.returncode == 2:
        raise Refusal(run.stderr.strip())
    if run.returncode:
        raise Crash(f"exit code {run.returncode}: {run.stderr.strip()[-400:]}")
    return json.loads(run.stdout)


def reason(error):
    """An exception of Python's on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


WORDS = (
    "self value index items name node count result buffer data key path line token model x i n args parse read "
    "write getName HTTPServer is_valid __init__ MAX_SIZE größe 位置 naïve λx été"
).split()
STATEMENTS = [
    "def $a($b, $c=None):\n",
    "    return $a + $b * $n\n",
    "    for $a in range($n):\n",
    "        if $a != $b and not $c:\n",
    "            $a['$b'] = [$n, $n]\n",
    "class $a($b):\n",
    '    """$a of $b, $n at most.  """\n',
    "\tint $a = $b->$c[$n];\n",
    "// $a's $b doesn't $c, it's $n%\n",
    "$a = lambda $b: $b ** $n  # $c\r\n",
    'print(f"$a: {$n:>8} {$b!r}")\n',
    "let $a: Vec<$b> = $c.iter().map(|x| x + $n).collect();\n",
    "\n\n",
    "  \n",
    "x=$n;y=$n;\n",
]
NUMBERS = [0, 1, 3, 7, 10, 42, 100, 1234, 65536, 1000000]
ODDITIES = [
    "🙂",
    "👩‍💻",
    "漢字かな",
    "e\u0301",
    "ﬁ",
    "½",
    "\u00a0",
    "\u200b",
    "\ufeff",
    "\t\t",
    "   ",
    "Ⅷ",
    "ǅ",
    "ß",
    "İ",
    "\x0b",
    "\x7f",
]


def code(random, lines, oddities=0.0):
    """Random code; between its lines, with this chance each, text that tokenizers differ over."""
    text = ""
    for _ in range(lines):
        names = {key: random.choice(WORDS) for key in "abc"}
        text += Template(random.choice(STATEMENTS)).substitute(names, n=random.choice(NUMBERS))
        if chance(random, oddities):
            text += random.choice(ODDITIES)
    return text


def chance(random, probability):
    return random.random() < probability


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
