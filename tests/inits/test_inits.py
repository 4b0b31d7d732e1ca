"""What each initialisation promises."""

import pytest
import torch

from gradscope.components import registry
from gradscope.components.options import component


def matrix(name, size=60, seed=0, **options):
    return component("init", {"name": name, **options}).recurrent(
        size, torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize("name", registry.names("init"))
def test_contract(name):
    init = component("init", name)
    first, again, other = matrix(name, seed=1), matrix(name, seed=1), matrix(name, seed=2)
    assert first.shape == (60, 60)
    assert first.dtype == torch.float64
    assert torch.equal(first, again)
    assert name == "identity" or not torch.equal(first, other)
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


def test_identity_is_scaled():
    assert torch.equal(matrix("identity", scale=0.01), 0.01 * torch.eye(60, dtype=torch.float64))


def test_smart_tanh_is_sparse_with_the_spectral_radius_asked_for():
    w = matrix("pascanu_smart_tanh", size=50)
    assert ((w != 0).sum(1) == 15).all()
    assert abs(torch.linalg.eigvals(w).abs().max() - 0.95) < 1e-10


@pytest.mark.parametrize(("name", "std"), [("pascanu_sigmoid", 0.01), ("pascanu_basic_tanh", 0.1)])
def test_pascanus_gaussians(name, std):
    init = component("init", name)
    generator = torch.Generator().manual_seed(0)
    assert abs(init.recurrent(200, generator).std() / std - 1) < 0.02
    assert abs(init.dense(200, 200, 1.0, generator).std() / std - 1) < 0.02
    assert (init.bias(5, 1.0, generator) == 0).all()


def test_uniform_stays_within_torchs_bound():
    w = matrix("uniform", size=100)
    assert w.abs().max() <= 0.1
    assert w.abs().max() > 0.099


def test_a_cell_takes_its_init_by_name():
    from gradscope.cells.lstm import LSTM

    cell = LSTM(
        2, hidden_size=8, recurrent_init={"name": "orthogonal", "gain": 2.0}, dtype=torch.float64
    )
    for block in cell.recurrent_matrices().values():
        torch.testing.assert_close(block @ block.T, 4 * torch.eye(8, dtype=torch.float64))
