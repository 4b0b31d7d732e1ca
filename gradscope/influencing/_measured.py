"""Influences of a model that has run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics import InfluenceProfile
from gradscope.errors import GradscopeError
from gradscope.influencing._asked import Asked
from gradscope.influencing._influence import Influence, Influences
from gradscope.influencing._view import View
from gradscope.influencing._vjps import Norms, log_norms


def measured(
    view: View, value: Float[Tensor, "batch time output"], of: str, asked: Asked
) -> Influence:
    """The influence on what is asked of a model's outputs, or of a layer's.

    Args:
        view: the outputs' axes, and which of them are asked.
        value: the outputs.
        of: what they are, in words.
        asked: by which cotangents.
    """
    count = asked.number(value.shape[-1])
    norms = log_norms(value, view.leaf, view.places, count, asked.seed)
    of_profile = _comparable(view, asked)
    profile = InfluenceProfile.of(norms.lags, norms.log_norms[of_profile])
    return Influence(
        of=of,
        profile=profile,
        by_position=_by_position(view, norms),
        estimator=_estimator(norms, of_profile, count, value.shape[-1]),
        notes=(*view.notes, *_notes(norms, profile)),
    )


def by_layer(view: View, hidden: Mapping[str, Tensor], asked: Asked) -> Influences | None:
    """The influence on each layer's output, of those with a vector for each position."""
    if not hidden:
        return None
    members = {
        name: measured(view, value, f"the output of '{name}'", asked)
        for name, one in hidden.items()
        if (value := view.of_layer(one)) is not None
    }
    if not members:
        raise GradscopeError(
            f"no layer of {', '.join(hidden)} gives a vector for each position of the input"
        )
    return Influences(members)


def _comparable(view: View, asked: Asked) -> slice:
    """The outputs that a profile is of: of all of a sequence those in its last quarter.

    Only lags that all of them have can be compared.
    """
    count = len(view.places.outputs)
    if asked.positions != "all":
        return slice(None)
    low, high = (count // 4, 3 * count // 4 + 1) if view.places.future else (3 * count // 4, count)
    return slice(low, high)


def _by_position(view: View, norms: Norms) -> pd.DataFrame:
    """ln of the root mean square over examples and cotangents, by output and lag."""
    places = view.places
    order = places.order.gather(1, places.outputs.T.clamp(min=0)).T  # position, batch
    there = places.outputs >= 0
    index = order.where(there, -1).amax(1).tolist()
    squares = np.moveaxis(norms.log_norms, 3, 1).reshape(len(index), len(norms.lags), -1)
    known = ~np.isnan(squares)
    largest = np.where(known, squares, -np.inf).max(-1, keepdims=True)
    scale = np.where(np.isfinite(largest), largest, 0.0)
    total = np.where(known, np.exp(2 * (squares - scale)), 0.0).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(total / known.sum(-1)) / 2 + scale[..., 0]
    return pd.DataFrame(
        values, index=pd.Index(index, name="s"), columns=pd.Index(norms.lags, name="lag")
    )


def _estimator(norms: Norms, of_profile: slice, count: int | None, size: int) -> str:
    positions, _, examples, _ = norms.log_norms[of_profile].shape
    outputs = f"{positions} output{'s' * (positions != 1)} of each of {examples} "
    outputs += f"example{'s' * (examples != 1)}"
    if count is None:
        return f"exact for {outputs}, in eval mode"
    return (
        f"estimated for {outputs}, of {size} numbers each, by {count} random "
        f"cotangent{'s' * (count != 1)} (signs), in eval mode"
    )


def _notes(norms: Norms, profile: InfluenceProfile) -> list[str]:
    notes = []
    if not np.isfinite(profile.log_norms).any():
        notes.append(
            "the output does not depend on the inputs at all: they are detached on their way"
        )
    elif profile.past_is_zero:
        notes.append(
            "no input before an output has any influence on it: the model keeps no memory, or its "
            "state is detached at each step"
        )
    if norms.too_small:
        notes.append(
            f"beyond lag {profile.longest} some influence is too small for its dtype, so that "
            "measures are of the lags up to there; model.double() and float64 inputs see further"
        )
    elif profile.lags[0] == 0 and profile.longest < norms.lags[-1] // 2:
        notes.append(
            f"measures are of lags up to {profile.longest}, which all outputs have: some are near "
            "the beginning of their sequence"
        )
    return notes
