#!/usr/bin/env python3
"""Writes crates/longcode-text/tests/chat_templates.json: chat templates of ten families, features of Jinja2 and Python that templates
use, and random templates of them; and what transformers makes of each.

usage: python3 scripts/make_chat_fixtures.py        (needs transformers and jinja2)

The templates are those that the families publish, without the parts for tools. Each conversation is rendered by
transformers' apply_chat_template with add_generation_prompt; null where the template refuses it.
"""

import datetime
import json
import os
import random
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import jinja2
import transformers
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

OUT = Path(__file__).resolve().parent.parent / "crates/longcode-text/tests/chat_templates.json"
S, E = "<s>", "</s>"
CHATML_DEFAULT = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN25 = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
QWEN3 = """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = "
    "messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
    "{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + "
    "'\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == "
    "'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are "
    "supported!') }}{% endif %}{% endfor %}"
)
PHI3 = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + "
    "'<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
DEEPSEEK_CODER = """{% if not add_generation_prompt is defined %}
{% set add_generation_prompt = false %}
{% endif %}
{%- set ns = namespace(found=false) -%}
{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}
        {%- set ns.found = true -%}
    {%- endif -%}
{%- endfor -%}
{{bos_token}}{%- if not ns.found -%}
{{'You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you only answer questions related to computer science. For politically sensitive questions, security and privacy issues, and other non-computer science questions, you will refuse to answer\\n'}}
{%- endif %}
{%- for message in messages %}
    {%- if message['role'] == 'system' %}
{{ message['content'] }}
    {%- else %}
        {%- if message['role'] == 'user' %}
{{'### Instruction:\\n' + message['content'] + '\\n'}}
        {%- else %}
{{'### Response:\\n' + message['content'] + '\\n<|EOT|>\\n'}}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{% if add_generation_prompt %}
{{'### Response:'}}
{% endif %}"""
STARCODER2 = (
    "{{bos_token}}{{'You are an exceptionally intelligent coding assistant that consistently delivers accurate and "
    "reliable responses to user instructions.\n\n'}}{%- for message in messages %}{%- if message['role'] == 'system' %}"
    "{{ raise_exception('System messages are not allowed in this template.') }}{%- else %}{%- if message['role'] == "
    "'user' %}{{'### Instruction\n' + message['content'] + '\n\n'}}{%- else %}{{'### Response\n' + message['content'] "
    "+ eos_token + '\n\n'}}{%- endif %}{%- endif %}{%- endfor %}{% if add_generation_prompt %}{{ '### Response\n' }}"
    "{% endif %}"
)
OLMO2 = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\n' + "
    "message['content'] + '\n' }}{% elif message['role'] == 'user' %}{{ '<|user|>\n' + message['content'] + '\n' }}"
    "{% elif message['role'] == 'assistant' %}{% if not loop.last %}{{ '<|assistant|>\n'  + message['content'] + "
    "eos_token + '\n' }}{% else %}{{ '<|assistant|>\n'  + message['content'] + eos_token }}{% endif %}{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}"
)
GRANITE = """{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set system_message = "Knowledge Cutoff Date: April 2024.\\nYou are Granite, developed by IBM. You are a helpful AI assistant." %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- '<|start_of_role|>system<|end_of_role|>' + system_message + '<|end_of_text|>\\n' }}
{%- for message in loop_messages %}
    {{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] + '<|end_of_text|>\\n' }}
    {%- if loop.last and add_generation_prompt %}
        {{- '<|start_of_role|>assistant<|end_of_role|>' }}
    {%- endif %}
{%- endfor %}"""
TEMPLATES = {
    "SmolLM2": (CHATML_DEFAULT, {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}),
    "Qwen2.5": (QWEN25, {"eos_token": "<|im_end|>"}),
    "Qwen3": (QWEN3, {"eos_token": "<|im_end|>"}),
    "Llama 2, Code Llama": (LLAMA2, {"bos_token": S, "eos_token": E}),
    "Llama 3": (LLAMA3, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}),
    "Mistral": (MISTRAL, {"bos_token": S, "eos_token": E}),
    "Phi-3": (PHI3, {"bos_token": S, "eos_token": "<|endoftext|>"}),
    "DeepSeek-Coder": (DEEPSEEK_CODER, {"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<|EOT|>"}),
    "StarCoder2": (STARCODER2, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}),
    "OLMo 2": (OLMO2, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}),
    "Granite 3": (GRANITE, {"bos_token": "<|end_of_text|>", "eos_token": "<|end_of_text|>"}),
    # Every filter and function that transformers adds to Jinja.
    "additions": (
        "{% for message in messages %}{{ message | tojson }} {{ message.content | tojson(indent=2) }}"
        "{% if message.role == 'system' %}{% continue %}{% endif %}{{ message.content.upper().split('\n')[0] }};"
        "{% endfor %}{{ {'a': [1, 2.5, true, none], 'b': '<&>'} | tojson }}",
        {},
    ),
}
# One feature each.
FEATURES = [
    "{% if tools is iterable and tools | length > 0 %}tools{% endif %}none",
    "{% for x in [none, true, 1, 1.5, 'a', [1], {'a': 1}, undefined_name, (1, 2), range(2)] %}"
    "{{ [x is iterable, x is sequence, x is mapping, x is string, x is number, x is integer, x is float, x is boolean, "
    "x is none, x is defined, x is callable] }};{% endfor %}",
    "{%- for message in messages %}{% if message.role == 'assistant' %}{% generation %}{{ message.content }}"
    "{{ eos_token }}{% endgeneration %}{% else %}{{ message.content }}{% endif %}{% endfor %}",
    "{%- generation -%}\n  {%- set x = 1 %}a{{ x }}\n{%- endgeneration -%}\n b{{ x }}",
    "{% for message in messages %}\n  {% generation %}\n  {{ message.content | trim }}\n  {% endgeneration %}\n{% endfor %}",
    "{{ {'b': 'é🙂\x7f', 'a': [1, 2.0, 1e16, 1e-7, -0.0, true, none, {}], '<': []} | tojson(ensure_ascii=true, "
    "separators=(',', ':'), sort_keys=true) }}",
    "{{ {'b': 1, 'a': [{}, [], [1, {'c': 2}]]} | tojson(indent=2) }}{{ [1] | tojson(indent=0) }}{{ [1] | tojson(indent='--') }}",
    "{{ messages | tojson(true) }}{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}{{ 'a\tb\\\"' | tojson }}",
    "{{ messages | tojson(separators=[', ', ' : '], indent=4) }}{{ messages[::-1] | tojson }}{{ (1, 'a') | tojson }}",
    "{{ undefined_name | tojson }}",
    "{{ 'a' | tojson(nonsense=1) }}",
    "{{ strftime_now('%Q') }}|{{ strftime_now('100%') }}|{{ strftime_now('%') }}|{{ strftime_now('%!') }}|{{ strftime_now('%%Y') }}",
    "{{ strftime_now('%z') }}|{{ strftime_now('%Z') }}|{{ strftime_now('%:z') }}",
    "{{ [none, true, false, 1.0, 'a', \"it's\", 'é', {'a': none}, (1,), []] }}{{ none }}{{ true }}{{ 2.5 }}",
    "{{ 'a b  c'.split() }}{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a-b'.partition('-') }}{{ 'ab'.removeprefix('a') }}"
    "{{ 'ab'.removesuffix('b') }}{{ 'a\r\nb\x0cc'.splitlines() }}{{ 'a\nb'.splitlines(true) }}",
    "{{ ' \x1ca\x1f '.strip() }}|{{ ' \x1ca\x1f ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ '\x0ba'.lstrip() }}",
    "{{ ', '.join(['a', 'b']) }}{{ ['a', 1, none] | join('-') }}{{ messages | map(attribute='role') | join(',') }}",
    "{{ ', '.join([1, 2]) }}",
    "{{ '{} {0}'.format('a') }}",
    "{{ '{}-{b}-{:>4}'.format(1, 'x', b=2) }}{{ '%s=%d' | format('a', 3) }}",
    "{% set ns = namespace(n=0, seen=[]) %}{% for m in messages %}{% set ns.n = ns.n + loop.index %}"
    "{% set ns.seen = ns.seen + [m.role] %}{% endfor %}{{ ns.n }}{{ ns.seen }}",
    "{% macro say(m, end='!') %}[{{ m.role }}:{{ m.content | length }}]{{ end }}{% endmacro %}"
    "{% for m in messages %}{{ say(m) }}{{ say(m, end='?') }}{% endfor %}",
    "{% for m in messages if m.role != 'system' %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.previtem is defined }}"
    "{{ loop.nextitem.role if loop.nextitem is defined }};{% else %}none{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}{{ {'a': 1} | items | list }}{{ {'a': 1}.get('b', 'd') }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ messages | rejectattr('role', 'in', ['user']) | list }}",
    "{{ [3, 1, 2] | sort }}{{ [1, 2, 2] | unique | list }}{{ ['a', 'b'] | first }}{{ 'abc' | last }}{{ [1, 2] | sum }}",
    "{{ 'aBc' | upper }}{{ 'aBc def' | title }}{{ 'aBC d' | capitalize }}{{ 'aBC d'.capitalize() }}{{ 'it is'.title() }}",
    "{{ 'a\nb\n\nc' | indent(2) }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a' | replace('a', 'b') }}{{ 'x' | default('y') }}"
    "{{ none | default('y') }}{{ none | default('y', true) }}{{ undefined_name | default('z') }}",
    "{{ 7 // 2 }}{{ -7 // 2 }}{{ -7 % 3 }}{{ 7 / 2 }}{{ 2 ** 3 }}{{ '3' | int + 1 }}{{ 'x' | int }}{{ 3.7 | int }}{{ '1.5' | float }}",
    "{{ 'ab' * 3 }}{{ 'a' ~ 1 ~ none ~ true }}{{ [1] + [2] }}{{ 'a' in 'abc' }}{{ 1 not in [2] }}{{ 'a' < 'b' < 'c' }}",
    "{{ messages[0]['nothing'] is defined }}{{ messages[0].nothing }}{{ messages[-1].role }}{{ messages[:1] | length }}",
    "{{ messages[0].nothing.more }}",
    "{{ messages.append(1) }}",
    "{{ none | length }}",
    "{{ 1 + 'a' }}",
    "{{ raise_exception('no') }}",
    "{% set x %}a{{ 1 }}{% endset %}{{ x }}{% with y = 2 %}{{ y }}{% endwith %}{{ y is defined }}",
    "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.role }}{% endfor %}{# note #}\n  {# more #}\nx",
    "  {%+ if true %}a{% endif %}\n  {%- if true +%}\nb{% endif -%}  \n c {% raw %}{{ x }}{% endraw %}\n",
    "{% filter upper %}a{{ 'b' }}{% endfilter %}{{ 'a' if false }}{{ 'a' if false else 'b' }}{{ (1, 2)[0] }}{{ 'abc'[1:] }}{{ 'abc'[::-1] }}",
    "{{ dict(a=1, b=2) }}{{ range(3) | list }}{{ range(1, 7, 2) | list }}{{ [1, 2, 3] | batch(2) | list }}{{ 3 | string + 'a' }}",
    "{{ 'a' is in ['a'] }}{{ 2 is even }}{{ 3 is divisibleby 3 }}{{ 'A' is upper }}{{ 1 is sameas 1 }}{{ 1 is eq 1 }}{{ none is not none }}",
    "{{ messages[0].content.startswith(('a', 'W')) }}{{ 'abc'.find('c') }}{{ 'aXa'.count('a') }}{{ 'abc'.endswith('c') }}{{ '12'.isdigit() }}",
    "{{ 'a' | e }}{{ '<b>' | escape }}{{ '<b>' | safe }}{{ '<b>' | string }}{{ '<b>' | tojson }}",
    "{% nonsense %}",
    "{% generation %}a",
    "{{ 'a'.nonsense() }}",
    "{{ nonsense() }}",
    "{{ 'a' | nonsense }}",
    "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set rest = messages[1:] %}{% else %}"
    "{% set rest = messages %}{% endif %}{{ system }}{{ rest | length }}{% if system is defined %}!{% endif %}",
]
FORMATS = [f"%{code}" for code in "aAbBcCdDeFfgGhHIjklmMnpPrRStTuUVwWxXyYzZ%QqLNJKiv+E"] + [
    "%d %b %Y", "%-d %B", "%_d", "%05d", "%^a", "%#Z", "%#p", "%e%%", "100%", "%", "%E", "%Ey", "%Od", "%10Y", "%-H:%-M", "%^B %#a", "%é",
]
TIMES = [
    datetime.datetime(2024, 7, 4, 9, 5, 3, 123456),
    datetime.datetime(2026, 1, 1, 0, 0, 0),
    datetime.datetime(2024, 12, 30, 12, 59, 59, 7),
    datetime.datetime(2000, 2, 29, 23, 0, 1),
]
CODE = 'def f(a):\n    return "<&>" + a  # äöü, 位置 and 🙂\n'
CONVERSATIONS = [
    [("user", "What does this do?\n" + CODE)],
    [("system", "Answer in one word."), ("user", "  spaces around  \n")],
    [("user", "1 + 1?"), ("assistant", "<think>\nwell\n</think>\n\n2"), ("user", "And 2 + 2?")],
    [("user", "a"), ("user", "b")],
]


def render(template, special, messages):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **special)
    try:
        return tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=True
        )
    # Whatever the template does wrong: a TypeError of Python as well as Jinja's own.
    except Exception:
        return None


class Random:
    """Templates of the features that published ones have."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def of(self, *parts):
        return self.random.choice(parts)

    def text(self, depth=0):
        if depth > 2:
            return self.of("message.content", "message['role']", "'a'", "'<|im_end|>\\n'", "bos_token", "' x\\n'")
        inner = lambda: self.text(depth + 1)
        return self.of(
            inner(), inner(), f"{inner()} + {inner()}", f"{inner()} ~ {self.number()}", f"({inner()}) | trim", f"({inner()}).strip()",
            f"({inner()}).split('\\n')[0]", f"({inner()}).split('</think>')[-1].lstrip('\\n')", f"({inner()}) | upper",
            f"({inner()}).replace('a', {inner()})", f"({inner()}) | default('d', true)", f"message | tojson", f"({inner()})[1:]",
            f"({inner()}) | tojson", f"{inner()} if {self.test()} else {inner()}", f"'-'.join([{inner()}, {inner()}])",
            f"message.get('name', {inner()})", f"({inner()}) | string", f"({inner()})[::-1]", f"messages | map(attribute='role') | join(' ')",
            f"({inner()}).splitlines() | join('/')", f"({inner()}).rstrip('\\n')", f"({inner()}) | capitalize", f"({inner()}) | length | string",
        )

    def number(self):
        return self.of("1", "loop.index", "loop.index0", "messages | length", "2.5", "ns.n", "(3 // 2)", "-1", "loop.revindex", "7 % 3")

    def test(self):
        return self.of(
            "message.role == 'user'", "message['role'] != 'assistant'", "loop.first", "not loop.last", "tools is defined",
            "tools is none", "tools", "message.tool_calls is defined", "message.content is string", "'a' in message.content",
            "loop.index0 % 2 == 0", "add_generation_prompt", "system is defined and system", "message.content is not none",
            "ns.n > 2 or loop.last", "message is mapping", "messages is sequence", "tools is iterable", "enable_thinking is defined",
            "message.content.startswith('W')", "loop.previtem is defined and loop.previtem.role == message.role",
            "(message.role == 'user') != (loop.index0 % 2 == 0)", "message.role in ['user', 'system']", "documents",
        )

    def body(self, depth=0):
        parts = []
        for _ in range(self.random.randrange(1, 4)):
            kinds = ["say"] * 3 + (["if", "set", "ns", "loop", "generation", "block", "space"] if depth < 2 else [])
            kind = self.of(*kinds)
            open_, close = self.of("{% ", "{%- "), self.of(" %}", " -%}", " %}\n")
            tag = lambda text: f"{open_}{text}{close}"
            if kind == "say":
                parts.append(self.of("{{ ", "{{- ") + self.text() + self.of(" }}", " -}}", " }}\n"))
            elif kind == "if":
                other = self.of("", tag("else") + self.body(depth + 1), tag(f"elif {self.test()}") + self.body(depth + 1))
                parts.append(tag(f"if {self.test()}") + self.body(depth + 1) + other + tag("endif"))
            elif kind == "set":
                parts.append(tag(f"set x = {self.text()}") + "{{ x }}")
            elif kind == "ns":
                parts.append(tag(f"set ns.n = {self.number()}"))
            elif kind == "loop":
                leave = self.of("", tag("if loop.index > 1") + tag(self.of("break", "continue")) + tag("endif"))
                parts.append(tag("for part in message.content.split()") + leave + "{{ part }}" + tag("endfor"))
            elif kind == "generation":
                parts.append(tag("generation") + self.body(depth + 1) + tag("endgeneration"))
            elif kind == "block":
                parts.append(tag("set y") + self.body(depth + 1) + tag("endset") + "{{ y | trim }}")
            else:
                parts.append(self.of("\n", "  \n  ", "text ", "{# note #}\n", "\n\n"))
        return "".join(parts)

    def template(self):
        start = self.of(
            "", "{{ bos_token }}", "{%- if messages[0]['role'] == 'system' %}{% set system = messages[0].content %}{% endif %}\n"
        )
        return (
            "{% set ns = namespace(n=0) %}" + start + "{% for message in messages %}" + self.body() + "{% endfor %}"
            + self.of("", "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}\n")
        )


def random_templates(count):
    made = Random(34)
    return {f"random {number}": (made.template(), {"bos_token": S, "eos_token": E}) for number in range(count)}


def main():
    conversations = [[{"role": role, "content": content} for role, content in one] for one in CONVERSATIONS]
    features = {f"feature {number}": (template, {"eos_token": E}) for number, template in enumerate(FEATURES)}
    cases = [
        {
            "name": name,
            "template": template,
            "special": special,
            "rendered": [render(template, special, messages) for messages in conversations],
        }
        for name, (template, special) in {**TEMPLATES, **features, **random_templates(150)}.items()
    ]
    times = [{"time": time.isoformat(), "texts": [time.strftime(format) for format in FORMATS]} for time in TIMES]
    made = {"transformers": transformers.__version__, "how": "python3 scripts/make_chat_fixtures.py"}
    made |= {"conversations": conversations, "cases": cases, "formats": FORMATS, "times": times}
    OUT.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n")
    refused = sum(text is None for case in cases for text in case["rendered"])
    print(len(cases), "templates,", refused, "of", len(cases) * len(conversations), "renderings refused")


if __name__ == "__main__":
    main()
