"""Task: what a model is asked, with a baseline and a criterion of success."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor
from torch.nn import functional as F

from gradscope.components.base import Component
from gradscope.components.kind import Kind

#: sequences that are tested at once
_TEST_BATCH = 250


class Batch(NamedTuple):
    """Sequences of one length, scored at the same steps.

    The sequences of many trials have a ``trial`` axis before ``batch``, and each trial may have
    scored steps of its own.

    Attributes:
        inputs: ``(time, batch, input)`` of floats, or ``(time, batch)`` of tokens.
        steps: ``(scored,)``, the indices of the scored steps into time, ascending.
        targets: ``(scored, batch, output)`` of floats, or ``(scored, batch)`` of classes.
        continues: whether the sequences go on where those of the batch before ended, so that the
            last state of that batch is the first state of this one.
    """

    inputs: Float[Tensor, "time *trial batch input"] | Int[Tensor, "time *trial batch"]
    steps: Int[Tensor, " scored *trial"]
    targets: Float[Tensor, "scored *trial batch output"] | Int[Tensor, "scored *trial batch"]
    continues: bool = False

    @property
    def time(self) -> int:
        """Number of steps."""
        return self.inputs.shape[0]

    def scored(
        self, hidden: Float[Tensor, "time *trial batch hidden"]
    ) -> Float[Tensor, "scored *trial batch hidden"]:
        """Those of all steps' vectors that are scored."""
        if self.steps.dim() == 1:
            first, last = int(self.steps[0]), int(self.steps[-1])
            if last - first + 1 == len(self.steps):  # a view, whose gradient takes no sorting
                return hidden[first : last + 1]
            return hidden[self.steps]
        return hidden[self.steps, torch.arange(hidden.shape[1])]

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Batch:
        """The same batch on ``device``, its floating-point numbers in ``dtype``.

        The steps stay where they are: they are looked at, not computed with.
        """
        inputs, targets = (
            x.to(device, dtype) if x.is_floating_point() else x.to(device)
            for x in (self.inputs, self.targets)
        )
        return self._replace(inputs=inputs, targets=targets)


class Task(Component):
    """Base of all tasks.

    Sequences are drawn afresh from a generator, so there is no training set to overfit.

    >>> from gradscope.tasks import TASKS
    >>> task = TASKS.make({"name": "adding", "length": 8})
    >>> batch = task.sample(3, Generator().manual_seed(0))
    >>> batch.inputs.shape, batch.targets.shape
    (torch.Size([8, 3, 2]), torch.Size([1, 3, 1]))
    """

    component_kind: ClassVar[str] = "task"

    #: how outputs are scored: mean squared error, or cross-entropy in nats
    loss: ClassVar[Literal["mse", "cross_entropy"]]
    #: the criterion of success in words, with its source
    criterion: ClassVar[str]
    #: the columns that ``measures`` adds to the summary: name -> (heading, unit)
    measure_words: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType({})
    #: options that only tests depend on: the sequences to train on are drawn alike without them
    of_tests_alone: ClassVar[frozenset[str]] = frozenset()
    #: the option that may name a file or a folder; "" for none
    path_option: ClassVar[str] = ""

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Length of an input vector; for tokens, the size of their alphabet."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Length of an output vector, or the number of classes."""

    @property
    def tokens(self) -> bool:
        """Whether inputs are tokens, which an embedding turns into vectors."""
        return False

    @property
    def sizes(self) -> tuple[object, ...]:
        """What decides ``input_size``, ``output_size`` and ``tokens``; no download is needed."""
        return self.input_size, self.output_size, self.tokens

    def within(self, folder: Path) -> Task:
        """The same task, where a relative path among its options is one of this folder."""
        return self

    @property
    def contents(self) -> str:
        """The SHA-256 of what ``path_option`` names; "" where it names nothing.

        Raises:
            GradscopeError: for a file that cannot be read.
        """
        return ""

    @property
    def identity(self) -> tuple[str, Mapping[str, object]]:
        """As of any component; what is read from a file counts by its contents."""
        name, more = super().identity
        contents = self.contents
        return name, {**more, self.path_option: contents} if contents else more

    def check(self) -> None:
        """Check, before anything runs, that the files which the options name exist.

        Nothing is downloaded.

        Raises:
            ConfigError: if a file is missing or cannot be read; its ``key`` is the option's name.
        """

    @property
    def alphabet(self) -> tuple[str, ...] | None:
        """The symbol that each token stands for, if the tokens are those of a text."""
        return None

    @property
    def nominal_length(self) -> int | None:
        """The option ``length``; None for a task that has no such option."""
        length = getattr(self, "length", None)
        return length if isinstance(length, int) else None

    @property
    def longest(self) -> int:
        """Steps of the longest sequence that is drawn to train on; 1 where that is not known."""
        return self.nominal_length or 1

    def at_length(self, length: int) -> Task:
        """The same task with sequences of another length.

        Raises:
            pydantic.ValidationError: if that length is impossible.
        """
        return type(self).model_validate({**self.model_dump(), "length": length})

    @abstractmethod
    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""

    def stream(self, batch_size: int, generator: Generator) -> Iterator[Batch]:
        """The batches of a training, without end."""
        while True:
            yield self.sample(batch_size, generator)

    def test(self, sequences: int, generator: Generator) -> list[Batch]:
        """Sequences to test on, in batches that fit into memory; fresh ones unless overridden."""
        sizes = [min(_TEST_BATCH, sequences - done) for done in range(0, sequences, _TEST_BATCH)]
        return [self.sample(size, generator) for size in sizes]

    @property
    def loss_unit(self) -> str:
        """The unit of the loss."""
        return {"mse": "mean squared error", "cross_entropy": "nats"}[self.loss]

    def references(self) -> dict[str, float]:
        """Test losses of simple models to compare with, by name; most tasks have none."""
        return {}

    def measures(self, loss: float) -> dict[str, float]:
        """The loss in other units that are common in the field, named as in ``measure_words``."""
        return {}

    @property
    @abstractmethod
    def baseline(self) -> float:
        """The least expected loss of a predictor that ignores its inputs."""

    def score(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Float[Tensor, "scored batch"]:
        """The loss of every scored step and sequence.

        It is the squared error summed over outputs, or the cross-entropy in nats.
        """
        if self.loss == "mse":
            return (outputs - targets).square().sum(-1)
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none").view_as(
            targets
        )

    @abstractmethod
    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"] | Float[Tensor, " batch"]:
        """Which sequences count as answered wrongly, or the share of wrong answers in each."""

    @abstractmethod
    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether a test with this mean loss and fraction of wrong sequences is a success."""


def path_within(folder: Path, path: str) -> str:
    """The absolute path of what a path means in a folder; ~ is the user's home."""
    return os.path.abspath(folder / Path(path).expanduser())


def integers(low: int, high: int, count: int, generator: Generator) -> Int[Tensor, " count"]:
    """Uniform integers in [low, high)."""
    return torch.randint(low, high, (count,), generator=generator)


#: every task
TASKS: Kind[Task, Task] = Kind("task")
register = TASKS.register
