"""Words of a text."""

import re

WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")

STOP_WORDS = {"a", "an", "and", "in", "is", "it", "of", "or", "the", "to"}


def words(text):
    """The words of a text in lower case, in their order."""
    return [match.group().lower() for match in WORD.finditer(text)]


def without_stop_words(found):
    """The words that say something."""
    return [word for word in found if word not in STOP_WORDS]


def sentences(text):
    """The sentences of a text, without what ends them."""
    parts = re.split(r"[.!?]+\s*", text)
    return [part.strip() for part in parts if part.strip()]


def longest(found):
    """The longest word; of equal ones the first in the alphabet."""
    return min(found, key=lambda word: (-len(word), word)) if found else ""
