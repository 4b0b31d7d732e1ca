"""Step: how the calls of a module are read, and the tensors of a nest."""

import pytest
import torch

from gradscope.capture import Step
from gradscope.capture._step import leaves, rows, side_by_side


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (("x", "s"), {}, ("x", "s")),
        (("x",), {}, ("x", None)),
        (("x",), {"hx": "s"}, ("x", "s")),
        (("x",), {"hidden": "s"}, ("x", "s")),
        ((), {"state": "s", "input": "x"}, ("x", "s")),
        ((), {"h": "s", "x": "x"}, ("x", "s")),
        (("x",), {"memory": "s"}, ("x", "s")),
        (("x", "s", "more"), {"flag": "on"}, ("x", "s")),
        ((), {}, (None, None)),
    ],
)
def test_calls_are_read_by_position_and_by_usual_names(args, kwargs, expected):
    assert Step().read(args, kwargs) == expected


def test_the_defaults_are_those_of_a_module_called_as_x_and_s():
    cell = torch.nn.GRUCell(2, 3)
    x, s = torch.randn(4, 2), torch.randn(4, 3)
    step = Step()
    assert torch.equal(step.state(step.call(cell, x, s)), cell(x, s))


def test_leaves_are_the_tensors_in_order():
    a, b, c = torch.ones(1), torch.ones(2), torch.ones(3)
    nest = {"first": a, "second": [b, (c, 5, None)]}
    assert [id(leaf) for leaf in leaves(nest)] == [id(a), id(b), id(c)]
    assert leaves(None) == []


def test_tensors_side_by_side():
    matrix, vector = torch.arange(12.0).reshape(2, 2, 3), torch.tensor([20.0, 21.0])
    joined = side_by_side([matrix, vector])
    assert joined.tolist() == [[0, 1, 2, 3, 4, 5, 20], [6, 7, 8, 9, 10, 11, 21]]
    assert rows(vector).shape == (2, 1)
    assert rows(matrix).shape == (2, 6)
