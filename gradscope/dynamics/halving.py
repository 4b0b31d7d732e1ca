"""Norms of J_{t:k} for all pairs of many points, without forming most of the products.

For m between k and t, J_{t:k} = X_t Y_k with X_t = J_{t:m} and Y_k = J_{m:k}. The points are
therefore halved again and again: for all t of the right half and all k of the left half, n products
X and Y serve n^2 / 4 pairs. All pairs of n points take about n log2 n products that way, and
n^2 / 2 one by one. The norm of a pair is then

- Frobenius: an inner product of two Gram matrices, ||X_t Y_k||^2 = <X_t^T X_t, Y_k Y_k^T>, in
  float64;
- spectral: the top singular value of v -> X_t (Y_k v), by Golub-Kahan-Lanczos on all pairs at once.

Where cancellation in the inner product would cost digits, or where Lanczos has not converged, the
product of that pair is formed after all. Every X, Y and product carries a log scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.jacobians import Norm, Take, check_pairs, log_norm
from gradscope.dynamics.krylov import log_top_singular_value
from gradscope.dynamics.products import product_of
from gradscope.dynamics.scaled import Scaled, rescaled

#: points of a block whose products are all formed, by norm
_DIRECT: dict[Norm, int] = {"frobenius": 8, "spectral": 16}
#: ||X||_F^2 ||Y||_F^2 / ||X Y||_F^2 up to which the inner product of Gram matrices is trusted
_CANCELLATION = {torch.float32: 1e6, torch.float64: 1e3}
#: bytes of products that stay in a processor's caches
_CACHED = 8 * 2**20


class Points(NamedTuple):
    """The distinct steps that occur in the pairs, and what it costs to reach the pairs.

    Attributes:
        at: the steps, ascending.
        wanted: [i, j] is whether the pair of steps i and j is wanted, ``(points, points)``.
        sweep_cost: matrix products that visiting the pairs one by one takes.
        halving_cost: matrix products that halving takes.
    """

    at: list[int]
    wanted: Tensor
    sweep_cost: int
    halving_cost: int

    @classmethod
    def all(cls, time: int) -> Points:
        """The points of every pair with k <= t."""
        return cls(
            list(range(time + 1)), torch.ones(time + 1, time + 1, dtype=torch.bool).tril(), 0, 0
        )

    @classmethod
    def of(cls, pairs: Sequence[tuple[int, int]], time: int) -> Points:
        """The points of the pairs given.

        Raises:
            GradscopeError: unless 0 <= k <= t <= time for every pair.
        """
        check_pairs(pairs, time)
        at = sorted({step for pair in pairs for step in pair})
        places = {step: i for i, step in enumerate(at)}
        index = torch.tensor([(places[t], places[k]) for t, k in pairs])
        wanted = torch.zeros(len(at), len(at), dtype=torch.bool)
        wanted[index[:, 0], index[:, 1]] = True
        reach = torch.zeros(len(at), dtype=torch.long).scatter_reduce(
            0, index[:, 0], index[:, 0] - index[:, 1], "amax"
        )
        return cls(at, wanted, int(reach.sum()), 4 * len(at) * max(1, len(at).bit_length() - 3))


class Halving:
    """Fills a table of log norms over the points, ``(points, points, batch)``.

    Pairs within a block of neighbouring points are formed directly, all others by halving.
    """

    def __init__(
        self, jacobians: Tensor, points: Points, norm: Norm, part: Take | None, budget: int
    ):
        self.norm: Norm = norm
        self.jacobians, self.part, self.budget = jacobians, part, budget
        self.points, self.count = points.at, len(points.at)
        self.batch, self.size = jacobians.shape[1], jacobians.shape[-1]
        self.wanted = points.wanted.to(jacobians.device)
        self.table = torch.full(
            (self.count, self.count, self.batch),
            torch.nan,
            dtype=torch.float64,
            device=jacobians.device,
        )
        self.segments = self._between()

    def _between(self) -> Scaled:
        """The products from each point to the next, ``(points - 1, batch, state, state)``."""
        first, last = self.points[0], self.points[-1]
        if last - first == self.count - 1:
            steps = self.jacobians[first:last]
            sizes = torch.linalg.vector_norm(steps, ord=torch.inf, dim=(-2, -1))
            if bool(((sizes > 0.1) & (sizes < 10)).all()):  # of order 1, so they need no scale
                return Scaled(
                    steps, torch.zeros(steps.shape[:2], dtype=torch.float64, device=steps.device)
                )
            return Scaled.of(steps)
        pieces = [
            product_of(self.jacobians, t, k)
            for k, t in zip(self.points, self.points[1:], strict=False)
        ]
        return Scaled(
            torch.stack([piece.mantissa for piece in pieces]),
            torch.stack([piece.log_scale for piece in pieces]),
        )

    def run(self) -> Float[Tensor, "points points batch"]:
        """The table: entry [i, j] belongs to the points i >= j."""
        identity = torch.eye(self.size, dtype=self.jacobians.dtype, device=self.jacobians.device)
        empty = Scaled(identity[None], torch.zeros(1, dtype=torch.float64, device=identity.device))
        self.table.diagonal(dim1=0, dim2=1).fill_(float(log_norm(empty, self.norm, self.part)))
        direct = _DIRECT[self.norm]
        self._blocks(range(0, self.count, direct), direct)
        half = direct
        while half < self.count:
            self._rectangles(range(0, self.count - half, 2 * half), half)
            half *= 2
        return self.table

    def _blocks(self, starts: range, length: int) -> None:
        """All pairs within blocks of neighbouring points.

        The products of every lag are made from those of the lag before, for many blocks at once.
        """
        room = self._room(length * self.batch * self.size**2)
        for first in range(0, len(starts), room):
            start, stop = starts[first], min(starts[first] + room * length, self.count)
            segments = self.segments[slice(start, stop - 1)]
            products = segments
            for lag in range(1, min(length, stop - start)):
                if lag > 1:
                    products = rescaled(
                        products.mantissa[1:] @ segments.mantissa[: 1 - lag],
                        products.log_scale[1:] + segments.log_scale[: 1 - lag],
                    )
                later = torch.arange(start + lag, stop, device=self.table.device)
                inside = later % length >= lag  # both ends in one block
                t, k = later[inside], later[inside] - lag
                if bool(self.wanted[t, k].any()):
                    chosen = Scaled(products.mantissa[inside], products.log_scale[inside])
                    self.table[t, k] = log_norm(chosen, self.norm, self.part)

    def _room(self, elements: int) -> int:
        """How many parts of so many elements fit the memory to be used at one time."""
        budget = self.budget if self.jacobians.is_cuda else min(self.budget, _CACHED)
        return max(1, budget // (elements * (self.jacobians.element_size() + 16)))

    # --- rectangles: t in middle .. stop - 1, k in start .. middle - 1, with middle = start + half

    def _rectangles(self, starts: range, half: int) -> None:
        """All rectangles of one size, as many at a time as fit; the last one may be cut short."""
        complete = [start for start in starts if start + 2 * half <= self.count]
        room = self._room(2 * half * self.batch * self.size**2)
        for first in range(0, len(complete), room):
            self._rectangle(torch.tensor(complete[first : first + room]), half, half)
        for start in starts[len(complete) :]:
            self._rectangle(torch.tensor([start]), half, self.count - start - half)

    def _rectangle(self, starts: Tensor, half: int, later_half: int) -> None:
        """The rectangles that begin at these points, side by side, tile by tile."""
        starts = starts.to(self.table.device)
        rows, columns = (
            starts[:, None] + half + torch.arange(later_half).to(starts),
            starts[:, None] + torch.arange(half).to(starts),
        )
        wanted = self.wanted[rows[:, :, None], columns[:, None, :]].permute(
            1, 2, 0
        )  # (ts, ks, rectangles)
        if not bool(wanted.any()):
            return
        elements = 2 * len(starts) * self.batch * self.size**2
        tile = max(1, self.budget // (elements * (self.jacobians.element_size() + 16)))
        for ts, later in self._later(starts + half, later_half, tile):
            for ks, earlier in self._earlier(starts, half, tile):
                log_norms = self._pairs(
                    later, earlier, wanted[ts, ks].repeat_interleave(self.batch, dim=-1)
                )
                places = rows[:, ts].T[:, None], columns[:, ks].T[None]
                self.table[places] = log_norms.unflatten(-1, (len(starts), self.batch))

    def _segment(self, at: Tensor) -> Scaled:
        """The products from these points to the next, ``(rectangles * batch, state, state)``."""
        return Scaled(
            self.segments.mantissa[at].flatten(0, 1), self.segments.log_scale[at].flatten(0, 1)
        )

    def _later(self, middles: Tensor, length: int, tile: int) -> Iterator[tuple[slice, Scaled]]:
        """X_t = J_{t:middle} for t = middle, middle + 1, ..."""
        many = len(middles) * self.batch
        last: Scaled | None = None
        for first in range(0, length, tile):
            steps = range(first, min(first + tile, length))
            chain = _Chain(self.jacobians, len(steps), many)
            for i in steps:
                if last is None:
                    last = chain.identity()
                else:
                    last = chain.put(self._segment(middles + i - 1), last)
            yield slice(first, first + len(steps)), chain.all()

    def _earlier(self, starts: Tensor, length: int, tile: int) -> Iterator[tuple[slice, Scaled]]:
        """Y_k = J_{middle:k}, from the latest k to the earliest; handed out in ascending order."""
        many = len(starts) * self.batch
        last: Scaled | None = None
        for stop in range(length, 0, -tile):
            steps = range(stop - 1, max(0, stop - tile) - 1, -1)
            chain = _Chain(self.jacobians, len(steps), many, backwards=True)
            for i in steps:
                segment = self._segment(starts + i)
                last = chain.copy(segment) if last is None else chain.put(last, segment)
            yield slice(stop - len(steps), stop), chain.all()

    def _pairs(
        self, later: Scaled, earlier: Scaled, wanted: Tensor
    ) -> Float[Tensor, "ts ks batch"]:
        """ln ||X_t Y_k|| of all t and k of a tile; those not wanted may be inexact."""
        x, y = later.mantissa, earlier.mantissa
        if self.part is not None:
            x, y = self.part(x.mT).mT, self.part(y)
        implicit = _by_gram if self.norm == "frobenius" else log_top_singular_value
        log_norms, sure = implicit(x, y)
        rest = (~sure & wanted).nonzero()
        room = max(1, min(4096, self.budget // (2 * self.size**2 * (x.element_size() + 16))))
        for places in rest.split(room):
            t, k, b = places.unbind(1)
            log_norms[t, k, b] = log_norm(Scaled.of(x[t, b] @ y[k, b]), self.norm)
        return log_norms + later.log_scale[:, None] + earlier.log_scale[None]


class _Chain:
    """Successive products in one buffer, ``(steps, batch, state, state)``, kept in safe range."""

    def __init__(self, like: Tensor, steps: int, many: int, *, backwards: bool = False):
        self.mantissa = like.new_empty(steps, many, *like.shape[2:])
        self.log_scale = like.new_empty(steps, many, dtype=torch.float64)
        self.order = iter(range(steps - 1, -1, -1) if backwards else range(steps))

    def put(self, left: Scaled, right: Scaled) -> Scaled:
        """Append the product left @ right."""
        place = next(self.order)
        torch.bmm(left.mantissa, right.mantissa, out=self.mantissa[place])
        self.log_scale[place] = left.log_scale + right.log_scale
        return rescaled(self.mantissa[place], self.log_scale[place])

    def copy(self, product: Scaled) -> Scaled:
        """Append a product that has been made elsewhere."""
        place = next(self.order)
        self.mantissa[place], self.log_scale[place] = product.mantissa, product.log_scale
        return rescaled(self.mantissa[place], self.log_scale[place])

    def identity(self) -> Scaled:
        """Append the empty product."""
        like = self.mantissa
        eye = torch.eye(like.shape[-1], dtype=like.dtype, device=like.device).expand(like.shape[1:])
        return self.copy(Scaled(eye, torch.zeros_like(self.log_scale[0])))

    def all(self) -> Scaled:
        """All products appended, in order of time."""
        return Scaled(self.mantissa, self.log_scale)


def _by_gram(
    x: Float[Tensor, "ts batch rows inner"], y: Float[Tensor, "ks batch inner columns"]
) -> tuple[Tensor, Tensor]:
    """ln ||X_t Y_k||_F by inner products of Gram matrices, and where that has kept the digits.

    Both ``(ts, ks, batch)``.
    """
    limit = _CANCELLATION.get(x.dtype, 1e3)
    left, right = _grams(x.mT), _grams(y)
    squares = torch.bmm(left.flatten(2).transpose(0, 1), right.flatten(2).permute(1, 2, 0)).permute(
        1, 2, 0
    )
    traces = (
        left.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None]
        * right.diagonal(dim1=-2, dim2=-1).sum(-1)[None]
    )
    return 0.5 * squares.clamp_min(0).log(), (squares * limit > traces) | (traces == 0)


def _grams(y: Float[Tensor, "steps batch rows columns"]) -> Float[Tensor, "steps batch rows rows"]:
    """Y Y^T in float64, a step at a time so that the converted matrices stay in the cache."""
    grams = y.new_empty(*y.shape[:2], y.shape[-2], y.shape[-2], dtype=torch.float64)
    for matrices, gram in zip(y, grams, strict=True):
        converted = matrices.double()
        torch.bmm(converted, converted.mT, out=gram)
    return grams
