"""What a reader of any recording should know."""

from torch import nn

from gradscope.capture import Place, Recording
from gradscope.capture._remarks import remarks
from gradscope.dynamics import Adjoints, Trace
from tests.conftest import build, draw


def recording_of(*places, time=5, heard=True):
    recording, cell = Recording(0), build("rnn")
    for place in places:
        trace = Trace(cell, draw(time, 2, 3), draw(time + 1, 2, 4))
        if heard:
            trace = trace.with_losses_of(Adjoints(draw(time + 1, 2, 4)))
        recording.add(place, trace, nn.Linear(1, 1), carried=False)
    return recording


def test_nothing_is_said_of_an_ordinary_recording():
    assert remarks(recording_of(Place("rnn", "gru", layer=0), Place("rnn", "gru", layer=1))) == []


def test_no_gradient():
    (note,) = remarks(recording_of(Place("rnn", "gru"), heard=False))
    assert note.startswith("no gradient arrived in the recorded block")


def test_single_steps():
    (note,) = remarks(recording_of(Place("rnn", "gru"), time=1))
    assert note.startswith("every recurrence took a single step")


def test_stretches_of_time_are_explained_but_not_those_of_depth():
    places = [Place("rnn", "gru").in_stretch(index, 3) for index in range(3)]
    (note,) = remarks(recording_of(*places))
    assert "is one of 3 stretches whose states are not connected" in note
    depth = [Place("blocks", "modulelist", along_depth=True, stretch=index) for index in (1, 2)]
    assert remarks(recording_of(*depth)) == []


def test_the_order_of_reading_is_said():
    places = Place("rnn", "gru", layer=0), Place("rnn", "gru", layer=0, reverse=True)
    (note,) = remarks(recording_of(*places))
    assert note.startswith("rnn.l0_reverse: t is in the order of reading")
