"""What initialisations inherit: torch's dense weights, zero biases, float64."""

import torch

from gradscope.inits import INITS
from gradscope.inits._init import normal, uniform


def test_dense_weights_are_torchs_unless_the_source_has_its_own():
    dense = INITS.make("orthogonal").dense(200, 100, 0.3, torch.Generator().manual_seed(0))
    assert dense.shape == (200, 100)
    assert dense.dtype == torch.float64
    assert 0.299 < dense.abs().max() <= 0.3
    assert abs(dense.std() / (0.3 / 3**0.5) - 1) < 0.02


def test_biases_are_zero_unless_the_source_has_its_own():
    bias = INITS.make("orthogonal").bias(5, 0.3, None)
    assert torch.equal(bias, torch.zeros(5, dtype=torch.float64))


def test_draws_depend_on_the_generator_alone():
    for draw in (normal, uniform):
        first, again = (draw(3, 4, 0.5, torch.Generator().manual_seed(1)) for _ in range(2))
        assert torch.equal(first, again)
        assert not torch.equal(first, draw(3, 4, 0.5, torch.Generator().manual_seed(2)))
        assert torch.equal(2 * first, draw(3, 4, 1.0, torch.Generator().manual_seed(1)))
