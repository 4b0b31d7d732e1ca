"""Operations that are run again."""

import torch

from gradscope.capture._call import RandomState
from gradscope.capture._program import Layer, Operation, Ref


def refs(*numbers):
    return tuple(Ref(number) for number in numbers)


def test_a_layer_is_its_operations_from_state_to_state():
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    operations = [
        Operation(torch.mul, refs(0, 9), {}, [0, 9], gives=[1]),
        Operation(torch.add, refs(1, 0), {"alpha": 0.5}, [1, 0], gives=[2]),
    ]
    layer = Layer(operations, [0], [2], {9: weight})
    x = torch.tensor([3.0], requires_grad=True)
    (y,) = layer([x])
    assert y.tolist() == [7.5]
    assert [g.tolist() for g in torch.autograd.grad(y, (x, weight))] == [[2.5], [3.0]]


def test_a_change_in_place_leaves_what_came_alone():
    operation = Operation(torch.Tensor.add_, (Ref(0), 1.0), {}, [0], gives=[1], changes={0: 1})
    x = torch.tensor([3.0], requires_grad=True)
    (y,) = Layer([operation], [0], [1], {})([x])
    assert y.tolist() == [4]
    assert x.tolist() == [3]
    assert torch.autograd.grad(y, x)[0].tolist() == [1]


def test_what_ran_without_autograd_passes_no_gradient():
    x = torch.tensor([3.0], requires_grad=True)
    operations = [
        Operation(torch.exp, refs(0), {}, [0], gives=[1], grad=False),
        Operation(torch.mul, refs(1, 0), {}, [1, 0], gives=[2]),
    ]
    (y,) = Layer(operations, [0], [2], {})([x])
    torch.testing.assert_close(torch.autograd.grad(y, x)[0], x.detach().exp())


def test_what_was_drawn_is_drawn_again():
    state = RandomState.now(torch.device("cpu"))
    expected = torch.nn.functional.dropout(torch.ones(20), 0.5)
    torch.rand(3)
    before = torch.get_rng_state()
    dropout = Operation(torch.nn.functional.dropout, (Ref(0), 0.5), {}, [0], gives=[1])
    dropout.random = state
    layer = Layer([dropout], [0], [1], {})
    assert torch.equal(layer([torch.ones(20)])[0], expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_attention_has_every_derivative():
    attend = torch.nn.functional.scaled_dot_product_attention
    layer = Layer([Operation(attend, refs(0, 0, 0), {}, [0], gives=[1])], [0], [1], {})
    x, v = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 3, 4)
    moved = torch.func.jvp(lambda x: layer([x])[0], (x,), (v,))[1]
    step = 1e-3
    expected = (layer([x + step * v])[0] - layer([x - step * v])[0]) / (2 * step)
    torch.testing.assert_close(moved, expected, rtol=1e-2, atol=1e-2)


def test_constants_take_the_states_precision():
    mask = torch.ones(2, dtype=torch.bool)
    operation = Operation(torch.where, refs(8, 0, 9), {}, [8, 0, 9], gives=[1])
    layer = Layer([operation], [0], [1], {8: mask, 9: torch.zeros(2)})
    assert layer([torch.ones(2, dtype=torch.float64)])[0].dtype == torch.float64
