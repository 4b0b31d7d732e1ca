"""Influence: how far back what a model puts out depends on what it read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from gradscope.dynamics import DecayFit, InfluenceProfile, MemoryHorizon, Reach
from gradscope.errors import GradscopeError
from gradscope.influencing import _words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Influence:
    """How far back in a sequence what a model puts out depends on what it read.

        found = gradscope.influence(model, tokens)
        found.temporal_range, found.effective_context, found.decay
        found.plot()

    Attributes:
        of: what it is of, in words, such as "the output of GPT2LMHeadModel".
        profile: the numbers, and what follows from them.
        by_position: ln of the root mean square norm over examples and cotangents, nats: a row for
            each output asked for, by its place s in the longest sequence, a column for each lag;
            NaN where there is no such lag.
        estimator: how the norms were found, in words.
        notes: what was not certain, or not measured.
        layers: the same of each layer's output; None where none was asked for.
    """

    of: str
    profile: InfluenceProfile
    by_position: pd.DataFrame
    estimator: str
    notes: tuple[str, ...] = ()
    layers: Influences | None = None

    # --- the numbers ------------------------------------------------------------------------------

    @property
    def lags(self) -> Int[np.ndarray, " lag"]:
        """s - t, steps, ascending; negative lags are of inputs after the output."""
        return self.profile.lags

    @property
    def log_norms(self) -> Float[np.ndarray, " lag"]:
        """ln of the root mean square of ||d out_s / d x_t|| at each lag, nats."""
        return self.profile.log_norms

    @property
    def standard_errors(self) -> Float[np.ndarray, " lag"]:
        """Of ``log_norms``, nats."""
        return self.profile.standard_errors

    @property
    def temporal_range(self) -> Reach:
        """The mean lag, each weighted by its norm: see ``gradscope.temporal_range``."""
        return self.profile.temporal_range

    @property
    def effective_context(self) -> Reach:
        """The lag within which 90% of the influence lies: see ``gradscope.effective_context``."""
        return self.profile.effective_context

    @property
    def horizon(self) -> MemoryHorizon | None:
        """The lag at which the norm has fallen by e from that of lag 0."""
        return self.profile.horizon

    @property
    def decay(self) -> DecayFit | None:
        """The law of decay that explains the norms best, from lag 1 on; None where none falls."""
        return self.profile.decay

    def with_layers(self, layers: Influences | None, notes: Sequence[str] = ()) -> Influence:
        """The same with those of layers, and more notes."""
        return replace(self, layers=layers, notes=(*self.notes, *notes))

    # --- shown ------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return _words.text(self.of, self.profile, self.estimator, self.notes)

    def _repr_html_(self) -> str:
        from gradscope.influencing._html import influence_html  # here, as it draws

        return influence_html(self.of, self.profile, self.estimator, self.notes)

    def to_frame(self) -> pd.DataFrame:
        """A row for each lag.

        Columns: lag (steps), log_norm, standard_error and log_median (nats), outputs (how many, of
        all examples together, have an input at that lag), and share (of the sum of norms over lags
        from 0 on that all of them have, how much lies within this one; NaN at other lags).
        """
        profile = self.profile
        return pd.DataFrame(
            {
                "lag": profile.lags,
                "log_norm": profile.log_norms,
                "standard_error": profile.standard_errors,
                "log_median": profile.log_medians,
                "outputs": profile.counts,
                "share": profile.shares,
            }
        )

    def plot(self) -> Figure:
        """The norm by lag, twice: a straight line is an exponential law, or a power law.

        Raises:
            NothingToDrawError: where all of it is exactly zero.
        """
        from gradscope.influencing._figure import drawn  # here, as it takes a second to import

        return drawn({"": self.profile})

    def compare(self, *others: Influence, names: Sequence[str] = ()) -> Influences:
        """This one beside others, as before and after a training.

            before.compare(after, names=["before", "after"]).plot()

        Args:
            others: influences of other models, or of the same one at other times.
            names: of all of them, this one's first; none are numbers.

        Raises:
            GradscopeError: unless there is a name of its own for each.
        """
        return Influences.named([self, *others], names)


@dataclass(frozen=True, eq=False, repr=False)
class Influences:
    """Several influences, by name, in one table and one figure.

        before.compare(after, names=["before", "after"])
        gradscope.influence(model, tokens, layers=True).layers

    Attributes:
        members: each by its name.
    """

    members: Mapping[str, Influence]

    @classmethod
    def named(cls, members: Sequence[Influence], names: Sequence[str] = ()) -> Influences:
        """Each with a name, or a number from 1 on.

        Raises:
            GradscopeError: unless there is a name of its own for each.
        """
        chosen = list(names) or [str(number) for number, _ in enumerate(members, 1)]
        if len(chosen) != len(members) or len(set(chosen)) != len(chosen):
            raise GradscopeError(
                f"names={list(names)}: should be {len(members)} different names, one for each "
                "influence, the first one's first"
            )
        return cls(dict(zip(chosen, members, strict=True)))

    @property
    def _profiles(self) -> dict[str, InfluenceProfile]:
        return {name: one.profile for name, one in self.members.items()}

    def __getitem__(self, name: str) -> Influence:
        """One of them."""
        return self.members[name]

    def __len__(self) -> int:
        return len(self.members)

    def summary(self) -> pd.DataFrame:
        """A row for each.

        Columns: name; temporal_range and effective_context (steps) with the ends of their 95%
        intervals (``_low``, ``_high``) and whether they are lower bounds (``_censored``); law, its
        Akaike weight, and its exponent alpha (power) or tau (steps, exponential); log_norm_0 and
        log_norm_1, of lags 0 and 1, nats; longest, the longest lag.
        """
        return pd.DataFrame([_row(name, one) for name, one in self.members.items()])

    def formatted(self) -> pd.DataFrame:
        """The summary as words in print."""
        rows = [
            {
                "name": name,
                "temporal range": str(one.temporal_range),
                "effective context": str(one.effective_context),
                "decay": _words.decay(one.profile),
            }
            for name, one in self.members.items()
        ]
        return pd.DataFrame(rows)

    def to_frame(self) -> pd.DataFrame:
        """``Influence.to_frame`` of each, with a column ``name`` before."""
        frames = [one.to_frame().assign(name=name) for name, one in self.members.items()]
        frame = pd.concat(frames, ignore_index=True)
        return frame[["name", *(column for column in frame.columns if column != "name")]]

    def plot(self) -> Figure:
        """All of them in one figure.

        Raises:
            NothingToDrawError: where all of them are exactly zero.
        """
        from gradscope.influencing._figure import drawn  # here, as it takes a second to import

        return drawn(self._profiles)

    def __repr__(self) -> str:
        width = max((len(name) for name in self.members), default=0)
        return "\n".join(
            f"{row['name']:<{width}}  temporal range {row['temporal range']}; effective context "
            f"{row['effective context']}; {row['decay']}"
            for row in self.formatted().to_dict("records")
        )

    def _repr_html_(self) -> str:
        from gradscope.influencing._html import influences_html  # here, as it draws

        return influences_html(self.formatted(), self._profiles)


def _row(name: str, one: Influence) -> dict[str, object]:
    row: dict[str, object] = {"name": name}
    for measure in ("temporal_range", "effective_context"):
        reach = one.temporal_range if measure == "temporal_range" else one.effective_context
        low, high = reach.interval
        row |= {
            measure: reach.lag,
            f"{measure}_low": low,
            f"{measure}_high": high,
            f"{measure}_censored": reach.censored,
        }
    fit, weights = one.decay, one.profile.law_weights
    at = dict(zip(one.lags.tolist(), one.log_norms.tolist(), strict=True))
    return row | {
        "law": "none" if fit is None else fit.law,
        "weight": float("nan") if fit is None else weights[fit.law],
        "alpha": float("nan") if fit is None else fit.parameters.get("alpha", float("nan")),
        "tau": float("nan") if fit is None else fit.parameters.get("tau", float("nan")),
        "log_norm_0": at.get(0, float("nan")),
        "log_norm_1": at.get(1, float("nan")),
        "longest": one.profile.longest,
    }
