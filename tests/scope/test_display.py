"""A scope as the value of a cell: its verdict and a figure, before, while and after it records."""

import re

import pytest
import torch
from torch import nn

import gradscope
from gradscope import RemedyTrials


@pytest.fixture
def scope():
    torch.manual_seed(0)
    model = nn.ModuleDict({"<rnn>": nn.RNN(2, 4)})
    return gradscope.attach(model)


def recorded(scope, backward):
    with scope.record():
        loss = scope.model["<rnn>"](torch.randn(40, 2, 2))[0][-1].sum()
        if backward:
            loss.backward()
    return scope._repr_html_()


def test_before_the_first_recording_there_is_no_verdict(scope):
    html = scope._repr_html_()
    assert "<b>Scope of ModuleDict:</b> nothing recorded yet." in html
    assert "<img" not in html
    assert "finding" not in html.split("</style>")[1]


def test_a_recording_shows_its_verdict_and_its_figure(scope):
    html = recorded(scope, backward=True)
    assert scope.diagnose().as_html() in html
    assert "vanishing at &lt;rnn&gt;" in html
    alt = re.search('<img src="data:image/png;base64,[^"]+" width="900" alt="([^"]+)">', html)[1]
    assert alt.startswith("Per-step gradient norm. Natural logarithm of the 2-norm")
    assert "<rnn>" not in html


def test_without_a_backward_pass_there_is_no_figure(scope):
    html = recorded(scope, backward=False)
    assert "1 of 1 block recorded, the last at step 0." in html
    assert "<img" not in html


def test_recordings_and_trials_are_short_in_a_terminal(scope):
    with scope.record() as recording:
        assert repr(recording) == "Recording of train step 0: nothing yet"
        scope.model["<rnn>"](torch.randn(40, 2, 2))[0][-1].sum().backward()
    lines = repr(recording).splitlines()
    assert lines[:3] == [
        "Recording of train step 0",
        "  <rnn>: Trace(RNN, 40 steps, 2 sequences, a state of 4)",
        "  gradients of 4 parameters",
    ]
    frame = gradscope.results.tables.pd.DataFrame({"remedy": ["", "gru", "clip"]})
    trials = RemedyTrials(scope.diagnose(), scope, frame, 30)
    assert repr(trials) == "RemedyTrials(gru, clip; 30 updates each)"
