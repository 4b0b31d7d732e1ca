"""Adjoints: autograd on the open unroll, truncation, and scales that a float cannot hold."""

import math

import pytest
import torch

from gradscope.cells import CELLS, Stack
from gradscope.dynamics import (
    Adjoints,
    adjoints,
    immediate_gradients,
    input_gradients,
    last_loss_alone,
    step_jacobians,
    unroll,
)
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


def open_unroll(cell, inputs):
    """Every state a node of its own, so that autograd's gradient of it is the total one."""
    states = [cell.initial_state(inputs.shape[1]).requires_grad_()]
    for x in inputs:
        states.append(cell(x, states[-1]))
    return states


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS.names())
def test_total_gradient_is_autograds(name, layers):
    cell = Stack([build(name, 3 if layer == 0 else 4, 4, layer) for layer in range(layers)])
    weights = draw(11, 2, 4, seed=5)
    trace = unroll(cell, draw(10, 2, 3))
    ours = adjoints(trace, (cell.hidden(trace.states) * weights).sum(-1)).values()

    states = open_unroll(cell, trace.inputs)
    loss = (cell.hidden(torch.stack(states)) * weights).sum()
    for mine, theirs in zip(ours, torch.autograd.grad(loss, states), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", CELLS.names())
def test_real_time_recurrent_learning_gives_the_same_gradient(name):
    """RTRL at fixed weights: carry ds_t/dW = J_t ds_{t-1}/dW + d+s_t/dW forward, add (dl_t/ds_t)
    ds_t/dW; no step goes back.
    """
    cell = build(name, 2, 3)
    trace = unroll(cell, draw(6, 1, 2))
    opened = cell.unroll(trace.inputs, trace.states[0].detach())
    expected = torch.autograd.grad(opened[1:].square().sum(), list(cell.parameters()))
    names = [key for key, _ in cell.named_parameters()]
    size = trace.states.shape[-1]
    carried = [torch.zeros(size, p.numel(), dtype=torch.float64) for p in cell.parameters()]
    gradients = [torch.zeros(p.numel(), dtype=torch.float64) for p in cell.parameters()]
    states, jacobians = trace.states.detach(), step_jacobians(trace)
    for t in range(1, 7):
        immediate = torch.func.jacrev(
            lambda weights, t=t: torch.func.functional_call(
                cell, weights, (trace.inputs[t - 1, 0], states[t - 1, 0])
            )
        )({key: value.detach() for key, value in cell.named_parameters()})
        for i, key in enumerate(names):
            carried[i] = jacobians[t - 1, 0] @ carried[i] + immediate[key].reshape(size, -1)
            gradients[i] += 2 * states[t, 0] @ carried[i]
    for found, slow in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, slow.flatten(), rtol=0, atol=1e-11)


def test_hidden_part_is_a_slice_of_the_state_adjoint():
    cell = build("lstm")
    trace = unroll(cell, draw(6, 2, 3))
    found = adjoints(trace, cell.hidden(trace.states)[-1].square().sum(-1)[None])
    torch.testing.assert_close(
        found.log_norms(cell.blocks["h"]), found.values()[..., :4].norm(dim=-1).log()
    )
    torch.testing.assert_close(found.log_norm(), found.values().flatten(1).norm(dim=-1).log())


@pytest.mark.parametrize(
    ("length", "stride"), [(1, 1), (3, 1), (4, 4), (5, 2), (7, 3), (10, 10), (20, 20), (20, 1)]
)
def test_truncated_adjoint_is_what_windowed_backpropagation_reaches(length, stride):
    """Built by hand: for every window a fresh open unroll from a detached state, and autograd."""
    cell, time = build("gru"), 10
    weights = draw(time + 1, 2, 4, seed=5)
    weights[0] = 0
    trace = unroll(cell, draw(time, 2, 3))
    ours = adjoints(trace, (trace.states * weights).sum(-1), tbptt=(length, stride)).values()

    expected = torch.zeros_like(ours)
    for end in range(stride, time + stride, stride):
        stop = min(end, time)
        start = (
            end - length if stride == length else max(0, stop - length)
        )  # the last chunk is shorter, a window is not
        nodes = [trace.states[start].detach().requires_grad_()]
        for x in trace.inputs[start:stop]:
            nodes.append(cell(x, nodes[-1]))
        loss = sum((nodes[t - start] * weights[t]).sum() for t in range(end - stride + 1, stop + 1))
        gradients = torch.autograd.grad(loss, nodes, allow_unused=True)
        for offset, gradient in enumerate(gradients):
            if gradient is not None and (offset > 0 or start == 0):
                expected[start + offset] += gradient
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
    if length >= time and stride >= time:
        torch.testing.assert_close(ours, adjoints(trace, (trace.states * weights).sum(-1)).values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("activation", "scale"),
    [("sigmoid", 0.1), ("tanh", 0.5), ("identity", 30.0), ("sigmoid", 1e-9)],
)
def test_scale_is_kept_far_below_and_above_the_float_range(dtype, activation, scale):
    """Against the same recursion in float64, rescaled at every step."""
    cell, time = build("rnn", activation=activation, hidden_size=5), 300
    cell.weight_hh.data *= scale / torch.linalg.matrix_norm(cell.weight_hh, 2)
    cell.weight_ih.data *= 1e-3
    cell.bias_ih.data.zero_()
    cell.bias_hh.data.zero_()
    inputs = (
        draw(time, 2, 3)
        if activation != "identity"
        else torch.zeros(time, 2, 3, dtype=torch.float64)
    )
    trace = unroll(cell.to(dtype), inputs.to(dtype))
    ours = adjoints(trace, trace.states[-1].sum(-1)[None]).log_norms()

    linear = unroll(cell.double(), inputs).linearisation()
    a, log_scale = torch.ones(2, 5, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for t in range(time - 1, -1, -1):
        a = linear.at(slice(t, t + 1)).vjp(a[None])[0][0]
        norm = a.norm(dim=-1)
        a, log_scale = a / norm[:, None], log_scale + norm.log()
    assert ours.isfinite().all()
    assert abs(log_scale[0]) > 100
    torch.testing.assert_close(
        ours[0], log_scale, rtol=1e-4 if dtype == torch.float32 else 1e-10, atol=1e-2
    )


def test_exact_zero_stays_minus_infinity():
    cell = build("rnn", activation="relu")
    cell.bias_ih.data.fill_(-100.0)  # every unit is dead
    trace = unroll(cell, draw(5, 1, 3))
    found = adjoints(trace, trace.states[-1].sum(-1)[None]).log_norms()[:, 0]
    assert found[-1] == pytest.approx(math.log(2))
    assert (found[:-1] == -math.inf).all()


def test_losses_at_many_scales_do_not_disturb_each_other():
    """A late loss of order 1 and an early one of order 1e-30, with vanishing in between."""
    cell = build("rnn", hidden_size=3)
    cell.weight_hh.data *= 0.02
    trace = unroll(cell, draw(60, 1, 3))
    early = adjoints(trace, 1e-30 * trace.states[10].sum(-1)[None]).log_norms()
    both = adjoints(
        trace, torch.stack((trace.states[60].sum(-1), 1e-30 * trace.states[10].sum(-1)))
    ).log_norms()
    torch.testing.assert_close(both[:11], early[:11], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS.names())
def test_gradient_of_the_inputs_is_autograds(name, layers):
    cell = Stack([build(name, 3 if layer == 0 else 4, 4, layer) for layer in range(layers)])
    weights, trace = draw(6, 2, 4, seed=5), unroll(cell, draw(5, 2, 3))
    ours = input_gradients(trace, (cell.hidden(trace.states) * weights).sum(-1))
    inputs = trace.inputs.clone().requires_grad_()
    states = cell.unroll(inputs, cell.initial_state(2))
    (expected,) = torch.autograd.grad((cell.hidden(states) * weights).sum(), inputs)
    torch.testing.assert_close(ours.values(), expected, rtol=0, atol=1e-11)


def test_gradient_of_the_inputs_keeps_its_scale():
    cell = build("rnn", activation="identity", bias=False)
    cell.weight_hh.data = 1e-3 * torch.eye(4, dtype=torch.float64)
    trace = unroll(cell, draw(200, 1, 3))
    found = input_gradients(trace, trace.states[-1].sum(-1)[None]).log_norms()[:, 0]
    first = cell.weight_ih.detach().sum(0).norm().log()
    lags = torch.arange(199, -1, -1, dtype=torch.float64)
    torch.testing.assert_close(found, first + lags * math.log(1e-3), rtol=1e-10, atol=1e-8)


def test_immediate_gradient_holds_earlier_states_fixed():
    trace = unroll(build("gru"), draw(4, 2, 3))
    losses = trace.states[1:].square().sum(-1)
    expected = 2 * trace.states.detach()
    expected[0] = 0
    torch.testing.assert_close(immediate_gradients(trace, losses), expected)
    given = trace.with_losses_of(Adjoints(expected / math.e, torch.ones(5, 2).double()))
    torch.testing.assert_close(immediate_gradients(given), expected)


def test_what_is_known_is_not_computed_again():
    from dataclasses import replace

    trace = unroll(build("gru"), draw(4, 2, 3))
    total = Adjoints(draw(5, 2, 4, seed=1))
    assert adjoints(replace(trace, total=total)) is total
    given = trace.with_losses_of(Adjoints(draw(5, 2, 4, seed=2)))
    assert adjoints(given) is adjoints(given)


def scored_trace(steps):
    """A trace whose mean loss is over these steps."""
    from dataclasses import replace

    trace = unroll(build("gru"), draw(6, 2, 3))
    terms = trace.states[steps].square().sum(-1)
    return replace(trace, losses=terms / terms.numel(), loss_steps=torch.tensor(steps))


def test_the_last_loss_alone():
    """Without the weight that the mean gives it, and without the steps that follow."""
    alone, last = last_loss_alone(scored_trace([1, 4]))
    assert (last, alone.time) == (4, 4)
    plain = unroll(alone.cell, alone.inputs)
    expected = adjoints(plain, plain.states[4].square().sum(-1)[None])
    torch.testing.assert_close(adjoints(alone).values(), expected.values())


def test_the_last_loss_alone_of_an_immediate_gradient():
    trace = unroll(build("gru"), draw(6, 2, 3))
    immediate = Adjoints(torch.zeros_like(trace.states), torch.full((7, 2), -3.0).double())
    immediate.mantissa[2], immediate.mantissa[5] = 1.0, 2.0
    alone, last = last_loss_alone(trace.with_losses_of(immediate))
    assert last == 5
    torch.testing.assert_close(
        adjoints(alone).values()[-1], torch.full((2, 4), 2 * math.exp(-3)).double()
    )
    assert (immediate_gradients(alone)[:-1] == 0).all()
    silent = Adjoints(torch.zeros_like(trace.states))
    assert last_loss_alone(trace.with_losses_of(silent)) is None
    assert last_loss_alone(trace) is None


def test_errors_name_the_cause():
    trace = unroll(build("rnn"), draw(4, 1, 3))
    with pytest.raises(GradscopeError, match="no losses"):
        adjoints(trace)
    with pytest.raises(GradscopeError, match="cut off"):
        adjoints(trace, trace.states.detach().sum(-1))
    other = torch.zeros(3, requires_grad=True)
    with pytest.raises(GradscopeError, match="do not depend"):
        adjoints(trace, (other * 2)[None])
