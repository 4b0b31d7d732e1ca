"""Influence by lag: how much of what a model puts out depends on inputs how far back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import special

from gradscope.dynamics.decay import DecayFit, decay_fits
from gradscope.dynamics.horizon import MemoryHorizon, memory_horizon
from gradscope.dynamics.outliers import explains
from gradscope.dynamics.reach import (
    Reach,
    effective_context,
    temporal_range,
    twice_as_long,
    weights_of,
)

_Array = NDArray[np.float64]
#: what is resampled for intervals, and what standard errors are over
Units = Literal["examples", "positions and examples", "cotangents", "nothing"]

#: examples from which on they are the units: fewer say too little of their own spread
_EXAMPLES = 4
#: resamples that an interval is made of
_RESAMPLES = 400
#: a mean lag that a sequence twice as long would raise by more than this is a lower bound
_RAISED = 0.25


@dataclass(frozen=True, eq=False)
class InfluenceProfile:
    """Influence by lag, the root mean square over positions, examples and cotangents.

    Made by ``InfluenceProfile.of``.

    Attributes:
        lags: ascending, steps; negative ones are of inputs after the output.
        log_norms: ln of the root mean square norm at each lag, nats; -inf where exactly zero.
        standard_errors: of log_norms, nats; NaN where there is one value alone, or an exact zero.
        log_medians: ln of the median norm over positions and examples, nats.
        counts: how many pairs of a position and an example each lag is of. Long lags may be of
            fewer: of outputs far enough into a sequence.
        units: what standard errors and intervals are over.
        log_pairs: ln of the norm of each position of each example, ``(position, batch, lag)``;
            NaN where an example has no such lag.
    """

    lags: Int[np.ndarray, " lag"]
    log_norms: Float[np.ndarray, " lag"]
    standard_errors: Float[np.ndarray, " lag"]
    log_medians: Float[np.ndarray, " lag"]
    counts: Int[np.ndarray, " lag"]
    units: Units
    log_pairs: Float[np.ndarray, "position batch lag"]

    @classmethod
    def of(
        cls,
        lags: Int[np.ndarray, " lag"],
        log_norms: Float[np.ndarray, "position cotangent batch lag"],
    ) -> InfluenceProfile:
        """From ln of the norms of J_{s,t}^T v, for each position s, cotangent v and example.

        Squares are averaged: E ||J^T v||^2 = ||J||_F^2 for cotangents of independent entries of
        mean 0 and variance 1.

        Args:
            lags: ascending, steps.
            log_norms: nats; NaN where an example has no such lag.
        """
        squares, scale = _squares(log_norms)
        positions, cotangents, examples, _ = squares.shape
        pairs = squares.mean(1)
        if examples >= _EXAMPLES:
            units: Units = "examples"
            spread = _error(_mean(pairs, axis=0))
        elif positions * examples > 1:
            units = "positions and examples"
            spread = _error(pairs.reshape(positions * examples, -1))
        else:
            units = "cotangents" if cotangents > 1 else "nothing"
            spread = _error(squares[0, :, 0])
        flat = pairs.reshape(positions * examples, -1)
        mean, median = _mean(flat, axis=0), _median(flat)
        with np.errstate(divide="ignore", invalid="ignore"):
            return cls(
                np.asarray(lags),
                np.log(mean) / 2 + scale,
                np.where(mean > 0, spread / (2 * mean), np.nan),
                np.log(median) / 2 + scale,
                (~np.isnan(pairs)).sum((0, 1)),
                units,
                np.log(pairs) / 2 + scale,
            )

    # --- the past, as far as all positions of all examples see it ---------------------------------

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Lags from 0 on that every position of every example has: they alone are comparable."""
        whole = (self.lags >= 0) & (self.counts == self.counts.max(initial=0))
        return whole & (np.cumsum((self.lags >= 0) & ~whole) == 0)

    @property
    def longest(self) -> int:
        """The longest lag that every position of every example has."""
        return int(self.lags[self.seen].max(initial=0))

    @property
    def _past(self) -> tuple[_Array, _Array]:
        return self.lags[self.seen].astype(float), self.log_norms[self.seen]

    @property
    def past_is_zero(self) -> bool:
        """Whether no input before the output has any influence on it, exactly."""
        lags, log_norms = self._past
        return len(lags) > 1 and not bool(np.isfinite(log_norms[1:]).any())

    @property
    def support(self) -> int | None:
        """The lag from which on all that were seen are exactly zero; None if the last is not."""
        lags, log_norms = self._past
        alive = np.flatnonzero(~np.isneginf(log_norms))
        end = int(alive[-1]) + 1 if len(alive) else 0
        return int(lags[end]) if end < len(lags) else None

    @property
    def fall(self) -> tuple[float, float]:
        """By how much it falls from lag 1 to the longest, and the standard error of that, nats."""
        _, log_norms = self._past
        if len(log_norms) < 3:
            return np.nan, np.nan
        ends = self.standard_errors[self.seen][[1, -1]]
        with np.errstate(invalid="ignore"):  # both exactly zero
            return float(log_norms[1] - log_norms[-1]), float(np.sqrt(np.sum(ends**2)))

    @property
    def own_share(self) -> float:
        """The share of lag 0, of an output's own input, in the sum of norms over the lags seen."""
        return float(self.shares[self.lags == 0][0])

    @property
    def shares(self) -> Float[np.ndarray, " lag"]:
        """How much of the sum of norms over the lags seen lies within each; NaN at others."""
        shares, weights = np.full(len(self.lags), np.nan), weights_of(self._past[1])
        if weights.sum() > 0:
            shares[self.seen] = np.cumsum(weights) / weights.sum()
        return shares

    @property
    def future_share(self) -> float:
        """The share of inputs after the output in the sum of all norms; 0 of a causal model."""
        weights = weights_of(self.log_norms)
        return float(weights[self.lags < 0].sum() / weights.sum()) if weights.sum() > 0 else 0.0

    @cached_property
    def temporal_range(self) -> Reach:
        """The mean lag, weighted by the norms: see ``gradscope.temporal_range``."""
        lags, log_norms = self._past
        value = temporal_range(lags, log_norms)
        longer = temporal_range(*twice_as_long(lags, log_norms))
        interval = self._interval(lambda resampled: temporal_range(lags, resampled))
        return Reach(value, interval, self.longest, bool(longer > (1 + _RAISED) * value))

    @cached_property
    def effective_context(self) -> Reach:
        """The lag within which 90% of the influence lies: see ``gradscope.effective_context``."""
        return self.context(0.9)

    def context(self, share: float) -> Reach:
        """The lag within which a share of the influence lies.

        Raises:
            GradscopeError: for a share that is not between 0 and 1.
        """
        lags, log_norms = self._past
        value = effective_context(lags, log_norms, share)
        longer = effective_context(*twice_as_long(lags, log_norms), share)
        interval = self._interval(lambda resampled: effective_context(lags, resampled, share))
        censored = longer > self.longest
        return Reach(float(self.longest) if censored else value, interval, self.longest, censored)

    @cached_property
    def horizon(self) -> MemoryHorizon | None:
        """The lag at which it has fallen by e from lag 0; None for too few lags, or 0 at lag 0."""
        lags, log_norms = self._past
        if len(lags) < 3 or not np.isfinite(log_norms[0]):
            return None
        return memory_horizon(lags, log_norms)

    @cached_property
    def fits(self) -> tuple[DecayFit, ...]:
        """Laws of decay from lag 1 on, the best first; empty for less than four lags not zero.

        At lag 0 an output sees its own input by other ways than those of the past. Fitted and
        compared by ``gradscope.decay_fits``, by the likelihood of increments.
        """
        lags, log_norms = self._past
        there = np.isfinite(log_norms) & (lags > 0)
        return decay_fits(lags[there], log_norms[there]) if there.sum() > 3 else ()

    @property
    def decay(self) -> DecayFit | None:
        """The law of decay that explains it best, from lag 1 on; None where nothing falls."""
        return self.fits[0] if self.fits and self.falls else None

    @cached_property
    def explained(self) -> bool:
        """Whether a law explains it: no step is out of scale with how it wanders about that."""
        lags, log_norms = self._past
        there = np.isfinite(log_norms) & (lags > 0)
        return self.decay is not None and explains(self.decay, lags[there], log_norms[there])

    @cached_property
    def falls(self) -> bool:
        """Whether it falls significantly from lag 1 on, before it ends in exact zeros."""
        lags, log_norms = self._past
        if len(lags) < 4 or not np.isfinite(log_norms[1]):
            return False
        return memory_horizon(lags[1:] - 1, log_norms[1:]).kind in ("reached", "extrapolated")

    @property
    def law_weights(self) -> dict[str, float]:
        """The Akaike weight of each law of decay: how probable it is that it is the best one."""
        weights = special.softmax([-fit.aicc / 2 for fit in self.fits]) if self.fits else []
        return {fit.law: float(weight) for fit, weight in zip(self.fits, weights, strict=True)}

    # --- intervals --------------------------------------------------------------------------------

    @cached_property
    def _resampled(self) -> _Array:
        """ln of the root mean square norm at each lag of the past, of resampled units."""
        squares, scale = _squares(self.log_pairs[:, None, :, self.seen])
        squares = squares[:, 0]
        units = squares.mean(0) if self.units == "examples" else squares.reshape(-1, len(scale))
        random = np.random.default_rng(0)
        drawn = random.multinomial(len(units), np.full(len(units), 1 / len(units)), _RESAMPLES)
        with np.errstate(divide="ignore"):
            return np.log(drawn @ units / len(units)) / 2 + scale

    def _interval(self, of: Callable[[_Array], float]) -> tuple[float, float]:
        """95% of what a measure is of the resampled profiles."""
        if self.units not in ("examples", "positions and examples"):
            return np.nan, np.nan
        values = np.array([of(resampled) for resampled in self._resampled])
        values = values[np.isfinite(values)]
        if not len(values):
            return np.nan, np.nan
        low, high = np.quantile(values, [0.025, 0.975])
        return float(low), float(high)


def _squares(log_norms: _Array) -> tuple[_Array, _Array]:
    """Squares of norms over the largest of their lag, and ln of that norm."""
    largest = np.where(np.isnan(log_norms), -np.inf, log_norms).max((0, 1, 2))
    scale = np.where(np.isfinite(largest), largest, 0.0)
    return np.exp(2 * (log_norms - scale)), scale


def _mean(values: _Array, axis: int) -> _Array:
    """The mean over an axis of those that are there; NaN where none is."""
    there = ~np.isnan(values)
    count = there.sum(axis)
    total = np.where(there, values, 0.0).sum(axis)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _error(values: _Array) -> _Array:
    """Standard error of the mean over the first axis; NaN for less than two values."""
    count = (~np.isnan(values)).sum(0)
    squares = (values - _mean(values, axis=0)) ** 2
    variance = _mean(squares, axis=0)
    few = np.full(variance.shape, np.nan)
    return np.sqrt(np.divide(variance, count - 1, out=few, where=count > 1))


def _median(values: _Array) -> _Array:
    """The median over the first axis of those that are there."""
    ordered, count = np.sort(values, axis=0), (~np.isnan(values)).sum(0)  # NaNs are last
    columns = np.arange(values.shape[1])
    low, high = ordered[(count - 1) // 2, columns], ordered[count // 2, columns]
    return np.sqrt(low * high)  # between two in the middle, the geometric mean of their norms
