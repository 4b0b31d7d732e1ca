"""A loop whose training has gradients on for some of its steps alone."""

import torch

import gradscope
from benchmarks.planted import HEALTHY, refined
from gradscope.findings import Evidence
from tests.capture.loop_models import Equilibrium
from tests.findings.conftest import RNN, evidence_of, findings_of, linear


def found(scope, **options):
    evidence = Evidence(scope.last, {}, scope.model)
    return findings_of("steps_without_gradient", evidence, **options)


def test_a_loop_trained_on_its_last_step_is_told_what_it_leaves_out():
    (finding,) = found(refined(1)(7))
    assert (finding.evidence["seen"], finding.evidence["steps"]) == (1, 12)
    assert finding.evidence["cosine"] < 0.6
    assert "reaches 1 of 12 steps" in finding.says


def test_more_steps_are_less_ill_and_the_threshold_counts():
    one, many = found(refined(1)(7))[0], found(refined(8)(7), cosine=0.999)[0]
    assert many.evidence["seen"] == 8
    assert many.severity < one.severity
    assert found(refined(1)(7), cosine=0.0) == []


def test_a_whole_gradient_and_a_known_recurrence_are_no_finding():
    assert found(HEALTHY["a loop over its own output"](7), cosine=0.999) == []
    assert findings_of("steps_without_gradient", evidence_of({RNN: linear(0.9, 12)})) == []


def test_a_loop_that_comes_to_rest_forgets_its_start_as_it_should():
    torch.manual_seed(0)
    model = Equilibrium(steps=20)
    scope = gradscope.attach(model)
    with scope.record():
        model(torch.randn(8, 6)).backward()
    assert {finding.name for finding in scope.diagnose().findings} <= {"steps_without_gradient"}
