"""Step: how one call of a module is one step of a recurrence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from gradscope.capture._watch import Args, Kwargs

#: a tensor or a nest of tensors in tuples, lists and dictionaries, as a user's module has it
Nest = Any

#: what the arguments of a step are called, by whoever names them
_INPUT = ("input", "x", "inputs")
_STATE = ("hx", "s", "state", "h", "hidden")


def _read(args: Args, kwargs: Kwargs) -> tuple[object, object]:
    """(x, s) of a call, by position or by a usual name."""
    rest, values = dict(kwargs), list(args)
    for position, names in enumerate((_INPUT, _STATE)):
        named = [rest.pop(name) for name in names if name in rest]
        if len(values) <= position and named:
            values.append(named[0])
    x, s, *_ = (*values, *rest.values(), None, None)
    return x, s


def _whole(output: Nest) -> Nest:
    """The output itself is the state."""
    return output


def _call(module: nn.Module, x: Tensor, s: Nest) -> Nest:
    """``module(x, s)``."""
    return module(x, s)


@dataclass(frozen=True)
class Step:
    """How one call of a module is one step s_t = F(x_t, s_{t-1}).

    The defaults are those of ``module(x, s) -> s``. A state is a tensor or a nest of tensors, each
    ``(batch, ...)``; x is a tensor ``(batch, ...)``. Samples of a batch must not meet within the
    step. Of a module that returns (y, s), a loss of y_t reaches s_{t-1}, by the adjoint recorded
    there, and not s_t, which is made beside y_t and not before it.

        # a module that is called as (y, s) = module(x, s)
        scope = gradscope.attach(model, steps={"core": Step(state=lambda output: output[1])})

    Attributes:
        read: (args, kwargs) of a call -> (x, s); an s of None stands for zeros.
        state: the call's output -> s; ``lambda output: output[1]`` for one that returns (y, s).
        call: (module, x, s) -> output, for a step with other arguments.
        hidden: which tensor of the nest is h, the part that is read out.
    """

    read: Callable[[Args, Kwargs], tuple[object, object]] = _read
    state: Callable[[Nest], Nest] = _whole
    call: Callable[[nn.Module, Tensor, Nest], Nest] = _call
    hidden: int = 0


def leaves(state: Nest) -> list[Tensor]:
    """The tensors of a nest, in its order."""
    return [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]


def side_by_side(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors ``(batch, ...)`` as one new tensor ``(batch, state)``."""
    return torch.cat([rows(tensor) for tensor in tensors], dim=-1)


def rows(tensor: Tensor) -> Tensor:
    """``(batch, ...)`` as ``(batch, size)``."""
    return tensor.flatten(1) if tensor.dim() > 1 else tensor[:, None]
