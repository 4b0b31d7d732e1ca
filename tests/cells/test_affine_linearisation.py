"""The linearisation of affine cells, part by part, against autograd."""

import pytest
import torch

from gradscope.cells._affine_linearisation import AffineLinearisation
from gradscope.dynamics.linearisation import AutogradLinearisation
from tests.cells.conftest import AFFINE, AFFINE_IDS
from tests.conftest import build, draw


def case(name, options):
    """A cell, its linearisation without anything made yet, autograd's, and a cotangent."""
    cell, x = build(name, **options), draw(6, 2, 3)
    states = cell.unroll(x, draw(2, cell.state_size, seed=1)).detach()
    ours = AffineLinearisation(cell, x, states[:-1], states[1:])
    slow = AutogradLinearisation(cell, dict(cell.named_parameters()), x, states[:-1])
    return cell, ours, slow, draw(6, 2, cell.state_size, seed=2)


@pytest.mark.parametrize(("name", "options"), AFFINE, ids=AFFINE_IDS)
def test_each_parameter_by_itself(name, options):
    """Also one that is made into the recurrent matrix, and those that are used unit by unit."""
    cell, ours, slow, cotangent = case(name, options)
    for parameter, value in slow.by_parameters(cotangent).items():
        found = ours.by_parameters(cotangent, [parameter])
        assert list(found) == [parameter]
        torch.testing.assert_close(found[parameter], value, rtol=0, atol=1e-11)
    assert ours.by_parameters(cotangent, []) == {}
    assert list(ours.by_parameters(cotangent)) == [name for name, _ in cell.named_parameters()]


@pytest.mark.parametrize(("name", "options"), AFFINE, ids=AFFINE_IDS)
def test_some_of_the_steps(name, options):
    """Views before anything is made, and after, and of views."""
    _, ours, slow, cotangent = case(name, options)
    expected = slow.vjp(cotangent)
    for linear in (ours, ours.at(slice(0, 6))):  # the second after the first has made its parts
        part = linear.at(slice(1, 5)).at(slice(1, 3))
        for mine, theirs in zip(part.vjp(cotangent[2:4]), expected, strict=True):
            torch.testing.assert_close(mine, theirs[2:4], rtol=0, atol=1e-12)
        linear.vjp(cotangent)


@pytest.mark.parametrize(("name", "options"), AFFINE, ids=AFFINE_IDS)
@pytest.mark.parametrize("cached", [1, 10**9])
def test_the_recursion_in_parts(name, options, cached, monkeypatch):
    monkeypatch.setattr("gradscope.cells._affine_equation._CACHED", cached)
    cell, ours, slow, _ = case(name, options)
    immediate = draw(7, 2, cell.state_size, seed=3)
    results = []
    for linear in (ours, slow):
        adjoints, received = immediate.clone(), torch.empty_like(ours.x)
        linear.backpropagate(adjoints, received)
        results.append((adjoints, received))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "antisymmetric", "janet"])
def test_a_gates_way_is_what_passes_its_recurrent_weights(name):
    """Without the weights of a gate its way is gone, and the other ways are as they were."""
    cell, ours, _, cotangent = case(name, {})
    ways = ours.vjp_by_gate(cotangent)
    for index, gate in enumerate(cell.gate_names):
        weight = ours.weight_hh.clone()
        weight[4 * index : 4 * index + 4] = 0
        silenced = AffineLinearisation(
            cell, ours.x, ours.s_prev, ours.s, ours.u, weight
        ).vjp_by_gate(cotangent)
        assert (silenced[gate] == 0).all()
        for other in ways.keys() - {gate}:
            assert torch.equal(silenced[other], ways[other])
        assert ways[gate].abs().sum() > 0
        assert (ways[gate][..., 4:] == 0).all(), "recurrent weights see h alone"
