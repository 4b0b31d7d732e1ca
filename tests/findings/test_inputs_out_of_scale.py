"""Inputs that are too large or too small."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import Place
from gradscope.dynamics import Trace
from tests.conftest import build, draw
from tests.findings.conftest import RNN, evidence_of, findings_of


def reading(size, place=RNN, mask=None):
    """A trace whose inputs are ``size`` or minus that."""
    inputs = size * draw(5, 3, 3).sign()
    return evidence_of({place: Trace(build("rnn"), inputs, draw(6, 3, 4), mask=mask)})


@pytest.mark.parametrize(
    ("size", "word"), [(11.0, "large"), (9.0, ""), (1.1e-3, ""), (0.9e-3, "small"), (0.0, "")]
)
def test_the_root_mean_square(size, word):
    findings = findings_of("inputs_out_of_scale", reading(size))
    assert bool(findings) == bool(word)
    if word:
        assert f"too {word}" in findings[0].says
        assert findings[0].evidence["rms"] == pytest.approx(size)


def test_the_bounds_are_options():
    assert findings_of("inputs_out_of_scale", reading(9.0), largest=8.0)
    assert findings_of("inputs_out_of_scale", reading(1.1e-3), smallest=2e-3)


def test_an_upper_layer_reads_no_inputs():
    assert findings_of("inputs_out_of_scale", reading(11.0, Place("rnn", "gru", layer=1))) == []
    assert findings_of("inputs_out_of_scale", reading(11.0, Place("rnn", "gru", layer=0)))


def test_padding_does_not_count():
    """Half of the steps are held: with their zeros it would be 20 / sqrt(2), and is 20."""
    mask = torch.ones(5, 3, dtype=torch.bool)
    mask[:2] = False
    (finding,) = findings_of("inputs_out_of_scale", reading(20.0, mask=mask))
    assert finding.evidence["rms"] == pytest.approx(20.0)


def test_modules_may_have_any_name():
    model = nn.ModuleDict({"l1": nn.GRU(3, 8), "depth": nn.GRU(8, 8)})
    scope = gradscope.attach(model)
    with scope.record():
        model["depth"](model["l1"](1000 * torch.randn(30, 4, 3))[0])[0][-1].sum().backward()
    findings = scope.diagnose().findings
    assert ("inputs_out_of_scale", "l1") in {(f.name, f.where) for f in findings}
    assert not any("layers" in finding.says for finding in findings)
