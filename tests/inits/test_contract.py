"""What each initialisation promises."""

import math

import pytest
import torch

from gradscope.cells.lstm import LSTM
from gradscope.dynamics import critical_gain
from gradscope.inits import INITS


def matrix(name: str, size: int = 60, seed: int = 0, **options: object) -> torch.Tensor:
    return INITS.make({"name": name, **options}).recurrent(
        size, torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize("name", INITS.names())
def test_contract(name):
    init = INITS.make(name)
    first, again, other = matrix(name, seed=1), matrix(name, seed=1), matrix(name, seed=2)
    assert first.shape == (60, 60)
    assert first.dtype == torch.float64
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (name == "identity")
    assert init.dense(4, 3, 0.5, None).shape == (4, 3)
    assert init.bias(7, 0.5, None).shape == (7,)
    assert "Reference:" in type(init).__doc__


def test_orthogonal_has_every_singular_value_equal_to_its_gain():
    torch.testing.assert_close(
        torch.linalg.svdvals(matrix("orthogonal", gain=1.3)),
        torch.full((60,), 1.3, dtype=torch.float64),
    )


def test_gaussian_fills_a_disc_of_radius_gain():
    radius = torch.linalg.eigvals(matrix("gaussian", size=400, gain=1.5)).abs().max()
    assert abs(radius - 1.5) < 0.12  # the edge fluctuates at finite size
    assert abs(matrix("gaussian", size=400, gain=1.5).var() * 400 - 1.5**2) < 0.05


def test_critical_has_the_variance_of_the_critical_gain():
    """tanh without input: g = 1; with input variance more, as dynamics has it."""
    assert abs(matrix("critical", size=400).var() * 400 - 1) < 0.03
    gain = critical_gain("tanh", input_variance=0.5)
    assert gain > 1.1
    assert abs(matrix("critical", size=400, input_variance=0.5).var() * 400 / gain**2 - 1) < 0.03


def test_identity_is_scaled():
    assert torch.equal(matrix("identity", scale=0.01), 0.01 * torch.eye(60, dtype=torch.float64))


def test_np_rnn_has_one_eigenvalue_one_and_the_others_below():
    w = matrix("np_rnn")
    eigenvalues = torch.linalg.eigvalsh(w)
    assert torch.equal(w, w.T)
    assert float(eigenvalues[-1]) == pytest.approx(1)
    assert eigenvalues[0] > 0
    assert eigenvalues[-2] < 1
    dense = INITS.make("np_rnn").dense(100, 300, 1.0, torch.Generator().manual_seed(0))
    alpha = math.sqrt(2) * math.exp(1.2 / 97.6)
    assert abs(dense.std() / (alpha / 10) - 1) < 0.02


def test_smart_tanh_is_sparse_with_the_spectral_radius_asked_for():
    w = matrix("pascanu_smart_tanh", size=50)
    assert ((w != 0).sum(1) == 15).all()
    assert abs(torch.linalg.eigvals(w).abs().max() - 0.95) < 1e-10


@pytest.mark.parametrize(("name", "std"), [("pascanu_sigmoid", 0.01), ("pascanu_basic_tanh", 0.1)])
def test_pascanus_gaussians(name, std):
    init = INITS.make(name)
    generator = torch.Generator().manual_seed(0)
    assert abs(init.recurrent(200, generator).std() / std - 1) < 0.02
    assert abs(init.dense(200, 200, 1.0, generator).std() / std - 1) < 0.02
    assert (init.bias(5, 1.0, generator) == 0).all()


def test_uniform_stays_within_torchs_bound():
    w = matrix("uniform", size=100)
    assert w.abs().max() <= 0.1
    assert w.abs().max() > 0.099
    bias = INITS.make("uniform").bias(1000, 0.5, torch.Generator().manual_seed(0))
    assert 0.49 < bias.abs().max() <= 0.5


def test_a_cell_takes_its_init_by_name():
    cell = LSTM(
        2, hidden_size=8, recurrent_init={"name": "orthogonal", "gain": 2.0}, dtype=torch.float64
    )
    for block in cell.recurrent_matrices().values():
        torch.testing.assert_close(block @ block.T, 4 * torch.eye(8, dtype=torch.float64))
