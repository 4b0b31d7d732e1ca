"""A language model over characters."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType

import torch

from gradscope.errors import GradscopeError
from gradscope.tasks import _corpora as corpora
from gradscope.tasks._language import LanguageModel, Text
from gradscope.tasks._task import register


@register("char_lm")
class CharLM(LanguageModel):
    """Predict the next character of a text, at every character.

    One example (length 10)::

        input    T o d a y _ i s _ a
        target   o d a y _ i s _ a _      scored at every step

    p(x) = prod_t p(x_t | x_1 ... x_{t-1}) is learned by maximum likelihood, with
    h_t = tanh(W_xh x_t + W_hh h_{t-1}) or another cell, and p(x_{t+1}) = softmax(W_hy h_t + b_y).
    Training reads the text in contiguous streams and carries the state from one sequence to the
    next (stateful truncated BPTT). The loss on held-out text is in nats, and in bits per character
    as well.

    Reference: Mikolov, Karafiat, Burget, Cernocky and Khudanpur (2010), Recurrent neural network
    based language model; Sutskever, Martens and Hinton (2011), Generating text with recurrent
    neural networks.
    """

    token = "character"
    measure_words = MappingProxyType(
        {"bits_per_character": ("bits per character", ""), "perplexity": ("perplexity", "")}
    )

    def text(self) -> Text:
        """The corpus as characters; the alphabet is that of the whole corpus."""
        digest = corpora.load(self.corpus).digest
        return _characters(self.corpus, digest, self.held_out, self.length)


@lru_cache(maxsize=4)
def _characters(name: str, digest: str, held_out: float, length: int) -> Text:
    corpus = corpora.load(name)
    text = corpus.train + (corpus.test or "")
    symbols = tuple(sorted(set(text)))
    places = {symbol: place for place, symbol in enumerate(symbols)}
    tokens = torch.tensor([places[symbol] for symbol in text])
    cut = len(corpus.train) if corpus.test is not None else int(len(text) * (1 - held_out))
    if min(cut, len(text) - cut) < length + 2:
        raise GradscopeError(
            f"the corpus {name!r} has {len(text)} characters: too few for sequences of {length} "
            "and a test"
        )
    return Text(symbols, tokens[:cut], tokens[cut:], digest)
