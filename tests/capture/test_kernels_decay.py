"""Kernels whose transitions are diagonal: what a library's options make of the arguments.

``tests/capture/test_kernel_watch.py`` has every kernel against autograd.
"""

import pytest
import torch

from gradscope.dynamics import transitions_of
from gradscope.errors import GradscopeError
from tests.capture import kernel_functions as functions
from tests.capture.kernel_cases import case_of, drawing
from tests.capture.kernel_functions import BATCH, HEADS, KEY, TIME, VALUE
from tests.capture.scan_modules import WIDTH
from tests.capture.test_kernel_watch import check_states_and_adjoints
from tests.capture.test_kernels_delta import record


@pytest.mark.parametrize("change", ["no D", "no z", "limits", "bare"])
def test_options_of_mamba_2(change):
    function, given = case_of("mamba_chunk_scan_combined")
    if change in ("no D", "bare"):
        del given["D"]
    if change in ("no z", "bare"):
        del given["z"]
    if change == "limits":
        given["dt_limit"] = (0.5, 1.0)
    if change == "bare":
        given |= {"dt": given["dt"].detach().abs(), "dt_bias": None, "dt_softplus": False}
    check_states_and_adjoints(record(function, "mamba_chunk_scan_combined", given))


def test_groups_of_channels_of_mamba_1():
    function, given = case_of("selective_scan_fn")
    draw = drawing(torch.float64, 7)
    given |= {name: draw(BATCH, 2, KEY, TIME) for name in "BC"}
    trace = record(function, "selective_scan_fn", given)
    check_states_and_adjoints(trace)
    assert (trace.cell.heads, trace.cell.columns) == (WIDTH, 1)


def test_constant_b_and_c_are_refused():
    _, given = case_of("selective_scan_fn")
    given["B"] = torch.ones(WIDTH, KEY, dtype=torch.float64)

    def kernel(u, delta, A, B, C, D, z, delta_bias, delta_softplus):
        return u * delta * z

    with pytest.raises(GradscopeError, match="reads those that come from the input"):
        record(kernel, "selective_scan_fn", given)


@pytest.mark.parametrize("form", ["g", "g_gamma", "both", "neither"])
def test_decays_of_simple_gated_attention(form):
    function, given = case_of("chunk_simple_gla")
    decay = given.pop("g")
    if form in ("g", "both"):
        given["g"] = decay
    if form in ("g_gamma", "both"):
        given["g_gamma"] = torch.tensor([-0.1, -0.5], dtype=torch.float64)
    if form == "neither":
        given["g"] = torch.zeros_like(decay)
    trace = record(function, "chunk_simple_gla", given)
    check_states_and_adjoints(trace)
    if form == "g_gamma":
        logs = transitions_of(trace).log_norms([1])[0]
        torch.testing.assert_close(logs, given["g_gamma"].expand(BATCH, HEADS))


@pytest.mark.parametrize("start", [False, True])
def test_linear_attention_that_gives_a_mean(start):
    function, given = case_of("chunk_linear_attn")
    given |= {name: given[name].detach().abs().requires_grad_() for name in "qk"}
    draw = drawing(torch.float64, 7)
    if start:
        before = draw(BATCH, 1, HEADS, KEY).detach().abs()
        given["initial_state"] = (draw(BATCH, HEADS, KEY, VALUE).detach(), before)
    trace = record(function, "chunk_linear_attn", given | {"normalize": True})
    check_states_and_adjoints(trace)


def test_the_scale_of_the_query():
    for name in ("chunk_gla", "chunk_rwkv6", "chunk_retention"):
        function, given = case_of(name)
        check_states_and_adjoints(record(function, name, given | {"scale": 0.3}))


@pytest.mark.parametrize("option", ["gv", "reverse"])
def test_options_by_which_it_is_another_recurrence_are_refused(option):
    _, given = case_of("fused_recurrent_gla")
    with pytest.raises(GradscopeError, match=f"'{option}', which gradscope does not read"):
        record(functions.fused_recurrent_gla, "fused_recurrent_gla", given | {option: True})


def test_retention_forgets_by_head():
    trace = record(*reversed(("chunk_retention", functions.chunk_retention)), case_of_retention())
    logs = transitions_of(trace).log_norms([1])[0, 0]
    expected = torch.log1p(-(2.0 ** (-5 - torch.arange(HEADS, dtype=torch.float64))))
    torch.testing.assert_close(logs, expected)


def case_of_retention():
    return case_of("chunk_retention").arguments
