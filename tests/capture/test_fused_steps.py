"""Fused modules called a step at a time, against the same unroll in one call and autograd."""

import pytest
import torch
from torch import nn

import gradscope
from tests.capture.conftest import BATCH, INPUT, TIME, recorded, rnn_of

KINDS = ["lstm", "gru", "tanh", "projected"]


class Stepwise(nn.Module):
    """Calls a module a step at a time, with a mask on the state where there is one."""

    def __init__(self, rnn, keep=None):
        super().__init__()
        self.rnn, self.keep = rnn, keep

    def forward(self, x):
        state, outputs = None, []
        for t in range(TIME):
            if t and self.keep is not None:
                kept = self.keep[t][None, :, None]
                state = tuple(p * kept for p in state) if isinstance(state, tuple) else state * kept
            given = x[:, t : t + 1] if self.rnn.batch_first else x[t : t + 1]
            output, state = self.rnn(given, state)
            outputs.append(output)
        last = state if isinstance(state, tuple) else (state,)
        heard = torch.cat(outputs).sin().square().sum()
        return heard + sum(part.cos().sum() for part in last)


def inputs(batch_first=False):
    torch.manual_seed(1)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    return x.transpose(0, 1).contiguous() if batch_first else x


def trained(model, x):
    """What a recorded block says, and the gradients that autograd gave."""
    with recorded(model) as recording:
        torch.manual_seed(5)
        model(x).backward()
    assert all("was set anew" in note for note in recording.notes)
    return recording, {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("keep", [False, True], ids=["as it is", "masked"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_every_layers_weights_are_autograds(kind, dropout, keep):
    mask = torch.ones(TIME, BATCH, dtype=torch.float64)
    mask[3, 1], mask[5, 0] = 0.0, 0.5
    model = Stepwise(rnn_of(kind, 3, batch_first=True, dropout=dropout), mask if keep else None)
    recording, gradients = trained(model, inputs(batch_first=True))
    traces = {int(place[-1]): trace for place, trace in recording.traces.items()}
    assert {layer: trace.time for layer, trace in traces.items()} == dict.fromkeys(range(3), TIME)
    for layer, trace in traces.items():
        adjoints = gradscope.adjoints(trace).values()[1:]
        for name, found in trace.linearisation().by_parameters(adjoints).items():
            expected = gradients[f"rnn.{name}_l{layer}"]
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_one_call_of_all_steps_says_the_same(kind):
    model, x = Stepwise(rnn_of(kind, 2)), inputs()
    stepwise, _ = trained(model, x)
    with recorded(model) as whole:
        output, last = model.rnn(x)
        heard = output.sin().square().sum()
        parts = last if isinstance(last, tuple) else (last,)
        (heard + sum(part.cos().sum() for part in parts)).backward()
    for (place, a), (same, b) in zip(stepwise.traces.items(), whole.traces.items(), strict=True):
        assert place == same
        torch.testing.assert_close(a.states, b.states, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(a.inputs, b.inputs, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(
            a.immediate.values(), b.immediate.values(), rtol=1e-9, atol=1e-12
        )


def test_a_state_changed_in_place_later_is_the_one_that_was_made():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = rnn_of("tanh", 2)

        def forward(self, x):
            state, total = None, 0.0
            for given in x:
                output, state = self.rnn(given[None], state)
                total = total + output.sum()
                state = state.clone()
                state[:, 1] = 0.0
            return total

    model = InPlace()
    recording, gradients = trained(model, inputs())
    for place, trace in recording.traces.items():
        found = trace.linearisation().by_parameters(gradscope.adjoints(trace).values()[1:])
        expected = gradients[f"rnn.weight_hh_l{place[-1]}"]
        torch.testing.assert_close(found["weight_hh"], expected, rtol=1e-9, atol=1e-12)
        assert not trace.jacobians(2, 3)[0, 1].any()
        assert trace.states[2, 1].any()


def test_without_a_gradient_states_alone_are_taken():
    model, x = Stepwise(rnn_of("gru", 2)), inputs()
    with recorded(model) as recording, torch.no_grad():
        model(x)
    assert [trace.immediate for trace in recording.traces.values()] == [None, None]
    assert [trace.time for trace in recording.traces.values()] == [TIME, TIME]


def test_only_some_sequences():
    model, x = Stepwise(rnn_of("lstm", 2)), inputs()
    whole, _ = trained(model, x)
    with recorded(model, sequences=2) as recording:
        model(x).backward()
    for few, every in zip(recording.traces.values(), whole.traces.values(), strict=True):
        assert few.batch == 2
        torch.testing.assert_close(
            few.immediate.values(), every.immediate.values()[:, :2], rtol=1e-9, atol=1e-12
        )
