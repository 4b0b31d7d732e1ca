"""Calls that may be a loop's."""

import torch
from torch import nn

from gradscope.capture._lineage import Value
from gradscope.capture._loop_calls import Candidate, LoopCall, arguments, keeps_shape, taken_apart


def call(of, within=None):
    leaves, nest = arguments((Value(torch.zeros(2)), 3), {"mask": None})
    return LoopCall(of, within, 0, True, leaves, nest, [], (), None)


def test_where_a_call_was_made():
    outer, inner = (Candidate(name, nn.Linear(1, 1), 1, True) for name in ("outer", "inner"))
    first = call(outer)
    second = call(inner, within=call(inner, within=first))
    assert second.inside([outer])
    assert not first.inside([outer, inner])
    assert not outer.loops
    assert [value.shape for value in second.inputs] == [(2,)]


def test_whether_a_shape_is_kept():
    came = [Value(torch.zeros(2, 3)), Value(torch.zeros(4))]
    assert keeps_shape(came, [torch.zeros(1), torch.zeros(4)])
    assert not keeps_shape(came, [torch.zeros(3, 2)])
    assert len(taken_apart({"a": 1, "b": (2, [3])})[0]) == 3
