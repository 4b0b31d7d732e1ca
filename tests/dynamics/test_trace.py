"""Trace: its parts, its mask, and the derivatives that it hands out."""

import pytest
import torch

from gradscope.cells import CELLS
from gradscope.dynamics import (
    Adjoints,
    StepFunction,
    Trace,
    adjoints,
    immediate_gradients,
    jacobian_log_norms,
    jacobian_product,
    lag_contributions,
    step_jacobians,
    unroll,
)
from tests.conftest import build, draw
from tests.dynamics.conftest import LENGTHS, held, mask_of


@pytest.mark.parametrize("name", CELLS.names())
def test_every_cell_is_a_step_function(name):
    assert isinstance(build(name), StepFunction)


def test_a_trace_says_what_it_is():
    trace = unroll(build("lstm"), draw(5, 1, 3))
    assert repr(trace) == "Trace(LSTM, 5 steps, 1 sequence, a state of 8)"
    assert (trace.time, trace.batch) == (5, 1)


def test_some_steps_are_a_trace_of_their_own():
    trace = unroll(build("lstm"), draw(8, 2, 3))
    part = trace.steps(2, 6)
    assert torch.equal(part.states, trace.states[2:7])
    assert torch.equal(part.inputs, trace.inputs[2:6])
    assert not part.states.requires_grad
    torch.testing.assert_close(
        jacobian_product(part, 4, 1).matrix(), jacobian_product(trace, 6, 3).matrix()
    )


@pytest.mark.parametrize("index", [slice(1, 3), torch.tensor([2, 0])])
def test_some_sequences_are_a_trace_of_their_own(masked, index):
    part = masked.sequences(index)
    assert torch.equal(part.states, masked.states[:, index])
    assert torch.equal(part.lengths(), masked.lengths()[index])
    torch.testing.assert_close(step_jacobians(part), step_jacobians(masked)[:, index])


def test_parts_keep_the_mask_and_the_training_step(masked):
    from dataclasses import replace

    part = replace(masked, train_step=30).steps(3, 7)
    assert torch.equal(part.mask, masked.mask[3:7])
    assert part.train_step == 30
    assert part.lengths().tolist() == [4, 4, 1]


def test_the_first_sequences_are_made_once():
    trace = unroll(build("rnn"), draw(4, 3, 3))
    assert trace.first(2) is trace.first(2)
    assert trace.first(2).batch == 2
    assert trace.first(9) is trace.first(3), "no more than there are"


def test_a_memo_is_computed_once():
    trace, calls = unroll(build("rnn"), draw(4, 1, 3)), []
    for _ in range(2):
        assert trace.memo("key", lambda: calls.append(1) or len(calls)) == 1
    assert calls == [1]


def test_losses_may_be_given_by_their_immediate_gradient():
    trace = unroll(build("lstm"), draw(6, 2, 3))
    losses = trace.cell.hidden(trace.states)[1:].square().sum(-1)
    other = trace.with_losses_of(Adjoints(immediate_gradients(trace, losses)))
    torch.testing.assert_close(adjoints(other).values(), adjoints(trace, losses).values())
    torch.testing.assert_close(immediate_gradients(other), immediate_gradients(trace, losses))


def test_other_losses_forget_what_was_known_of_the_former():
    from dataclasses import replace

    trace = unroll(build("rnn"), draw(4, 1, 3))
    known = replace(
        trace,
        losses=trace.states[1:].sum(-1),
        loss_steps=torch.arange(1, 5),
        total=Adjoints(torch.zeros_like(trace.states)),
    )
    known.memo("adjoints", lambda: "stale")
    other = known.with_losses_of(Adjoints(torch.ones_like(trace.states)))
    assert (other.losses, other.loss_steps, other.total) == (None, None, None)
    assert float(adjoints(other).values()[-1].sum()) == 4


# --- sequences of several lengths -----------------------------------------------------------------


def test_lengths_and_the_states_that_have_begun(masked):
    assert masked.lengths().tolist() == LENGTHS
    begun = masked.running()
    assert begun.sum(0).tolist() == [length + 1 for length in LENGTHS], "s_0 counts"
    assert begun[-1].all()
    plain = unroll(build("rnn"), draw(4, 2, 3))
    assert plain.lengths().tolist() == [4, 4]
    assert plain.running() is None


def test_jacobians_of_held_steps_are_the_identity(masked):
    """Against autograd on the step with its mask."""
    jacobians = masked.jacobians()
    for t in range(masked.time):
        for b, taken in enumerate(masked.mask[t].tolist()):
            slow = torch.autograd.functional.jacobian(
                lambda s, t=t, b=b, taken=taken: (
                    masked.cell(masked.inputs[t, b], s) if taken else s.clone()
                ),
                masked.states[t, b].detach(),
            )
            torch.testing.assert_close(jacobians[t, b], slow, rtol=0, atol=1e-12)
    assert torch.equal(masked.jacobians(2, 5), jacobians[2:5])


@pytest.mark.parametrize("name", CELLS.names())
def test_a_sequence_in_a_batch_is_what_it_is_alone(name):
    """Whatever lengths the others have: norms, adjoints and, summed over sequences, gradients."""
    cell, time, lengths = build(name), 6, [6, 3, 1]
    inputs, mask = draw(time, 3, 3), mask_of(lengths, time)
    states = held(cell, inputs, mask).detach().requires_grad_()
    trace = Trace(cell, inputs, states, mask=mask)
    loss = cell.hidden(trace.states)[-1].square().sum(-1)[None]
    together, norms = adjoints(trace, loss).values(), jacobian_log_norms(trace, norm="frobenius")
    by_lag = lag_contributions(trace, loss, tensors=True).tensors
    summed = {key: torch.zeros_like(value) for key, value in by_lag.items()}
    for b, length in enumerate(lengths):
        alone = unroll(cell, inputs[time - length :, b : b + 1])
        alone_loss = cell.hidden(alone.states)[-1].square().sum(-1)[None]
        torch.testing.assert_close(
            together[time - length :, b], adjoints(alone, alone_loss).values()[:, 0]
        )
        torch.testing.assert_close(
            norms[time - length :, time - length :, b],
            jacobian_log_norms(alone, norm="frobenius")[..., 0],
            equal_nan=True,
        )
        parts = lag_contributions(alone, alone_loss, tensors=True).tensors
        for key, value in parts.items():
            summed[key][:length] += value
    for key, value in by_lag.items():
        torch.testing.assert_close(value, summed[key], rtol=1e-9, atol=1e-12)


# --- the step's derivatives -----------------------------------------------------------------------


def test_a_part_of_the_linearisation(masked):
    cotangent = draw(4, masked.batch, masked.states.shape[-1], seed=3)
    expected = masked.linearisation().at(slice(2, 6)).vjp(cotangent)
    fresh = masked.sequences(slice(None))  # nothing cached
    for ours, whole in zip(fresh.linearised(2, 6).vjp(cotangent), expected, strict=True):
        torch.testing.assert_close(ours, whole)
    assert "linearisation" not in fresh.cache
    assert masked.linearisation() is masked.linearisation()


def test_a_linearisation_that_is_there_is_used():
    from dataclasses import replace

    trace = unroll(build("rnn"), draw(5, 1, 3))
    other = unroll(build("rnn", seed=1), trace.inputs).linearisation()
    given = replace(trace, linear=other, cache={})
    assert given.linearisation() is other
    cotangent = draw(2, 1, 4)
    torch.testing.assert_close(
        given.linearised(1, 3).vjp(cotangent)[0], other.at(slice(1, 3)).vjp(cotangent)[0]
    )


def test_gates_are_those_of_the_steps_that_are_taken():
    trace = unroll(build("lstm"), draw(5, 2, 3))
    plain = trace.cell.gates(trace.inputs, trace.states[:-1])
    for name, gate in trace.gates().items():
        assert torch.equal(gate.preactivation, plain[name].preactivation)
        assert not gate.preactivation.requires_grad


def test_gates_leave_out_steps_that_are_not_taken(masked):
    every = masked.cell.gates(masked.inputs, masked.states.detach()[:-1])
    for name, gate in masked.gates().items():
        assert gate.preactivation.shape == (sum(LENGTHS), 1, 4)
        chosen = [
            every[name].preactivation[t, b]
            for t in range(masked.time)
            for b in range(masked.batch)
            if masked.mask[t, b]
        ]
        assert torch.equal(gate.preactivation[:, 0], torch.stack(chosen))
