"""Adaptive gradient clipping."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.clips import CLIPS, gradient_norm
from tests.conftest import draw


@given(st.floats(1e-3, 1e2), st.integers(0, 50))
def test_every_unit_is_bounded_by_its_own_weights(scale, seed):
    """||g_i|| <= factor max(||w_i||, floor) row by row, whole vectors for biases.

    Units below the bound are left as they are.
    """
    weights = {
        "weight": 0.1 * draw(6, 5, seed=seed),
        "bias": draw(6, seed=seed + 1),
        "zero": torch.zeros(2, 3).double(),
    }
    before = [scale * draw(*w.shape, seed=seed + 2) for w in weights.values()]
    after = [g.clone() for g in before]
    rule = CLIPS.make({"name": "agc", "factor": 0.02, "floor": 1e-3}).begin(weights)
    rule(after, gradient_norm(before))
    for w, g, a in zip(weights.values(), before, after, strict=True):
        units = (lambda x: x.norm(dim=1)) if w.dim() > 1 else (lambda x: x.norm()[None])
        bound = 0.02 * units(w).clamp_min(1e-3)
        torch.testing.assert_close(units(a), torch.minimum(units(g), bound), rtol=1e-9, atol=0)


def test_the_bound_follows_the_weights_as_they_are_trained():
    weight = torch.ones(1, 4, dtype=torch.float64)
    rule = CLIPS.make({"name": "agc", "factor": 0.1}).begin({"weight": weight})
    weight.mul_(3)
    gradients = [torch.full((1, 4), 100.0, dtype=torch.float64)]
    rule(gradients, gradient_norm(gradients))
    torch.testing.assert_close(gradients[0], torch.full((1, 4), 0.3, dtype=torch.float64))
