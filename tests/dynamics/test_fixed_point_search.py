"""Fixed points: known ones are found, with their stability, whatever the state is packed of."""

import math

import pytest
import torch

from gradscope.cells import CELLS, Stack
from gradscope.dynamics import fixed_points
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


def test_bistable_unit():
    """h = tanh(2 h): 0 is unstable with eigenvalue 2, +-0.9575 are stable."""
    cell = build("rnn", 1, 1, bias=False)
    cell.weight_hh.data.fill_(2.0)
    found = fixed_points(cell)
    values = sorted(found.states.flatten().tolist())
    assert values == pytest.approx([-0.9575040240772, 0.0, 0.9575040240772], abs=1e-8)
    assert found.converged == 1
    at_zero = int(found.states.abs().argmin())
    assert not found.stable[at_zero]
    assert float(found.eigenvalues[at_zero].real) == pytest.approx(2)
    assert float(found.time_constants[at_zero]) == pytest.approx(-1 / math.log(2))
    assert found.stable.sum() == 2
    assert int(found.visits.sum()) == 256


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS.names())
def test_what_is_found_is_a_fixed_point_of_the_full_state(name, layers):
    cell = Stack([build(name, 3 if layer == 0 else 4, 4, layer) for layer in range(layers)])
    x = draw(3)
    found = fixed_points(cell, x, draw(40, cell.state_size), iterations=100)
    assert len(found.states) >= 1
    assert found.converged == pytest.approx(int(found.visits.sum()) / 40)
    for state, eigenvalues in zip(found.states, found.eigenvalues, strict=True):
        torch.testing.assert_close(cell(x, state).flatten(), state, rtol=0, atol=1e-8)
        slow = torch.autograd.functional.jacobian(lambda s: cell(x, s).flatten(), state)
        torch.testing.assert_close(
            eigenvalues.abs().sort().values, torch.linalg.eigvals(slow).abs().sort().values
        )
    # what a stable one attracts stays there
    if bool(found.stable.any()):
        state = found.states[found.stable][0] + 1e-6
        radius = float(found.eigenvalues[found.stable][0].abs().max())
        with torch.no_grad():
            for _ in range(min(3000, int(30 / (1 - radius)))):
                state = cell(x, state)
        assert (found.states - state).norm(dim=-1).min() < 1e-6


def test_a_cell_without_any():
    cell = build("rnn", 1, 1, activation="identity")
    cell.weight_hh.data.fill_(1.0)
    cell.bias_ih.data.fill_(1.0)
    cell.bias_hh.data.zero_()  # h = h + 1
    found = fixed_points(cell)
    assert found.converged == 0
    assert found.states.shape == (0, 1)


def test_errors():
    with pytest.raises(GradscopeError, match=r"starts \(starts, 4\)"):
        fixed_points(build("rnn"), starts=draw(3, 5))
