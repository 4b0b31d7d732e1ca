"""The linearisation of layers, against autograd over the whole step."""

import pytest
import torch

from gradscope.cells import Stack
from gradscope.dynamics.linearisation import AutogradLinearisation
from tests.conftest import build, draw


def case(layers):
    """A stack of different cells, its linearisation, autograd's, and a cotangent."""
    kinds = [build("lstm", 3, 4), build("mgu", 4, 5, seed=1), build("rnn", 5, 2, seed=2)]
    cell, x = Stack(kinds[:layers]), draw(6, 2, 3)
    states = cell.unroll(x, draw(2, cell.state_size, seed=1)).detach()
    slow = AutogradLinearisation(cell, dict(cell.named_parameters()), x, states[:-1])
    ours = cell.linearise(x, states[:-1], states[1:])
    return cell, ours, slow, draw(6, 2, cell.state_size, seed=2)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_products_with_vectors(layers):
    _, ours, slow, cotangent = case(layers)
    for mine, theirs in zip(ours.vjp(cotangent), slow.vjp(cotangent), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)
    moved = draw(6, 2, 3, seed=3)
    for inputs in (None, moved):
        torch.testing.assert_close(
            ours.jvp(cotangent, inputs), slow.jvp(cotangent, inputs), rtol=0, atol=1e-12
        )
    part = slice(2, 5)
    torch.testing.assert_close(
        ours.at(part).vjp(cotangent[part])[0], slow.vjp(cotangent)[0][part], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_recursion(layers):
    """The path up within a step belongs to J_t and not to the gradient of the lower state."""
    cell, ours, slow, _ = case(layers)
    immediate = draw(7, 2, cell.state_size, seed=4)
    results = []
    for linear in (ours, slow):
        adjoints, received = immediate.clone(), torch.empty(6, 2, 3, dtype=torch.float64)
        linear.backpropagate(adjoints, received)
        results.append((adjoints, received))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_parameters_by_layer(layers):
    _, ours, slow, cotangent = case(layers)
    for name, value in slow.by_parameters(cotangent).items():
        chosen = ours.by_parameters(cotangent, [name])
        assert list(chosen) == [name]
        torch.testing.assert_close(chosen[name], value, rtol=0, atol=1e-11)
    last = f"cells.{layers - 1}."
    of_last = ours.by_parameters(cotangent, [n for n in slow.parameters if n.startswith(last)])
    assert all(name.startswith(last) for name in of_last)


def test_ways_carry_their_layer():
    _, ours, _, cotangent = case(3)
    ways = ours.vjp_by_gate(cotangent)
    assert set(ways) == {"i_l0", "f_l0", "g_l0", "o_l0", "direct_l0", "whole_l1", "h_l2"}
    assert (ways["h_l2"][..., :13] == 0).all()
    torch.testing.assert_close(sum(ways.values()), ours.vjp(cotangent)[0], rtol=0, atol=1e-12)
    assert "direct" in case(1)[1].vjp_by_gate(draw(6, 2, 8))
