"""What autograd's graph says of the way from one call of a module to its next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from gradscope.capture._watch import Mark, Received, marks

#: how often a map's rounding, relative to its terms, may be taken for the map itself
_ROUNDING = 64
#: numbers in the gradients that are taken at once
_AT_ONCE = 2**24
#: numbers of a call's matrices that are kept: of more, the first samples'
_KEPT = 2**20
#: numbers of an input whose dependence on the state is taken
MOST_INPUTS = 1024
#: a tensor of a call as (batch, size), and back
Rows = Callable[[Tensor], Tensor]


class Ancestry:
    """Finds out from which call's results a tensor was made.

    A node of the graph is looked at once, however many tensors are made of it.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], int] = {}
        self._very: dict[tuple[Mark, ...], int] = {}
        self._latest: dict[int, int] = {}
        self._kept: list[Node] = []  # so that their identities stay unique

    def made(self, tensors: Sequence[Tensor], call: int) -> list[GradientEdge | None]:
        """Take note of what a call made; its places in the graph, None without a gradient.

        The tensors are to be kept as long as this is, so that their identities stay unique.
        """
        edges = [get_gradient_edge(t) if t.requires_grad else None for t in tensors]
        for edge in edges:
            if edge is not None:
                self._made[id(edge.node), edge.output_nr] = call
                self._kept.append(edge.node)
        return edges

    def known(self, tensors: Sequence[Tensor], call: int) -> None:
        """Take note of the tensors that are a call's whole state."""
        self._very[marks(tensors)] = call

    def origin(self, state: Sequence[Tensor]) -> tuple[int, bool]:
        """The call that a state comes from, -1 if none, and whether it is the very one it made."""
        very = self._very.get(marks(state))
        return (self.latest(state), False) if very is None else (very, True)

    def latest(self, tensors: Sequence[Tensor]) -> int:
        """The latest call from whose results one of these was made; -1 where there is none."""
        edges = [get_gradient_edge(t) for t in tensors if t.grad_fn is not None]
        return max((self._of(edge.node, edge.output_nr) for edge in edges), default=-1)

    def _of(self, node: Node, output: int) -> int:
        known = self._made.get((id(node), output))
        if known is not None:
            return known
        waiting = [node]
        while waiting:
            here, best, pending = waiting[-1], -1, []
            if id(here) in self._latest:
                waiting.pop()
                continue
            for below, place in here.next_functions:
                if below is None:
                    continue
                found = self._made.get((id(below), place), self._latest.get(id(below)))
                if found is None:
                    pending.append(below)
                else:
                    best = max(best, found)
            if pending:
                waiting += pending
                continue
            self._latest[id(here)] = best
            self._kept.append(here)
            waiting.pop()
        return self._latest[id(node)]


def reached(edge: GradientEdge, places: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Which places of the graph, as (node's identity, output), a tensor was made of.

    What these were made of is not looked at.
    """
    found: set[tuple[int, int]] = set()
    waiting: list[tuple[Node | None, int]] = [(edge.node, edge.output_nr)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        node, output = waiting.pop()
        if node is None or (id(node), output) in seen:
            continue
        seen.add((id(node), output))
        if (id(node), output) in places:
            found.add((id(node), output))
            continue
        waiting += node.next_functions
    return found


@dataclass(frozen=True)
class Way:
    """The derivative of what came into a call by what an earlier one had made.

    Attributes:
        state: d(state that came)/d(state that was made): ``(batch, state)`` where each number
            depends on its like alone, as under a mask, else ``(batch, state, state)``; None where
            it is the very same state.
        by_input: d(input)/d(state that was made), ``(batch, input, state)``; None where the input
            does not depend on it, or where that is too large to be taken.
        mixed: whether the samples of a batch meet on the way.
        unread: whether ``by_input`` is None for its size.
    """

    state: Tensor | None = None
    by_input: Tensor | None = None
    mixed: bool = False
    unread: bool = False


class Origin(NamedTuple):
    """Where the state that came into a call is from.

    Attributes:
        previous: the call that made it, or of whose results it was made; -1 if there is none.
        way: from what that call made; None where it cannot be taken.
        problem: why it cannot; "" if it can.
    """

    previous: int = -1
    way: Way | None = None
    problem: str = ""

    @classmethod
    def by(cls, previous: int, take: Callable[[], Way | None]) -> Origin:
        """With the way that ``take`` gives, or why it gives none."""
        try:
            way = take()
        except RuntimeError as error:
            problem = f"what lies between two calls cannot be followed ({error})"
            return cls(previous, problem=problem)
        return cls(
            previous, way, "" if way else "the batch was another one than at the call before"
        )


class Made(NamedTuple):
    """A tensor that a call made, its place in the graph, and how it is laid out as rows."""

    edge: GradientEdge | None
    tensor: Tensor
    rows: Rows


class Laid(NamedTuple):
    """Tensors, and how each is laid out as (batch, size)."""

    tensors: Sequence[Tensor]
    rows: Rows


class Pullback:
    """Takes gradients from some tensors to those that an earlier call made, as often as wanted.

    The graph stays as it is.

    Args:
        laid: from where.
        made: to where.
        merged: rows of what was made as one state.
    """

    def __init__(self, laid: Laid, made: Sequence[Made], merged: Callable[[list[Tensor]], Tensor]):
        self.tensors, self.rows = laid
        self.made, self.merged = made, merged
        self.batch = len(made[0].rows(made[0].tensor.detach()))
        self.like = torch.cat([self.rows(tensor.detach()) for tensor in self.tensors], dim=-1)
        self.orders = [_order(tensor, self.rows) for tensor in self.tensors]

    def take(self, vector: Tensor, *, batched: bool = False) -> Tensor:
        """v^T d(tensors)/d(made), rows of both; with ``batched`` for each of many v at once."""
        sizes = [self.rows(tensor.detach()).shape[-1] for tensor in self.tensors]
        parts = vector.split(sizes, dim=-1)
        there = [
            (tensor, _laid_back(part, tensor, order))
            for tensor, part, order in zip(self.tensors, parts, self.orders, strict=True)
            if tensor.requires_grad
        ]
        wanted = [made.edge for made in self.made if made.edge is not None]
        found = iter(
            torch.autograd.grad(
                [tensor for tensor, _ in there],
                wanted,
                [part for _, part in there],
                retain_graph=True,
                allow_unused=True,
                is_grads_batched=batched,
            )
        )
        lead, rows = vector.shape[: vector.dim() - 2], []
        for edge, tensor, as_rows in self.made:
            gradient = None if edge is None else next(found)
            like = as_rows(tensor.detach())
            if gradient is None:
                rows.append(like.new_zeros(*lead, *like.shape))
            elif batched:
                rows.append(torch.stack([as_rows(one) for one in gradient]))
            else:
                rows.append(as_rows(gradient))
        return self.merged(rows)

    def diagonal(self) -> Tensor | None:
        """The derivative where each number depends on its like alone; None where it does not."""
        ones = self.take(torch.ones_like(self.like))
        if ones.shape != self.like.shape:
            return None
        probe = _signs(self.like)
        probe[1::2] = 0  # a gradient of these samples would have come from others
        taken, expected = self.take(probe), ones * probe
        size = torch.finfo(ones.dtype).eps * _ROUNDING * (ones.abs().max() + taken.abs().max())
        return ones if bool(((taken - expected).abs() <= size).all()) else None

    def matrix(self) -> tuple[Tensor, bool]:
        """The derivative of each sample, axes (batch, out, in), and whether samples meet."""
        size, batch = self.like.shape[-1], len(self.like)
        units = torch.eye(size, dtype=self.like.dtype, device=self.like.device)
        rows = max(1, _AT_ONCE // max(1, batch * size))
        parts = [self._many(chunk[:, None].expand(-1, batch, -1)) for chunk in units.split(rows)]
        matrix = torch.cat(parts).movedim(0, 1)
        kept = max(1, _KEPT // matrix[0].numel())
        probe = _signs(self.like)
        probe[1::2] = 0
        taken = self.take(probe)
        expected = torch.einsum("bo,boi->bi", probe, matrix)
        allowed = 1e-3 * (expected.abs().max() + taken.abs().max())
        mixed = not bool(((taken - expected).abs() <= allowed).all())
        return matrix[:kept].clone(), mixed

    def _many(self, vectors: Tensor) -> Tensor:
        try:
            return self.take(vectors, batched=True)
        except RuntimeError:  # an operation that cannot be batched
            return torch.stack([self.take(vector) for vector in vectors])


def way_between(
    came: Laid,
    x: Laid | None,
    made: Sequence[Made],
    merged: Callable[[list[Tensor]], Tensor] = lambda rows: torch.cat(rows, dim=-1),
) -> Way | None:
    """The way from what one call made to what came into a later one.

    Args:
        came: the state that came in; no tensors where it is the very one that was made.
        x: the input, where that depends on what was made.
        made: what was made.
        merged: rows of what was made as one state; side by side by default.

    Returns:
        None where the batch is another one.

    Raises:
        RuntimeError: where autograd cannot follow it.
    """
    with Received.unheard(), torch.enable_grad():
        state, mixed = None, False
        if came.tensors:
            pull = Pullback(came, made, merged)
            if len(pull.like) != pull.batch:
                return None
            state = pull.diagonal()
            if state is None:
                state, mixed = pull.matrix()
        if x is None:
            return Way(state, mixed=mixed)
        pull = Pullback(x, made, merged)
        if len(pull.like) != pull.batch or pull.like.shape[-1] > MOST_INPUTS:
            return Way(state, mixed=mixed, unread=True)
        by_input, input_mixed = pull.matrix()
        return Way(state, by_input, mixed or input_mixed)


def _order(tensor: Tensor, rows: Rows) -> Tensor | None:
    """Where each number of a tensor lies in its rows; None where rows keep the order."""
    places = torch.arange(tensor.numel(), device=tensor.device)
    laid = rows(places.view(tensor.shape)).flatten()
    return None if torch.equal(laid, places) else laid.argsort()


def _laid_back(part: Tensor, tensor: Tensor, order: Tensor | None) -> Tensor:
    """Rows, or many of them, in the layout of a tensor: the inverse of ``rows``."""
    lead = part.shape[: part.dim() - 2]
    flat = part.reshape(*lead, -1)
    flat = flat if order is None else flat[..., order]
    return flat.reshape(*lead, *tensor.shape).contiguous()


def _signs(like: Tensor) -> Tensor:
    """Random numbers of either sign, from a generator of their own."""
    generator = torch.Generator().manual_seed(len(like))
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)
