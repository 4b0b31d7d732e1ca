"""Every planted illness is found, and nothing is found in a healthy model."""

import pytest
from torch import nn

from gradscope import registry
from gradscope.diagnosis._remedies import REMEDIES
from tests.findings.planted import HEALTHY, HIDDEN, INPUT, PLANTED, simple


def test_the_suite_is_large_enough():
    assert len({kind for kind, _ in PLANTED.values()}) >= 20
    assert len(HEALTHY) >= len(PLANTED)
    assert {kind for kind, _ in PLANTED.values()} == set(registry.names("finding")), "a finding that nobody plants"


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


@pytest.mark.parametrize("every", [False, True])
def test_a_loss_at_every_step_makes_vanishing_milder(every):
    """What the last loss sends back vanishes either way; with losses of their own the early states are moved all the same."""
    build = simple(lambda: nn.LSTM(INPUT, HIDDEN), read=(lambda out: out) if every else (lambda out: out[-1]))
    (found,) = [each for each in build(7).diagnose().findings if each.finding == "vanishing"]
    assert ("early states are moved by other ways" in found.says) == every
    lag, steps = found.evidence["lag"], 60
    assert found.severity == pytest.approx((0.3 + 0.7 * (1 - lag / steps)) * (0.5 if every else 1.0))


@pytest.mark.parametrize("case", HEALTHY)
def test_nothing_is_found_in_a_healthy_model(case):
    diagnosis = HEALTHY[case](7).diagnose()
    assert [(found.finding, found.where) for found in diagnosis.findings] == []
    assert "Nothing found" in str(diagnosis)
