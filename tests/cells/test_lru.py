"""The linear recurrent unit."""

import math

import pytest
import torch

from gradscope.cells.lru import LRU
from gradscope.errors import GradscopeError


def test_lru_starts_in_its_ring():
    generator = torch.Generator().manual_seed(0)
    cell = LRU(3, hidden_size=3000, low=0.6, high=0.9, generator=generator)
    a, b, gamma = (part.detach() for part in cell.eigenvalues())
    modulus = (a * a + b * b).sqrt()
    assert modulus.min() > 0.599
    assert modulus.max() < 0.901
    assert float((modulus**2).mean()) == pytest.approx((0.36 + 0.81) / 2, abs=0.01)
    torch.testing.assert_close(gamma, (1 - modulus**2).sqrt(), rtol=1e-4, atol=1e-5)
    assert not math.isclose(float(a.mean()), 0.7)


def test_phases_are_drawn_evenly_and_the_ring_is_checked():
    generator = torch.Generator().manual_seed(0)
    cell = LRU(3, hidden_size=3000, max_phase=1.0, generator=generator)
    phase = cell.theta.detach().exp()
    assert phase.max() <= 1.0
    assert float(phase.mean()) == pytest.approx(0.5, abs=0.02)
    with pytest.raises(GradscopeError, match="low should be below high"):
        LRU(3, hidden_size=3, low=0.9, high=0.9)
