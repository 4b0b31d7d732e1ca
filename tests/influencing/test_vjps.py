"""Norms of vector-Jacobian products, by lag."""

import numpy as np
import pytest
import torch

from gradscope.errors import GradscopeError
from gradscope.influencing._given import Given
from gradscope.influencing._leaf import Leaf
from gradscope.influencing._places import Places
from gradscope.influencing._vjps import log_norms

TIME = 6


class Chain:
    """out_s = sum_t a^(s - t) x_t of three numbers, in one of the dtypes."""

    def __init__(self, factor, dtype=torch.float32, time=TIME):
        x = torch.randn(2, time, 3).to(dtype)
        self.leaf = Leaf(Given((x,), {}, 0, x, None))
        h, out = x.new_zeros(2, 3), []
        for step in self.leaf.take(x).unbind(1):
            h = factor * h + step
            out.append(h)
        self.output = torch.stack(out, 1)
        real, last = torch.ones(2, time, dtype=torch.bool), torch.full((1, 2), time - 1)
        self.places = Places(real, last, future=False, batch_first=True)

    def norms(self, count=3):
        return log_norms(self.output, self.leaf, self.places, count, 0)


@pytest.mark.parametrize("count", [None, 2])
def test_signs_and_unit_vectors_have_the_same_squares(count):
    found = Chain(0.5).norms(count).log_norms
    assert found.shape == (1, 3 if count is None else 2, 2, TIME)
    expected = np.log(3) / 2 + np.arange(TIME) * np.log(0.5)  # ||v||^2 = 3
    np.testing.assert_allclose(np.broadcast_to(expected, found.shape), found, atol=1e-6)


def test_the_seed_is_that_of_the_cotangents():
    def drawn(seed):
        chain = Chain(0.5)
        mixed = chain.output @ torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]])
        return log_norms(mixed, chain.leaf, chain.places, 3, seed).log_norms

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


@pytest.mark.parametrize(
    ("dtype", "factor", "time", "seen"),
    [
        (torch.float32, 1e-6, 9, 8),  # to 1e-48, the least float32 is 1e-45
        (torch.bfloat16, 2.0**-20, 9, 8),
        (torch.float64, 1e-60, 9, 8),  # to 1e-480
        (torch.float16, 2.0**-3, 6, 5),
        (torch.float32, 1e6, 8, 7),  # to 1e42
    ],
)
def test_beyond_the_range_of_a_dtype(dtype, factor, time, seen):
    chain = Chain(factor, dtype, time)
    chain.output.data.nan_to_num_(posinf=0, neginf=0)
    found = chain.norms()
    expected = np.log(3) / 2 + np.arange(seen + 1) * np.log(factor)
    np.testing.assert_allclose(found.log_norms[0, 0, 0, : seen + 1], expected, atol=0.05)
    assert not found.too_small


def test_what_is_too_small_is_not_called_zero():
    found = Chain(1e-6, time=20).norms()
    assert found.too_small
    logs = found.log_norms[0, 0, 0]
    assert np.isnan(logs[-1])
    assert not np.isneginf(logs).any()


def test_an_exact_zero_is():
    found = Chain(0.0).norms()
    assert not found.too_small
    assert np.isneginf(found.log_norms[..., 1:]).all()


def test_what_no_dtype_holds_is_refused():
    chain = Chain(1e20, time=8)
    with pytest.raises(GradscopeError, match="larger than its dtype holds: give float64"):
        chain.norms()
    chain = Chain(0.5)
    chain.output = chain.output * torch.nan
    with pytest.raises(GradscopeError, match="the gradient is NaN"):
        chain.norms()


def test_an_output_that_an_example_does_not_have():
    chain = Chain(0.5)
    outputs = torch.tensor([[5, -1], [2, 3]])
    places = Places(chain.places.real, outputs, future=False, batch_first=True)
    found = log_norms(chain.output, chain.leaf, places, 1, 0).log_norms
    assert np.isnan(found[0, 0, 1]).all()
    assert np.isfinite(found[1, 0, 1, :4]).all()
    assert np.isnan(found[1, 0, 1, 4:]).all()
