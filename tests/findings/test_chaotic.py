"""Chaos is a matter of the long run."""

import copy
import math

import pytest
import torch
from torch import nn

import gradscope
from benchmarks.planted_models import HIDDEN, INPUT, gaussian, recurrent, simple
from tests.findings.conftest import RNN, evidence_of, findings_of, linear, names_of


@pytest.mark.parametrize("seed", [14, 23])
def test_growth_on_a_short_trajectory_is_no_chaos(seed):
    """Neighbours part on 60 steps and come together again in the long run.

    Two trajectories over 3000 steps show it.
    """
    build = simple(
        lambda: recurrent(nn.RNN(INPUT, HIDDEN), gaussian(3.0)), inputs=lambda x: 0.1 * x
    )
    scope = build(seed)
    trace = next(iter(scope.last.traces.values()))
    short = gradscope.largest_lyapunov_exponent(trace, burn_in=12)
    assert float(short.exponents[0]) * trace.time > math.log(10)
    assert neighbours_growth(trace) < 0
    assert "chaotic" not in names_of(scope.diagnose().findings)


@torch.no_grad()
def neighbours_growth(trace, steps=3000, settled=300):
    """Nats by which two neighbours part over many steps of the trace's inputs."""
    cell, x = copy.deepcopy(trace.cell).double(), trace.inputs.double().flatten(0, 1)
    state = torch.zeros(1, HIDDEN, dtype=torch.float64)
    near, growth = torch.full((1, HIDDEN), 1e-9, dtype=torch.float64), 0.0
    for t in range(steps):
        read = x[(37 * t) % len(x)][None]
        size, after = near.norm(), cell(read, state)
        near = cell(read, state + near) - after
        growth += math.log(float(near.norm() / size)) if t >= settled else 0.0
        state, near = after, near * (1e-9 / near.norm())
    return growth


def test_states_that_leave_all_bounds_are_no_chaos():
    """A linear recurrence of rate 1.1 parts neighbours, but its states grow along with them."""
    evidence = evidence_of({RNN: linear(1.1, 60)})
    assert evidence.recurrences[0].exponent.value > 0.09
    assert findings_of("chaotic", evidence) == []


def test_slow_parting_is_no_chaos():
    """1.02^60 = 3.3: less than a factor of ten, and bounded as far as the check can see."""
    evidence = evidence_of({RNN: linear(1.02, 60)})
    assert findings_of("chaotic", evidence) == []
    assert findings_of("chaotic", evidence, growth=math.log(3.2))
