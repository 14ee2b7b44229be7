"""Counts the words of files: python3 main.py FILE..."""

import argparse
import sys

from counts import Counts
from words import longest


def read(paths):
    """The counts of the files that can be read."""
    counts = Counts()
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                counts.add(file.read())
        except (OSError, UnicodeDecodeError) as error:
            print(f"{path}: left out: {error}", file=sys.stderr)
    return counts


def table(counts, number):
    """The most frequent words as lines of a table."""
    lines = [f"{'word':<16} {'count':>6} {'share':>7}"]
    for word, count in counts.most(number):
        lines.append(f"{word:<16} {count:>6} {counts.share(word):>7.2%}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--number", type=int, default=10, help="how many words are shown")
    asked = parser.parse_args()
    counts = read(asked.files)
    for line in table(counts, asked.number):
        print(line)
    print(f"{counts.total()} words in {counts.texts} texts, {counts.words_of_a_sentence():.1f} in a sentence")
    print(f"the longest: {longest(list(counts.of_word))}")


if __name__ == "__main__":
    main()
