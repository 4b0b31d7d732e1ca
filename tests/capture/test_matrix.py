"""The trace of a recurrence with a matrix for a state."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import _matrix
from gradscope.dynamics import transitions_of
from gradscope.dynamics.heads import adjoint_log_norms_by_head, streamed
from tests.capture.conftest import recorded
from tests.capture.kernel_cases import case_of
from tests.capture.kernel_functions import BATCH, HEADS, KEY, LAST, TIME, VALUE, Calls, under

NAME = "chunk_gated_delta_rule"


def record(name=NAME, sequences=None):
    function, given = case_of(name)
    model = nn.ModuleDict({"mixer": Calls(under(function, name))})
    with recorded(model, sequences=sequences) as recording:
        model["mixer"](**given).sin().sum().backward()
    return recording


@pytest.fixture
def small_limit(monkeypatch):
    """Two columns of the value axis fit."""
    column = (TIME + 1) * BATCH * HEADS * KEY * 8
    monkeypatch.setattr(_matrix, "_STATES", 2 * column)


@pytest.mark.parametrize("name", [NAME, "chunk_rwkv6", "chunk_kda", "parallel_stabilized_simple"])
def test_of_a_large_state_columns_are_mixed_and_jacobians_are_the_same(name, small_limit):
    recording = record(name)
    trace = recording.trace("mixer")
    values = LAST.values().shape[-1]
    assert [note for note in recording.notes if "2 random mixes" in note]
    assert trace.cell.columns == 2
    torch.testing.assert_close(transitions_of(trace).dense(), LAST.transitions())
    norms = torch.linalg.vector_norm(LAST.gradients().flatten(-2), dim=-1)
    torch.testing.assert_close(adjoint_log_norms_by_head(trace).exp(), norms)
    assert streamed(trace).value == values
    states = trace.cell.matrix(trace.states.detach())
    mix = torch.linalg.lstsq(LAST.values().flatten(0, -2), states.flatten(0, -2)).solution
    torch.testing.assert_close(mix.mT @ mix, torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(LAST.values() @ mix, states)
    mixed = LAST.gradients() @ mix * (values / 2) ** 0.5
    adjoints = trace.cell.matrix(gradscope.adjoints(trace).values())
    torch.testing.assert_close(adjoints, mixed)


def test_a_large_states_norms_by_jacobians_are_those_of_all_columns(monkeypatch):
    whole = record().trace("mixer")
    column = (TIME + 1) * BATCH * HEADS * KEY * 8
    monkeypatch.setattr(_matrix, "_STATES", column)
    mixed = record().trace("mixer")
    assert (whole.cell.columns, mixed.cell.columns) == (VALUE, 1)
    for pair in [(TIME, 0), (4, 2)]:
        expected = gradscope.jacobian_product(whole, *pair).log_spectral_norm()
        actual = gradscope.jacobian_product(mixed, *pair).log_spectral_norm()
        torch.testing.assert_close(actual, expected)


def test_some_sequences_of_a_large_state(small_limit, monkeypatch):
    trace = record(sequences=1).trace("mixer")
    assert trace.batch == 1
    assert trace.cell.columns == VALUE  # of one sequence all columns fit
    norms = torch.linalg.vector_norm(LAST.gradients().flatten(-2), dim=-1)[:, :1]
    torch.testing.assert_close(adjoint_log_norms_by_head(trace).exp(), norms)


def test_the_effective_rank_is_of_the_whole_last_state(small_limit):
    trace = record().trace("mixer")
    last = LAST.values()[-1]
    values = torch.linalg.svdvals(last)
    share = values / values.sum(-1, keepdim=True)
    expected = torch.exp(-(share * share.log()).sum(-1))
    torch.testing.assert_close(streamed(trace).effective_rank, expected)
