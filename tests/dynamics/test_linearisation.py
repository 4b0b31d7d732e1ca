"""Linearisations: against dense Jacobians by autograd, and against a slow held recursion."""

import pytest
import torch

from gradscope.cells import Cell
from gradscope.dynamics import Linearisation, linearisation, unroll
from gradscope.dynamics.linearisation import AutogradLinearisation, MaskedLinearisation
from gradscope.errors import GradscopeError
from tests.conftest import build, draw

CELLS_OF_EACH_KIND = ["rnn", "lstm", "gru_original", "lru"]
TIME, BATCH = 5, 2


def case(name: str) -> tuple[Cell, torch.Tensor, torch.Tensor]:
    """A cell, inputs, and all states over them."""
    cell, x = build(name), draw(TIME, BATCH, 3)
    return cell, x, cell.unroll(x, draw(BATCH, cell.state_size, seed=1)).detach()


def dense(cell: Cell, x: torch.Tensor, s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(ds_t/ds_{t-1}, ds_t/dx_t) of each step and sequence, by autograd one at a time."""
    by_state = x.new_empty(TIME, BATCH, cell.state_size, cell.state_size)
    by_input = x.new_empty(TIME, BATCH, cell.state_size, 3)
    for t in range(TIME):
        for b in range(BATCH):
            by_input[t, b], by_state[t, b] = torch.autograd.functional.jacobian(
                cell.forward, (x[t, b], s[t, b])
            )
    return by_state, by_input


@pytest.mark.parametrize("small", [0, 2**15])
@pytest.mark.parametrize("name", CELLS_OF_EACH_KIND)
def test_several_at_once_are_each_as_alone(name, small, monkeypatch):
    """In forward mode as well as by two backward passes, where there is no closed form."""
    monkeypatch.setattr(linearisation, "_SMALL", small)
    cell, x, s = case(name)
    linear = cell.linearise(x, s[:-1], s[1:])
    vectors = draw(3, TIME, BATCH, cell.state_size, seed=2)
    by_jvp = torch.stack([linear.jvp(vector) for vector in vectors])
    torch.testing.assert_close(linear.jvps(vectors), by_jvp)
    by_vjp = torch.stack([linear.vjp(vector)[0] for vector in vectors])
    torch.testing.assert_close(linear.vjps(vectors), by_vjp)


class Dense(Linearisation):
    """From matrices, with nothing but what a subclass has to give."""

    def __init__(self, by_state: torch.Tensor, by_input: torch.Tensor):
        self.by_state, self.by_input = by_state, by_input

    def vjp(self, cotangent):
        a = cotangent.unsqueeze(-1)
        return (self.by_state.mT @ a).squeeze(-1), (self.by_input.mT @ a).squeeze(-1)

    def jvp(self, tangent, by_input=None):
        moved = (self.by_state @ tangent.unsqueeze(-1)).squeeze(-1)
        return (
            moved
            if by_input is None
            else moved + (self.by_input @ by_input.unsqueeze(-1)).squeeze(-1)
        )

    def by_parameters(self, cotangent, names=None):
        return {}

    def at(self, steps):
        return Dense(self.by_state[steps], self.by_input[steps])


@pytest.mark.parametrize("name", CELLS_OF_EACH_KIND)
def test_autograd_against_dense_jacobians(name):
    cell, x, states = case(name)
    ours = AutogradLinearisation(cell.forward, dict(cell.named_parameters()), x, states[:-1])
    slow = Dense(*dense(cell, x, states[:-1]))
    cotangent, moved_inputs = draw(TIME, BATCH, cell.state_size, seed=2), draw(TIME, BATCH, 3)
    for fast, expected in zip(ours.vjp(cotangent), slow.vjp(cotangent), strict=True):
        torch.testing.assert_close(fast, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.jvp(cotangent), slow.jvp(cotangent), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        ours.jvp(cotangent, moved_inputs), slow.jvp(cotangent, moved_inputs), rtol=0, atol=1e-12
    )
    part = slice(1, 4)
    torch.testing.assert_close(
        ours.at(part).vjp(cotangent[part])[0], slow.vjp(cotangent)[0][part], rtol=0, atol=1e-12
    )
    assert list(ours.vjp_by_gate(cotangent)) == ["whole"]


@pytest.mark.parametrize("name", CELLS_OF_EACH_KIND)
def test_the_adjoint_recursion_against_its_definition(name):
    """That of the base class and that of autograd."""
    cell, x, states = case(name)
    by_state, by_input = dense(cell, x, states[:-1])
    immediate = draw(TIME + 1, BATCH, cell.state_size, seed=2)
    expected, received = immediate.clone(), torch.empty_like(x)
    for t in range(TIME, 0, -1):
        expected[t - 1] += (by_state[t - 1].mT @ expected[t].unsqueeze(-1)).squeeze(-1)
        received[t - 1] = (by_input[t - 1].mT @ expected[t].unsqueeze(-1)).squeeze(-1)
    for linear in (
        Dense(by_state, by_input),
        AutogradLinearisation(cell.forward, dict(cell.named_parameters()), x, states[:-1]),
    ):
        adjoints, at_inputs = immediate.clone(), torch.empty_like(x)
        linear.backpropagate(adjoints, at_inputs)
        torch.testing.assert_close(adjoints, expected, rtol=0, atol=1e-11)
        torch.testing.assert_close(at_inputs, received, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", CELLS_OF_EACH_KIND)
def test_parameters_get_the_sum_over_steps_and_sequences(name):
    cell, x, states = case(name)
    parameters = dict(cell.named_parameters())
    linear = AutogradLinearisation(cell.forward, parameters, x, states[:-1])
    cotangent = draw(TIME, BATCH, cell.state_size, seed=2)
    expected = {key: torch.zeros_like(value) for key, value in parameters.items()}
    for t in range(TIME):
        for b in range(BATCH):
            sent = (cell(x[t, b], states[t, b]) * cotangent[t, b]).sum()
            for total, part in zip(
                expected.values(), torch.autograd.grad(sent, list(parameters.values())), strict=True
            ):
                total += part
    found = linear.by_parameters(cotangent)
    assert list(found) == list(parameters)
    for key, value in found.items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-11)


def test_only_the_parameters_that_are_asked_for():
    cell, x, states = case("gru")
    linear = AutogradLinearisation(cell.forward, dict(cell.named_parameters()), x, states[:-1])
    cotangent = draw(TIME, BATCH, 4)
    every = linear.by_parameters(cotangent)
    some = linear.by_parameters(cotangent, ["bias_hh", "weight_ih"])
    assert list(some) == ["weight_ih", "bias_hh"]
    assert all(torch.equal(value, every[name]) for name, value in some.items())
    assert linear.by_parameters(cotangent, []) == {}


def test_a_parameter_that_the_step_does_not_use_gets_zero():
    weight, unused = draw(4, 4).requires_grad_(), draw(3).requires_grad_()
    linear = AutogradLinearisation(
        lambda x, s: torch.tanh(s @ weight + x.sum(-1, keepdim=True)),
        {"weight": weight, "unused": unused},
        draw(TIME, BATCH, 3),
        draw(TIME, BATCH, 4),
    )
    found = linear.by_parameters(draw(TIME, BATCH, 4, seed=1))
    assert (found["unused"] == 0).all()
    assert found["weight"].abs().sum() > 0


def test_a_step_that_autograd_cannot_follow_is_refused():
    with pytest.raises(GradscopeError, match="not differentiable"):
        AutogradLinearisation(
            lambda x, s: s.detach(), {}, draw(TIME, BATCH, 3), draw(TIME, BATCH, 4)
        )


# --- held steps -----------------------------------------------------------------------------------


def slow_held(trace) -> AutogradLinearisation:
    """The linearisation of m F(x, s) + (1 - m) s itself, by autograd."""
    mask = trace.mask[..., None].double()

    class Slow(AutogradLinearisation):
        def at(self, steps):
            return slow_held(trace.steps(*steps.indices(trace.time)[:2]))

    return Slow(
        lambda x, s: mask * trace.cell(x, s) + (1 - mask) * s,
        dict(trace.cell.named_parameters()),
        trace.inputs,
        trace.states.detach()[:-1],
    )


def test_masked_against_autograd_of_the_held_step(masked):
    linear, slow = masked.linearisation(), slow_held(masked)
    assert isinstance(linear, MaskedLinearisation)
    cotangent = draw(masked.time, masked.batch, masked.states.shape[-1], seed=2)
    moved_inputs = draw(masked.time, masked.batch, 3, seed=3)
    for ours, expected in zip(linear.vjp(cotangent), slow.vjp(cotangent), strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
    for inputs in (None, moved_inputs):
        torch.testing.assert_close(
            linear.jvp(cotangent, inputs), slow.jvp(cotangent, inputs), rtol=0, atol=1e-12
        )
    for name, value in slow.by_parameters(cotangent).items():
        torch.testing.assert_close(linear.by_parameters(cotangent)[name], value, rtol=0, atol=1e-11)
        chosen = linear.by_parameters(cotangent, [name])
        assert list(chosen) == [name]
    part = slice(2, 6)
    torch.testing.assert_close(
        linear.at(part).vjp(cotangent[part])[0], slow.vjp(cotangent)[0][part], rtol=0, atol=1e-12
    )


def test_the_masked_recursion_is_autograds_over_the_held_unroll(masked):
    cell = masked.cell
    weights = draw(*masked.states.shape, seed=4)
    nodes = [masked.states[0].detach().requires_grad_()]
    inputs = masked.inputs.clone().requires_grad_()
    for x, taken in zip(inputs, masked.mask, strict=True):
        nodes.append(torch.where(taken[:, None], cell(x, nodes[-1]), nodes[-1]))
    loss = (torch.stack(nodes) * weights).sum()
    *expected, expected_inputs = torch.autograd.grad(loss, [*nodes, inputs])
    adjoints, by_input = weights.clone(), torch.empty_like(masked.inputs)
    masked.linearisation().backpropagate(adjoints, by_input)
    torch.testing.assert_close(adjoints, torch.stack(expected), rtol=0, atol=1e-11)
    torch.testing.assert_close(by_input, expected_inputs, rtol=0, atol=1e-11)


def test_the_ways_through_a_masked_step_add_up(masked):
    linear = masked.linearisation()
    cotangent = draw(masked.time, masked.batch, masked.states.shape[-1], seed=2)
    ways = linear.vjp_by_gate(cotangent)
    torch.testing.assert_close(sum(ways.values()), linear.vjp(cotangent)[0], rtol=0, atol=1e-12)
    assert torch.equal(ways["held"] != 0, ~masked.mask[..., None].expand_as(cotangent))


def test_a_mask_of_ones_changes_nothing():
    trace = unroll(build("lstm"), draw(TIME, BATCH, 3))
    inner, cotangent = trace.linearisation(), draw(TIME, BATCH, 8, seed=2)
    ones = MaskedLinearisation(inner, torch.ones(TIME, BATCH, 1, dtype=torch.float64))
    for ours, plain in zip(ones.vjp(cotangent), inner.vjp(cotangent), strict=True):
        assert torch.equal(ours, plain)
