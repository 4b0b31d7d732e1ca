"""A language model over characters."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

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

    def whole_text(self) -> Text:
        """The corpus as characters; the alphabet is that of the whole corpus."""
        return _cut(self.corpus, corpora.load(self.corpus).digest, self.held_out)


@lru_cache(maxsize=64)
def _cut(name: str, digest: str, held_out: float) -> Text:
    symbols, tokens = _characters(name, digest)
    corpus = corpora.load(name)
    cut = len(corpus.train) if corpus.test is not None else int(len(tokens) * (1 - held_out))
    return Text(symbols, tokens[:cut], tokens[cut:], digest)


@lru_cache(maxsize=4)
def _characters(name: str, digest: str) -> tuple[tuple[str, ...], Int[Tensor, " tokens"]]:
    """The alphabet of a corpus in the order of code points, and all of it as places in that."""
    corpus = corpora.load(name)
    codes = np.frombuffer((corpus.train + (corpus.test or "")).encode("utf-32-le"), dtype="<u4")
    known = np.flatnonzero(np.bincount(codes))
    places = np.zeros(int(known[-1]) + 1, dtype=np.int64)
    places[known] = np.arange(len(known))
    return tuple(map(chr, known.tolist())), torch.from_numpy(places[codes])
