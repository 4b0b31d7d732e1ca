"""Early inputs that the loss does not hear."""

import math

import pytest

from gradscope.capture import Place
from tests.findings.conftest import RNN, evidence_of, findings_of, linear


def test_the_first_input_that_is_heard():
    """A rate of one half: T - 9 is the last lag above a thousandth of the largest (2^-9 > 1e-3)."""
    (finding,) = findings_of("unheard_inputs", evidence_of({RNN: linear(0.5, 20, turning=False)}))
    assert finding.evidence == {"first_heard": 11.0, "steps": 20.0}
    assert "before t = 11 (T - 9)" in finding.says
    assert finding.severity == pytest.approx(0.2 + 0.5 * 10 / 20)


def test_a_quarter_of_the_steps_must_be_unheard():
    evidence = evidence_of({RNN: linear(0.5, 12, turning=False)})
    assert findings_of("unheard_inputs", evidence) == []  # two of twelve
    assert findings_of("unheard_inputs", evidence, share=0.15)
    assert findings_of("unheard_inputs", evidence, fall=5.5 * math.log(2))


def test_upper_layers_read_no_inputs():
    place = Place("rnn", "gru", 1)
    assert findings_of("unheard_inputs", evidence_of({place: linear(0.5, 20, turning=False)})) == []
