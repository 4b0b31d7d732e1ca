"""The step Jacobian's mean squared singular value, measured and predicted."""

import math

import pytest
import torch

from gradscope.cells import CELLS
from gradscope.dynamics import mean_field, step_jacobians, unroll
from tests.probes._draw import measured, trace_of


def test_chi_is_the_mean_square_of_the_singular_values():
    trace = trace_of("lstm")
    columns = measured("mean_field", trace)
    squares = torch.linalg.svdvals(step_jacobians(trace)).square()
    assert columns["chi"] == [pytest.approx(float(squares.mean()))]
    assert columns["rate"] == [pytest.approx(math.log(float(squares.mean())) / 2)]


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_cells_that_the_theory_does_not_cover(name):
    columns = measured("mean_field", trace_of(name))
    assert all(
        math.isnan(values[0]) for column, values in columns.items() if column not in ("chi", "rate")
    )


def test_a_wide_random_network_is_as_predicted():
    """tanh at gain 1.5 without input, after the transient; the theory is exact as it grows."""
    size, generator = 300, torch.Generator().manual_seed(0)
    options = {
        "name": "rnn",
        "hidden_size": size,
        "bias": False,
        "recurrent_init": {"name": "gaussian", "gain": 1.5},
    }
    cell = CELLS.make(options).build(1, generator=generator, dtype=torch.float64)
    start = torch.randn(2, size, dtype=torch.float64, generator=generator)
    settled = unroll(cell, torch.zeros(60, 2, 1, dtype=torch.float64), start).steps(50, 60)
    row = {name: values[0] for name, values in measured("mean_field", settled).items()}
    assert row["gain"] == pytest.approx(1.5, abs=0.02)
    assert row["added_variance"] == pytest.approx(0, abs=1e-12)
    theory = mean_field("tanh", row["gain"])
    assert row["chi_predicted"] == pytest.approx(theory.chi)
    assert row["rate_predicted"] == pytest.approx(math.log(theory.chi) / 2)
    assert row["q"] == pytest.approx(row["q_predicted"], rel=0.15)
    assert row["chi"] == pytest.approx(row["chi_predicted"], rel=0.15)
