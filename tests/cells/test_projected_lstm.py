"""The LSTM with a projection, torch's and by its blocks."""

import pytest
import torch

from gradscope.cells.projected_lstm import ProjectedLSTM
from gradscope.dynamics import jacobian_product, unroll
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


def test_projection_is_torchs():
    cell = build("projected_lstm", 3, 6, projection_size=2)
    theirs = torch.nn.LSTM(3, 6, proj_size=2).double()
    theirs.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x = draw(7, 4, 3)
    states = cell.unroll(x, cell.initial_state(4))
    torch.testing.assert_close(cell.hidden(states[1:]), theirs(x)[0])
    assert cell.state_size == 8
    trace = unroll(cell, x)
    slow = torch.autograd.functional.jacobian(
        lambda s: cell.unroll(x[:, :1], s[None])[-1, 0], states[0, 0]
    )
    torch.testing.assert_close(jacobian_product(trace, 7, 0).matrix()[0], slow)


def test_a_projection_by_the_identity_is_the_lstm():
    projected, plain = build("projected_lstm"), build("lstm")
    plain.load_state_dict({k: v for k, v in projected.state_dict().items() if k != "weight_hr"})
    projected.weight_hr.data = torch.eye(4, dtype=torch.float64)
    x, s = draw(5, 3), draw(5, 8, seed=1)
    torch.testing.assert_close(projected(x, s), plain(x, s))
    torch.testing.assert_close(
        projected.jacobian(x, s, plain(x, s)), plain.jacobian(x, s, plain(x, s))
    )


def test_sizes_and_what_torch_has_none_of():
    cell = ProjectedLSTM(3, hidden_size=6, projection_size=2)
    assert (cell.hidden_size, cell.state_size) == (2, 8)
    assert cell.blocks == {"h": slice(0, 2), "c": slice(2, 8)}
    assert cell.weight_hh.shape == (24, 2)
    with pytest.raises(GradscopeError, match="projects to fewer units"):
        ProjectedLSTM(3, hidden_size=6).torch_module()
