"""A state that is any nest of tensors, as one vector for each start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils import _pytree as pytree

from gradscope.errors import GradscopeError

#: a tensor, or a nest of tensors in dictionaries, tuples and lists, as a user's step has it
Nest = Any


class Packing:
    """How a nest of tensors is laid side by side, and taken apart again.

    Args:
        state: a tensor or a nest of floating tensors, each ``(batch, ...)``.
        batched: whether tensors have the leading axis of starts; where not, the state is one start.

    Attributes:
        names: of the nest's tensors, such as ``state['x']``.
        batch: number of starts.
        size: length of a vector.
        dtype: of vectors: float64 if a tensor of the nest is, else float32.
        epsilon: rounding of the coarsest dtype in the nest.

    Raises:
        GradscopeError: for what is no such nest.
    """

    def __init__(self, state: Nest, *, batched: bool = True):
        found, self._nest = pytree.tree_flatten_with_path(state)
        self.names = [f"state{pytree.keystr(path)}" for path, _ in found]
        leaves = [leaf for _, leaf in found]
        _check(leaves, self.names, batched)
        self.batched = batched
        self.shapes = [leaf.shape[1:] if batched else leaf.shape for leaf in leaves]
        self.dtypes = [leaf.dtype for leaf in leaves]
        self.batch, self.device = (len(leaves[0]) if batched else 1), leaves[0].device
        self.sizes = [shape.numel() for shape in self.shapes]
        self.size = sum(self.sizes)
        double = torch.float64 in self.dtypes
        self.dtype = torch.float64 if double else torch.float32
        self.epsilon = max(float(torch.finfo(dtype).eps) for dtype in self.dtypes)
        if self.size == 0:
            raise GradscopeError("the state is empty: its tensors hold no number")

    def pack(self, state: Nest) -> Float[Tensor, "batch size"]:
        """The nest's tensors side by side."""
        leaves = pytree.tree_leaves(state)
        flat = [leaf.reshape(self.batch, -1).to(self.dtype) for leaf in leaves]
        return flat[0] if len(flat) == 1 else torch.cat(flat, dim=-1)

    def unpack(self, vectors: Float[Tensor, "batch size"]) -> Nest:
        """The nest again, of tensors of their own, which may be changed in place."""
        leaves, start = [], 0
        lead = (len(vectors),) if self.batched else ()
        for shape, size, dtype in zip(self.shapes, self.sizes, self.dtypes, strict=True):
            part = vectors[:, start : start + size].reshape((*lead, *shape)).to(dtype)
            leaves.append(part.clone())
            start += size
        return pytree.tree_unflatten(leaves, self._nest)

    def check_like(self, state: Nest) -> None:
        """Check that a step has made a nest of the same tensors.

        Raises:
            GradscopeError: for another structure, shape or dtype, naming the tensor.
        """
        leaves, nest = pytree.tree_flatten(state)
        if nest != pytree.tree_structure(pytree.tree_unflatten(self.names, self._nest)):
            raise GradscopeError(
                "the step should return a state as it was given, with the same tensors: "
                f"{', '.join(self.names)}; it returned {_outline(state)}. A step that returns "
                "more, such as (output, state), needs a function around it that returns the state"
            )
        lead = (self.batch,) if self.batched else ()
        for leaf, name, shape, dtype in zip(
            leaves, self.names, self.shapes, self.dtypes, strict=True
        ):
            if not isinstance(leaf, Tensor):
                raise GradscopeError(f"the step returns {name} as a {type(leaf).__name__}")
            if leaf.shape != (*lead, *shape):
                raise GradscopeError(
                    f"the step changes the shape of {name} from {(*lead, *shape)} to "
                    f"{tuple(leaf.shape)}; a state keeps its shape"
                )
            if leaf.dtype != dtype:
                raise GradscopeError(
                    f"the step changes {name} from {dtype} to {leaf.dtype}; give the state in the "
                    "dtype that the step computes in"
                )


def _check(leaves: Sequence[object], names: Sequence[str], batched: bool) -> None:
    if not leaves:
        raise GradscopeError("the state holds no tensor")
    tensors = []
    for leaf, name in zip(leaves, names, strict=True):
        if not isinstance(leaf, Tensor):
            raise GradscopeError(f"{name} should be a tensor, got {type(leaf).__name__}")
        if not leaf.is_floating_point():
            raise GradscopeError(
                f"{name} is {leaf.dtype}, which has no gradient: leave it out of the state. A "
                "count of steps goes into inputs=, such as torch.arange(T); a complex tensor is "
                "two real ones, torch.view_as_real"
            )
        tensors.append(leaf)
    if len({leaf.device for leaf in tensors}) > 1:
        raise GradscopeError("all tensors of the state should be on one device")
    if not batched:
        return
    shapes = {name: tuple(leaf.shape) for leaf, name in zip(tensors, names, strict=True)}
    if any(not shape for shape in shapes.values()) or len({s[0] for s in shapes.values()}) > 1:
        raise GradscopeError(
            "every tensor of the state needs the same leading axis, the starts, got "
            f"{', '.join(f'{name} {shape}' for name, shape in shapes.items())}; one start has a "
            "leading axis of 1, or is given with batched=False"
        )
    if not len(tensors[0]):
        raise GradscopeError("the state holds no start: its leading axis is 0")


def _outline(state: object) -> str:
    """What a state is, in a few words."""
    if isinstance(state, Tensor):
        return f"a tensor {tuple(state.shape)}"
    if isinstance(state, dict):
        return f"a dict of {', '.join(map(repr, state))}"
    if isinstance(state, tuple | list):
        return f"a {type(state).__name__} of {len(state)}"
    return f"a {type(state).__name__}"
