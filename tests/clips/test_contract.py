"""What every clip promises, and the defining property of those that are one line."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.clips import CLIPS, gradient_norm
from tests.clips._draw import clipped, gradients


@pytest.mark.parametrize("name", CLIPS.names())
@given(st.floats(1e-3, 1e3), st.integers(0, 50))
def test_the_coefficient_is_the_norm_after_over_the_norm_before(name, scale, seed):
    """It is exactly 1 where nothing changed, and never above 1 for a clip."""
    before, after, coefficient = clipped(name, scale, seed)
    unchanged = all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert (coefficient == 1) == unchanged
    assert coefficient > 0
    assert coefficient <= 1 or name == "norm_rescaling"
    assert coefficient == pytest.approx(
        float(gradient_norm(after) / gradient_norm(before)), rel=1e-12
    )


@pytest.mark.parametrize("name", CLIPS.names())
def test_so_it_is_for_the_rule_of_a_training(name):
    """With parameters by name, and over several updates."""
    parameters = dict(zip("abc", gradients(seed=9), strict=True))
    rule = CLIPS.make(name).begin(parameters)
    for seed, scale in enumerate((0.1, 10.0, 1.0)):
        before, after = gradients(scale, seed), gradients(scale, seed)
        coefficient = float(rule(after, gradient_norm(before)))
        ratio = float(gradient_norm(after) / gradient_norm(before))
        assert coefficient == pytest.approx(ratio, rel=1e-12)


@pytest.mark.parametrize("name", sorted(set(CLIPS.names()) - {"agc", "norm_rescaling"}))
def test_small_gradients_pass(name):
    assert clipped(name, 1e-3)[2] == 1


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


def test_rescaling_gives_every_gradient_the_norm():
    for scale in (1e-3, 1e3):
        _, after, _ = clipped({"name": "norm_rescaling", "norm": 0.5}, scale)
        assert float(gradient_norm(after)) == pytest.approx(0.5)


def test_rescaling_leaves_a_zero_gradient():
    zero = [torch.zeros(3)]
    assert float(CLIPS.make("norm_rescaling")(zero, gradient_norm(zero))) == 1
    assert (zero[0] == 0).all()
