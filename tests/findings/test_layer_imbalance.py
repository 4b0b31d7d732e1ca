"""Layers that learn at very different speeds."""

import pytest
from torch import nn

from gradscope.capture import Place
from tests.findings.conftest import evidence_of, findings_of, linear


def imbalance(below, above, **options):
    model = nn.ModuleDict({"rnn": nn.GRU(3, 4, 2)})
    gradients = {"rnn.weight_hh_l0": below, "rnn.weight_hh_l1": above, "rnn.weight_ih_l0": 1e9}
    places = [Place("rnn", "gru", layer) for layer in range(2)]
    evidence = evidence_of(
        {place: linear(1.0, 3) for place in places}, model=model, gradients=gradients
    )
    return findings_of("layer_imbalance", evidence, **options)


@pytest.mark.parametrize(("below", "above", "slow"), [(1.0, 2e3, 0), (2e3, 1.0, 1)])
def test_the_slow_one_is_named(below, above, slow):
    (finding,) = imbalance(below, above)
    assert finding.where == f"rnn.l{slow}"
    assert finding.evidence["ratio"] == pytest.approx(1 / 2e3)


def test_neighbours_that_are_not_so_far_apart_or_have_no_gradient():
    assert imbalance(1.0, 900.0) == []
    assert imbalance(1.0, 900.0, ratio=800.0)
    assert imbalance(0.0, 1.0) == []
