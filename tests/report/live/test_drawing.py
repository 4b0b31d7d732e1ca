"""The process of a live report, seen from within: what it draws, and what it says."""

import io
import json
import math

import pytest

from gradscope.report.live.drawing import Drawing, say
from gradscope.report.live.site import LiveSite
from gradscope.results.records import RunDirectory
from tests.report.live.conftest import eight_trials


class Stop(BaseException):
    """Ends what goes on for good."""


class Rests:
    """A server whose last answer was sent so many seconds ago, one after another."""

    def __init__(self, *seconds):
        self.seconds = list(seconds)

    def rest(self):
        return self.seconds.pop(0)


def drawing_in(folder, *rests):
    return Drawing(folder, LiveSite(folder), Rests(*rests), io.BytesIO())


@pytest.fixture
def drawing(tmp_path) -> Drawing:
    """Watches a run of eight trials."""
    made = drawing_in(tmp_path / "drawn", math.inf)
    made.take({"watch": str(eight_trials(tmp_path / "run").path)})
    return made


def said(drawing):
    return [json.loads(line) for line in drawing.answers.getvalue().splitlines()]


def test_it_draws_beside_the_run_and_not_in_it(drawing, tmp_path):
    drawing.draw(drawing.run, 8)
    assert (tmp_path / "drawn" / "1" / "index.html").exists()
    assert not (tmp_path / "run" / "index.html").exists()
    assert not (tmp_path / "run" / "figures").exists()
    assert drawing.site.status().drawn_of == 8
    assert said(drawing) == []


def test_what_cannot_be_drawn_is_said_once(drawing, monkeypatch):
    from gradscope.report import contents as report

    monkeypatch.setattr(report, "load", lambda run: 1 / 0)
    drawing.draw(drawing.run, 8)
    drawing.draw(drawing.run, 8)
    assert said(drawing) == [{"problem": "ZeroDivisionError: division by zero"}]
    assert drawing.site.status().problem == "ZeroDivisionError: division by zero"


def test_it_draws_again_when_something_is_recorded_and_only_then(drawing, tmp_path, monkeypatch):
    drawn, slept = [], []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 6:
            raise Stop
        if len(slept) == 4:  # after two looks at the same
            next((tmp_path / "run" / "ledger").glob("*.json")).unlink()

    monkeypatch.setattr("gradscope.report.live.drawing.time.sleep", sleep)
    monkeypatch.setattr(drawing, "draw", lambda run, recorded: drawn.append(recorded))
    with pytest.raises(Stop):
        drawing.keep_drawing([])
    assert drawn == [8, 7]


def test_nothing_is_drawn_before_something_is_recorded(tmp_path, monkeypatch):
    drawing, slept = drawing_in(tmp_path), []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            drawing.run = RunDirectory(tmp_path / "empty")
        if len(slept) == 4:
            raise Stop

    monkeypatch.setattr("gradscope.report.live.drawing.time.sleep", sleep)
    monkeypatch.setattr(drawing, "draw", lambda *a: pytest.fail("there is nothing to draw"))
    with pytest.raises(Stop):
        drawing.keep_drawing([])


def test_a_plugin_that_cannot_be_loaded_is_said(drawing, tmp_path, monkeypatch):
    def sleep(seconds):
        raise Stop

    monkeypatch.setattr("gradscope.report.live.drawing.time.sleep", sleep)
    with pytest.raises(Stop):
        drawing.keep_drawing([str(tmp_path / "gone.py")])
    assert "gone.py" in said(drawing)[0]["problem"]


def test_at_the_end_it_waits_only_for_pages_that_are_open(drawing, monkeypatch):
    ended = []
    monkeypatch.setattr("gradscope.report.live.drawing.os._exit", ended.append)
    monkeypatch.setattr(
        "gradscope.report.live.drawing.time.sleep", lambda s: pytest.fail("nobody looks")
    )
    drawing.take({"end": "done", "report": ""})
    assert ended == [0]
    assert drawing.site.status().state == "done"


@pytest.mark.parametrize(
    ("rests", "shown", "stays"),
    [
        # seconds at rest when the end comes, and at each look, a second apart
        ([1.0, 0.5, 1.0, 1.5, 2.0], True, 3.0),
        ([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], True, 6.0),  # it is still being sent
        ([1.0, *[0.0] * 99], True, 15.0),  # nor is that waited for without end
        ([1.0, *[3.0] * 99], False, 5.0),  # the page was closed
        ([6.1], False, 0.0),
    ],
)
def test_it_stays_until_open_pages_have_the_end(rests, shown, stays, tmp_path, monkeypatch):
    drawing, now = drawing_in(tmp_path, *rests), [0.0]
    drawing.site.was_shown_the_end = shown
    monkeypatch.setattr("gradscope.report.live.drawing.time.monotonic", lambda: now[0])

    def sleep(seconds):
        now[0] += 1.0

    monkeypatch.setattr("gradscope.report.live.drawing.time.sleep", sleep)
    drawing._let_pages_learn_it()
    assert now[0] == stays


def test_who_is_gone_is_not_told():
    class Gone(io.BytesIO):
        def write(self, content):
            raise BrokenPipeError

    say(Gone(), {"problem": "x"})
