"""Paths through the state and through gates add up to the whole."""

import pytest
import torch

from gradscope.cells import CELLS, Stack
from gradscope.dynamics import (
    adjoints,
    gate_contributions,
    jacobian_product,
    lag_contributions,
    path_contributions,
    unroll,
)
from tests.conftest import build, draw


def case(name: str, layers: int = 1):
    cell = (
        build(name)
        if layers == 1
        else Stack([build(name, 3 if layer == 0 else 4, 4, layer) for layer in range(layers)])
    )
    trace = unroll(cell, draw(6, 2, 3))
    return (
        cell,
        trace,
        (trace.states * draw(7, 2, cell.state_size, seed=9)).sum(-1),
    )  # the loss sees every part of the state


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS.names())
def test_sum_over_paths_is_the_whole(name, layers):
    cell, trace, losses = case(name, layers)
    whole = lag_contributions(trace, losses, tensors=True)
    paths = path_contributions(trace, losses, tensors=True)
    assert set(paths.log_norms) == {(a, b) for a in cell.blocks for b in cell.blocks}
    for parameter, value in whole.tensors.items():
        total = sum(parts[parameter] for parts in paths.tensors.values())
        torch.testing.assert_close(total, value, rtol=0, atol=1e-12)
    for path, log_norms in paths.log_norms.items():
        norm = sum(
            parts.flatten(1).square().sum(1) for parts in paths.tensors[path].values()
        ).sqrt()
        torch.testing.assert_close(log_norms.exp(), norm, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS.names())
def test_sum_over_gates_is_the_adjoint_less_its_immediate_part(name, layers):
    _, trace, losses = case(name, layers)
    total = sum(part.values() for part in gate_contributions(trace, losses).values())
    (immediate,) = torch.autograd.grad(losses.sum(), trace.states, retain_graph=True)
    torch.testing.assert_close(
        total, (adjoints(trace, losses).values() - immediate)[:-1], rtol=0, atol=1e-12
    )


def test_a_path_is_its_block_of_the_full_product():
    """One loss at the end on c, the bias of the candidate gate: G_lag = sum_b imm_c J_{T:k}[c, c] i
    g'.
    """
    cell = build("lstm")
    trace = unroll(cell, draw(5, 1, 3))
    losses = trace.states[5, :, 4:].sum(-1)[None]
    found = path_contributions(trace, losses, parameter="bias_ih", tensors=True).tensors["c", "c"][
        "bias_ih"
    ]
    for lag in range(5):
        k = 5 - lag
        product = jacobian_product(trace, 5, k).matrix()[0, 4:, 4:]
        gates = {
            n: g.activation(g.preactivation)[0]
            for n, g in cell.gates(trace.inputs[k - 1], trace.states[k - 1]).items()
        }
        expected = product.sum(0) * gates["i"] * (1 - gates["g"] ** 2)
        torch.testing.assert_close(found[lag, 8:12], expected, rtol=0, atol=1e-12)


def test_an_open_forget_gate_sends_the_gradient_directly():
    cell = build("lstm")
    cell.weight_hh.data *= 0.1
    cell.bias_ih.data[4:8] = 8.0
    trace = unroll(cell, draw(20, 1, 3))
    norms = {
        name: float(part.log_norms()[0, 0].exp())
        for name, part in gate_contributions(trace, trace.states[-1, :, 4:].sum(-1)[None]).items()
    }
    assert norms["direct"] > 5 * max(value for name, value in norms.items() if name != "direct")
