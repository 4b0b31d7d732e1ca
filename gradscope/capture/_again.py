"""What a recurrence that was run again gives, beside what it gave in the model."""

from __future__ import annotations

import torch
from torch import Tensor

from gradscope.capture._place import Place
from gradscope.errors import GradscopeError

#: how far outputs that are made again may depart from those that were given, over their size:
#: beyond the first it is noted, beyond the second refused
_NOTED, _REFUSED = 1e-3, 0.05


def departure_notes(
    again: Tensor, given: Tensor, *, changed: bool, place: Place, kind: str
) -> list[str]:
    """That an output, made again, is what it was, or nearly.

    Args:
        again: made again.
        given: as it was given, in the same shape.
        changed: whether it was changed in place since.
        place: where.
        kind: the module's class.

    Raises:
        GradscopeError: if it is not.
    """
    if changed:
        return [f"{place}: its output was changed in place, so that it could not be checked"]
    dtype = str(given.dtype).removeprefix("torch.")
    given = given.to(again.dtype)
    if not bool(given.sum().isfinite()):
        known = given.isfinite()
        given, again = given.where(known, 0), again.where(known, 0)
    size = max(_largest(given), 1e-12)
    departure = _largest(again - given) / size
    if not departure < _REFUSED:
        raise GradscopeError(
            f"'{place}', run again, departs from what it gave by {departure:.0%} of its size: this "
            f"version of {kind} computes something else than gradscope knows of"
        )
    if departure > _NOTED:
        return [
            f"{place}: run again in full precision it departs from what it gave, in {dtype}, by "
            f"{departure:.1e} of its size"
        ]
    return []


def _largest(x: Tensor) -> float:
    """The largest modulus; NaN where an entry is."""
    return float(torch.linalg.vector_norm(x, float("inf"))) if x.numel() else 0.0
