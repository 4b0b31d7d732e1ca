"""DepthCell: a stack of blocks as a recurrence."""

import pytest
import torch
from torch import nn

from gradscope.capture._depth_cell import DepthCell, inputs_of
from gradscope.capture._program import Layer, Operation, Ref
from gradscope.errors import GradscopeError
from tests.capture.depth_models import Block
from tests.conftest import draw

LAYERS, BATCH, SIZE = 3, 2, 4


def stack():
    """(cell, inputs, states) of blocks with a keyword argument of their own, and a gain between."""
    torch.manual_seed(0)
    blocks = [Block(SIZE).double() for _ in range(LAYERS)]
    gain = nn.Parameter(draw(SIZE))
    states, layers = [draw(BATCH, SIZE)], []
    for index, block in enumerate(blocks):
        kwargs = {"scale": 0.5 + index}
        operations = [
            Operation(block, (Ref(0),), kwargs, [0], gives=[1]),
            Operation(torch.mul, (Ref(1), Ref(2)), {}, [1, 2], gives=[3]),
        ]
        layers.append(Layer(operations, [0], [3], {2: gain}))
        states.append((block(states[-1], **kwargs) * gain).detach())
    cell = DepthCell(layers, [[state] for state in states[:-1]], blocks, {"gain": gain})
    cell.find_layout()
    return cell, inputs_of(LAYERS, BATCH, states[0]), torch.stack(states)


def layer_of(cell, index):
    return lambda s: cell.program[index]([s[None].expand(BATCH, -1)])[0][0]


def test_every_step_is_the_layer_and_sample_that_its_input_says():
    cell, x, states = stack()
    torch.testing.assert_close(cell(x, states[:-1]), states[1:])
    torch.testing.assert_close(cell(x[1], states[1]), states[2])
    torch.testing.assert_close(cell(x[1, 1], states[1, 1]), states[2, 1])
    twice = torch.tensor([1, 1, 0])
    torch.testing.assert_close(cell(x[1, twice], states[1, twice]), states[2, twice])
    assert torch.equal(cell.initial_state(1), states[0, :1])
    assert cell.state_shape == (SIZE,)
    with pytest.raises(GradscopeError, match="the weights are the attached model's"):
        cell.reset_parameters()


def test_jacobians_are_autograds():
    cell, x, states = stack()
    jacobians = cell.jacobian(x, states[:-1], states[1:])
    for index in range(LAYERS):
        for b in range(BATCH):
            expected = torch.autograd.functional.jacobian(layer_of(cell, index), states[index, b])
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


class Backward(torch.autograd.Function):
    """Has no forward mode."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


class Squares(nn.Module):
    def forward(self, x):
        return Backward.apply(x)


def test_j_v_without_forward_mode():
    block = Squares()
    layer = Layer([Operation(block, (Ref(0),), {}, [0], gives=[1])], [0], [1], {})
    state = draw(BATCH, SIZE)
    cell = DepthCell([layer], [[state]], [block], {})
    cell.find_layout()
    x, v = inputs_of(1, BATCH, state), draw(1, BATCH, SIZE, seed=2)
    linear = cell.linearise(x, state[None], state[None].square())
    torch.testing.assert_close(linear.jvp(v), 2 * state * v)


def test_the_parameters_gradient_is_that_of_each_block_and_of_what_is_between():
    cell, x, states = stack()
    a = draw(LAYERS, BATCH, SIZE, seed=1)
    linear = cell.linearise(x, states[:-1], states[1:])
    total = linear.by_parameters(a)
    gain = torch.zeros(SIZE, dtype=torch.float64)
    for index, block in enumerate(cell.layers):
        names = dict(block.named_parameters())
        made = cell.program[index]([states[index]])[0]
        wanted = [*names.values(), cell.between["gain"]]
        gradients = torch.autograd.grad(made, wanted, a[index])
        gain += gradients[-1]
        for name, expected in zip(names, gradients, strict=False):
            torch.testing.assert_close(total[f"layers.{index}.{name}"], expected)
    torch.testing.assert_close(total["between.gain"], gain)
    some = linear.by_parameters(a, ["layers.1.a.weight"])
    assert list(some) == ["layers.1.a.weight"]
    torch.testing.assert_close(some["layers.1.a.weight"], total["layers.1.a.weight"])


def test_a_random_block_has_no_other_output():
    cell, x, states = stack()
    cell.stochastic = True
    with pytest.raises(GradscopeError, match="gives another output when it is run again"):
        cell(x, states[:-1])
