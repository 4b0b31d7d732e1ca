"""AffineCell: its closed forms have the sparsity of its equation, and its ways agree."""

import pytest
import torch

from gradscope.cells import CELLS, AffineCell, Cell
from tests.cells.conftest import AFFINE, AFFINE_IDS
from tests.conftest import build, draw


@pytest.mark.parametrize(("name", "options"), AFFINE, ids=AFFINE_IDS)
def test_jacobian_is_the_sum_of_its_gates(name, options):
    """J[n i, m j] = sum_g by_recurrent[n g i] W_hh[g i, j] [m = h] + by_state[n m i] [i = j]."""
    cell = build(name, **options)
    x, s = draw(5, 3), draw(5, cell.state_size, seed=1)
    with torch.no_grad():
        after = cell(x, s)
        local = cell.derivatives(*cell.preactivations(x, s), s, after)
    blocks, gates = len(cell.state_blocks), len(cell.gate_names)
    weight = cell.recurrent_weight().detach().view(gates, 4, 4)
    expected = torch.zeros(5, blocks, 4, blocks, 4, dtype=torch.float64)
    expected[..., 0, :] += torch.einsum("bngi,gij->bnij", local.by_recurrent, weight)
    if local.by_state is not None:
        expected += torch.einsum("bnmi,ij->bnimj", local.by_state, torch.eye(4).double())
    torch.testing.assert_close(
        cell.jacobian(x, s, after), expected.reshape(5, cell.state_size, cell.state_size)
    )
    weight_ih = cell.weight_ih.detach().view(gates, 4, 3)
    by_input = torch.einsum("bngi,gij->bnij", local.by_input, weight_ih)
    torch.testing.assert_close(
        cell.input_jacobian(x, s, after), by_input.reshape(5, cell.state_size, 3)
    )


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(("name", "options"), AFFINE, ids=AFFINE_IDS)
def test_teacher_forcing_is_that_of_any_cell(name, options, known):
    """Along outputs that are not the cell's own: states, mismatch and linearisation."""
    cell, x = build(name, **options), draw(6, 2, 3)
    start = draw(2, cell.state_size, seed=1)
    hidden = draw(6, 2, 4, seed=2) if known else None
    ours = cell.teacher_forced(x, start, hidden)
    general = Cell.teacher_forced(cell, x, start, hidden)
    torch.testing.assert_close(ours.states, general.states.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.mismatch, general.mismatch.detach(), rtol=0, atol=1e-12)
    cotangent = draw(6, 2, cell.state_size, seed=3)
    fresh = cell.linearise(x, ours.states[:-1], ours.states[1:])
    for mine, theirs in zip(ours.linear.vjp(cotangent), fresh.vjp(cotangent), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-11)
    for parameter, value in fresh.by_parameters(cotangent).items():
        torch.testing.assert_close(
            ours.linear.by_parameters(cotangent)[parameter], value, rtol=0, atol=1e-11
        )


@pytest.mark.parametrize("name", [n for n in CELLS.names() if issubclass(CELLS.get(n), AffineCell)])
def test_a_population_takes_the_plain_ways(name):
    """Weights with a trial axis: scan, outputs and linearise fall back on the unroll."""
    cell, single = build(name), build(name)
    for parameter in cell.parameters():
        parameter.data = torch.stack((parameter.detach(), 0.5 * parameter.detach()))
    x, start = draw(4, 2, 3, 3), draw(2, 3, cell.state_size, seed=1)
    states = cell.unroll(x, start)
    torch.testing.assert_close(states[:, 0], single.unroll(x[:, 0], start[0]))
    torch.testing.assert_close(cell.scan(x, start), states)
    hidden, last = cell.outputs(x, start)
    torch.testing.assert_close(hidden, cell.hidden(states[1:]))
    torch.testing.assert_close(last, states[-1])
    cotangent = draw(4, 2, 3, cell.state_size, seed=2)
    ours = cell.linearise(x, states[:-1].detach(), states[1:].detach()).vjp(cotangent)[0]
    alone = single.linearise(x[:, 0], states[:-1, 0].detach(), states[1:, 0].detach())
    torch.testing.assert_close(ours[:, 0], alone.vjp(cotangent[:, 0])[0])
