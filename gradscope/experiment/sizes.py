"""How large a trial's weights and sequences are, from its settings alone: nothing is built.

A number that no machine has the memory for is refused by name before anything is allocated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from pydantic import BaseModel
from torch import Generator
from torch.overrides import TorchFunctionMode

from gradscope.cells import CellOptions
from gradscope.components.base import Component
from gradscope.components.quantities import memory
from gradscope.components.suggestions import shown
from gradscope.errors import ConfigError
from gradscope.experiment.model import input_size
from gradscope.experiment.schema import Settings
from gradscope.tasks import Task

#: bytes beyond which a part of a trial is refused, whatever machine it is meant for
_ABSURD = 2**40
#: whole numbers beyond this are no sizes, whatever they are sizes of
_MOST = 10**12
#: weights of layers as wide as they are long, and numbers among a cell's options, that need no look
_CERTAINLY_FEW, _CERTAINLY_NARROW = 10**8, 4096


@dataclass(frozen=True)
class Part:
    """What takes memory.

    Attributes:
        what: in words.
        key: the dotted key that decides most of its size.
        value: of that key.
        numbers: how many floating-point numbers it holds, at least.
    """

    what: str
    key: str
    value: int
    numbers: int


def parts_of(settings: Settings) -> list[Part]:
    """What takes memory in a trial: weights, the sequences of an update, those of the tests."""
    task, layers = settings.task, settings.model.layers
    hidden, inputs = settings.cell.hidden_size, input_size(settings)
    length = task.longest
    batch, tested = settings.training.batch_size, settings.evaluation.sequences
    given = 1 if task.tokens else inputs
    longest = max([length, *settings.evaluation.lengths])
    wide, deep = ("cell.hidden_size", hidden), ("model.layers", layers)
    read = ("model.embedding_size" if settings.model.embedding_size else "task", inputs)
    long, many = (_length_key(task), length), ("training.batch_size", batch)
    return [
        _part("the weights", _weights(settings, inputs), wide, deep, read),
        _part("the states of one update", length * batch * hidden * layers, long, many, wide, deep),
        _part("the inputs of one update", length * batch * inputs, long, many, read),
        _part(
            "the sequences of the tests",
            longest * tested * given,
            ("evaluation.lengths" if longest > length else _length_key(task), longest),
            ("evaluation.sequences", tested),
            read,
        ),
    ]


def _part(what: str, numbers: int, *factors: tuple[str, int]) -> Part:
    """A part; its key is that of its largest factor."""
    key, value = max(factors, key=lambda factor: factor[1])
    return Part(what, key, value, numbers)


def update_work(settings: Settings) -> float:
    """What an update costs, in an arbitrary unit: its steps, and the products in each."""
    products = settings.training.batch_size * settings.cell.hidden_size**2
    return settings.task.longest * settings.model.layers * (1e5 + products)


def check_sizes(settings: Settings) -> None:
    """Refuse what no machine has the memory for.

    Raises:
        ConfigError: if there is such a part; its ``key`` is the option to blame.
    """
    _check_numbers(settings)
    width = getattr(torch, settings.dtype).itemsize
    for part in parts_of(settings):
        if part.numbers * width > _ABSURD:
            raise ConfigError(
                f"{_said(part)}, so that {part.what} would take {memory(part.numbers * width)} of "
                f"memory; at most {memory(_ABSURD)} is allowed",
                key=part.key,
            )


def _length_key(task: Task) -> str:
    """The option that the length of a task's sequences is blamed on."""
    named = [name for name, value in vars(task).items() if value == task.longest]
    return f"task.{named[0]}" if named else "task.length"


def _said(part: Part) -> str:
    if part.key == "task":  # a size that follows from its options
        return f"its inputs have {part.value:,} numbers"
    return f"is {part.value:,}"


def _weights(settings: Settings, inputs: int) -> int:
    """The weights of all layers, whose first one reads vectors of a length."""
    cell, more = settings.cell, settings.model.layers - 1
    dense = cell.hidden_size * (cell.hidden_size + inputs)
    numbers = [value for value in vars(cell).values() if isinstance(value, int)]
    if dense * (more + 1) <= _CERTAINLY_FEW and max(numbers) <= _CERTAINLY_NARROW:
        return dense * (more + 1)
    return _layer(cell, inputs) + (more * _layer(cell, cell.hidden_size) if more else 0)


def _layer(cell: CellOptions, inputs: int) -> int:
    """The weights of one layer, from the shapes that it would have: no number is held."""
    try:
        with torch.device("meta"), _WithoutGenerators():
            built = cell.build(inputs, generator=Generator().manual_seed(0))
        return sum(parameter.numel() for parameter in built.parameters())
    except Exception:  # sizes whose product is no 64-bit number, or a cell that reads its weights
        return cell.hidden_size * (cell.hidden_size + inputs)


class _WithoutGenerators(TorchFunctionMode):
    """A context in which nothing is drawn: on the device ``meta`` there are shapes alone."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        given = {key: value for key, value in (kwargs or {}).items() if key != "generator"}
        return func(*args, **given)


def _check_numbers(value: object, key: str = "") -> None:
    """Refuse whole numbers beyond all that can be counted, but for seeds.

    Raises:
        ConfigError: if there is one.
    """
    if isinstance(value, int):
        if abs(value) > _MOST:
            raise ConfigError(f"is {shown(value)}; at most {_MOST:,} can be meant", key=key)
    elif isinstance(value, BaseModel):
        for name, part in value.__dict__.items():
            if name != "seed" and not isinstance(part, float | str | bool):
                _check_numbers(part, f"{key}.{name}" if key else name)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            named = isinstance(item, Component)
            _check_numbers(item, f"{key}.{item.name}" if named else f"{key}[{index}]")
