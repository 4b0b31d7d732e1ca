"""A gradient too small for its number format."""

import math

import torch

from gradscope.dynamics import Trace
from tests.findings.conftest import RNN, evidence_of, findings_of, last_alone, linear


def single_precision(trace):
    cell = trace.cell.float()
    single = Trace(cell, trace.inputs.float(), trace.states.float())
    return single.with_losses_of(last_alone(single, torch.ones(3, 4) / 2))


def test_steps_below_the_smallest_normal_number_are_counted():
    """With a rate of e^-10 and a last gradient of length 1, e^-87.3 is passed at the ninth step."""
    evidence = evidence_of({RNN: single_precision(linear(math.exp(-10), 12))})
    (finding,) = findings_of("below_float_range", evidence)
    # a_12 is the last, so that a_1 ... a_3 are e^-110 ... e^-90
    assert finding.evidence == {"steps": 3.0}
    assert "at 3 of 12 steps the gradient is below what float32 holds" in finding.says


def test_what_float64_holds_is_no_finding():
    assert findings_of("below_float_range", evidence_of({RNN: linear(math.exp(-10), 12)})) == []
