"""Phase diagrams: the instrument without training. A random cell, a grid of gains and input
variances, its exponents.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from gradscope.components import registry
from gradscope.dynamics import critical_gain, lyapunov_spectrum, mean_field, unroll
from gradscope.dynamics.mean_field_theory import MOMENTS
from gradscope.errors import GradscopeError


@dataclass(frozen=True)
class PhaseDiagram:
    """What to measure.

    Attributes:
        cell: name of a cell whose gates are affine.
        activation: of an rnn cell; None for cells without that option.
        hidden_size: units.
        gains: g; recurrent weights are drawn from N(0, g^2 / H), every gate alike.
        input_variances: v; at every step each gate of each unit receives an input of its own from
            N(0, v), biases are zero.
        time: steps that count.
        burn_in: steps before, for the state and for the tangent.
        exponents: how many, the largest first.
        seeds: draws of weights and inputs.
    """

    cell: str
    activation: str | None
    hidden_size: int
    gains: Sequence[float]
    input_variances: Sequence[float]
    time: int = 500
    burn_in: int = 200
    exponents: int = 10
    seeds: int = 3

    def measure(
        self, device: str = "cpu", progress: Callable[[int, int], None] | None = None
    ) -> pd.DataFrame:
        """One row for each gain, variance, seed and index.

        Columns: gain, input_variance, seed, index, exponent, standard_error (nats per step),
        log_spectral_radius (of the drawn recurrent matrix, one-gate cells alone),
        mean_field_exponent (ln(chi) / 2; NaN for a cell without a mean field).

        Raises:
            GradscopeError: for a cell that this cannot drive.
        """
        rows: list[dict[str, Any]] = []
        points = list(itertools.product(self.gains, self.input_variances, range(self.seeds)))
        for count, (gain, variance, seed) in enumerate(points, start=1):
            rows += self._point(gain, variance, seed, device)
            if progress is not None:
                progress(count, len(points))
        return pd.DataFrame(rows)

    def theory(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Mean field's exponents on a fine grid of gains, and its critical gain for each input
        variance; empty without one.
        """
        if self.cell != "rnn" or self.activation not in MOMENTS:
            return pd.DataFrame(
                columns=["gain", "input_variance", "mean_field_exponent"]
            ), pd.DataFrame(columns=["input_variance", "gain"])
        low, high = min(self.gains), max(self.gains)
        fine = [low + (high - low) * i / 100 for i in range(101)]
        curves = [
            {
                "gain": g,
                "input_variance": v,
                "mean_field_exponent": mean_field(self.activation, g, input_variance=v).exponent,
            }
            for v in self.input_variances
            for g in fine
        ]
        critical = [
            {"input_variance": v, "gain": critical_gain(self.activation, input_variance=v)}
            for v in self.input_variances
        ]
        return pd.DataFrame(curves), pd.DataFrame(critical)

    def _point(self, gain: float, variance: float, seed: int, device: str) -> list[dict[str, Any]]:
        generator = torch.Generator().manual_seed(seed)
        cell = self._cell(gain, generator, device)
        steps = self.burn_in + self.time
        noise = torch.randn(steps, 1, cell.input_size, dtype=torch.float64, generator=generator)
        start = torch.randn(1, cell.state_size, dtype=torch.float64, generator=generator)
        trace = unroll(cell, math.sqrt(variance) * noise.to(device), start.to(device))
        k = min(self.exponents, cell.state_size)
        found = lyapunov_spectrum(trace, k=k, burn_in=self.burn_in)
        matrices = list(cell.recurrent_matrices().values())
        radius = (
            float(torch.linalg.eigvals(matrices[0]).abs().max()) if len(matrices) == 1 else math.nan
        )
        theory = math.nan
        if self.cell == "rnn" and self.activation in MOMENTS:
            theory = mean_field(self.activation, gain, input_variance=variance).exponent
        return [
            {
                "gain": gain,
                "input_variance": variance,
                "seed": seed,
                "index": index,
                "exponent": float(found.exponents[index]),
                "standard_error": float(found.standard_errors[index]),
                "log_spectral_radius": math.log(radius) if radius > 0 else math.nan,
                "mean_field_exponent": theory,
            }
            for index in range(k)
        ]

    def _cell(self, gain: float, generator: torch.Generator, device: str) -> Any:
        cls = registry.get("cell", self.cell)
        options = {"activation": self.activation} if self.activation is not None else {}
        if unknown := set(options) - set(registry.options(cls).model_fields):
            raise GradscopeError(f"the cell {self.cell!r} has no option {unknown.pop()!r}")
        gates = len(getattr(cls, "gate_names", ()))
        if not gates:
            raise GradscopeError(
                f"the cell {self.cell!r} has no affine gates to drive; use rnn, lstm or gru"
            )
        init = {"name": "gaussian", "gain": gain}
        size = self.hidden_size
        cell = cls(
            gates * size,
            hidden_size=size,
            recurrent_init=init,
            generator=generator,
            dtype=torch.float64,
            **options,
        )
        with torch.no_grad():
            cell.weight_ih.copy_(torch.eye(gates * size, dtype=torch.float64))
        return cell.to(device)
