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
    """Predict the next character of a text, at every character: p(x) = prod_t p(x_t | x_<t), by
    maximum likelihood.

    One example (length 10)::

        input    T o d a y _ i s _ a
        target   o d a y _ i s _ a _      scored at every step

    h_t = tanh(W_xh x_t + W_hh h_{t-1}), y_t = softmax(W_hy h_t + b_y), or any other cell in place
    of the first. Training reads the text in contiguous streams and carries the state from one
    sequence to the next (stateful truncated BPTT); the loss is in nats, reported in bits per
    character too, on text that is held out.

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
        return _characters(
            self.corpus, corpora.load(self.corpus).digest, self.held_out, self.length
        )


@lru_cache(maxsize=4)
def _characters(name: str, digest: str, held_out: float, length: int) -> Text:
    corpus = corpora.load(name)
    whole = corpus.train + (corpus.test or "")
    symbols = tuple(sorted(set(whole)))
    places = {symbol: place for place, symbol in enumerate(symbols)}
    tokens = torch.tensor([places[symbol] for symbol in whole])
    cut = len(corpus.train) if corpus.test is not None else int(len(whole) * (1 - held_out))
    if min(cut, len(whole) - cut) < length + 2:
        raise GradscopeError(
            f"the corpus {name!r} has {len(whole)} characters: too few for sequences of {length}"
            " and a test"
        )
    return Text(symbols, tokens[:cut], tokens[cut:], digest)
