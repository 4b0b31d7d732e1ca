"""Every planted illness is found, and nothing is found in a healthy model."""

import copy
import math

import pytest
import torch
from gradscope.remedies.remedies import REMEDIES
from torch import nn

import gradscope
from benchmarks.planted import HEALTHY, HIDDEN, INPUT, PLANTED, gaussian, recurrent, simple
from gradscope.components import registry


def test_the_suite_is_large_enough():
    assert len({kind for kind, _ in PLANTED.values()}) >= 20
    assert len(HEALTHY) >= len(PLANTED)
    assert {kind for kind, _ in PLANTED.values()} == set(registry.names("finding")), (
        "a finding that nobody plants"
    )


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_illness_is_found(case):
    kind, build = PLANTED[case]
    diagnosis = build(7).diagnose()
    assert kind in [found.finding for found in diagnosis.findings]
    for found in diagnosis.findings:
        assert 0 <= found.severity <= 1
        assert 0 < found.confidence < 1
        assert found.evidence
        assert all(isinstance(value, float) for value in found.evidence.values())
        assert set(found.remedies) <= set(REMEDIES)
        assert found.figure == "" or found.figure in registry.names("plot")
    assert str(diagnosis)
    assert list(diagnosis.frame()["rank"]) == list(range(1, len(diagnosis.findings) + 1))


@pytest.mark.parametrize("seed", range(4))
def test_stretches_of_one_step_are_judged_together(seed):
    """A state held by a mask between two calls of a cell: each call is a stretch, which few
    sequences may own.
    """
    torch.manual_seed(seed)
    cell, x = nn.GRUCell(4, 16), torch.randn(40, 8, 4)
    running = torch.arange(40)[:, None] < torch.randint(20, 41, (8,))
    scope, state = gradscope.attach(cell), torch.zeros(8, 16)
    kept = []
    with scope.record():
        for each, mask in zip(x, running, strict=True):
            state = torch.where(mask[:, None], cell(each, state), state)
            state.retain_grad()
            kept.append(state)
        nn.functional.linear(state, torch.randn(1, 16)).square().mean().backward()
    squares = torch.stack([each.grad for each in kept]).square().sum((0, 2))
    assert float(squares.max() / squares.sum()) < 0.9
    assert "one_sequence_rules" not in [found.finding for found in scope.diagnose().findings]


@pytest.mark.parametrize("seed", [14, 23])
def test_growth_on_a_short_trajectory_is_no_chaos(seed):
    """Neighbours part on 60 steps and come together again in the long run, as two trajectories over
    3000 steps show.
    """
    scope = simple(
        lambda: recurrent(nn.RNN(INPUT, HIDDEN), gaussian(3.0)), inputs=lambda x: 0.1 * x
    )(seed)
    trace = next(iter(scope.last.traces.values()))
    assert float(
        gradscope.largest_lyapunov_exponent(trace, burn_in=12).exponents[0]
    ) * trace.time > math.log(10)
    cell, x = copy.deepcopy(trace.cell).double(), trace.inputs.double().flatten(0, 1)
    with torch.no_grad():
        state, near, growth = (
            torch.zeros(1, HIDDEN, dtype=torch.float64),
            torch.full((1, HIDDEN), 1e-9, dtype=torch.float64),
            0.0,
        )
        for t in range(3000):
            one = x[(37 * t) % len(x)][None]
            size, after = near.norm(), cell(one, state)
            near = cell(one, state + near) - after
            growth += math.log(float(near.norm() / size)) if t >= 300 else 0.0
            state, near = after, near * (1e-9 / near.norm())
    assert growth < 0
    assert "chaotic" not in [found.finding for found in scope.diagnose().findings]


@pytest.mark.parametrize("every", [False, True])
def test_a_loss_at_every_step_makes_vanishing_milder(every):
    """What the last loss sends back vanishes either way; with losses of their own the early states
    are moved all the same.
    """
    build = simple(
        lambda: nn.LSTM(INPUT, HIDDEN), read=(lambda out: out) if every else (lambda out: out[-1])
    )
    (found,) = [each for each in build(7).diagnose().findings if each.finding == "vanishing"]
    assert ("early states are moved by other ways" in found.says) == every
    lag, steps = found.evidence["lag"], 60
    assert found.severity == pytest.approx(
        (0.3 + 0.7 * (1 - lag / steps)) * (0.5 if every else 1.0)
    )


@pytest.mark.parametrize("case", HEALTHY)
def test_nothing_is_found_in_a_healthy_model(case):
    diagnosis = HEALTHY[case](7).diagnose()
    assert [(found.finding, found.where) for found in diagnosis.findings] == []
    assert "Nothing found" in str(diagnosis)
