"""Cell: what follows from the step alone."""

import pytest
import torch
from torch import nn

from gradscope.cells import CELLS, Cell
from gradscope.dynamics.linearisation import AutogradLinearisation
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


class Odd(Cell):
    """A cell that gives nothing but its step; its state is [h, m], and m accumulates."""

    state_blocks = ("h", "m")

    def __init__(self):
        super().__init__(2, 3)
        self.w = nn.Parameter(draw(3, 3))

    def forward(self, x, s):
        h, m = s.chunk(2, dim=-1)
        m = 0.9 * m + h**2
        return torch.cat((torch.sin(h @ self.w.mT) * (1 + x.sum(-1, keepdim=True)) + m, m), dim=-1)

    def reset_parameters(self, generator=None):
        pass


def test_sizes_parts_and_start():
    cell = Odd()
    assert cell.state_size == 6
    assert cell.blocks == {"h": slice(0, 3), "m": slice(3, 6)}
    assert torch.equal(cell.initial_state(4), torch.zeros(4, 6, dtype=torch.float64))
    state = draw(5, 6)
    assert torch.equal(cell.hidden(state), state[:, :3])
    assert cell.gates(draw(5, 2), state) == {}
    assert cell.recurrent_matrices() == {}


@pytest.mark.parametrize("lead", [(), (4,), (3, 2)])
def test_jacobians_with_any_leading_axes(lead):
    cell, x, s = Odd(), draw(*lead, 2), draw(*lead, 6, seed=1)
    by_state, by_input = cell.jacobian(x, s, cell(x, s)), cell.input_jacobian(x, s, cell(x, s))
    assert by_state.shape == (*lead, 6, 6)
    assert by_input.shape == (*lead, 6, 2)
    pairs = zip(
        x.reshape(-1, 2),
        s.reshape(-1, 6),
        by_input.reshape(-1, 6, 2),
        by_state.reshape(-1, 6, 6),
        strict=True,
    )
    for x_one, s_one, *ours in pairs:
        slow = torch.autograd.functional.jacobian(cell.forward, (x_one, s_one))
        for mine, theirs in zip(ours, slow, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)
    assert not by_state.requires_grad


def test_many_steps_are_the_step_many_times():
    cell, x, state = Odd(), draw(5, 2, 2), draw(2, 6, seed=1)
    states = cell.unroll(x, state)
    assert torch.equal(states[0], state)
    for t in range(5):
        assert torch.equal(states[t + 1], cell(x[t], states[t]))
    assert torch.equal(cell.scan(x, state), states)
    hidden, last = cell.outputs(x, state)
    assert torch.equal(hidden, states[1:, :, :3])
    assert torch.equal(last, states[-1])
    assert isinstance(cell.linearise(x, states[:-1], states[1:]), AutogradLinearisation)


def test_known_outputs_take_the_place_of_h_and_the_rest_is_run():
    cell, x, start = Odd(), draw(5, 2, 2), draw(2, 6, seed=1)
    known = draw(5, 2, 3, seed=2)
    forced = cell.teacher_forced(x, start, known)
    assert torch.equal(forced.states[1:, :, :3], known)
    for t in range(5):
        free = cell(x[t], forced.states[t])
        assert torch.equal(forced.states[t + 1, :, 3:], free[:, 3:])
        assert forced.mismatch[t] == (free[:, :3] - known[t]).abs().max()
    free = cell.teacher_forced(x, start)
    assert torch.equal(free.states, cell.unroll(x, start))
    assert (free.mismatch == 0).all()


def test_a_state_dict_of_one_layer_loads_wherever_the_cell_stands():
    """``weight_ih_l0`` is ``weight_ih``; other keys of a larger model stay as they are."""
    cell, theirs = build("rnn"), nn.RNN(3, 4).double()
    cell.load_state_dict(theirs.state_dict())
    assert torch.equal(cell.weight_hh, theirs.weight_hh_l0)
    model = nn.ModuleDict({"cell": build("rnn", seed=1), "other_l0": nn.Linear(2, 2)})
    values = {f"cell.{name}": value for name, value in theirs.state_dict().items()}
    values |= {f"other_l0.{name}": value for name, value in model["other_l0"].state_dict().items()}
    model.load_state_dict(values)
    assert torch.equal(model["cell"].weight_ih, theirs.weight_ih_l0)


def test_options_make_a_cell():
    options = CELLS.make({"name": "gru", "hidden_size": 7, "bias": False})
    cell = options.build(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (type(cell), cell.input_size, cell.hidden_size) == (CELLS.get("gru"), 5, 7)
    assert cell.weight_ih.dtype == torch.float64
    assert cell.bias_ih is None


def test_layers_around_a_cell_are_drawn_like_its_recurrent_weights():
    assert CELLS.make({"name": "rnn", "recurrent_init": "identity"}).readout_init.name == "identity"
    assert CELLS.make("lru").readout_init == "uniform", "it has no such option"


def test_what_is_refused():
    for sizes in ((0, 4), (3, 0)):
        with pytest.raises(GradscopeError, match="at least 1"):
            CELLS.get("rnn")(sizes[0], hidden_size=sizes[1])
    with pytest.raises(GradscopeError, match=r"torch\.nn has no Odd"):
        Odd().torch_module()
