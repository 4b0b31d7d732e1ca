"""The parameters of gated cells, and the algebra of equations with leading axes."""

import math

import pytest
import torch

from gradscope.cells._gated import affine, chrono_biases, rows, set_gate_bias, vector
from gradscope.cells.gru import GRU
from gradscope.cells.lstm import LSTM
from gradscope.cells.mgu import MGU
from gradscope.cells.rnn import RNN
from tests.conftest import draw


def test_parameters_have_a_block_for_each_gate():
    cell = LSTM(3, hidden_size=5)
    shapes = {name: tuple(value.shape) for name, value in cell.named_parameters()}
    assert shapes == {
        "weight_ih": (20, 3),
        "weight_hh": (20, 5),
        "bias_ih": (20,),
        "bias_hh": (20,),
    }
    assert set(dict(GRU(3, hidden_size=5, bias=False).named_parameters())) == {
        "weight_ih",
        "weight_hh",
    }
    assert "bias_hh" not in dict(MGU(3, hidden_size=5).named_parameters())


def test_each_gate_draws_its_own_recurrent_matrix():
    cell = GRU(
        3,
        hidden_size=6,
        recurrent_init={"name": "orthogonal", "gain": 1.5},
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
    )
    r, z, n = cell.recurrent_matrices().values()
    for matrix in (r, z, n):
        torch.testing.assert_close(matrix @ matrix.T, 2.25 * torch.eye(6).double())
    assert not torch.equal(r, z)
    assert not torch.equal(z, n)


def test_uniform_weights_are_within_torchs_bounds():
    cell = RNN(3, hidden_size=400, generator=torch.Generator().manual_seed(0))
    bound = 1 / math.sqrt(400)
    for parameter in (cell.weight_ih, cell.weight_hh):
        assert parameter.abs().max() <= bound
        assert float(parameter.detach().var()) == pytest.approx(bound**2 / 3, rel=0.1)


def test_the_bias_of_a_gate_is_set_in_one_and_zero_in_the_other():
    cell, before = LSTM(3, hidden_size=4), None
    before = cell.bias_ih.detach().clone()
    set_gate_bias(cell, "f", torch.arange(4.0))
    assert torch.equal((cell.bias_ih + cell.bias_hh)[4:8], torch.arange(4.0))
    assert torch.equal(cell.bias_ih[:4], before[:4])
    assert torch.equal(cell.bias_ih[8:], before[8:])
    single = MGU(3, hidden_size=4)
    set_gate_bias(single, "n", torch.ones(4))
    assert torch.equal(single.bias_ih[4:], torch.ones(4))


def test_chrono_biases_are_logarithms_of_even_times():
    drawn = chrono_biases(20_000, 50, torch.Generator().manual_seed(0)).exp()
    assert drawn.min() >= 1
    assert drawn.max() <= 49
    assert float(drawn.mean()) == pytest.approx(25, abs=0.3)
    assert float(drawn.var()) == pytest.approx(48**2 / 12, rel=0.03)


def test_affine_maps_of_one_trial_and_of_many():
    x, weight, bias = draw(5, 2, 3), draw(4, 3, seed=1), draw(4, seed=2)
    torch.testing.assert_close(affine(x, weight, bias), x @ weight.T + bias)
    torch.testing.assert_close(affine(x, weight), x @ weight.T)
    many, weights, biases = draw(6, 2, 5, 3), draw(2, 4, 3, seed=1), draw(2, 4, seed=2)
    for trial in range(2):
        torch.testing.assert_close(
            affine(many, weights, biases)[:, trial],
            affine(many[:, trial], weights[trial], biases[trial]),
        )
        torch.testing.assert_close(
            affine(many, weights)[:, trial], affine(many[:, trial], weights[trial])
        )
        torch.testing.assert_close(
            rows(many, draw(2, 3, 7))[:, trial], rows(many[:, trial], draw(2, 3, 7)[trial])
        )
        torch.testing.assert_close(
            (vector(draw(2, 3)) * many)[:, trial], draw(2, 3)[trial] * many[:, trial]
        )
    torch.testing.assert_close(rows(x, draw(3, 7)), torch.diag_embed(x) @ draw(3, 7))
