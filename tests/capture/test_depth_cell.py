"""DepthCell: a stack of blocks as a recurrence."""

import pytest
import torch

from gradscope.capture._depth_cell import BlockCall, DepthCell, activation, layers_of
from gradscope.errors import GradscopeError
from tests.capture.depth_models import Block
from tests.conftest import draw

LAYERS, BATCH, SIZE = 3, 2, 4


def stack():
    """(cell, inputs, states) of blocks with a keyword argument of their own."""
    torch.manual_seed(0)
    blocks = [Block(SIZE).double() for _ in range(LAYERS)]
    states = [draw(BATCH, SIZE)]
    calls = []
    for index, block in enumerate(blocks):
        kwargs = {"scale": 0.5 + index}
        states.append(block(states[-1], **kwargs).detach())
        calls.append(BlockCall(block, states[-2], states[-1], (), kwargs))
    inputs = torch.arange(LAYERS, dtype=torch.float64)[:, None, None].expand(-1, BATCH, 1)
    return DepthCell(calls), inputs, torch.stack(states)


def test_every_step_is_the_layer_that_its_input_says():
    cell, x, states = stack()
    torch.testing.assert_close(cell(x, states[:-1]), states[1:])
    torch.testing.assert_close(cell(x[1], states[1]), states[2])
    assert layers_of(x.flip(0)) == [2, 1, 0]
    assert torch.equal(cell.initial_state(1), states[0, :1])
    with pytest.raises(GradscopeError, match="the weights are the attached model's"):
        cell.reset_parameters()


def test_jacobians_are_autograds():
    cell, x, states = stack()
    jacobians = cell.jacobian(x, states[:-1], states[1:])
    for index, call in enumerate(cell.calls):
        for b in range(BATCH):
            expected = torch.autograd.functional.jacobian(
                lambda s, call=call: call.again(s[None])[0], states[index, b]
            )
            torch.testing.assert_close(jacobians[index, b], expected)
    torch.testing.assert_close(cell.jacobian(x[1], states[1], states[2]), jacobians[1])


def test_the_linearisation():
    cell, x, states = stack()
    linear = cell.linearise(x, states[:-1], states[1:])
    jacobians = cell.jacobian(x, states[:-1], states[1:])
    a, v = draw(LAYERS, BATCH, SIZE, seed=1), draw(LAYERS, BATCH, SIZE, seed=2)
    by_state, by_input = linear.vjp(a)
    torch.testing.assert_close(by_state, (jacobians.mT @ a[..., None])[..., 0])
    assert not by_input.any()
    torch.testing.assert_close(linear.jvp(v), (jacobians @ v[..., None])[..., 0])
    torch.testing.assert_close(linear.at(slice(1, 3)).vjp(a[1:])[0], by_state[1:])


def test_the_parameters_gradient_is_that_of_each_block():
    cell, x, states = stack()
    a = draw(LAYERS, BATCH, SIZE, seed=1)
    linear = cell.linearise(x, states[:-1], states[1:])
    total = linear.by_parameters(a)
    for index, call in enumerate(cell.calls):
        names = dict(call.block.named_parameters())
        gradients = torch.autograd.grad(call.again(states[index]), list(names.values()), a[index])
        for name, expected in zip(names, gradients, strict=True):
            torch.testing.assert_close(total[f"layers.{index}.{name}"], expected)
    some = linear.by_parameters(a, ["layers.1.a.weight"])
    assert list(some) == ["layers.1.a.weight"]
    torch.testing.assert_close(some["layers.1.a.weight"], total["layers.1.a.weight"])


def test_a_random_block_has_no_other_output():
    cell, x, states = stack()
    cell.stochastic = True
    with pytest.raises(GradscopeError, match="gives another output when it is run again"):
        cell(x, states[:-1])


def test_the_activation_comes_alone_or_first():
    x = torch.ones(2)
    assert activation(x) is x
    assert activation((x, None)) is x
    assert activation([x, 1]) is x
    with pytest.raises(GradscopeError, match="a block gave str"):
        activation("x")
