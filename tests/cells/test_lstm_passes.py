"""Both passes of an LSTM, in place, against the general ones of a cell with affine gates."""

import pytest
import torch

from gradscope.cells import AffineCell
from gradscope.cells._lstm import LSTMLinearisation
from gradscope.cells._lstm_passes import GateBuffers, backpropagate, scan, scan_along
from gradscope.cells.lstm_variant import FORMS
from tests.conftest import build, draw

TIME, BATCH = 23, 3


@pytest.fixture(autouse=True)
def several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradscope.cells._affine_equation._CACHED", 4 * BATCH * 4 * 4)


def _case(variant: str):
    cell = build("lstm_variant", variant=variant)
    return cell, draw(TIME, BATCH, 3), draw(BATCH, 8, seed=1)


@pytest.mark.parametrize("variant", FORMS)
@pytest.mark.parametrize("known", [False, True])
def test_teacher_forcing_is_the_general_way(variant, known):
    cell, x, start = _case(variant)
    hidden = cell.hidden(cell.unroll(x, start).detach())[1:].contiguous() if known else None
    states, linear, mismatch = cell.teacher_forced(x, start, hidden)
    expected, reference, _ = AffineCell.teacher_forced(cell, x, start, hidden)
    assert type(linear) is LSTMLinearisation
    assert type(reference) is not LSTMLinearisation
    torch.testing.assert_close(states, expected, rtol=1e-12, atol=1e-13)
    assert float(mismatch.max()) < 1e-12
    immediate = draw(*states.shape, seed=2)
    ours, theirs = immediate.clone(), immediate.clone()
    by_input, by_input_too = torch.empty_like(x), torch.empty_like(x)
    linear.backpropagate(ours, by_input)
    # the base class's recursion, from the diagonal derivatives
    _, d_x = AffineCell.backpropagate(
        cell, *reference.u, expected[:-1], expected[1:], theirs, cell.recurrent_weight().detach()
    )
    torch.matmul(d_x, cell.weight_ih.detach(), out=by_input_too)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(by_input, by_input_too, rtol=1e-10, atol=1e-12)
    # and in two goes, from views
    again, halves = immediate.clone(), torch.empty_like(x)
    for part in (slice(11, TIME), slice(0, 11)):
        linear.at(part).backpropagate(again[part.start : part.stop + 1], halves[part])
    torch.testing.assert_close(again, ours, rtol=1e-12, atol=1e-13)
    for mine, other in zip(linear.vjp(immediate[1:]), reference.vjp(immediate[1:]), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("variant", FORMS)
def test_a_mismatch_is_seen_where_it_is(variant):
    cell, x, start = _case(variant)
    hidden = cell.hidden(cell.unroll(x, start).detach())[1:].clone()
    hidden[7, 1, 2] += 0.25
    mismatch = cell.teacher_forced(x, start, hidden).mismatch
    assert float(mismatch[:7].max()) < 1e-12
    assert float(mismatch[7]) == pytest.approx(0.25, rel=1e-9)


# --- the passes themselves ------------------------------------------------------------------------


def buffers(cell, x):
    """What the inputs give, and room for tanh(c)."""
    return GateBuffers(cell.form, cell.known_beforehand(x).detach(), x.new_empty(TIME, BATCH, 4))


@pytest.mark.parametrize("variant", FORMS)
def test_both_forward_passes_leave_the_gates_behind(variant):
    cell, x, start = _case(variant)
    weight, expected = cell.weight_hh.detach(), cell.unroll(x, start).detach()
    known = cell.gates(x, expected[:-1])
    for run in (scan, scan_along):
        gates, states = buffers(cell, x), torch.empty_like(expected)
        states[0] = start
        if run is scan_along:
            states[1:, :, :4] = expected[1:, :, :4]
        run(gates, states, weight)
        torch.testing.assert_close(states, expected, rtol=1e-12, atol=1e-13)
        for name in cell.form.names:
            torch.testing.assert_close(gates[name], known[name].value.detach())
        c = expected[1:, :, 4:]
        torch.testing.assert_close(
            gates.squashed_c, c if cell.form.linear_output else torch.tanh(c)
        )
        for name in set("ifo") - set(cell.form.names):
            coupled = 1 - gates["i"] if cell.form.coupled else torch.ones_like(c)
            assert torch.equal(gates[name], coupled)


@pytest.mark.parametrize("scale", [0.02, 20.0])
@pytest.mark.parametrize("variant", FORMS)
def test_backward_pass_is_autograds(variant, scale):
    """dL/ds_0 and the deltas dL/du, of a loss on every state; gates near 1 or not."""
    cell, x, start = _case(variant)
    x, start = scale * x, min(scale, 1) * start
    weights = draw(TIME + 1, BATCH, 8, seed=4)
    start = start.requires_grad_()
    states, us = [start], []
    for x_t in x:
        u = cell.preactivations(x_t, states[-1])[0]
        us.append(u)
        states.append(cell.combine(u, None, states[-1]))
    loss = (torch.stack(states) * weights).sum()
    by_start, *by_u = torch.autograd.grad(loss, [start, *us])
    states, u = torch.stack(states).detach(), torch.stack(us).detach()
    gates = GateBuffers.of(cell.form, u, states[1:, :, 4:])
    adjoints = weights.clone()
    assert gates.saturated() or scale < 1
    deltas = backpropagate(gates, states[..., 4:], adjoints, cell.weight_hh.detach(), lambda: u)
    torch.testing.assert_close(adjoints[0], by_start, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(deltas, torch.stack(by_u), rtol=1e-10, atol=1e-12)


def test_gates_made_from_preactivations_leave_them_alone():
    cell, x, start = _case("np")
    u = cell.preactivations(x, start.expand(TIME, BATCH, 8))[0].detach()
    before = u.clone()
    gates = GateBuffers.of(cell.form, u, draw(TIME, BATCH, 4))
    assert torch.equal(u, before)
    assert torch.equal(gates["f"], torch.sigmoid(before[..., 4:8]))
    part = gates.at(slice(2, 5))
    assert torch.equal(part["f"], gates["f"][2:5])
    assert [torch.equal(one["g"], gates["g"][t]) for t, one in enumerate(gates.by_step())] == [
        True
    ] * TIME
