"""What the language models over characters and over words share.

p(x) = prod_t p(x_t | x_1 ... x_{t-1}), by maximum likelihood.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Generator, Tensor

from gradscope.errors import ConfigError, GradscopeError
from gradscope.tasks import _corpora as corpora
from gradscope.tasks._ngram import cross_entropies
from gradscope.tasks._task import Batch, Task, path_within

#: streams into which the held-out text is cut; they are read side by side
_TEST_STREAMS = 50


class Text(NamedTuple):
    """A corpus as tokens.

    Attributes:
        symbols: the alphabet or vocabulary.
        train: the text to train on, as indices into ``symbols``.
        test: the held-out text, as indices into ``symbols``.
        digest: SHA-256 of the corpus.
    """

    symbols: tuple[str, ...]
    train: Int[Tensor, " tokens"]
    test: Int[Tensor, " tokens"]
    digest: str


class LanguageModel(Task):
    """Base of the language models: at every step, predict the next token of a text.

    Every step is scored by -ln p(x_{t+1} | x_1 ... x_t); training minimises the mean.
    """

    corpus: str = Field(
        "stdlib",
        description=(
            "the text: stdlib (the language reference that comes with Python), "
            "tinyshakespeare, text8, enwik8, ptb, wikitext2, or the path of a text "
            "file, relative to the experiment's file"
        ),
    )
    length: int = Field(
        100,
        ge=1,
        description=(
            "tokens in a training sequence, and so the steps that the gradient runs "
            "back unless tbptt_length cuts it shorter"
        ),
    )
    stateful: bool = Field(
        True,
        description=(
            "whether each batch goes on in the text where the one before ended, with "
            "its state carried over; false: batches begin at random places with an "
            "empty state"
        ),
    )
    held_out: float = Field(
        0.05,
        gt=0,
        lt=1,
        description=(
            "share of the text, its end, that is kept to test on, 0 to 1; of no "
            "effect on a corpus that comes with a test part"
        ),
    )
    test_tokens: int = Field(
        20_000, ge=100, description="tokens of the held-out text that an evaluation reads at most"
    )
    context: int | None = Field(
        None,
        ge=1,
        description=(
            "tokens after which a test empties the state, to see what a context of "
            "that length is worth; null: the state is carried through the text"
        ),
    )
    ngram: int = Field(
        3,
        ge=1,
        le=8,
        description=(
            "order n of the smoothed n-gram model, which sees n - 1 tokens back and "
            "whose loss is the mark to beat"
        ),
    )

    loss = "cross_entropy"
    criterion = (
        "held-out cross-entropy below that of an interpolated Witten-Bell n-gram model of order "
        "'ngram' on the same text"
    )
    of_tests_alone = frozenset({"test_tokens", "context", "ngram"})
    path_option = "corpus"
    #: what a token is, in a word: character or word
    token: ClassVar[str]

    @abstractmethod
    def whole_text(self) -> Text:
        """The corpus as tokens, however short; equal options give the same object."""

    def text(self) -> Text:
        """The corpus as tokens; equal options give the same object.

        Raises:
            GradscopeError: if it is too short for a sequence to train on and one to test on.
        """
        text = self.whole_text()
        if min(len(text.train), len(text.test)) < self.length + 2:
            raise GradscopeError(
                f"the corpus {self.corpus!r} has {len(text.train) + len(text.test)} {self.token}s: "
                f"too few for sequences of {self.length} and a test"
            )
        return text

    def within(self, folder: Path) -> Task:
        """The same task; the corpus is a known one, or a file of this folder."""
        if corpora.is_known(self.corpus):
            return self
        return self.model_copy(update={"corpus": path_within(folder, self.corpus)})

    @property
    def contents(self) -> str:
        """The SHA-256 of the corpus; of a public one, that of its published checksums."""
        return corpora.digest(self.corpus)

    @property
    def sizes(self) -> tuple[object, ...]:
        """What decides the alphabet or vocabulary."""
        return self.token, self.contents, self.held_out, getattr(self, "vocabulary", None)

    def check(self) -> None:
        """Check that the corpus is a known one, or a file that can be read."""
        try:
            corpora.check(self.corpus)
            corpora.digest(self.corpus)
        except GradscopeError as error:
            raise ConfigError(str(error), key="corpus") from None
        try:
            if not corpora.is_public(self.corpus):
                self.text()
        except GradscopeError as error:
            raise ConfigError(str(error), key="length") from None

    @property
    def input_size(self) -> int:
        """Size of the alphabet or vocabulary."""
        return len(self.text().symbols)

    @property
    def output_size(self) -> int:
        """Size of the alphabet or vocabulary."""
        return self.input_size

    @property
    def tokens(self) -> bool:
        """Inputs are tokens."""
        return True

    @property
    def alphabet(self) -> tuple[str, ...]:
        """The alphabet or vocabulary."""
        return self.text().symbols

    @property
    def baseline(self) -> float:
        """Entropy of the training text's single tokens, nats."""
        return _entropy(self.text())

    def references(self) -> dict[str, float]:
        """Held-out nats per token of n-gram models of order 1 to ``ngram``."""
        by_order = _ngrams(self.text(), self._tested(), self.ngram)
        return {f"{order}-gram": nats for order, nats in enumerate(by_order, start=1)}

    def measures(self, loss: float) -> dict[str, float]:
        """The loss in bits per token, and as perplexity."""
        return {
            f"bits_per_{self.token}": loss / math.log(2),
            "perplexity": math.exp(min(loss, 700.0)),
        }

    def at_length(self, length: int) -> Task:
        """The same task, tested with a state that is emptied every ``length`` tokens.

        A test at several lengths shows what a longer context is worth.
        """
        return type(self).model_validate({**self.model_dump(), "context": length})

    def _tested(self) -> int:
        """How many tokens are tested."""
        return min(self.test_tokens, len(self.text().test) - 1)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Stretches of the training text from random places."""
        train = self.text().train
        starts = torch.randint(0, len(train) - self.length, (batch_size,), generator=generator)
        window = train[starts[None, :] + torch.arange(self.length + 1)[:, None]]
        return Batch(window[:-1], torch.arange(self.length), window[1:])

    def stream(self, batch_size: int, generator: Generator) -> Iterator[Batch]:
        """The training text cut into ``batch_size`` streams, which are read side by side.

        Each epoch starts at another random place of the text.
        """
        if not self.stateful:
            yield from super().stream(batch_size, generator)
        train = self.text().train
        while True:
            text = train.roll(-int(torch.randint(0, len(train), (1,), generator=generator)))
            inputs, targets = _streams(text, batch_size, (len(text) - 1) // batch_size)
            length = min(self.length, len(inputs))
            for start in range(0, len(inputs) - length + 1, length):
                window = slice(start, start + length)
                steps = torch.arange(length)
                yield Batch(inputs[window], steps, targets[window], continues=start > 0)

    def test(self, sequences: int, generator: Generator) -> list[Batch]:
        """The held-out text in 50 streams, or in pieces of ``context`` tokens.

        Both arguments are ignored: every test reads the same text.
        """
        count = self._tested()
        steps = max(1, count // _TEST_STREAMS) if self.context is None else min(self.context, count)
        inputs, targets = _streams(self.text().test, count // steps, steps)
        return [Batch(inputs, torch.arange(steps), targets)]

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Float[Tensor, " batch"]:
        """The share of tokens that are not the likeliest, of each stream."""
        return (outputs.argmax(-1) != targets).float().mean(0)

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return loss < self.references()[f"{self.ngram}-gram"]


def _streams(
    text: Int[Tensor, " tokens"], count: int, steps: int
) -> tuple[Int[Tensor, "time streams"], Int[Tensor, "time streams"]]:
    """The text's beginning as ``count`` streams of ``steps`` tokens, and each token's next one."""
    tokens = count * steps
    inputs, targets = text[:tokens], text[1 : tokens + 1]
    return inputs.view(count, steps).T, targets.view(count, steps).T


# texts are made once and cached, so that they serve as keys of these caches themselves


@lru_cache(maxsize=8)
def _entropy(text: Text) -> float:
    counts = torch.bincount(text.train, minlength=len(text.symbols)).double()
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * shares.log()).sum())


@lru_cache(maxsize=8)
def _ngrams(text: Text, tested: int, order: int) -> list[float]:
    return cross_entropies(
        text.train.tolist(), text.test[: tested + 1].tolist()[1:], len(text.symbols), order
    )
