"""GradientHorizon: what gradients through an unroll are worth, horizon by horizon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from gradscope.dynamics import LyapunovSpectrum, MemoryHorizon, memory_horizon
from gradscope.errors import UnusableSeriesError
from gradscope.results import statistics
from gradscope.results.statistics import Estimate
from gradscope.unrolls._trust import Truncation, chosen_truncation, shares, trusted
from gradscope.unrolls._words import (
    Said,
    as_text,
    of_exponent,
    of_memory,
    of_noise,
    of_norms,
    of_signs,
    of_trusted,
)


@dataclass(frozen=True, eq=False)
class Signs:
    """How often the gradient's sign is that of central differences along random directions.

    Attributes:
        radius: r of (l(x + r u) - l(x - r u)) / 2 r, with a unit vector u: an absolute length.
        agreed: how many directions agree, at each horizon and start.
        known: how many directions have a sign: a difference beyond rounding.
        error: the largest difference of the two slopes over the directions, over the gradient's
            norm; NaN where none is known.
    """

    radius: float
    agreed: Float[np.ndarray, "horizon batch"]
    known: Float[np.ndarray, "horizon batch"]
    error: Float[np.ndarray, "horizon batch"]

    @cached_property
    def shares(self) -> list[Estimate]:
        """The share that agrees at each horizon, with its 95% interval by Clopper and Pearson."""
        return shares(self.agreed, self.known)


@dataclass(frozen=True, eq=False)
class GradientHorizon:
    """What the gradient of a loss after T steps is worth, for every T, as ``horizon`` found it.

    ``print`` says it in words, a notebook with a figure; ``to_frame()`` has the numbers.

    Attributes:
        horizons: the T at which the gradient was taken, steps, ascending.
        log_norms: ln of the gradient's norm, ``(horizon, batch)``, nats: whatever its size; -inf
            where it is exactly zero.
        losses: the loss, ``(horizon, batch)``.
        log_variance: ln of the variance of the gradient over starts, E |g - E g|^2, nats, at each
            horizon; NaN of one start.
        signal_to_noise: |E g| over the root of that variance, at each horizon.
        signs: agreement of sign with differences over a stretch as long as a step of an optimiser
            may be: whether the gradient tells the truth about the landscape at that scale.
        local_signs: the same with differences as small as rounding allows: whether the gradient is
            the derivative.
        exponents: the largest Lyapunov exponent, of each start too, from a random cotangent that
            was sent back from the last step.
        of: what the gradient is of.
        by: what it is taken by.
        size: how many numbers that has.
        epsilon: rounding of the dtype that the step computes in.
        notes: what is to be known about the numbers.
    """

    horizons: list[int]
    log_norms: Float[np.ndarray, "horizon batch"]
    losses: Float[np.ndarray, "horizon batch"]
    log_variance: Float[np.ndarray, " horizon"]
    signal_to_noise: Float[np.ndarray, " horizon"]
    signs: Signs
    local_signs: Signs
    exponents: LyapunovSpectrum
    of: str
    by: str
    size: int
    epsilon: float
    notes: tuple[str, ...] = ()

    @property
    def longest(self) -> int:
        """The longest horizon, steps."""
        return self.horizons[-1]

    @property
    def starts(self) -> int:
        """Number of starts."""
        return self.log_norms.shape[1]

    # --- the gradient's size ----------------------------------------------------------------------

    @cached_property
    def norm(self) -> list[Estimate]:
        """ln of the gradient's norm at each horizon: the median over starts with its interval."""
        return [statistics.middle(row) for row in self.log_norms]

    @cached_property
    def lyapunov_exponent(self) -> Estimate:
        """The largest exponent, nats per step: the mean over starts with its 95% interval.

        Of one start the interval is over stretches of its trajectory.
        """
        of_starts = self.exponents.finite_time[:, 0].cpu().numpy()
        if len(of_starts) > 1:
            return statistics.mean(of_starts)
        low, high = self.exponents.sequence_intervals[0, 0].tolist()
        return Estimate(float(of_starts[0]), low, high, 1)

    @cached_property
    def growth_rate(self) -> Estimate:
        """By how much ln of the norm grows per step beyond a quarter of T: the mean over starts."""
        return statistics.mean(self._rates(self.log_norms))

    @cached_property
    def variance_rate(self) -> float:
        """By how much ln of the variance grows per step beyond a quarter of T.

        About twice the exponent, or more: the largest gradients make up a variance.
        """
        return float(self._rates(self.log_variance[:, None])[0])

    def _rates(self, logs: Float[np.ndarray, "horizon any"]) -> Float[np.ndarray, " any"]:
        at = np.array(self.horizons)
        first = int(np.argmax(at >= self.longest / 4))
        if first == len(at) - 1:
            first = max(0, first - 1)
        with np.errstate(invalid="ignore"):
            return (logs[-1] - logs[first]) / max(1, at[-1] - at[first])

    @cached_property
    def memory(self) -> MemoryHorizon | None:
        """The horizon at which the median gradient has fallen by e; None where there is none.

        It is relative to the loss's own gradient, at horizon 0, which one by parameters has not.
        """
        try:
            return memory_horizon(self.horizons, self._medians)
        except UnusableSeriesError:
            return None

    @property
    def rounding_horizon(self) -> int | None:
        """The horizon from which on the gradient is below rounding of what it was at first.

        Added to the gradient of a near loss in the step's dtype it changes nothing. None where it
        does not sink as low.
        """
        logs = self._medians
        start = next((value for value in logs if math.isfinite(value)), math.nan)
        above = np.flatnonzero(~(logs < start + math.log(self.epsilon)))
        first = int(above[-1]) + 1 if len(above) else 0
        return self.horizons[first] if first < len(logs) else None

    @cached_property
    def _medians(self) -> Float[np.ndarray, " horizon"]:
        return np.array([statistics.median(row) for row in self.log_norms])

    # --- its sign ---------------------------------------------------------------------------------

    @property
    def sign_agreement(self) -> list[Estimate]:
        """The share of directions along which the sign is right, at each horizon."""
        return self.signs.shares

    @cached_property
    def trusted_horizon(self) -> Estimate:
        """The horizon beyond which the gradient's sign is right no more often than by chance.

        Censored where it still is at the end. With more starts less is beyond chance, and the
        horizon longer; ``truncation`` asks for an agreement of three in four, and does not depend
        on their number.
        """
        return trusted(self.horizons, self.signs.agreed, self.signs.known)

    @cached_property
    def truncation(self) -> Truncation:
        """How many steps to backpropagate through, and why."""
        return chosen_truncation(self.horizons, self.signs.shares, self._medians, self.signs.radius)

    # --- shown ------------------------------------------------------------------------------------

    def to_frame(self, *, per_start: bool = False) -> pd.DataFrame:
        """One row for each horizon, or for each horizon and start.

        Columns: horizon, log_norm (median, nats), log_norm_low, log_norm_high, sign_agreement,
        agreement_low, agreement_high, compared, local_agreement, log_variance, signal_to_noise,
        loss (mean). Of starts: horizon, start, log_norm, loss, agreed, compared.
        """
        if per_start:
            return self._by_start()
        columns = {
            "horizon": self.horizons,
            "log_norm": self._medians,
            **_interval("log_norm", self.norm),
            "sign_agreement": [sign.centre for sign in self.signs.shares],
            **_interval("agreement", self.signs.shares),
            "compared": [sign.n for sign in self.signs.shares],
            "local_agreement": [sign.centre for sign in self.local_signs.shares],
            "log_variance": self.log_variance,
            "signal_to_noise": self.signal_to_noise,
            "loss": self.losses.mean(1),
        }
        return pd.DataFrame(columns)

    def _by_start(self) -> pd.DataFrame:
        shape = self.log_norms.shape
        return pd.DataFrame(
            {
                "horizon": np.repeat(self.horizons, shape[1]),
                "start": np.tile(np.arange(shape[1]), shape[0]),
                "log_norm": self.log_norms.ravel(),
                "loss": self.losses.ravel(),
                "agreed": self.signs.agreed.ravel(),
                "compared": self.signs.known.ravel(),
            }
        )

    def plot(self) -> Figure:
        """Norm, sign agreement and variance over starts against the horizon.

        The band of the norm holds all starts, the darker one the middle half; the dotted lines of
        norm and variance rise by the exponent, and by twice the exponent, a step. Of the signs the
        grey squares are those of the smallest differences, the dotted line is chance. The solid
        vertical line is the trusted horizon, the dashed one the truncation; a triangle marks where
        the gradient is exactly zero.
        """
        from gradscope.unrolls._figure import horizon_figure  # here, as it draws

        return horizon_figure(
            self.to_frame(),
            self.to_frame(per_start=True),
            exponent=self.lyapunov_exponent.centre,
            trusted=self.trusted_horizon,
            truncation=self.truncation.steps,
            said=repr(self),
        )

    @property
    def _title(self) -> str:
        numbers = f"{self.size:,} number{'s' * (self.size != 1)}"
        starts = f"{self.starts:,} start{'s' * (self.starts != 1)}"
        return (
            f"Gradient of {self.of} after T = {self.horizons[0]} ... {self.longest:,} steps by "
            f"{self.by} ({numbers}), {starts}"
        )

    @cached_property
    def _said(self) -> list[Said]:
        rows = [
            Said("exponent", of_exponent(self.lyapunov_exponent)),
            Said("gradient norm", of_norms(self.horizons, self.norm)),
            Said("sign agreement", of_signs(self.horizons, self.signs.shares, self.signs.radius)),
        ]
        if self.starts > 1:
            noise = of_noise(self.horizons, self.signal_to_noise.tolist(), self.variance_rate)
            rows.append(Said("signal to noise", noise))
        if sunk := of_memory(self.memory, self.rounding_horizon):
            rows.append(Said("memory", sunk))
        rows.append(Said("trusted horizon", of_trusted(self.trusted_horizon)))
        return [*rows, Said("truncation", str(self.truncation))]

    def __repr__(self) -> str:
        return as_text(self._title, self._said, self.notes)

    def _repr_html_(self) -> str:
        from gradscope.unrolls._display import horizon_html  # here, as it draws

        return horizon_html(self._title, self._said, self.notes, self.to_frame(), self.plot())


def _interval(name: str, estimates: Sequence[Estimate]) -> dict[str, list[float]]:
    return {
        f"{name}_low": [estimate.low for estimate in estimates],
        f"{name}_high": [estimate.high for estimate in estimates],
    }
