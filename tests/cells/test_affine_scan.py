"""The fused unroll: gradients in parts, and of what is asked for only."""

import pytest
import torch

from gradscope.cells import _affine_scan
from tests.cells.conftest import AFFINE, AFFINE_IDS
from tests.conftest import build, draw


def gradients(cell, how, wanted):
    """Of a loss on all states, or on outputs and the last state, for the tensors wanted."""
    x, s0 = draw(9, 2, 3).requires_grad_(), draw(2, cell.state_size, seed=1).requires_grad_()
    states = cell.unroll(x, s0) if how == "plain" else None
    if how == "scan":
        states = _affine_scan.scan(cell, x, s0)
    if how == "outputs":
        hidden, last = _affine_scan.outputs(cell, x, s0)
    else:
        hidden, last = cell.hidden(states[1:]), states[-1]
    loss = (hidden * draw(9, 2, 4, seed=2)).sum() + (last * draw(*last.shape, seed=3)).sum()
    tensors = {"inputs": x, "state": s0, **dict(cell.named_parameters())}
    return torch.autograd.grad(loss, [tensors[name] for name in wanted])


@pytest.mark.parametrize(("name", "options"), AFFINE, ids=AFFINE_IDS)
@pytest.mark.parametrize("how", ["scan", "outputs"])
def test_gradients_are_those_of_the_plain_unroll_in_any_number_of_parts(
    name, options, how, monkeypatch
):
    cell = build(name, **options)
    wanted = ["inputs", "state", *dict(cell.named_parameters())]
    expected = gradients(cell, "plain", wanted)
    for steps in (9, 4, 1):
        monkeypatch.setattr(
            "gradscope.cells._affine_equation._CACHED", steps * 2 * len(cell.gate_names) * 4
        )
        for ours, theirs in zip(gradients(cell, how, wanted), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("how", ["scan", "outputs"])
@pytest.mark.parametrize("frozen", ["inputs", "state", "weight_hh", "bias_ih"])
def test_a_tensor_that_needs_no_gradient(how, frozen):
    cell = build("gru")
    if frozen in dict(cell.named_parameters()):
        getattr(cell, frozen).requires_grad_(False)
    wanted = [n for n in ("inputs", "state", "weight_ih", "weight_hh", "bias_ih") if n != frozen]
    for ours, theirs in zip(
        gradients(cell, how, wanted), gradients(cell, "plain", wanted), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_the_loss_may_leave_out_the_outputs_or_the_last_state():
    cell, x = build("lstm"), draw(5, 2, 3)
    for choose in (lambda hidden, last: hidden[2].sum(), lambda hidden, last: last.square().sum()):
        by_weight = []
        for states in (cell.unroll(x, cell.initial_state(2)), None):
            hidden, last = (
                (cell.hidden(states[1:]), states[-1])
                if states is not None
                else _affine_scan.outputs(cell, x, cell.initial_state(2))
            )
            by_weight.append(torch.autograd.grad(choose(hidden, last), cell.weight_hh)[0])
        torch.testing.assert_close(*by_weight, rtol=1e-12, atol=1e-12)


def test_the_gradient_itself_is_not_differentiable():
    """It is written out for one pass: a second derivative is refused rather than wrong."""
    cell, x = build("rnn"), draw(4, 2, 3).requires_grad_()
    states = _affine_scan.scan(cell, x, cell.initial_state(2))
    (gradient,) = torch.autograd.grad(states.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
