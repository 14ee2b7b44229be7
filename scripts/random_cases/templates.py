"""Random chat templates of the features that published ones have, mixed, against Jinja2 as transformers sets it up:
texts must be equal, or both refuse. Left out is what is known to differ: loops over none and over a text's characters.

Lists of expressions and statements, in which words in capitals stand for another one of a list."""

import json
import re

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from .checkpoints import write_tokenizer
from .common import Refusal, chance, longcode, read_json, reason, write_json

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
ROLES = ["system", "user", "assistant", "tool", "user", "assistant"]
CONTENTS = [
    "Hello", "  spaces around  \n", "", "def f(a):\n    return \"<&>\" + a  # äöü, 位置 and 🙂\n", "1 + 1?",
    "it's 'quoted' \"twice\"", "<think>\nwell\n</think>\n\n2", "a\r\nb\tc", "{{ not a template }} {% x %}",
    "back\\slash \\n", "42", "The QUICK brown fox", "one\ntwo\n\nthree\n", "<tool_response>x</tool_response>",
    "ß İ ǅ", "\x0b line ends\x1c here", "/no_think do it", "a,b,,c",
]  # fmt: skip
MESSAGES = ["message", "message", "message", "messages[0]", "messages[-1]"]
# Expressions that are texts.
TEXTS = [
    "CONTENT", "CONTENT", "ROLE", "bos_token", "eos_token", "'<|im_start|>'", "'\\n'", '"it\'s"', "'\\t\\u00e9\\x41'",
    "CONTENT | trim", "CONTENT.strip()", "CONTENT.strip('\\n')", "CONTENT.lstrip('\\n ')", "CONTENT | upper",
    "CONTENT.rstrip()", "CONTENT.split('</think>')[-1]",
    "CONTENT.split('</think>')[0].rstrip('\\n').split('<think>')[-1]", "CONTENT | lower", "ROLE | capitalize",
    "ROLE.title()", "ROLE.capitalize()", "CONTENT | title", "CONTENT.upper()", "CONTENT.replace('a', 'bb')",
    "CONTENT | replace('a', 'bb')", "CONTENT.replace('a', 'b', 1)", "CONTENT[:5]", "CONTENT[-3:]", "CONTENT[::-1]",
    "CONTENT[1:-1]", "CONTENT | string", "CONTENT | e", "CONTENT | tojson", "CONTENT | tojson(indent=2)",
    "CONTENT | tojson(ensure_ascii=False)", "CONTENT | tojson(ensure_ascii=True)", "CONTENT | indent(4)",
    "CONTENT | indent(2, true)", "CONTENT | indent(width=3, first=True, blank=True)", "CONTENT | safe",
    "CONTENT.split() | join('-')", "CONTENT.split('\\n') | first", "CONTENT.splitlines() | last",
    "', '.join(CONTENT.split(','))", "CONTENT | default('none')", "MISSING | default('none')",
    "MISSING | default('none', true)", "CONTENT | list | join", "CONTENT.removeprefix('  ')",
    "CONTENT.removesuffix('\\n')", "CONTENT | center(30)", "CONTENT | truncate(12)", "CONTENT | wordcount | string",
    "CONTENT.partition(' ')[0]", "CONTENT.rsplit(' ', 1)[0]", "CONTENT.split(' ', 1)[-1]", "CONTENT | reverse",
    "CONTENT.zfill(5)", "CONTENT.ljust(5, '.')", "CONTENT | urlencode", "CONTENT | striptags",
    "'%s: %s' % (ROLE, CONTENT)", "'%s' | format(CONTENT)", "'{}: {}'.format(ROLE, CONTENT)", "'%d/%5.2f' % (3, 2.5)",
    "(TEXT + TEXT)", "TEXT ~ NUMBER", "(TEXT if TEST else TEXT)", "(TEXT if TEST)", "(TEXT or TEXT)",
    "(TEXT and TEXT)", "'a' 'b'", "'-' * 3", "strftime_now('%Q') | length | string",
    "(strftime_now('%d %b %Y') | length) ~ ''", "strftime_now('100%%')", "strftime_now('%J, %%Y')",
]  # fmt: skip
# Numbers.
NUMBERS = [
    "loop.index", "loop.index0", "loop.revindex", "loop.length", "messages | length", "messages | count", "3", "1.0",
    "7 // 2", "-7 // 2", "-7 % 3", "7 / 2", "2 ** 3", "1e20", "10 ** 20", "0.1 + 0.2", "5 - 7", "'12' | int",
    "'x' | int", "'x' | int(5)", "'2.50' | float", "2.567 | round(2)", "2.5 | round", "-3 | abs", "CONTENT | length",
    "CONTENT.count('a')", "CONTENT.find('a')", "[3, 1, 2] | sum", "[3, 1, 2] | max",
    "(messages | length - 1) - loop.index0", "true + 1", "3.0 | int", "1_000", "namespace(a=4).a",
]  # fmt: skip
# True or false, or taken so.
TESTS = [
    "ROLE == 'user'", "ROLE == 'user'", "ROLE != 'assistant'", "ROLE in ['system', 'tool']",
    "ROLE not in ('user', 'tool')", "loop.first", "loop.last", "not loop.last", "loop.index0 % 2 == 0",
    "(ROLE == 'user') != (loop.index0 % 2 == 0)", "add_generation_prompt", "add_generation_prompt is defined",
    "tools", "tools is defined", "tools is none", "tools is not none", "tools is iterable and tools | length > 0",
    "documents", "enable_thinking is defined and enable_thinking is false", "CONTENT is string",
    "CONTENT is not string", "CONTENT is iterable", "CONTENT is sequence", "CONTENT is mapping", "message is mapping",
    "messages is sequence", "messages is iterable", "messages is mapping", "'a' in CONTENT", "'</think>' in CONTENT",
    "CONTENT.startswith('<')", "CONTENT.endswith('\\n')", "CONTENT | length > 5", "MISSING", "TOOL_CALLS",
    "message.tool_calls is defined", "message.get('tool_calls')", "message['missing'] is not defined",
    "'content' in message", "loop.previtem is defined and loop.previtem.role == 'user'", "loop.nextitem is defined",
    "loop.index is divisibleby(2)", "loop.index is odd", "loop.index is even", "3 is number", "'3' is number",
    "true is boolean", "1 is integer", "1.0 is float", "loop.index is eq 2", "loop.index > 1 > 0",
    "CONTENT.isdigit()", "CONTENT.isupper()", "CONTENT.strip()", "none is none", "messages[0] is eq(message)",
    "loop.index is in [1, 3]", "messages | selectattr('role', 'equalto', 'system') | list",
    "ROLE is in('user system')", "bos_token is defined", "1 == 1.0", "true == 1", "'a' < 'b'", "[1, 2] == [1, 2]",
    "xx is undefined", "messages | length >= 2 and messages[1].role == 'user'", "CONTENT is callable",
    "CONTENT is upper", "''", "[]", "0.0", "loop.changed(ROLE)", "not CONTENT", "() is sequence", "{} is mapping",
    "none is iterable", "TEST and TEST", "(TEST or TEST)", "not (TEST)",
]  # fmt: skip
# Any other kind: what Python prints of it.
VALUES = [
    "true", "none", "[1, 2.0, 'a']", "{'a': 1, 'b': [true, none]}", "(1, 'x')", "message", "messages",
    '[\'it\\\'s\', "q"]', "loop.cycle('a', 'b')", "range(3) | list", "range(1, 8, 3) | list",
    "messages | map(attribute='role') | list", "messages | map(attribute='role') | join(', ')",
    "messages | selectattr('role', 'eq', 'user') | map(attribute='content') | list",
    "messages | rejectattr('role', 'in', ['user']) | list | length",
    "messages | map(attribute='content') | map('upper') | first", "message | tojson", "message | tojson(indent=2)",
    "messages | tojson(indent=4)", "{'b': 1, 'a': {'d': [], 'c': {}}} | tojson(sort_keys=true)",
    "[1, {'a': 'é<&>\\''}] | tojson", "{'b': 1, 'a': [1.0, true, none, 'ü']} | tojson(separators=(',', ':'))",
    "message.items() | list", "message | items | list", "message.keys() | list", "message.values() | list | last",
    "message | dictsort", "[3, 1, 2] | sort", "['b', 'A', 'c'] | sort", "['b', 'a'] | sort(reverse=true)",
    "messages | sort(attribute='role') | map(attribute='role') | list", "[1, 1, 2] | unique | list",
    "CONTENT.split('\\n')", "CONTENT.splitlines()", "[1, 2, 3] | batch(2) | list", "[1, 2, 3] | slice(2) | list",
    "messages | groupby('role') | map(attribute='grouper') | list",
    "messages | groupby('role') | map('first') | list", "[1, 2, 3][::-1]", "[1, 2] + [3]",
    "[[1, 2], [3]] | sum(start=[])", "(1, 2)[0]", "undefined_name", "not_there.deeper", "{1: 2}",
    "[0, 1, none] | select | list", "[1, 2, 3] | reject('odd') | list", "[1, 2, 3] | select('gt', 1) | list",
    "'abc' | list", "dict(a=1, b='x')", "{'a': 1}.items() | first", "message.content is string", "1 < 2",
    "'a' ~ 1 ~ none ~ true ~ 1.5", "1e16", "1.5e-7", "123456789012345678", "0.1", "-0.0", "[1.0, -2e-5]",
    "messages[1:] | length", "messages[5:]", "['x', none] | join('/')", "{'x': 'y'} | xmlattr",
    "[{'n': 2}, {'n': 1}] | map(attribute='n') | list", "[{'n': 2}] | map(attribute='m', default='-') | list",
    "lipsum is defined", "joiner is defined", "cycler('a', 'b').next()", "'a,b'.split(',')", "[1,2,3] | min",
    "'x' in {'x': 1}", "'ab' * 2", "3 | string", "[1,[2,[3]]] | string",
]  # fmt: skip
# Statements; «» is a tag, ‹› prints.
STATEMENTS = [
    "‹TEXT›", "‹TEXT›", "«if TEST»BLOCK«endif»", "«if TEST»BLOCK«elif TEST»BLOCK«else»BLOCK«endif»",
    "«set content = TEXT»BLOCK‹content›", "«set a, b = 1, TEXT»‹b›", "«set part»BLOCK«endset»‹part | trim›",
    "«set ns = namespace(found=false, n=0)»«for m in messages»«if m.role == 'OF_ROLES'»«set ns.found = true»"
    "«set ns.n = ns.n + loop.index»«endif»«endfor»‹ns.found›‹ns.n›",
    "«for word in SEQUENCE»«if loop.index > 2»«OUT»«endif»‹WORD›«endfor»",
    "«for word in SEQUENCE»‹WORD›«else»nothing«endfor»", "«for key, value in message.items()»‹key›=‹value›«endfor»",
    "«filter FILTER»BLOCK«endfilter»", "«generation»BLOCK«endgeneration»", "«with note = TEXT»‹note›«endwith»",
    "«raw»{{ raw }} {% x %}«endraw»", "«macro show(text, mark='*')»‹mark ~ text ~ mark›«endmacro»‹show(TEXT)›‹show(1, mark=2)›",
]  # fmt: skip
# Those that end a template, now and then.
ENDING = [
    "«if TEST»{{ raise_exception('Only {} roles'.format('user')) }}«endif»", "«do 1»",
    "«if TEST»{{ raise_exception('No') }}«endif»", "«set parts = []»«set _ = parts.append(TEXT)»‹parts | join›",
]  # fmt: skip
SIMPLE = ["‹TEXT›", "‹TEXT›", "‹TEXT›", "‹VALUE›", "‹NUMBER›", "«set note = TEXT»‹note›"]
SEQUENCES = [
    "message.content.split()", "message.content.split('\\n')", "message.content | list", "[1, 2, 3]", "range(3)", "message",
    "message.items()", "messages[::-1]", "[]", "tools or []", "messages[:2]",
]  # fmt: skip
PLAIN = [
    "\n", "\n    ", " ", "", "<|im_start|>", "### Instruction:\n", "\\n", "  \n", "{# a note #}\n", "{#- a note -#}", "}",
    "'", "<br>",
]  # fmt: skip
WITHOUT_SYSTEM = """{%- if messages[0]['role'] == 'system' %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
"""
LOOPS = [
    "messages", "messages", "messages[1:]", "loop_messages", "messages if message.role != 'system'", "messages | list",
    "messages[::-1]",
]  # fmt: skip
STARTS = [
    "", "{{ bos_token }}", "{{- bos_token -}}\n",
    "{% if not add_generation_prompt is defined %}\n{% set add_generation_prompt = false %}\n{% endif %}\n",
]  # fmt: skip
ENDS = [
    "", "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
    "{%- if add_generation_prompt %}\n    {{- '### Response:' }}\n{%- endif %}\n", "{{ eos_token }}\n\n",
]  # fmt: skip
OTHERS = {
    "TEXT": TEXTS, "NUMBER": NUMBERS, "TEST": TESTS, "VALUE": VALUES, "SEQUENCE": SEQUENCES, "OF_ROLES": ROLES,
    "OUT": ["break", "continue"], "WORD": ["word", "loop.index", "loop.last", "word ~ loop.length"],
    "FILTER": ["upper", "trim", "indent(2)", "replace('a', 'b')"],
}  # fmt: skip


def field(random, name):
    """A field of a message, in one spelling or another."""
    message = random.choice(MESSAGES)
    get = f"{message}.get('{name}')" if name != "missing" else f"{message}.get('missing', '')"
    return random.choice([f"{message}['{name}']", f"{message}.{name}", f'{message}["{name}"]', get])


def filled(random, text, depth):
    """A text with its words in capitals filled in, and its tags written."""

    def fill(match):
        word = match[0]
        if word == "BLOCK":
            return block(random, depth - 1)
        if word in OTHERS:
            return filled(random, random.choice(OTHERS[word]), depth)
        return field(random, word.lower())

    words = "|".join(["CONTENT", "ROLE", "MISSING", "TOOL_CALLS", "BLOCK", *OTHERS])
    text = re.sub(rf"\b({words})\b", fill, text)
    dash = lambda: random.choice(["", "", "", "-"])
    text = re.sub("«(.*?)»", lambda match: f"{{%{dash()} {match[1]} {dash()}%}}", text)
    return re.sub("‹(.*?)›", lambda match: f"{{{{{dash()} {match[1]} {dash()}}}}}", text)


def block(random, depth):
    """Statements and text."""
    parts = []
    for _ in range(random.randrange(1, 5 if depth == 2 else 3)):
        kinds = SIMPLE if depth == 0 else ENDING if chance(random, 0.03) else STATEMENTS
        parts += [random.choice(PLAIN), filled(random, random.choice(kinds), depth)]
    return "".join(parts) + random.choice(PLAIN)


def written(random):
    loop = random.choice(LOOPS)
    head = WITHOUT_SYSTEM if loop == "loop_messages" else ""
    body = filled(random, f"«for message in {loop}»BLOCK«endfor»", 3)
    return random.choice(STARTS) + head + body + random.choice(ENDS)


def conversation(random):
    if chance(random, 0.2):
        return [{"role": "user", "content": random.choice(CONTENTS)}]
    return [{"role": random.choice(ROLES), "content": random.choice(CONTENTS)} for _ in range(random.randrange(1, 5))]


def make(random, directory):
    """The files of one case, and what it is in words."""
    template = written(random)
    write_tokenizer(directory)
    (directory / "chat_template.jinja").write_text(template, encoding="utf-8", newline="")
    write_json(directory / "conversations.json", [conversation(random) for _ in range(3)])
    write_json(directory / "tokenizer_config.json", SPECIAL | {"tokenizer_class": "PreTrainedTokenizerFast"})
    return json.dumps(template, ensure_ascii=False)


def rendered(directory, render):
    """What becomes of each conversation: its text, or nothing where it is refused; and the last reason."""
    texts, why = [], ""
    for messages in read_json(directory / "conversations.json"):
        try:
            texts.append(render(messages))
        except Refusal as refusal:
            texts.append(None)
            why = str(refusal)
    if texts == [None] * len(texts):
        raise Refusal(why)
    return {"texts": texts, "why": why}


def expected(directory):
    """The texts of transformers' apply_chat_template."""
    template = (directory / "chat_template.jinja").read_bytes().decode()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **SPECIAL)

    def render(messages):
        try:
            return tokenizer.apply_chat_template(
                messages, chat_template=template, tokenize=False, add_generation_prompt=True
            )
        except Exception as error:
            raise Refusal(reason(error))

    return rendered(directory, render)


def ours(binary, directory):
    """The texts that longcode shows."""

    def render(messages):
        path = directory.parent / f"{directory.name}-conversation.json"
        write_json(path, messages)
        try:
            return longcode(binary, "inspect", path, "--tokenizer", directory, "--chat", "--json")["text"]
        finally:
            path.unlink()

    return rendered(directory, render)


def problem(expected, ours):
    """What differs; nothing where all agrees."""
    for number, (theirs, text) in enumerate(zip(expected["texts"], ours["texts"])):
        if theirs is None and text is not None:
            return f"conversation {number}: refused there ({expected['why']}), {text!r} here"
        if theirs is not None and text is None:
            raise Refusal(f"conversation {number}: {ours['why']}")
        if theirs != text:
            at = next((n for n, (a, b) in enumerate(zip(theirs, text)) if a != b), min(len(theirs), len(text)))
            near = slice(max(0, at - 20), at + 40)
            return f"conversation {number}: {text[near]!r} for {theirs[near]!r}"
    return ""
