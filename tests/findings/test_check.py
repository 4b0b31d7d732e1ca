"""Check: what every registered check says of itself, and the findings that it makes."""

import pytest

from gradscope.capture import Place
from gradscope.findings import FINDINGS
from gradscope.plots import PLOTS
from gradscope.probes import PROBES
from gradscope.remedies import REMEDIES

ALL = pytest.mark.parametrize("name", FINDINGS.names())


@ALL
def test_every_name_that_a_check_gives_exists(name):
    check = FINDINGS.get(name)
    assert set(check.remedies) <= set(REMEDIES.names())
    assert set(check.explains) <= set(FINDINGS.names()) - {name}
    assert check.remedies
    assert len(set(check.remedies)) == len(check.remedies)


@ALL
def test_the_probe_is_the_one_that_the_figure_needs(name):
    check = FINDINGS.get(name)
    assert bool(check.figure) == bool(check.probe)
    if check.figure:
        assert PLOTS.get(check.figure).requires == (check.probe,)
        assert PLOTS.get(check.figure).of_recordings
        assert check.probe in PROBES.names()


@ALL
def test_every_threshold_is_described(name):
    for option, field in FINDINGS.get(name).model_fields.items():
        assert field.description, option


def test_nothing_explains_what_explains_it():
    """Else two findings would remove each other."""
    explains = {name: set(FINDINGS.get(name).explains) for name in FINDINGS.names()}
    assert not [(a, b) for a, names in explains.items() for b in names if a in explains[b]]


def finding(**changes):
    arguments = {"severity": 0.5, "confidence": 0.5, "evidence": {"lag": 3}, **changes}
    return FINDINGS.make("vanishing").finding(Place("rnn", "rnn", 1), "vanishes", **arguments)


def test_a_finding_says_who_found_it_and_where():
    made = finding()
    assert (made.name, made.where, made.says) == ("vanishing", "rnn.l1", "vanishes")
    assert made.figure == "traced_back"
    assert made.place == Place("rnn", "rnn", 1)
    assert made.remedies == FINDINGS.get("vanishing").remedies
    assert finding(remedies=("clip",)).remedies == ("clip",)
    assert made.evidence == {"lag": 3.0}
    assert isinstance(made.evidence["lag"], float)
    elsewhere = FINDINGS.make("clipping_always").finding(
        "all parameters", "clips", severity=0.1, confidence=0.1, evidence={}
    )
    assert elsewhere.place is None
    assert elsewhere.where == elsewhere.recurrence == "all parameters"


@pytest.mark.parametrize(
    ("given", "severity", "confidence"),
    [(-1.0, 0.0, 0.0), (0.12345, 0.123, 0.123), (1.5, 1.0, 0.99)],
)
def test_severity_and_confidence_stay_in_their_range(given, severity, confidence):
    made = finding(severity=given, confidence=given)
    assert (made.severity, made.confidence) == (severity, confidence)
