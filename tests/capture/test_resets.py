"""Where the state of a recurrence is set anew."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import resets_of
from gradscope.cells.gru import GRU
from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded
from tests.capture.kernel_cases import Case, case_of
from tests.capture.kernel_functions import BATCH, KEY, TIME, VALUE, Calls, under
from tests.capture.test_kernel_watch import check_states_and_adjoints


def record(name, change):
    case = case_of(name)
    case = Case(case.function, change(case.arguments))
    model = nn.ModuleDict({"mixer": Calls(under(case.function, name))})
    with recorded(model) as recording:
        model["mixer"](**case.arguments).sin().sum().backward()
    return recording


def packed(offsets, **more):
    """The first sequence as several that lie one after another."""

    def change(given):
        first = {
            name: part[:1].detach().requires_grad_()
            if isinstance(part, torch.Tensor) and part.dim() > 2
            else part
            for name, part in given.items()
        }
        return first | {"cu_seqlens": torch.tensor(offsets)} | more

    return change


PACKED = ["chunk_gated_delta_rule", "chunk_kda", "chunk_gla", "chunk_rwkv6", "chunk_delta_rule"]


@pytest.mark.parametrize("name", PACKED)
def test_packed_sequences_know_nothing_of_each_other(name):
    recording = record(name, packed([0, 2, 5, TIME]))
    trace = recording.trace("mixer")
    check_states_and_adjoints(trace)
    assert resets_of(trace).flatten().nonzero().flatten().tolist() == [2, 5]
    assert any("was set anew 2 times" in note for note in recording.notes)
    product = gradscope.jacobian_product(trace, TIME, 3).log_spectral_norm()
    assert bool((product == -torch.inf).all())


@pytest.mark.parametrize("offsets", [[0, TIME], [0, 0, TIME], [0, TIME, TIME]])
def test_one_sequence_alone_is_not_set_anew(offsets):
    recording = record("chunk_gla", packed(offsets))
    assert resets_of(recording.trace("mixer")) is None
    assert recording.notes == []


def test_initial_states_of_packed_sequences():
    start = torch.zeros(3, 2, KEY, VALUE, dtype=torch.float64)

    def of_zeros(given):
        return packed([0, 2, 5, TIME], initial_state=start)(given)

    function, given = case_of("chunk_gla")

    def without_start(initial_state=None, **given):
        return function(**given)

    without_start.__wrapped__ = function
    model = Calls(under(without_start, "chunk_gla"))
    with recorded(model) as recording:
        model(**of_zeros(given))
    assert len(recording.traces) == 1
    start[1] = 1
    with pytest.raises(GradscopeError, match="each begins in a state of its own"), recorded(model):
        model(**of_zeros(given))


def test_documents_of_mamba():
    index = torch.tensor([[0, 0, 1, 1, 1, 2]]).expand(BATCH, TIME)
    recording = record("mamba_chunk_scan_combined", lambda given: given | {"seq_idx": index})
    trace = recording.trace("mixer")
    check_states_and_adjoints(trace)
    assert resets_of(trace)[:, 0].nonzero().flatten().tolist() == [2, 5]


def test_a_reset_of_rg_lru():
    recording = record("_rnn_scan", lambda given: given)
    assert resets_of(recording.trace("mixer"))[:, 0].nonzero().flatten().tolist() == [3]


def test_what_cannot_be_set_anew_is_none():
    assert resets_of(gradscope.unroll(GRU(3, hidden_size=4), torch.randn(5, 2, 3))) is None
