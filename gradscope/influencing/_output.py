"""What a model puts out: the one tensor of it that counts, and its place for each input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from gradscope.errors import GradscopeError

#: names of what counts in what models of packages put out, the likeliest first
_NAMES = ("logits", "last_hidden_state", "prediction_logits")
#: picks it out of what a model returns
Read = Callable[[object], Tensor]

_READ = "say by read= what counts, such as read=lambda out: out[0]"


def tensor_of(output: object, read: Read | None) -> Tensor:
    """The tensor that counts among what a model returns.

    Raises:
        GradscopeError: if there is none, or it has no derivative.
    """
    found = _found(output) if read is None else read(output)
    if isinstance(found, nn.utils.rnn.PackedSequence):
        raise GradscopeError(
            "the model returns a PackedSequence: unpack it by read=, with "
            "torch.nn.utils.rnn.pad_packed_sequence"
        )
    if not isinstance(found, Tensor):
        raise GradscopeError(f"the model returns a {type(output).__name__}: {_READ}")
    if not found.is_floating_point():
        raise GradscopeError(
            f"the output is of {found.dtype}, which has no derivative, as a chosen token has not: "
            "give the numbers that it is chosen by, by read="
        )
    return found


def _found(output: object) -> object:
    if isinstance(output, Tensor | nn.utils.rnn.PackedSequence):
        return output
    for name in _NAMES:
        value = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(value, Tensor):
            return value
    values: Sequence[object] = ()
    if isinstance(output, Mapping):
        values = list(output.values())
    elif isinstance(output, tuple | list):
        values = output
    tensors = [x for x in values if isinstance(x, Tensor) and x.is_floating_point()]
    if len(tensors) == 1 or (tensors and not isinstance(output, Mapping)):
        return tensors[0]
    return output


@dataclass(frozen=True)
class Placed:
    """An output along the axes of the input.

    Attributes:
        value: ``(rows, columns, output)`` with a vector for each position of the input, or
            ``(examples, 1, output)`` with one for each example.
        by_position: which of both.
        note: how its shape was read where that is not plain; "" where it is.
    """

    value: Tensor
    by_position: bool
    note: str = ""


def placed(output: Tensor, rows: int, columns: int) -> Placed:
    """Read the shape of an output beside inputs of so many rows and columns.

    Raises:
        GradscopeError: if it has neither a vector for each position nor one for each example.
    """
    shape = tuple(output.shape)
    if shape[:2] == (rows, columns):
        note = ""
        if len(shape) == 2:
            note = (
                f"the output of shape {shape} was read as one number for each position; if it is "
                "one vector for each example, say read=lambda out: out[:, None]"
            )
        return Placed(output.reshape(rows, columns, -1), True, note)
    if shape[:2] == (columns, rows):
        note = f"the output of shape {shape} has the input's first two axes the other way round"
        return Placed(output.transpose(0, 1).reshape(rows, columns, -1), True, note)
    if shape[:1] == (rows * columns,):
        note = f"the output of shape {shape} was read as that of all positions, one after another"
        return Placed(output.reshape(rows, columns, -1), True, note)
    if shape[:1] in ((rows,), (columns,)) and (len(shape) < 3 or shape[1] == 1):
        return Placed(output.reshape(len(output), 1, -1), False)
    raise GradscopeError(
        f"the output has shape {shape}, the input has {rows} by {columns} positions: there should "
        "be a vector for each position, or one for each example; pick it out by read="
    )
