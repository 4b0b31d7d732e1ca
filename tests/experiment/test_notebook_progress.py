"""What a sweep shows in a notebook."""

import re
import sys
from types import ModuleType, SimpleNamespace

import pytest

from gradscope.experiment import Experiment, notebook_progress, pace, progress
from gradscope.experiment.notebook_progress import NotebookProgress, surface
from gradscope.experiment.observer import Observer

TRIALS = Experiment.parse(
    "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 100}\n"
    "sweep: {v: [{label: '<b>', cell: rnn}, {label: ReLU, cell: {name: rnn, activation: relu}}], "
    "seed: [0, 1, 2, 3, 4]}"
).trials


@pytest.fixture
def clock(monkeypatch):
    """The time in seconds, which only the test moves."""
    now = [0.0]
    for module in (notebook_progress, pace):
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_one_output_is_kept_up_to_date_twice_a_second(clock):
    shown = []
    with NotebookProgress(TRIALS, shown.append) as observer:
        assert isinstance(observer, Observer)
        assert len(shown) == 1
        assert "0 of 10 trials" in shown[0]
        for step in range(1, 101):
            clock[0] += 0.125
            observer.advanced(TRIALS[0].id, step, 100, 0.25)
        assert len(shown) == 1 + 25
        assert "<li>&lt;b&gt; · seed 0: step 100 of 100, loss 0.25</li>" in shown[-1]
        assert 'value="0.100"' in shown[-1]
        assert re.search(r"about 1:5\d left", shown[-1])  # of 900 steps, eight a second
    assert "0 of 10 trials" in shown[-1]


def test_at_the_end_it_counts_what_became_of_the_trials(clock):
    shown = []
    with NotebookProgress(TRIALS, shown.append) as observer:
        for trial in TRIALS:
            observer.advanced(trial.id, 50, 100, 0.25)
        clock[0] = 75.0
        observer.advanced(TRIALS[0].id, 51, 100, 0.25)
        assert shown[-1].count("<li>") == 9
        assert "and 2 more" in shown[-1]
        for trial in TRIALS:
            observer.finished(trial.id, "solved" if trial is TRIALS[0] else "diverged")
    assert "10 of 10 trials, 1 solved, 9 diverged, done in 1:15" in shown[-1]
    assert "<li>" not in shown[-1]
    assert 'value="1.000"' in shown[-1]


def test_an_interrupt_is_said_to_cost_nothing(clock):
    shown = []
    with pytest.raises(KeyboardInterrupt), NotebookProgress(TRIALS, shown.append):
        raise KeyboardInterrupt
    assert "stopped: what is recorded stays, and the same call does the rest" in shown[-1]


def ipython(monkeypatch, **shell):
    module = ModuleType("IPython")
    module.get_ipython = lambda: SimpleNamespace(**shell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.delitem(sys.modules, "marimo", raising=False)


def test_a_kernel_is_a_notebook_and_a_terminal_is_not(monkeypatch):
    ipython(monkeypatch, kernel=object())
    assert surface() is not None
    assert isinstance(progress.shown(TRIALS), NotebookProgress)
    ipython(monkeypatch)
    assert surface() is None
    monkeypatch.delitem(sys.modules, "IPython")
    assert surface() is None


def test_marimo_is_a_notebook_where_it_runs_one(monkeypatch):
    marimo, shown = ModuleType("marimo"), []
    marimo.running_in_notebook = lambda: True
    marimo.Html = str
    marimo.output = SimpleNamespace(replace=shown.append)
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    place = surface()
    place("<p>one</p>")
    place("<p>two</p>")
    assert shown == ["<p>one</p>", "<p>two</p>"]
    marimo.running_in_notebook = lambda: False
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert surface() is None


def test_a_display_of_jupyter_is_made_once_and_then_updated(monkeypatch):
    shown = []
    ipython(monkeypatch, kernel=object())
    display = ModuleType("IPython.display")
    display.HTML = lambda html: re.sub("<.*?>", "", html)
    handle = SimpleNamespace(update=lambda content: shown.append(("update", content)))

    def show(content, display_id):
        assert display_id is True
        shown.append(("display", content))
        return handle

    display.display = show
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    place = surface()
    place("<p>one</p>")
    place("<p>two</p>")
    assert shown == [("display", "one"), ("update", "two")]
