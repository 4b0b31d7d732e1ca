"""Gradients that spike, from hand-made histories."""

import math

from gradscope.findings import ClippedNorm
from tests.findings.conftest import evidence_of, findings_of


def findings(norms, after=None, **options):
    clipped = after or [math.nan] * len(norms)
    history = {
        step: ClippedNorm(*pair) for step, pair in enumerate(zip(norms, clipped, strict=True))
    }
    return findings_of("gradient_spikes", evidence_of({}, history=history), **options)


def test_one_norm_of_five_thirty_times_the_median():
    (finding,) = findings([1.0, 1.0, 30.0, 1.0, 1.0])
    assert finding.evidence == {"largest": 30.0, "median": 1.0}
    assert "30 times the median" in finding.says


def test_fewer_than_five_recordings_say_nothing():
    assert findings([1.0, 1.0, 30.0, 1.0]) == []


def test_the_ratio_is_an_option():
    norms = [1.0, 1.0, 10.0, 1.0, 1.0]
    assert findings(norms) == []
    assert findings(norms, ratio=9.0)


def test_a_clip_tames_them():
    assert findings([1.0, 1.0, 30.0, 1.0, 1.0], after=[1.0] * 5) == []
