"""Calls of torch.nn.RNN, LSTM and GRU taken apart, option by option.

Against autograd on an open unroll, and against the modules' own gradients.
"""

import itertools
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import gradscope
from tests.capture.conftest import (
    BATCH,
    HIDDEN,
    INPUT,
    TIME,
    Scored,
    loss_of,
    recorded,
    rnn_of,
    start_of,
)
from tests.capture.open_unroll import open_unroll

LENGTHS = torch.tensor([4, 7, 2, 7])


class Case(NamedTuple):
    kind: str
    layers: int
    bidirectional: bool
    packed: bool
    batch_first: bool = False
    dropout: float = 0.0
    bias: bool = True

    @property
    def module(self):
        return rnn_of(
            self.kind,
            self.layers,
            self.bidirectional,
            self.batch_first,
            self.dropout,
            self.bias,
        )


CASES = [
    Case(*options)
    for options in itertools.product(
        ("tanh", "relu", "lstm", "gru", "projected"), (1, 2), (False, True), (False, True)
    )
] + [
    Case("lstm", 2, True, True, True, 0.4),
    Case("projected", 2, True, True, True, 0.4, bias=False),
    Case("projected", 3, False, False, True, 0.4),
    Case("gru", 3, True, False, True, 0.4, bias=False),
    Case("tanh", 2, True, False, True, 0.0, bias=False),
]
ALL = pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
STARTS = pytest.mark.parametrize("given", [False, True], ids=["zero", "given"])


def recording_of(case, given):
    """(module, inputs, recording, suffix to the recurrence's name) after one backward pass."""
    rnn = case.module
    model = Scored(rnn, LENGTHS if case.packed else None, start_of(rnn) if given else None)
    torch.manual_seed(5)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    with recorded(model) as recording:
        model(x.transpose(0, 1) if rnn.batch_first else x).backward()
    alone = case.layers == 1 and not case.bidirectional
    names = {
        f"l{layer}{direction}": "rnn" if alone else f"rnn.l{layer}{direction}"
        for layer in range(case.layers)
        for direction in ("", "_reverse")[: 1 + case.bidirectional]
    }
    return rnn, x, recording, names


@ALL
@STARTS
def test_the_modules_own_gradient_is_the_sum_over_lags(case, given):
    rnn, _, recording, names = recording_of(case, given)
    assert set(recording.traces) == set(names.values())
    for suffix, name in names.items():
        split = gradscope.lag_contributions(recording.traces[name], tensors=True)
        assert split.tensors
        for parameter, value in split.tensors.items():
            expected = getattr(rnn, f"{parameter.removeprefix('cell.')}_{suffix}").grad
            torch.testing.assert_close(value.sum(0), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if not case.dropout],
    ids=lambda case: "-".join(map(str, case)),
)
@STARTS
def test_states_adjoints_and_jacobians_are_those_of_autograd(case, given):
    rnn, x, recording, names = recording_of(case, given)
    lengths = LENGTHS.tolist() if case.packed else [TIME] * BATCH
    start = start_of(rnn)
    if not given:
        zeros = torch.zeros_like
        start = tuple(map(zeros, start)) if isinstance(start, tuple) else zeros(start)
    output, last, chains = open_unroll(rnn, x, start, lengths)
    loss_of(output, last).backward(retain_graph=True)
    order = range(BATCH)
    if case.packed:
        order = pack_padded_sequence(x, LENGTHS, enforce_sorted=False).sorted_indices.tolist()
    for suffix, name in names.items():
        trace = recording.traces[name]
        adjoints = gradscope.adjoints(trace).values()
        for place, b in enumerate(order):
            chain = chains[suffix, b]
            first = TIME - lengths[b]  # short sequences are held at their beginning
            states = trace.states.detach()[first:, place]
            torch.testing.assert_close(states, torch.cat(chain).detach(), rtol=1e-10, atol=1e-12)
            expected = torch.cat([state.grad for state in chain])
            torch.testing.assert_close(adjoints[first:, place], expected, rtol=1e-9, atol=1e-11)
            if case.layers == 1 and lengths[b] > 1:
                check_jacobian(trace, chain, place, first)


def check_jacobian(trace, chain, place, first):
    """ds_T/ds_k of the full state, by autograd along the chain."""
    product = gradscope.jacobian_product(trace, TIME, first + 1)
    rows = [
        torch.autograd.grad(part, chain[1], retain_graph=True)[0][0]
        for part in chain[-1][0].unbind()
    ]
    torch.testing.assert_close(product.matrix()[place], torch.stack(rows), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("packed", [False, True])
def test_some_sequences_are_those_of_the_whole_batch(packed):
    """The same dropout is drawn for them, too."""
    recordings = []
    for sequences in (None, 2):
        rnn = rnn_of("projected", 2, True, dropout=0.4)
        model = Scored(rnn, LENGTHS if packed else None, start_of(rnn))
        torch.manual_seed(5)
        x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
        with recorded(model, sequences=sequences) as recording:
            model(x).backward()
        recordings.append(recording.traces)
    whole, some = recordings
    assert whole.keys() == some.keys()
    for name, trace in some.items():
        assert trace.states.shape[1] == 2
        torch.testing.assert_close(trace.states, whole[name].states[:, :2], rtol=1e-12, atol=1e-12)
        ours, expected = (gradscope.adjoints(traces[name]).values() for traces in (some, whole))
        torch.testing.assert_close(ours, expected[:, :2], rtol=1e-10, atol=1e-12)


def test_vanishing_beyond_float32_keeps_its_scale():
    """The lower layer's adjoint underflows in float32 as autograd has it, not as it is recorded."""
    torch.manual_seed(0)
    rnn = nn.RNN(INPUT, HIDDEN, 2)
    with torch.no_grad():
        for name, value in rnn.named_parameters():
            if "hh" in name:
                value.mul_(0.2)
    x = torch.randn(120, 2, INPUT, requires_grad=True)
    with recorded(rnn) as recording:
        rnn(x)[0][-1].sum().backward()
    assert x.grad[0].abs().max() == 0
    for name in ("l0", "l1"):
        logs = gradscope.adjoints(recording.trace(name)).log_norm()
        assert logs.isfinite().all()
        assert logs[1] < -150


def test_two_directions_keep_the_scale_of_one():
    """The upper layer's reverse direction hears the loss at one step alone.

    Its zeros at the others must not cost the forward direction its range.
    """
    logs = []
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(0)
        rnn = nn.RNN(INPUT, HIDDEN, 2, bidirectional=True)
        with torch.no_grad():
            for name, value in rnn.named_parameters():
                if "hh" in name:
                    value.mul_(0.3)
        rnn.to(dtype)
        x = torch.randn(200, 2, INPUT, generator=torch.Generator().manual_seed(1)).to(dtype)
        with recorded(rnn) as recording:
            rnn(x)[0][-1, :, :HIDDEN].sum().backward()
        logs.append(gradscope.adjoints(recording.trace("l0_reverse")).log_norm())
    assert logs[1][200] < -200
    torch.testing.assert_close(logs[0][1:], logs[1][1:], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_looked_at_in_full(dtype):
    rnn = nn.LSTM(INPUT, HIDDEN, dtype=dtype)
    with recorded(rnn) as recording:
        rnn(torch.randn(TIME, BATCH, INPUT, dtype=dtype))[0].square().sum().backward()
    assert recording.trace("lstm").states.dtype == torch.float32
    gradient = gradscope.gradient(recording.trace("lstm"))["weight_hh"]
    torch.testing.assert_close(gradient, rnn.weight_hh_l0.grad.float(), rtol=0.1, atol=0.02)


def test_chaos_parts_the_layers_below_and_is_said_so():
    torch.manual_seed(0)
    rnn = nn.RNN(INPUT, 64, 2)
    with torch.no_grad():
        for name, value in rnn.named_parameters():
            value.normal_(0, 3 / 8 if "hh" in name else 0.1)
    with recorded(rnn) as recording:
        rnn(torch.randn(500, 2, INPUT))[0].sum().backward()
    assert any("rounding is amplified on the way (chaos)" in note for note in recording.notes)


def test_a_hook_that_changes_outputs_is_no_part_of_the_step():
    """What is recorded is what the module computes; its gradient comes through the hook."""
    rnn = nn.GRU(INPUT, HIDDEN)
    rnn.register_forward_hook(lambda module, args, result: (3 * result[0], result[1]))
    with recorded(rnn) as recording:
        rnn(torch.randn(TIME, BATCH, INPUT))[0].sum().backward()
    assert (recording.trace("gru").immediate.values()[1:] == 3).all()
