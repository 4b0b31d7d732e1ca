"""Fixed points: known ones are found, with their stability, whatever the state is packed of."""

import math

import pytest
import torch

from gradscope.cells import CELLS, Cell, Stack
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
    with pytest.warns(UserWarning, match="no fixed point was found: the smallest residual of 256"):
        found = fixed_points(cell)
    assert found.converged == 0
    assert found.closest == pytest.approx(1)
    assert found.states.shape == (0, 1)
    assert repr(found).startswith("FixedPoints(no points, 0 stable; 0% of the starts converged")


def test_a_cell_in_float32():
    """As in float64, as far as float32 resolves."""
    torch.manual_seed(0)
    cell = build("rnn", 2, 60)
    with torch.no_grad():
        cell.weight_hh.copy_(1.6 * torch.randn(60, 60, dtype=torch.float64) / 60**0.5)
    starts = draw(64, 60)
    wide, narrow = fixed_points(cell, None, starts), fixed_points(cell.float(), None, starts)
    assert narrow.converged > 0.5
    assert 1e-7 < narrow.tolerance < 1e-3
    for state, stable in zip(narrow.states, narrow.stable, strict=True):
        distances = (wide.states - state.double()).norm(dim=-1)
        assert float(distances.min()) < 1e-3
        assert bool(wide.stable[distances.argmin()]) == bool(stable)
    with pytest.raises(GradscopeError, match=r"below what torch.float32 resolves.*cell.double"):
        fixed_points(cell.float(), tolerance=1e-9)


class Flat(Cell):
    """s - (s - 1)^m, whose only fixed point is 1, with multiplicity m."""

    def __init__(self, multiplicity):
        super().__init__(input_size=1, hidden_size=1)
        self.multiplicity = multiplicity
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x, s):
        return s - (s - 1) ** self.multiplicity + 0 * self.weight + 0 * x

    def reset_parameters(self, generator=None):
        pass


@pytest.mark.parametrize("multiplicity", [1, 2, 3, 5])
def test_a_flat_root_is_one_point(multiplicity):
    cell = Flat(multiplicity)
    found = fixed_points(cell, starts=draw(200, 1) / 2 + 1)
    assert found.converged > 0.9
    assert len(found.states) == 1
    assert float(found.states[0, 0]) == pytest.approx(1, abs=10 ** (-9 / multiplicity) * 2)
    assert int(found.visits[0]) == round(200 * found.converged)


def test_a_line_of_fixed_points_stays_a_line():
    """s_t = (s_1, s_2 / 2): every (a, 0) is one."""
    cell = build("rnn", 1, 2, activation="identity", bias=False)
    cell.weight_hh.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.5]]))
    found = fixed_points(cell, starts=draw(30, 2))
    assert found.converged == 1
    assert len(found.states) == 30
    assert found.states[:, 1].abs().max() < 1e-8


def test_errors():
    with pytest.raises(GradscopeError, match=r"starts \(starts, 4\)"):
        fixed_points(build("rnn"), starts=draw(3, 5))
