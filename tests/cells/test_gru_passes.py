"""The passes of the GRU in place against the general ones of cells with affine gates."""

import pytest
import torch

from gradscope.cells._affine_equation import AffineEquation
from tests.conftest import build, draw


@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["usual", "saturated"])
@pytest.mark.parametrize("options", [{}, {"bias": False}], ids=["biased", "unbiased"])
def test_both_passes_are_those_of_any_affine_cell(options, scale):
    cell = build("gru", 3, 4, **options)
    inputs, state = scale * draw(7, 2, 3), draw(2, 4, seed=1)
    weight = cell.weight_hh.detach()
    with torch.no_grad():
        states, kept = cell.scan_keeping(inputs, state, weight)
        expected, u_x, u_h = cell.scan_gates(inputs, state, weight)
        torch.testing.assert_close(states, expected, rtol=0, atol=1e-14)
        ours, theirs = draw(8, 2, 4, seed=2), draw(8, 2, 4, seed=2)
        deltas = cell.backpropagate_kept(kept, states[:-1], states[1:], ours, weight)
        slow = AffineEquation.backpropagate(
            cell, u_x, u_h, expected[:-1], expected[1:], theirs, weight
        )
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    for delta, other in zip(deltas, slow, strict=True):
        torch.testing.assert_close(delta, other, rtol=1e-12, atol=1e-14)


def test_what_is_kept_is_what_the_nonlinearities_get_and_give():
    cell = build("gru", 3, 4)
    inputs, state = draw(7, 2, 3), draw(2, 4, seed=1)
    with torch.no_grad():
        states, (u, v, n) = cell.scan_keeping(inputs, state, cell.weight_hh)
        gates = cell.gates(inputs, states[:-1])
    for place, name in enumerate(("r", "z", "n")):
        torch.testing.assert_close(u[..., 4 * place : 4 * place + 4], gates[name].preactivation)
    torch.testing.assert_close(v[..., :4], gates["r"].value)
    torch.testing.assert_close(v[..., 4:8], gates["z"].value)
    torch.testing.assert_close(n, gates["n"].value)
