"""Pascanu's regulariser."""

import pytest
import torch

from gradscope.clips import CLIPS, gradient_norm
from gradscope.dynamics import adjoints
from tests.clips._draw import training
from tests.conftest import draw


@pytest.mark.parametrize("squared", [False, True])
def test_omega_moves_the_parameters_through_the_jacobian_alone(squared):
    """Against h = tanh(u) written out: J = diag(1 - tanh^2 u) W, states and adjoints held fixed."""
    run = training(
        f"clip: {{name: omega, weight: 3.0, squared: {str(squared).lower()}}}\n"
        "training: {batch_size: 2}"
    )
    batch = run.next_batch()
    trace = run.model.trace(batch)
    a = adjoints(trace).values()[1:]
    states = trace.states.detach()
    cell = run.model.stack.layers[0]

    def omega(weight_hh, weight_ih, bias_ih, bias_hh):
        u = trace.inputs @ weight_ih.mT + states[:-1] @ weight_hh.mT + bias_ih + bias_hh
        carried = (a * (1 - torch.tanh(u) ** 2)) @ weight_hh
        ratio = carried.norm(dim=-1) / a.norm(dim=-1)
        return 3.0 * ((ratio**2 if squared else ratio) - 1).square().mean()

    parameters = (cell.weight_hh, cell.weight_ih, cell.bias_ih, cell.bias_hh)
    term, expected = run.settings.clip.term(trace), omega(*parameters)
    assert float(term.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)
    for ours, theirs in zip(
        torch.autograd.grad(term, parameters),
        torch.autograd.grad(expected, parameters),
        strict=True,
    ):
        assert ours.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_steps_without_an_adjoint_do_not_count():
    """No recurrent weights: the adjoint is zero before the last step, where the ratio is zero."""
    run = training("clip: {name: omega, weight: 3.0}\ntraining: {batch_size: 2}")
    with torch.no_grad():
        run.model.stack.layers[0].weight_hh.zero_()
    term = run.settings.clip.term(run.model.trace(run.next_batch()))
    assert float(term.detach()) == pytest.approx(3.0)


def test_without_any_adjoint_there_is_no_term():
    run = training("clip: omega\ntraining: {batch_size: 2}")
    with torch.no_grad():
        run.model.weight_hy.zero_()
    assert run.settings.clip.term(run.model.trace(run.next_batch())) is None


def test_omega_joins_the_gradient_of_an_update():
    run = training("clip: {name: omega, weight: 3.0, max_norm: null}\ntraining: {batch_size: 2}")
    batch, loss = next(run.updates())
    weight = run.model.stack.layers[0].weight_hh
    by_loss = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    by_term = torch.autograd.grad(run.settings.clip.term(run.model.trace(batch)), weight)[0]
    run.differentiate(loss)
    run.take(batch, loss.item())
    torch.testing.assert_close(weight.grad, by_loss + by_term, rtol=0, atol=1e-12)


def test_then_the_global_norm_is_clipped():
    gradients = [draw(7)]
    norm = gradient_norm(gradients)
    assert float(CLIPS.make({"name": "omega", "max_norm": None})(gradients, norm)) == 1
    half = float(norm) / 2
    assert float(CLIPS.make({"name": "omega", "max_norm": half})(gradients, norm)) == 0.5
    assert float(gradient_norm(gradients)) == pytest.approx(half)
