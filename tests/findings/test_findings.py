"""Every planted illness is found, and nothing is found in a healthy model."""

import pytest

from benchmarks.planted import HEALTHY, PLANTED
from gradscope.findings import FINDINGS
from gradscope.plots import PLOTS
from gradscope.remedies import REMEDIES


def test_the_suite_is_large_enough():
    planted = {name for name, _ in PLANTED.values()}
    assert len(planted) >= 20
    assert len(HEALTHY) >= len(PLANTED)
    assert planted == set(FINDINGS.names()), "a finding that nobody plants"


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_illness_is_found(case):
    name, build = PLANTED[case]
    diagnosis = build(7).diagnose()
    assert name in [finding.name for finding in diagnosis.findings]
    assert diagnosis.failed == {}
    for finding in diagnosis.findings:
        assert 0 <= finding.severity <= 1
        assert 0 < finding.confidence < 1
        assert finding.evidence
        assert all(isinstance(value, float) for value in finding.evidence.values())
        assert set(finding.remedies) <= set(REMEDIES.names())
        assert finding.figure == "" or finding.figure in PLOTS.names()
        assert not finding.says[0].isupper()
        assert not finding.says.endswith(".")
    assert str(diagnosis)
    assert list(diagnosis.frame()["rank"]) == list(range(1, len(diagnosis.findings) + 1))


@pytest.mark.parametrize("case", HEALTHY)
def test_nothing_is_found_in_a_healthy_model(case):
    diagnosis = HEALTHY[case](7).diagnose()
    assert [(finding.name, finding.where) for finding in diagnosis.findings] == []
    said = "Not enough was seen" if case.endswith("6 steps") else "Nothing found"
    assert said in str(diagnosis)
    assert diagnosis.failed == {}
