"""How often words stand in texts."""

from collections import Counter

from words import sentences, without_stop_words, words


class Counts:
    """The words of several texts, counted."""

    def __init__(self):
        self.of_word = Counter()
        self.texts = 0
        self.sentences = 0

    def add(self, text):
        """Counts one more text."""
        self.of_word.update(without_stop_words(words(text)))
        self.sentences += len(sentences(text))
        self.texts += 1

    def total(self):
        """All words that were counted."""
        return sum(self.of_word.values())

    def most(self, number):
        """The most frequent words with their counts; of equal ones the first in the alphabet."""
        ordered = sorted(self.of_word.items(), key=lambda item: (-item[1], item[0]))
        return ordered[:number]

    def share(self, word):
        """The share of a word among all that were counted, 0 to 1."""
        total = self.total()
        return self.of_word[word] / total if total else 0.0

    def words_of_a_sentence(self):
        """The mean number of words of a sentence."""
        return self.total() / self.sentences if self.sentences else 0.0


def merged(some, others):
    """The counts of two together."""
    both = Counts()
    both.of_word = some.of_word + others.of_word
    both.texts = some.texts + others.texts
    both.sentences = some.sentences + others.sentences
    return both
