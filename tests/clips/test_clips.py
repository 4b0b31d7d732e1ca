"""Clips: against torch's own where there is one, and each rule's defining property."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope import registry
from gradscope.clips import gradient_norm
from gradscope.options import component
from tests.conftest import draw


def gradients(scale: float = 1.0, seed: int = 0) -> list[torch.Tensor]:
    return [scale * draw(3, 4, seed=seed), 5 * scale * draw(4, seed=seed + 1), scale * draw(2, 2, seed=seed + 2)]


def clipped(spec, scale=1.0, seed=0):
    before, after = gradients(scale, seed), gradients(scale, seed)
    coefficient = component("clip", spec)(after, gradient_norm(before))
    return before, after, float(coefficient)


@pytest.mark.parametrize("name", registry.names("clip"))
@given(st.floats(1e-3, 1e3), st.integers(0, 50))
def test_contract(name, scale, seed):
    """The coefficient is the norm after over the norm before, exactly 1 where nothing changed, and never above 1."""
    before, after, coefficient = clipped(name, scale, seed)
    unchanged = all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert (coefficient == 1) == unchanged
    assert 0 < coefficient <= 1
    assert coefficient == pytest.approx(float(gradient_norm(after) / gradient_norm(before)), rel=1e-12)


@pytest.mark.parametrize("name", registry.names("clip"))
def test_small_gradients_pass(name):
    assert clipped(name, 1e-3)[2] == 1


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 1e4])
def test_global_norm_is_torchs(max_norm):
    before, after, coefficient = clipped({"name": "global_norm", "max_norm": max_norm}, 3.0)
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in before]
    for parameter, gradient in zip(parameters, before, strict=True):
        parameter.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    for parameter, ours in zip(parameters, after, strict=True):
        torch.testing.assert_close(ours, parameter.grad, rtol=1e-5, atol=0)  # torch adds 1e-6 to the norm
    assert coefficient == pytest.approx(min(1.0, max_norm / float(norm)))


def test_global_norm_keeps_the_direction_and_value_may_turn_it():
    def cosine(spec):
        before, after, _ = clipped(spec, 10.0)
        a, b = (torch.cat([g.flatten() for g in gs]) for gs in (before, after))
        return float(torch.cosine_similarity(a, b, dim=0))

    assert cosine("global_norm") == pytest.approx(1, abs=1e-12)
    assert cosine("value") < 0.99
    assert cosine("per_parameter_norm") < 0.999


def test_value_bounds_every_element():
    before, after, _ = clipped({"name": "value", "max_value": 0.7}, 3.0)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(b, a.clamp(-0.7, 0.7))


def test_per_parameter_norm_bounds_each_array_alone():
    before, after, _ = clipped({"name": "per_parameter_norm", "max_norm": 4.0})
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(b, a * min(1.0, 4.0 / float(a.norm())))


def test_norm_of_huge_float32_gradients_does_not_overflow():
    huge = [torch.full((4,), 1e30)]
    assert float(gradient_norm(huge)) == pytest.approx(2e30)
    coefficient = component("clip", "global_norm")(huge, gradient_norm(huge))
    assert float(coefficient) == pytest.approx(5e-31)
    torch.testing.assert_close(huge[0], torch.full((4,), 0.5))
