"""Kernels of the delta rule: what a library's options make of the arguments.

``tests/capture/test_kernel_watch.py`` has every kernel against autograd.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradscope.dynamics import transitions_of
from gradscope.errors import GradscopeError
from tests.capture import kernel_functions as functions
from tests.capture.conftest import recorded
from tests.capture.kernel_cases import case_of, drawing
from tests.capture.kernel_functions import BATCH, HEADS, KEY, TIME, VALUE, Calls, under
from tests.capture.test_kernel_watch import check_states_and_adjoints


def record(function, name, given):
    model = nn.ModuleDict({"mixer": Calls(under(function, name))})
    with recorded(model) as recording:
        model["mixer"](**given).sin().sum().backward()
    return recording.trace("mixer")


def with_gates(function):
    """A kernel that makes its decay and strength itself, as those of flash-linear-attention."""

    def kernel(
        q, k, v, g, beta, A_log=None, dt_bias=None, lower_bound=None, use_gate_in_kernel=False,
        use_beta_sigmoid_in_kernel=False, allow_neg_eigval=False, state_v_first=False,
        initial_state=None, use_qk_l2norm_in_kernel=True,
    ):  # fmt: skip
        if use_gate_in_kernel:
            rate = A_log.exp().view(-1, *[1] * (g.dim() - 3))
            g = g + dt_bias.view(g.shape[2:])
            bounded = lower_bound is not None
            g = lower_bound * torch.sigmoid(rate * g) if bounded else -rate * F.softplus(g)
        if use_beta_sigmoid_in_kernel:
            beta = beta.sigmoid() * (2 if allow_neg_eigval else 1)
        start = initial_state.mT if state_v_first else initial_state
        return function(q, k, v, g, beta, None, start, False, use_qk_l2norm_in_kernel)

    return kernel


@pytest.mark.parametrize("lower_bound", [None, -5.0])
@pytest.mark.parametrize("name", ["chunk_kda", "chunk_gated_delta_rule"])
def test_gates_that_are_made_in_the_kernel(name, lower_bound):
    given, draw = case_of(name).arguments, drawing(torch.float64, 7)
    given |= {
        "A_log": draw(HEADS),
        "dt_bias": draw(HEADS * KEY if name == "chunk_kda" else HEADS),
        "lower_bound": lower_bound,
        "use_gate_in_kernel": True,
        "use_beta_sigmoid_in_kernel": True,
        "allow_neg_eigval": True,
        "state_v_first": True,
        "initial_state": draw(BATCH, HEADS, VALUE, KEY),
    }
    trace = record(with_gates(getattr(functions, name)), name, given)
    check_states_and_adjoints(trace)


def test_heads_that_share_a_key():
    _, given = case_of("chunk_gated_delta_rule")
    draw = drawing(torch.float64, 7)
    given |= {"q": draw(BATCH, TIME, 1, KEY), "k": draw(BATCH, TIME, 1, KEY)}
    trace = record(functions.chunk_gated_delta_rule, "chunk_gated_delta_rule", given)
    check_states_and_adjoints(trace)
    assert trace.cell.heads == HEADS


def test_a_decay_of_each_key_in_the_gated_rule():
    _, given = case_of("chunk_kda")
    given["gk"] = given.pop("g")

    def kernel(q, k, v, g=None, gk=None, gv=None, beta=None, use_qk_l2norm_in_kernel=False):
        return functions.chunk_kda(q, k, v, gk, beta, None, None, False, use_qk_l2norm_in_kernel)

    check_states_and_adjoints(record(kernel, "fused_recurrent_gated_delta_rule", given))
    given["gv"] = given["v"]
    with pytest.raises(GradscopeError, match="with 'gv', which gradscope does not read"):
        record(kernel, "fused_recurrent_gated_delta_rule", given)


def test_a_strength_of_each_value_column_is_refused():
    _, given = case_of("chunk_delta_rule")
    given["beta"] = given["beta"][..., None] * torch.linspace(0.1, 1, VALUE)

    def kernel(q, k, v, beta):
        return (q.sum(-1, keepdim=True) + k.sum(-1, keepdim=True)) * v * beta, None

    with pytest.raises(GradscopeError, match="beta differs between the columns"):
        record(kernel, "chunk_delta_rule", given)


def test_without_a_strength_it_is_one():
    _, given = case_of("chunk_delta_rule")
    del given["beta"]

    def kernel(q, k, v, beta=None):
        return functions.chunk_delta_rule(q, k, v, torch.ones(q.shape[:3]).to(q))

    check_states_and_adjoints(record(kernel, "fused_recurrent_delta_rule", given))


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("name", ["chunk_dplr_delta_rule", "chunk_rwkv7"])
def test_the_scale_of_the_query(name, scale):
    function, given = case_of(name)
    check_states_and_adjoints(record(function, name, given | {"scale": scale}))


def test_householder_steps_keep_all_norms():
    _, given = case_of("chunk_delta_rule")
    given["beta"] = torch.full((BATCH, TIME, HEADS), 2.0, dtype=torch.float64)
    given["k"] = F.normalize(given["k"].detach(), dim=-1)
    trace = record(functions.chunk_delta_rule, "chunk_delta_rule", given)
    norms = transitions_of(trace).log_norms(list(range(TIME + 1)))
    torch.testing.assert_close(norms, torch.zeros_like(norms))
