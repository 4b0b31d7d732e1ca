"""States that are nests of tensors, as vectors and back."""

import pytest
import torch

from gradscope.dynamics.packing import Packing
from gradscope.errors import GradscopeError
from tests.conftest import draw


def nest():
    return {"x": draw(3, 2, 2), "more": (draw(3, seed=1), [draw(3, 4, seed=2).float()])}


def test_there_and_back():
    state = nest()
    packing = Packing(state)
    vectors = packing.pack(state)
    assert vectors.shape == (3, 9) == (packing.batch, packing.size)
    assert vectors.dtype == torch.float64
    assert packing.names == ["state['x']", "state['more'][0]", "state['more'][1][0]"]
    again = packing.unpack(vectors)
    torch.testing.assert_close(again, state, rtol=0, atol=0)
    assert torch.equal(vectors[0, :4], state["x"][0].flatten())


def test_what_is_unpacked_may_be_changed_in_place():
    state = draw(2, 3)
    packing = Packing(state)
    vectors = packing.pack(state)
    packing.unpack(vectors).zero_()
    assert vectors.all()


def test_one_start_without_its_axis():
    state = {"w": draw(2, 3), "b": draw(1)[0]}
    packing = Packing(state, batched=False)
    vectors = packing.pack(state)
    assert vectors.shape == (1, 7)
    torch.testing.assert_close(packing.unpack(vectors), state, rtol=0, atol=0)


def test_coarse_numbers_are_packed_as_float32_and_stay_what_they_are():
    state = {"a": torch.ones(2, 3, dtype=torch.bfloat16), "b": torch.ones(2, 1)}
    packing = Packing(state)
    assert packing.dtype == torch.float32
    assert packing.epsilon == torch.finfo(torch.bfloat16).eps
    assert packing.unpack(packing.pack(state))["a"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"x": 1.0}, r"state\['x'\] should be a tensor, got float"),
        ({}, "holds no tensor"),
        ({"x": torch.ones(2, 3), "n": torch.zeros(2, dtype=torch.long)}, r"\['n'\] is torch.int64"),
        (torch.ones(2, dtype=torch.complex64), "view_as_real"),
        (torch.ones(()), "leading axis, the starts"),
        ((torch.ones(2, 3), torch.ones(4, 3)), r"state\[0\] \(2, 3\), state\[1\] \(4, 3\)"),
        (torch.ones(0, 3), "holds no start"),
        (torch.ones(2, 0), "hold no number"),
    ],
)
def test_states_that_are_none(state, message):
    with pytest.raises(GradscopeError, match=message):
        Packing(state)


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (torch.ones(2, 3), r"state\['x'\], state\['y'\]; it returned a tensor \(2, 3\)"),
        (({"x": 0, "y": 0}, 0), "it returned a tuple of 2"),
        ({"x": torch.ones(2, 3)}, "it returned a dict of 'x'"),
        ({"x": torch.ones(2, 3), "y": 0.0}, r"state\['y'\] as a float"),
        ({"x": torch.ones(2, 4), "y": torch.ones(2)}, r"shape of state\['x'\] from \(2, 3\) to"),
        ({"x": torch.ones(2, 3).double(), "y": torch.ones(2)}, "float32 to torch.float64"),
    ],
)
def test_what_a_step_may_not_return(after, message):
    packing = Packing({"x": torch.ones(2, 3), "y": torch.ones(2)})
    with pytest.raises(GradscopeError, match=message):
        packing.check_like(after)
