"""Clipping by the global norm, against torch's own."""

import pytest
import torch

from tests.clips._draw import clipped


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 1e4])
def test_global_norm_is_torchs(max_norm):
    before, after, coefficient = clipped({"name": "global_norm", "max_norm": max_norm}, 3.0)
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in before]
    for parameter, gradient in zip(parameters, before, strict=True):
        parameter.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    for parameter, ours in zip(parameters, after, strict=True):
        torch.testing.assert_close(
            ours, parameter.grad, rtol=1e-5, atol=0
        )  # torch adds 1e-6 to the norm
    assert coefficient == pytest.approx(min(1.0, max_norm / float(norm)))
