"""A language model over words."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from types import MappingProxyType

import torch
from pydantic import Field

from gradscope.tasks import _corpora as corpora
from gradscope.tasks._language import LanguageModel, Text
from gradscope.tasks._task import register

UNKNOWN, END = "<unk>", "<eos>"


@register("word_lm")
class WordLM(LanguageModel):
    """Predict the next word of a text, at every word.

    One example (length 5)::

        input    today  is  a     good  day
        target   is     a   good  day   <eos>      scored at every step

    p(x) = prod_t p(x_t | x_1 ... x_{t-1}) is learned by maximum likelihood. The corpora ptb and
    wikitext2 are split at spaces; any other text is lower-cased and split into runs of letters and
    digits, and single signs. A line's end is <eos>. A word that is not among the ``vocabulary``
    most frequent ones of the training text is <unk>. The loss is in nats, and as perplexity as
    well.

    Reference: Mikolov, Karafiat, Burget, Cernocky and Khudanpur (2010), Recurrent neural network
    based language model; Zaremba, Sutskever and Vinyals (2014), Recurrent neural network
    regularization.
    """

    vocabulary: int = Field(
        10_000,
        ge=2,
        description=(
            "different words that are kept, the most frequent ones; every other word "
            "is read as one unknown word"
        ),
    )

    token = "word"
    measure_words = MappingProxyType(
        {"bits_per_word": ("bits per word", ""), "perplexity": ("perplexity", "")}
    )

    def whole_text(self) -> Text:
        """The corpus as words."""
        digest = corpora.load(self.corpus).digest
        return _known(self.corpus, digest, self.held_out, self.vocabulary)


@lru_cache(maxsize=16)
def _known(name: str, digest: str, held_out: float, vocabulary: int) -> Text:
    train, test = _words(name, digest)
    if not test:
        cut = int(len(train) * (1 - held_out))
        train, test = train[:cut], train[cut:]
    frequent = [word for word, _ in Counter(train).most_common(vocabulary)]
    symbols = tuple(dict.fromkeys([UNKNOWN, *sorted(frequent)]))
    places = {symbol: place for place, symbol in enumerate(symbols)}
    as_tokens = [torch.tensor([places.get(word, 0) for word in part]) for part in (train, test)]
    return Text(symbols, as_tokens[0], as_tokens[1], digest)


@lru_cache(maxsize=4)
def _words(name: str, digest: str) -> tuple[list[str], list[str]]:
    """The words to train on, and those to test on; none where the corpus has no part for that."""
    corpus = corpora.load(name)
    ready = name in ("ptb", "wikitext2")
    return split(corpus.train, ready=ready), split(corpus.test or "", ready=ready)


def split(text: str, *, ready: bool) -> list[str]:
    """The words of a text, with <eos> at the end of every line that is not empty.

    >>> split("Today is a good day.", ready=False)
    ['today', 'is', 'a', 'good', 'day', '.', '<eos>']

    Args:
        text: the text.
        ready: whether the text can be split at spaces; otherwise it is lower-cased, and signs are
            words of their own.
    """
    words: list[str] = []
    for line in text.splitlines():
        in_line = line.split() if ready else re.findall(r"\w+|[^\w\s]", line.lower())
        if in_line:
            words += [*in_line, END]
    return words
