"""A batch is its sequences: what is said of one is what is said of it alone.

Also where another sequence of the batch is degenerate: dead, saturated, of another size by many
orders of magnitude, or singular.
"""

import math

import pytest
import torch

import gradscope.dynamics
from gradscope.dynamics import (
    Trace,
    adjoint_lyapunov_spectrum,
    adjoints,
    covariant_lyapunov_vectors,
    depth_gain,
    gate_contributions,
    gradient,
    immediate_gradients,
    input_gradients,
    jacobian_log_norms,
    jacobian_product,
    jacobian_products,
    lag_contributions,
    largest_lyapunov_exponent,
    last_loss_alone,
    lyapunov_spectrum,
    singular_value_spectrum,
    step_jacobians,
    top_singular_values,
    unroll,
)
from gradscope.dynamics.scaled import Adjoints
from tests.conftest import build, draw

TIME = 24
PAIRS = [(24, 0), (24, 23), (10, 3), (7, 7)]

# --- of step Jacobians ----------------------------------------------------------------------------


def jacobians(dtype):
    """Seven sequences, no two alike in kind."""
    steps = draw(TIME, 7, 5, 5) / 2
    steps[:, 1] *= 1e-30
    steps[:, 2] *= 1e30
    steps[:, 3, :2] = 0  # two dead units
    steps[:, 4] = draw(5, 1, seed=3) @ draw(1, 5, seed=4)  # of rank one
    steps[11, 5] = 0  # cut in two
    steps[:, 6] = torch.diag(torch.ones(4, dtype=torch.float64), -1)  # a delay line
    return steps.to(dtype)


def stacked(products):
    """The log norms of products that are yielded in groups, in the order of the pairs."""
    found = {
        (t, k): group[index].log_frobenius_norm()
        for ts, k, group in products
        for index, t in enumerate(ts)
    }
    return torch.stack([found[pair] for pair in PAIRS], dim=-1)


#: name -> function of step Jacobians that gives a tensor whose first axis is the batch
OF_JACOBIANS = {
    "lyapunov_spectrum": lambda j: lyapunov_spectrum(j).finite_time,
    "lyapunov_spectrum, k=2": lambda j: lyapunov_spectrum(j, k=2).finite_time,
    "lyapunov_spectrum, interval=20": lambda j: lyapunov_spectrum(j, interval=20).finite_time,
    "adjoint_lyapunov_spectrum": lambda j: adjoint_lyapunov_spectrum(j).finite_time,
    "singular_value_spectrum": lambda j: singular_value_spectrum(j, TIME, 0),
    "singular_value_spectrum, inner": lambda j: singular_value_spectrum(j, 15, 9),
    "jacobian_product": lambda j: jacobian_product(j, TIME, 0).log_spectral_norm(),
    "jacobian_products": lambda j: stacked(jacobian_products(j, PAIRS)),
    "jacobian_log_norms": lambda j: jacobian_log_norms(j).movedim(-1, 0),
    "jacobian_log_norms, frobenius": lambda j: jacobian_log_norms(j, norm="frobenius").movedim(
        -1, 0
    ),
    "jacobian_log_norms, lags": lambda j: jacobian_log_norms(j, lags=[0, 1, 20]).movedim(-1, 0),
}
CLOSE = {torch.float64: 1e-8, torch.float32: 2e-3}


def agree(batched, alone, dtype):
    # a saturated sequence brings those beside it into float64 as well
    torch.testing.assert_close(
        batched, alone, rtol=CLOSE[dtype], atol=CLOSE[dtype], equal_nan=True, check_dtype=False
    )


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("name", OF_JACOBIANS)
def test_of_step_jacobians(name, dtype):
    steps, function = jacobians(dtype), OF_JACOBIANS[name]
    batched = function(steps)
    assert not torch.equal(batched[0], batched[1])
    for sequence in range(steps.shape[1]):
        agree(batched[sequence], function(steps[:, sequence : sequence + 1])[0], dtype)
        agree(batched[sequence], function(steps[:, sequence])[0], dtype)  # without a batch axis


def test_what_the_degenerate_ones_are():
    """Not only the same, but right."""
    exponents = lyapunov_spectrum(jacobians(torch.float64)).finite_time
    finite = exponents.isfinite().sum(-1).tolist()
    assert finite == [5, 5, 5, 3, 1, 0, 0]
    assert exponents[4, 1:].isnan().all()  # below rounding: dense
    assert (exponents[[3, 3, 5, 6], [3, 4, 0, 0]] == -math.inf).all()
    size = draw(TIME, 7, 5, 5)[:, 1:3] / 2
    torch.testing.assert_close(
        exponents[1] - exponents[1].mean(),
        lyapunov_spectrum(size[:, :1]).finite_time[0]
        - lyapunov_spectrum(size[:, :1]).finite_time[0].mean(),
        rtol=0,
        atol=1e-9,
    )


def test_vectors_of_regular_ones():
    steps = jacobians(torch.float64)[:, :3]
    batched = covariant_lyapunov_vectors(steps)
    for sequence in range(3):
        alone = covariant_lyapunov_vectors(steps[:, sequence])
        agree(batched.vectors[:, sequence], alone.vectors[:, 0], torch.float64)
        agree(batched.exponents[sequence], alone.exponents[0], torch.float64)


# --- of traces ------------------------------------------------------------------------------------


def trace_of(kind, dtype):
    """Six sequences that drive a cell into unlike regimes, and a loss at each of two steps."""
    options = {"activation": "relu"} if kind == "relu" else {}
    cell = build("rnn" if kind == "relu" else kind, 3, 4, **options).to(dtype)
    inputs = draw(TIME, 6, 3).to(dtype)
    inputs[:, 1] = 0
    inputs[:, 2] *= 30  # saturated, or far out
    inputs[:, 3] = -inputs[:, 3].abs() * 5
    inputs[:, 4] = 5
    inputs[:, 5] *= 1e-20
    return unroll(cell, inputs)


def with_losses(trace):
    """The trace with losses on its last state and one before, sequence by sequence."""
    chosen = trace.states[[12, TIME]]
    (gradient_of,) = torch.autograd.grad(chosen.pow(3).sum(), trace.states)
    return trace.with_losses_of(Adjoints(gradient_of))


def alone_of(trace: Trace, sequence: int) -> Trace:
    assert trace.immediate is not None
    index = slice(sequence, sequence + 1)
    immediate = Adjoints(trace.immediate.mantissa[:, index], trace.immediate.log_scale[:, index])
    return trace.sequences(index).with_losses_of(immediate)


def last_alone(trace):
    found = last_loss_alone(trace)
    if found is None:  # no loss hears a dead sequence
        return torch.full((trace.batch, TIME + 1), -math.inf, dtype=torch.float64)
    beginning, last = found
    assert last == TIME
    return adjoints(beginning).log_norms().T


OF_TRACES = {
    "step_jacobians": lambda t: step_jacobians(t).movedim(1, 0),
    "adjoints": lambda t: adjoints(t).log_norms().T,
    "adjoints, tbptt": lambda t: adjoints(t, tbptt=(5, 2)).log_norms().T,
    "immediate_gradients": lambda t: immediate_gradients(t).movedim(1, 0),
    "input_gradients": lambda t: input_gradients(t).log_norms().T,
    "last_loss_alone": last_alone,
    "gate_contributions": lambda t: torch.stack(
        [part.log_norms().T for part in gate_contributions(t).values()], dim=-1
    ),
    "largest_lyapunov_exponent": lambda t: largest_lyapunov_exponent(t).finite_time,
    "lyapunov_spectrum": lambda t: lyapunov_spectrum(t).finite_time,
    "singular_value_spectrum": lambda t: singular_value_spectrum(t, TIME, 12),
    "jacobian_log_norms": lambda t: jacobian_log_norms(t, block="hidden").movedim(-1, 0),
    "depth_gain": lambda t: depth_gain(t, probes=64).log_gain.T,
}


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("kind", ["rnn", "relu", "lstm", "gru"])
@pytest.mark.parametrize("name", OF_TRACES)
def test_of_traces(name, kind, dtype):
    trace, function = with_losses(trace_of(kind, dtype)), OF_TRACES[name]
    batched = function(trace)
    for sequence in range(trace.batch):
        agree(batched[sequence], function(alone_of(trace, sequence))[0], dtype)


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_top_singular_values(kind):
    trace = trace_of(kind, torch.float64)
    for sequence in range(trace.batch):
        agree(
            top_singular_values(trace, TIME, 0, 2, sequence=sequence),
            top_singular_values(alone_of(with_losses(trace), sequence), TIME, 0, 2),
            torch.float64,
        )


@pytest.mark.parametrize("kind", ["rnn", "relu", "lstm", "gru"])
def test_gradients_of_a_batch_are_the_sum(kind):
    trace = with_losses(trace_of(kind, torch.float64))
    whole, parts = gradient(trace), lag_contributions(trace, tensors=True).tensors
    alone = [alone_of(trace, sequence) for sequence in range(trace.batch)]
    for name, value in whole.items():
        agree(value, sum(gradient(each)[name] for each in alone), torch.float64)
        by_lag = sum(lag_contributions(each, tensors=True).tensors[name] for each in alone)
        agree(parts[name], by_lag, torch.float64)


def test_every_public_function_is_here_or_has_no_batch():
    """What takes a trace and is added later has to be added here as well."""
    without = {
        "critical_gain", "mean_field", "non_normality",  # of matrices and numbers
        "decay_fits", "memory_horizon", "windows",  # of series
        "fixed_points", "saturated", "log_norm", "unroll",  # element by element, or makes a trace
        "truncation_bias", "path_contributions",  # of the batch's gradient, as lag_contributions
        "trained_gradient",  # likewise
        "effective_context", "temporal_range", "composite_gain",  # of series and matrices
        "by_head", "transitions_of",  # of what a trace is given
        "lyapunov_exponents",  # of a step of one's own, start by start
    }  # fmt: skip
    tried = {name.partition(",")[0] for name in (*OF_JACOBIANS, *OF_TRACES)}
    tried |= {"covariant_lyapunov_vectors", "top_singular_values", "gradient", "lag_contributions"}
    public = {
        name
        for name, value in vars(gradscope.dynamics).items()
        if callable(value) and name[0].islower()
    }
    assert public == tried | without
