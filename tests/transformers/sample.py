"""Körbe & Körner: ein kleines Beispiel (пример, 例え) – nothing here is meant to be useful. 🙂"""

import collections
import re


class Basket:
    """Counts the words of a text; `größe` is how many there are."""

    def __init__(self, words=()):
        self.counts = collections.Counter(words)

    @property
    def größe(self):
        return sum(self.counts.values())

    def add(self, text, *, fold=True):
        for word in re.findall(r"\w+", text.casefold() if fold else text):
            self.counts[word] += 1
        return self

    def best(self, n=3):
        # Ties go to the word that comes first in the alphabet: "ä" after "z" as Unicode has it.
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return [word for word, _ in ranked[:n]]


def table(baskets):
    width = max((len(name) for name in baskets), default=0)
    for name, basket in sorted(baskets.items()):
        yield f"{name:<{width}} | {basket.größe:>4} | {', '.join(basket.best())}"


if __name__ == "__main__":
    shelves = {"obst": Basket().add("Äpfel, Birnen, Äpfel"), "日本": Basket().add("林檎 梨 林檎")}
    for line in table(shelves):
        print(line, "\t→", "✓" if "äpfel" in line else "✗")
