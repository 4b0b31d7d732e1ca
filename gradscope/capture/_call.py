"""One call of a torch.nn.RNN, LSTM or GRU: what goes in and out, read off the hook's arguments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gradscope.capture._ancestry import Origin
from gradscope.capture._watch import Args, Kwargs, Received, copied
from gradscope.errors import GradscopeError


@dataclass
class RandomState:
    """The state of the generators from which dropout was drawn."""

    cpu: Tensor
    cuda: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> RandomState:
        """The state of this moment."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(torch.get_rng_state(), cuda)

    def restore(self, device: torch.device) -> None:
        """Go back to it, so that the same numbers are drawn again."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, device)


@dataclass
class Call:
    """One forward pass of a module, as far as it is needed to take it apart.

    Tensors are time-major, sequences in the order in which torch runs them (packed: longest first);
    all but ``batch`` and ``packed_lengths`` are of the sequences that are to be measured.

    Attributes:
        batch: how many sequences there were.
        packed_lengths: of all of a packed batch; None of any other.
        inputs: x_1 ... x_T.
        lengths: of each sequence; None where all are as long.
        order: of a packed batch's sequences.
        start: h_0 and, of an LSTM, c_0: (layers * directions, batch, size).
        detached: whether the initial state that the caller gave has no gradient to pass on.
        autocast: whether torch chose lower precision for some operations.
        outputs: of the top layer, directions side by side.
        ended: h_n and, of an LSTM, c_n, as ``start``.
        weights: by torch's names, as they were.
        random: from which dropout between layers was drawn; None without dropout.
        by_output: the gradient that arrives at the output.
        by_final: at h_n and, of an LSTM, c_n.
        final: these tensors themselves, kept so that their identities stay unique.
        edges: of these and the output in autograd's graph.
        output: the tensor itself, kept so that its identity stays unique.
        again: whether it was made again within a backward pass (checkpointing).
        came_at: addresses of the initial state; none where none was given.
        origin: where that state is from.
    """

    batch: int
    packed_lengths: Tensor | None
    inputs: Tensor
    lengths: Tensor | None
    order: Tensor | None
    start: list[Tensor]
    detached: bool
    autocast: bool
    outputs: Tensor
    ended: list[Tensor]
    weights: dict[str, Tensor]
    random: RandomState | None
    by_output: Received
    by_final: list[Received]
    final: tuple[Tensor, ...]
    edges: list[GradientEdge | None]
    output: Tensor
    again: bool
    came_at: frozenset[int]
    origin: Origin

    @property
    def received(self) -> list[Received]:
        """Everywhere that a gradient may arrive."""
        return [self.by_output, *self.by_final]

    @property
    def trains(self) -> bool:
        """Whether a gradient can come back to what it made."""
        return any(edge is not None for edge in self.edges)

    @property
    def made_at(self) -> frozenset[int]:
        """Addresses of the last state."""
        return addresses(self.final)

    @property
    def carried(self) -> bool:
        """Whether it begins in a state that came, detached, from somewhere."""
        return bool(self.came_at) and self.detached and any(bool(p.ne(0).any()) for p in self.start)


@dataclass
class Passed:
    """What went in and out of a call, still in the caller's layout."""

    inputs: Tensor | PackedSequence
    hx: tuple[Tensor, ...]
    output: Tensor | PackedSequence
    final: tuple[Tensor, ...]

    @classmethod
    def of(cls, module: nn.RNNBase, args: Args, kwargs: Kwargs, result: object) -> Passed:
        """Read a call off the arguments of a forward hook.

        Raises:
            GradscopeError: for a call that is none of torch's.
        """
        given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        inputs, hx = given.get("input"), given.get("hx")
        output, final = result if isinstance(result, tuple) and len(result) == 2 else (None, None)
        if not isinstance(inputs, Tensor | PackedSequence) or not isinstance(
            output, Tensor | PackedSequence
        ):
            raise GradscopeError(
                f"{type(module).__name__} was called in a way that is not torch's: (input, hx) -> "
                "(output, h_n) is expected"
            )
        return cls(inputs, tensors_of(hx), output, tensors_of(final))

    def initial_state(self) -> list[Tensor]:
        """h_0 and c_0 with a batch axis; zeros where none were given."""
        if self.hx:
            return [copied(with_batch(part)) for part in self.hx]
        return [
            part.new_zeros(part.shape if part.dim() == 3 else (part.shape[0], 1, part.shape[1]))
            for part in self.final
        ]


def with_batch(part: Tensor) -> Tensor:
    """h or c of all layers, (layers, batch, size), also where the call was of one sequence."""
    return part if part.dim() == 3 else part.unsqueeze(1)


def addresses(tensors: Iterable[Tensor]) -> frozenset[int]:
    """Where tensors lie."""
    return frozenset(tensor.data_ptr() for tensor in tensors)


def tensors_of(state: object) -> tuple[Tensor, ...]:
    """The tensors of a state, which is one or a tuple of several."""
    parts = state if isinstance(state, tuple | list) else (state,)
    return tuple(part for part in parts if isinstance(part, Tensor))


def padded(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """(time, batch, ...) in packed order, and the lengths."""
    return pad_packed_sequence(packed._replace(unsorted_indices=None, sorted_indices=None))


def time_major(x: Tensor, module: nn.RNNBase) -> Tensor:
    """(time, batch, ...)."""
    if x.dim() == 2:
        return x.unsqueeze(1)
    return x.transpose(0, 1) if module.batch_first else x
