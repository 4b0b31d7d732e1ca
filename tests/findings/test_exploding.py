"""Exploding: by how much, and how far back."""

import math

import pytest

from gradscope.capture import Place
from tests.findings.conftest import RNN, evidence_of, findings_of, linear


@pytest.mark.parametrize(("time", "found"), [(9, False), (10, True)])
def test_a_rate_of_two_reaches_a_factor_of_a_thousand_after_ten_steps(time, found):
    assert bool(findings_of("exploding", evidence_of({RNN: linear(2.0, time)}))) == found


def test_the_numbers():
    (finding,) = findings_of("exploding", evidence_of({RNN: linear(2.0, 12)}))
    assert finding.evidence["lag"] == 12
    assert finding.evidence["growth_nats"] == pytest.approx(12 * math.log(2))
    assert finding.evidence["nats_per_step"] == pytest.approx(math.log(2))
    assert finding.severity == round(0.5 + 12 * math.log(2) / 60, 3)
    assert finding.confidence == (3 + 1) / (3 + 2)


def test_the_growth_is_an_option():
    evidence = evidence_of({RNN: linear(2.0, 5)})
    assert findings_of("exploding", evidence, growth=math.log(31))
    assert findings_of("exploding", evidence, growth=math.log(33)) == []


def test_depth_has_remedies_of_its_own():
    place = Place("blocks", "modulelist", along_depth=True)
    (finding,) = findings_of("exploding", evidence_of({place: linear(20.0, 4)}))
    assert finding.remedies == ("layer_norm", "residual", "clip")
