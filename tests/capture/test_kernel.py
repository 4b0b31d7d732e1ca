"""Kernel: a library's function that runs a whole recurrence, and the arguments of its call."""

import pytest
import torch
from torch import nn

from gradscope.capture._kernel import Given, full, normalised, spread
from gradscope.dynamics.heads import adjoint_log_norms_by_head
from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded
from tests.capture.kernel_cases import case_of, drawing
from tests.capture.kernel_functions import BATCH, HEADS, KEY, VALUE, Calls, under
from tests.capture.test_kernel_watch import check_states_and_adjoints


def function(q, k, scale=2.0, initial_state=None, cu_seqlens=None, **kwargs):
    return q


def given(*args, **kwargs):
    return Given(function, args, kwargs)


def test_arguments_are_found_by_position_name_and_default():
    one, two = torch.ones(1, requires_grad=True), torch.zeros(1)
    found = given(one, k=two, extra=two, flag=True)
    assert torch.equal(found.tensor("query", "q"), one)
    assert not found.tensor("q").requires_grad
    assert found.find("extra") is not None
    assert found.find("scale") is None
    assert (found.number("scale"), found.number("k")) == (2.0, 0.0)
    assert found.is_set("flag")
    assert not found.is_set("other")
    with pytest.raises(GradscopeError, match="function was called without 'v'"):
        found.tensor("v", "value")
    with pytest.raises(GradscopeError, match="arguments that it does not have"):
        given(one)


def test_options_that_change_the_recurrence_are_refused():
    one = torch.ones(1)
    given(one, one, reverse=False, gv=None).refuse("reverse", "gv", "absent")
    with pytest.raises(GradscopeError, match="with 'reverse', which gradscope does not read"):
        given(one, one, reverse=True).refuse("reverse")


def test_an_initial_state_is_a_copy():
    one, start = torch.ones(1), torch.ones(BATCH, HEADS, KEY, VALUE)
    found = given(one, one, initial_state=start).start("initial_state")
    start.zero_()
    assert bool((found == 1).all())
    turned = given(one, one, initial_state=start, state_v_first=True).start("initial_state")
    assert turned.shape == (BATCH, HEADS, VALUE, KEY)


NAMES = ["chunk_gla", "chunk_gated_delta_rule", "chunk_rwkv6", "mamba_chunk_scan_combined"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["carried", "learned", "zero"])
def test_initial_states(name, kind):
    function, arguments = case_of(name)
    mamba = "mamba" in name
    shape = (BATCH, 2 * HEADS, VALUE, KEY) if mamba else (BATCH, HEADS, KEY, VALUE)
    start = drawing(torch.float64, 5)(*shape)
    start = {"carried": start.detach(), "learned": start, "zero": 0 * start.detach()}[kind]
    arguments["initial_states" if mamba else "initial_state"] = start
    model = nn.ModuleDict({"mixer": Calls(under(function, name))})
    with recorded(model) as recording:
        model["mixer"](**arguments).sin().sum().backward()
        if kind != "learned":
            start.zero_()  # as a cache may be filled in place
    check_states_and_adjoints(recording.trace("mixer"))
    assert recording.carried == ({"mixer"} if kind == "carried" else set())
    if kind == "learned":
        norm = torch.linalg.vector_norm(start.grad.flatten(-2), dim=-1)
        torch.testing.assert_close(
            adjoint_log_norms_by_head(recording.trace("mixer"))[0].exp(), norm
        )


def test_helpers():
    x = torch.randn(2, 3, 4, 5)
    assert full(x.half()).dtype == torch.float32
    assert full(x.double()).dtype == torch.float64
    torch.testing.assert_close(normalised(x, 0.0).norm(dim=-1), torch.ones(2, 3, 4))
    assert spread(x, 4) is x
    assert torch.equal(spread(x, 8)[:, :, 1], x[:, :, 0])
