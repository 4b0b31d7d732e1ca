"""PhaseDiagram: Lyapunov exponents of a random cell over gain and input variance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pandas as pd
import torch

from gradscope.cells import CELLS, Cell, CellOptions
from gradscope.components.quantities import memory
from gradscope.dynamics import critical_gain, lyapunov_spectrum, mean_field, unroll
from gradscope.dynamics.mean_field_theory import MOMENTS
from gradscope.errors import GradscopeError
from gradscope.experiment.pool_memory import available


class Theory(NamedTuple):
    """What mean-field theory predicts; both frames are empty where there is no such theory.

    Attributes:
        curves: gain, input_variance and mean_field_exponent on a fine grid of gains.
        critical: input_variance and the gain that is critical there.
    """

    curves: pd.DataFrame
    critical: pd.DataFrame


#: points of a diagram
_MOST_POINTS = 1_000_000


@dataclass(frozen=True)
class PhaseDiagram:
    """The phase diagram of a random cell: which cell, and over which gains and inputs.

    >>> diagram = PhaseDiagram("rnn", gains=[0.5, 2.0], hidden_size=50, time=100, seeds=1)
    >>> largest = diagram.measure().query("index == 0").set_index("gain")["exponent"]
    >>> bool(largest[0.5] < 0 < largest[2.0])  # gradients vanish, gradients explode
    True

    Attributes:
        cell: name of a cell whose gates are affine.
        activation: of an rnn cell; None takes the cell's default.
        hidden_size: units.
        gains: g; recurrent weights are drawn from N(0, g^2 / H), every gate alike.
        input_variances: v; at every step each gate of each unit receives an input of its own from
            N(0, v), biases are zero.
        time: steps that count.
        burn_in: steps before, for the state and for the tangent.
        exponents: how many, the largest first.
        seeds: draws of weights and inputs.

    Raises:
        GradscopeError: for a cell that does not exist, has no affine gates, or has no such option.
    """

    cell: str = "rnn"
    activation: str | None = None
    hidden_size: int = 100
    gains: Sequence[float] = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
    input_variances: Sequence[float] = (0.0,)
    time: int = 500
    burn_in: int = 200
    exponents: int = 10
    seeds: int = 3

    def __post_init__(self) -> None:
        self._check_size()
        self._drawn(1.0, torch.Generator(), "cpu")  # a wrong cell is refused before it is measured

    def measure(
        self, device: str = "cpu", progress: Callable[[int, int], None] | None = None
    ) -> pd.DataFrame:
        """One row for each gain, variance, seed and index.

        Columns: gain, input_variance, seed, index, exponent, standard_error (nats per step),
        log_spectral_radius (of the drawn recurrent matrix, one-gate cells alone),
        mean_field_exponent (ln(chi) / 2; NaN for a cell without a mean field).

        Args:
            device: to compute on.
            progress: called with (points done, points in all) after each point.
        """
        rows: list[dict[str, float]] = []
        points = list(itertools.product(self.gains, self.input_variances, range(self.seeds)))
        for count, (gain, variance, seed) in enumerate(points, start=1):
            rows += self._point(gain, variance, seed, device)
            if progress is not None:
                progress(count, len(points))
        return pd.DataFrame(rows)

    def theory(self) -> Theory:
        """Mean field's exponents on a fine grid of gains, and its critical gains."""
        curves: list[tuple[float, float, float]] = []
        critical: list[tuple[float, float]] = []
        activation = self._mean_field_activation
        if activation is not None:
            low, high = min(self.gains), max(self.gains)
            grid = [low + (high - low) * i / 100 for i in range(101)]
            for variance in self.input_variances:
                for gain in grid:
                    exponent = mean_field(activation, gain, input_variance=variance).exponent
                    curves.append((gain, variance, exponent))
                critical.append((variance, critical_gain(activation, input_variance=variance)))
        columns = pd.Index(["gain", "input_variance", "mean_field_exponent"])
        return Theory(
            pd.DataFrame(curves, columns=columns),
            pd.DataFrame(critical, columns=pd.Index(["input_variance", "gain"])),
        )

    def _check_size(self) -> None:
        """Refuse what does not fit into memory, before anything is drawn.

        Raises:
            GradscopeError: for such sizes, or more points than anybody waits for.
        """
        points = len(self.gains) * len(self.input_variances) * self.seeds
        if points > _MOST_POINTS:
            raise GradscopeError(
                f"{points:,} points (gains times input variances times seeds) are more than "
                f"{_MOST_POINTS:,}; ask for fewer"
            )
        steps, there = self.time + self.burn_in, available()
        sizes = {
            f"hidden_size {self.hidden_size:,}": 3 * self.hidden_size**2,
            f"time and burn_in, {steps:,} steps,": 2 * steps * self.hidden_size,
        }
        for what, numbers in sizes.items():
            if 8 * numbers > there:
                needed = memory(8 * numbers)
                raise GradscopeError(f"{what} needs at least {needed} of {memory(there)} of memory")

    @property
    def _mean_field_activation(self) -> str | None:
        """The activation of which there is a mean-field theory; None where there is none."""
        activation = self.activation or "tanh"
        return activation if self.cell == "rnn" and activation in MOMENTS else None

    @cached_property
    def _inputs(self) -> int:
        """How many inputs the cell gets: one for each gate of each unit.

        Raises:
            GradscopeError: for a cell that does not exist, or has no gates that read W x.
        """
        options = CELLS.make({"name": self.cell, "hidden_size": self.hidden_size})
        cell = options.build(1, generator=torch.Generator())
        weight = dict(cell.named_parameters()).get("weight_ih")
        if weight is None:
            raise GradscopeError(
                f"the cell {self.cell!r} has no affine gates to drive; use rnn, lstm or gru"
            )
        return len(weight)

    def _options(self, gain: float) -> CellOptions:
        """The cell's options, with recurrent weights of this gain.

        Raises:
            ConfigError: for an option that the cell does not have, or a wrong value.
        """
        activation = {} if self.activation is None else {"activation": self.activation}
        return CELLS.make(
            {
                "name": self.cell,
                "hidden_size": self.hidden_size,
                "recurrent_init": {"name": "gaussian", "gain": gain},
                **activation,
            }
        )

    def _drawn(self, gain: float, generator: torch.Generator, device: str) -> Cell:
        """A cell of this gain, every gate of which reads an input of its own."""
        inputs = self._inputs
        cell = self._options(gain).build(inputs, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            cell.get_parameter("weight_ih").copy_(torch.eye(inputs))
        return cell.to(device)

    def _point(
        self, gain: float, variance: float, seed: int, device: str
    ) -> list[dict[str, float]]:
        """The rows of one gain, one input variance and one seed."""
        generator = torch.Generator().manual_seed(seed)
        cell = self._drawn(gain, generator, device)
        steps = self.burn_in + self.time
        noise = torch.randn(steps, 1, cell.input_size, dtype=torch.float64, generator=generator)
        start = torch.randn(1, cell.state_size, dtype=torch.float64, generator=generator)
        trace = unroll(cell, math.sqrt(variance) * noise.to(device), start.to(device))
        count = min(self.exponents, cell.state_size)
        spectrum = lyapunov_spectrum(trace, k=count, burn_in=self.burn_in)
        activation = self._mean_field_activation
        theory = (
            math.nan
            if activation is None
            else mean_field(activation, gain, input_variance=variance).exponent
        )
        point = {"gain": gain, "input_variance": variance, "seed": seed}
        return [
            {
                **point,
                "index": index,
                "exponent": float(spectrum.exponents[index]),
                "standard_error": float(spectrum.standard_errors[index]),
                "log_spectral_radius": _log_spectral_radius(cell),
                "mean_field_exponent": theory,
            }
            for index in range(count)
        ]


def _log_spectral_radius(cell: Cell) -> float:
    """ln of the recurrent matrix's spectral radius; NaN for a cell with several matrices, or none.

    It is NaN as well where the radius is 0.
    """
    matrices = list(cell.recurrent_matrices().values())
    if len(matrices) != 1:
        return math.nan
    radius = float(torch.linalg.eigvals(matrices[0]).abs().max())
    return math.log(radius) if radius > 0 else math.nan
