"""Traces that make their tensors when they are asked for."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import _matrix
from gradscope.capture._lazy_trace import LazyTrace
from gradscope.dynamics import transitions_of
from gradscope.dynamics.heads import adjoint_log_norms_by_head
from gradscope.errors import GradscopeError
from tests.capture.kernel_cases import case_of
from tests.capture.kernel_functions import BATCH, TIME, Calls, under

NAME = "chunk_gated_delta_rule"


@pytest.fixture
def record(monkeypatch):
    """Two layers of one kernel, given the same; of a limit of bytes, or none."""

    def of(limit=None, start=None):
        if limit is not None:
            monkeypatch.setattr(_matrix, "_STATES", limit)
        function, given = case_of(NAME)
        if start is not None:
            given = {**given, "initial_state": start}
        model = nn.ModuleDict({name: Calls(under(function, NAME)) for name in "ab"})
        scope = gradscope.attach(model, probes=[])
        with scope.record():
            sum(layer(**given).sin().sum() for layer in model.values()).backward()
        return scope, given

    return of


def tensors(trace):
    return trace.inputs, trace.states, trace.immediate.mantissa


def held(trace):
    return {"inputs", "states", "immediate"} & vars(trace).keys()


def test_a_small_trace_is_kept_as_it_is(record):
    scope, _ = record()
    assert not isinstance(scope.trace("a"), LazyTrace)


def test_one_trace_at_a_time_holds_tensors_and_what_is_made_again_is_the_same(record):
    scope, _ = record(1)
    a, b = scope.trace("a"), scope.trace("b")
    assert isinstance(a, LazyTrace)
    first = tensors(a)
    assert (held(b), len(held(a))) == (set(), 3)
    a.memo("something", lambda: 1)
    assert tensors(b)[0].shape == first[0].shape
    assert "something" not in a.cache
    for once, again in zip(first, tensors(a), strict=True):
        assert torch.equal(once, again)


def test_what_is_known_without_tensors_makes_none(record):
    scope, _ = record(1)
    a, b = scope.trace("a"), scope.trace("b")
    tensors(b)
    assert (a.time, a.batch) == (TIME, BATCH)
    assert repr(a) == repr(b)
    transitions_of(a), adjoint_log_norms_by_head(a)
    scope.measure("heads")
    assert held(a) == set()


def test_a_copy_holds_its_tensors(record):
    scope, _ = record(1)
    a, b = scope.trace("a"), scope.trace("b")
    copy = replace(a, train_step=3)
    tensors(b)
    assert (len(held(copy)), copy.time, copy.batch, copy.train_step) == (3, TIME, BATCH, 3)
    torch.testing.assert_close(gradscope.adjoints(copy).values(), gradscope.adjoints(a).values())


def test_of_a_call_without_a_gradient_there_is_none(record, monkeypatch):
    monkeypatch.setattr(_matrix, "_STATES", 1)
    function, given = case_of(NAME)
    model = nn.ModuleDict({"a": Calls(under(function, NAME))})
    with torch.no_grad(), gradscope.attach(model, probes=[]).record() as recording:
        model["a"](**given)
    assert recording.trace("a").immediate is None


def test_a_diagnosis_is_that_of_traces_that_are_kept(record):
    whole, lazy = record()[0].diagnose(), record(1)[0].diagnose()
    assert [f.name for f in whole.findings] == [f.name for f in lazy.findings]


def test_a_state_that_is_carried_may_change_afterwards(record):
    start = torch.randn_like(record()[0].trace("a").cell.matrix(record()[0].trace("a").states)[0])
    scope, _ = record(1, start)
    before = scope.trace("a").states[0].detach().clone()
    start.zero_()
    scope.trace("b").states.sum()
    assert torch.equal(scope.trace("a").states[0], before)


def test_arguments_that_change_later_are_refused(record):
    scope, given = record(1)
    tensors(scope.trace("b"))
    with torch.no_grad():
        given["k"].mul_(2)
    with pytest.raises(GradscopeError, match="was changed in place afterwards"):
        tensors(scope.trace("a"))
