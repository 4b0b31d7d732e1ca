"""A clip that is always on, from hand-made histories."""

import math

import pytest

from gradscope.findings import ClippedNorm
from tests.findings.conftest import evidence_of, findings_of


def findings(*pairs, **options):
    history = {step: ClippedNorm(before, after) for step, (before, after) in enumerate(pairs)}
    return findings_of("clipping_always", evidence_of({}, history=history), **options)


def test_a_clip_that_leaves_a_tenth():
    (finding,) = findings(*[(1.0, 0.1)] * 5)
    assert finding.evidence == {"factor": 0.1, "recordings": 5.0}
    assert finding.where == "all parameters"
    assert finding.severity == pytest.approx(0.3 + 0.4 * 0.9)
    assert finding.confidence == round(6 / 7, 3)


def test_a_mild_clip_is_none():
    assert findings(*[(1.0, 0.6)] * 5) == []
    assert findings(*[(1.0, 0.6)] * 5, factor=0.7)


def test_a_clip_for_exceptions_is_none():
    """Eight of ten are under nine of ten, nine are not."""
    assert findings(*[(1.0, 0.1)] * 8, *[(1.0, 1.0)] * 2) == []
    assert findings(*[(1.0, 0.1)] * 9, (1.0, 1.0))
    assert findings(*[(1.0, 0.1)] * 8, *[(1.0, 1.0)] * 2, share=0.8)


def test_without_an_optimisers_step_nothing_is_known():
    assert findings(*[(1.0, math.nan)] * 5) == []
    assert findings(*[(0.0, 0.0)] * 5) == []
    assert findings() == []


@pytest.mark.parametrize(("recordings", "found"), [(1, False), (2, False), (3, True)])
def test_it_takes_three_recordings(recordings, found):
    assert bool(findings(*[(1.0, 0.1)] * recordings)) == found
    assert findings(*[(1.0, 0.1)] * recordings, recordings=recordings)
