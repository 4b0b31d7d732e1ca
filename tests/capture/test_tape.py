"""What is kept of a model's operations."""

import torch
from torch import nn

from gradscope.capture._forward import Onlooker
from gradscope.capture._tape import Tape


def taped():
    """A tape, and where it notes that a backward pass begins."""
    begun = []
    return Tape(Onlooker(), lambda: begun.append(1)), begun


def called(tape, block, *args):
    operation = tape.enter(block, args, {})
    with tape.pause():
        output = block(*args)
    tape.leave(operation, block, output)
    return output


def test_operations_have_the_tensors_that_they_take_and_give():
    tape, begun = taped()
    x = torch.ones(2, requires_grad=True)
    with tape:
        y = torch.exp(x)
        assert y.shape == (2,)  # gives no tensor
        z = y.sum()
        z.backward()
    exp, total = tape.operations
    assert [op.function.__name__ for op in tape.operations] == ["exp", "sum"]
    assert exp.gives == total.takes == [tape.number(y)]
    assert begun == [1]
    assert tape.onlooker.failure is None


def test_a_change_in_place_makes_another_tensor_and_keeps_what_there_was():
    tape, _ = taped()
    with tape:
        y = torch.ones(2) * 3
        before = tape.number(y)
        y += 1
        after = tape.number(y)
    assert before != after
    assert tape.operations[-1].changes == {before: after}
    assert tape.value(before).tolist() == [3, 3]
    assert tape.value(after).tolist() == [4, 4]
    with torch.no_grad():
        y.data.mul_(1)
        y.mul_(2)
    assert tape.value(after) is None  # nobody looked on


def test_a_block_is_one_operation_and_what_is_made_of_it_is_known():
    tape, _ = taped()
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    with tape:
        x = torch.ones(1, 2)
        y = called(tape, first, x)
        z = torch.tanh(y)
        called(tape, second, z)
        beside = x + 1
    calls = [op.call for op in tape.operations if op.call >= 0]
    assert calls == [0, 1]
    assert [tape.latest[tape.number(t)] for t in (x, y, z, beside)] == [-1, 0, 0, -1]


def test_what_a_block_is_given_and_does_not_read_is_told_apart():
    class Reads(nn.Module):
        def forward(self, x, unread):
            return 2 * x, torch.ones(2), unread

    tape, _ = taped()
    first, second = nn.Linear(2, 2), Reads()
    with tape:
        x = torch.ones(1, 2)
        y = called(tape, first, x)
        z = torch.tanh(y)
        called(tape, second, z, y)
    operation = tape.operations[-1]
    assert operation.takes == [tape.number(z), operation.takes[1]]
    made = [tape.latest[number] for number in operation.gives]
    assert made[0] == 1
    assert made[1] == -1  # depends on nothing


def test_what_a_function_of_ones_own_makes_is_lost():
    class Straight(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.round() + 0

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    tape, _ = taped()
    with tape:
        y = called(tape, nn.Linear(2, 2), torch.ones(1, 2))
        z = Straight.apply(y)
        w = z + 1
    assert tape.latest[tape.number(w)] == -1
    assert tape.is_lost([tape.operations[-1].takes[0]])
    assert not tape.is_lost([tape.number(y)])


def test_what_was_computed_long_before_is_let_go_of(monkeypatch):
    monkeypatch.setattr("gradscope.capture._tape._BEFORE", 5)
    tape, _ = taped()
    with tape:
        x = torch.ones(1000)
        for _ in range(40):
            x = x + 1
    assert len(tape.operations) <= 12
    assert sum(t.numel() > 0 for t in tape.tensors) < 20
    assert tape.onlooker.failure is None


def test_draws_are_kept_with_what_they_were_drawn_from():
    tape, _ = taped()
    with tape:
        x = torch.ones(3) * 1
        nn.functional.dropout(x, 0.5)
    assert tape.operations[-1].random is not None
    assert tape.operations[-2].random is None
