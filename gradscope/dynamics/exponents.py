"""Estimates of Lyapunov exponents, with errors and the evidence that they have converged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from scipy import special
from torch import Tensor


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """Exponents in nats per step, with the evidence that they have converged.

    Attributes:
        exponents: mean over sequences, ``(k,)``, the largest first once they have converged; -inf
            where the product of Jacobians is singular because units are dead or pass nothing on,
            and NaN where all that is known is that it lies below rounding, as where the weights
            are of low rank.
        standard_errors: standard errors over blocks of the trajectory and sequences together,
            ``(k,)``.
        finite_time: exponents of each sequence over the trajectory after the burn-in,
            ``(batch, k)``.
        times: steps after the burn-in at which ``series`` was taken.
        series: running estimate (mean over sequences) at ``times``, ``(len(times), k)``; it is flat
            once it has converged.
        interval: the longest number of steps between two re-orthonormalisations.
        burn_in: steps left out at the start, in which Q turns into its directions.
        size: length of the state, which is the number of exponents that there are.
        rates: exponents of each block of each sequence, ``(blocks, batch, k)``, of which the errors
            are; None where they are not known.
    """

    exponents: Float[Tensor, " k"]
    standard_errors: Float[Tensor, " k"]
    finite_time: Float[Tensor, "batch k"]
    times: list[int]
    series: Float[Tensor, "times k"]
    interval: int
    burn_in: int
    size: int
    rates: Float[Tensor, "blocks batch k"] | None = field(default=None, repr=False)

    @property
    def intervals(self) -> Float[Tensor, "k 2"]:
        """95% intervals of ``exponents``, by Student's t over blocks and sequences together.

        NaN where there is but one rate, or one is not finite. They cover as they say where blocks
        are longer than the trajectory's memory, and all sequences are of one attractor.
        """
        if self.rates is None:
            return torch.full((len(self.exponents), 2), torch.nan, dtype=torch.float64)
        return _student(self.exponents, self.rates.flatten(0, 1))

    @property
    def sequence_intervals(self) -> Float[Tensor, "batch k 2"]:
        """95% intervals of ``finite_time``, by Student's t over the blocks of each sequence."""
        if self.rates is None:
            return torch.full((*self.finite_time.shape, 2), torch.nan, dtype=torch.float64)
        return _student(self.finite_time, self.rates)

    @property
    def kaplan_yorke_dimension(self) -> float:
        """The dimension of the attractor by the conjecture of Kaplan and Yorke.

        j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|, with j the largest number of exponents
        whose sum is at least 0; the length of the state where that of all of them is, as in a map
        that keeps volumes. NaN if too few exponents are known.

        Reference: Kaplan and Yorke (1979), Chaotic behavior of multidimensional difference
        equations.
        """
        values = self.exponents.tolist()
        # what is left of a sum of zero by rounding counts as zero
        rounding = 1e-12 * sum(abs(value) for value in values if math.isfinite(value))
        total = 0.0
        for j, value in enumerate(values):
            if math.isnan(value):
                return math.nan
            if total + value < -rounding:
                return float(j) if math.isinf(value) else j + total / -value
            total += value
        return float(self.size) if len(values) == self.size else math.nan

    @property
    def entropy_rate(self) -> float:
        """The sum of the positive exponents, nats per step.

        It is an upper bound of the Kolmogorov-Sinai entropy (Ruelle 1978).
        """
        return float(self.exponents.clamp_min(0).nansum())


def estimated(
    sums: Float[Tensor, "times batch k"],
    stamps: list[int],
    ends: list[int],
    interval: int,
    burn_in: int,
    size: int,
) -> LyapunovSpectrum:
    """Exponents from the growth summed up to each of ``stamps``; blocks end at the indices ends."""
    elapsed = torch.tensor(stamps, dtype=torch.float64, device=sums.device)
    finite_time = sums[-1] / stamps[-1]
    rates = _block_rates(sums, stamps, ends)
    return LyapunovSpectrum(
        finite_time.mean(0),
        _standard_error(rates.flatten(0, 1)),
        finite_time,
        stamps,
        sums.mean(1) / elapsed[:, None],
        interval,
        burn_in,
        size,
        rates,
    )


def block_ends(steps: int, blocks: int) -> list[int]:
    """The steps at which so many blocks of about equal length end."""
    return sorted({max(1, round(steps * block / blocks)) for block in range(1, blocks + 1)})


def _block_rates(
    sums: Tensor, stamps: list[int], ends: list[int]
) -> Float[Tensor, "blocks batch k"]:
    rates, before, since = [], torch.zeros_like(sums[0]), 0
    for end in ends:
        rates.append((sums[end] - before) / (stamps[end] - since))
        before, since = sums[end], stamps[end]
    return torch.stack(rates)


def _standard_error(rates: Tensor) -> Tensor:
    """Over the first axis; NaN for a single rate, and where one is not finite."""
    values = torch.where(rates.isfinite(), rates, torch.nan)
    if len(values) < 2:
        return torch.full_like(values[0], torch.nan)
    return values.std(0) / math.sqrt(len(values))


def _student(
    centres: Float[Tensor, "*any k"], rates: Float[Tensor, "rates *any k"]
) -> Float[Tensor, "*any k 2"]:
    half = float(special.stdtrit(max(1, len(rates) - 1), 0.975)) * _standard_error(rates)
    return torch.stack((centres - half, centres + half), dim=-1)
