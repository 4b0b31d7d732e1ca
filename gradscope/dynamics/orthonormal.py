"""QR decompositions that say which of their results stand above rounding.

A diagonal entry of R is the length of what a column adds to those before it. Where the columns are
linearly dependent it is zero in exact arithmetic, and in floating point whatever rounding leaves.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

#: rounding errors of a QR decomposition, in units of sqrt(rows) eps, rarely reach this
_FACTORISED = 64.0
#: those of the entries, in units of sqrt(rows) times their own eps, likewise
_GIVEN = 1.0
#: amplification of an error by nearly dependent columns that is possible at all, for a first look
_AMPLIFIED = 1e4
#: what stands for a diagonal entry that is zero, relative to the largest
_NOTHING = 1e-150


class QR(NamedTuple):
    """A = Q R, with what is known of the diagonal of R.

    Attributes:
        q: orthonormal columns.
        r: upper triangular.
        log_diagonal: ln |R_ii|, nats.
        known: whether |R_ii| stands above rounding; where not, no more is known than that.
    """

    q: Float[Tensor, "batch rows columns"]
    r: Float[Tensor, "batch columns columns"]
    log_diagonal: Float[Tensor, "batch columns"]
    known: Bool[Tensor, "batch columns"]


def orthonormalised(
    a: Float[Tensor, "batch rows columns"], dtype: torch.dtype = torch.float64
) -> QR:
    """The QR decomposition of matrices whose rows may differ in size by any factor.

    Rows are taken in descending order of size, so that the error of each is small against that row
    itself and not against the largest.

    Args:
        a: in float64, with at least as many rows as columns.
        dtype: in which the entries of ``a`` were computed, which says how far they are known.

    Reference: Cox and Higham (1998), Stability of Householder QR factorization for weighted least
    squares problems.
    """
    order = a.abs().amax(-1).argsort(-1, descending=True).unsqueeze(-1).expand_as(a)
    ordered, r = torch.linalg.qr(a.gather(-2, order))
    q = torch.empty_like(ordered).scatter_(-2, order, ordered)
    diagonal = r.diagonal(dim1=-2, dim2=-1).abs()
    return QR(q, r, diagonal.log(), _known(a, q, r, diagonal, dtype))


def _known(
    a: Tensor, q: Tensor, r: Tensor, diagonal: Tensor, dtype: torch.dtype
) -> Bool[Tensor, "batch columns"]:
    """Where |R_ii| exceeds its error |q_i^T E x_i|, with x_i = (-R_{<i}^{-1} r_i, 1).

    The error E of each entry of A is taken as random, of the size of its row times eps.
    """
    rows, columns = a.shape[-2:]
    of_row = torch.linalg.vector_norm(a, dim=-1) / math.sqrt(columns)
    sizes = torch.linalg.vector_norm(q * of_row.unsqueeze(-1), dim=-2)
    relative = _FACTORISED * torch.finfo(torch.float64).eps
    if dtype != torch.float64:
        relative = math.hypot(relative, _GIVEN * torch.finfo(dtype).eps)
    error = relative * math.sqrt(rows) * sizes
    known = diagonal > _AMPLIFIED * error
    doubtful = ~known.all(-1)
    if bool(doubtful.any()):
        r, diagonal = r[doubtful], diagonal[doubtful]
        floor = _NOTHING * diagonal.amax(-1, keepdim=True).clamp_min(_NOTHING)
        filled = r + torch.diag_embed(torch.where(diagonal < floor, floor, 0.0))
        eye = torch.eye(columns, dtype=r.dtype, device=r.device).expand_as(r)
        inverse = torch.linalg.solve_triangular(filled, eye, upper=True)
        amplified = torch.linalg.vector_norm(inverse, dim=-2) * torch.maximum(diagonal, floor)
        known[doubtful] = diagonal > error[doubtful] * amplified
    return known
