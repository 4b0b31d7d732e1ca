"""A call of torch.nn.RNN, LSTM or GRU, read off a hook's arguments."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from gradscope.capture._call import Passed, RandomState, padded, time_major
from gradscope.errors import GradscopeError
from tests.capture.conftest import BATCH, HIDDEN, INPUT, TIME


def test_arguments_by_position_and_by_name():
    rnn, x = nn.LSTM(INPUT, HIDDEN), torch.randn(TIME, BATCH, INPUT)
    state = (torch.randn(1, BATCH, HIDDEN), torch.randn(1, BATCH, HIDDEN))
    result = rnn(x, state)
    for args, kwargs in [((x, state), {}), ((x,), {"hx": state}), ((), {"input": x, "hx": state})]:
        passed = Passed.of(rnn, args, kwargs, result)
        assert passed.inputs is x
        assert passed.output is result[0]
        for given, expected in [(passed.hx, state), (passed.final, result[1])]:
            assert [id(part) for part in given] == [id(part) for part in expected]


@pytest.mark.parametrize(
    ("args", "result"),
    [
        ((), (torch.ones(1), torch.ones(1))),
        ((torch.ones(1),), torch.ones(1)),
        (([1.0],), (torch.ones(1), torch.ones(1))),
    ],
    ids=["no input", "no tuple", "a list"],
)
def test_a_call_that_is_none_of_torchs(args, result):
    with pytest.raises(GradscopeError, match=r"GRU was called in a way that is not torch's"):
        Passed.of(nn.GRU(1, 1), args, {}, result)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_the_initial_state_has_a_batch_axis(batched, given):
    rnn = nn.LSTM(INPUT, HIDDEN, 2)
    lead = (BATCH,) if batched else ()
    x = torch.randn(TIME, *lead, INPUT)
    state = tuple(torch.randn(2, *lead, HIDDEN) for _ in range(2)) if given else None
    passed = Passed.of(rnn, (x, state), {}, rnn(x, state))
    start = passed.initial_state()
    assert [tuple(part.shape) for part in start] == [(2, BATCH if batched else 1, HIDDEN)] * 2
    if state is None:
        assert not any(bool(part.any()) for part in start)
    else:
        for part, expected in zip(start, state, strict=True):
            assert torch.equal(part.flatten(), expected.flatten())
            part.zero_()  # a copy
            assert bool(expected.any())


def test_a_packed_batch_is_padded_in_the_order_in_which_torch_runs_it():
    lengths = torch.tensor([2, 5, 3])
    x = torch.randn(5, 3, INPUT)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    tensor, padded_lengths = padded(packed)
    assert padded_lengths.tolist() == [5, 3, 2]
    assert torch.equal(tensor[:, 0], x[:, 1])
    assert torch.equal(tensor[:3, 1], x[:3, 2])
    assert not tensor[3:, 1].any()


def test_time_comes_first():
    batch_first, time_first = nn.GRU(INPUT, HIDDEN, batch_first=True), nn.GRU(INPUT, HIDDEN)
    x = torch.randn(BATCH, TIME, INPUT)
    assert torch.equal(time_major(x, batch_first), x.transpose(0, 1))
    assert torch.equal(time_major(x, time_first), x)
    assert torch.equal(time_major(x[0], batch_first), x[0].unsqueeze(1))


def test_random_numbers_are_drawn_again_from_a_kept_state():
    device = torch.device("cpu")
    state = RandomState.now(device)
    drawn = torch.rand(3)
    torch.rand(5)
    state.restore(device)
    assert torch.equal(torch.rand(3), drawn)
