"""Place: names of recurrences as torch has them."""

import pytest

from gradscope.capture import Place


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (Place("encoder.lstm", "lstm"), "encoder.lstm"),
        (Place("", "lstm"), "lstm"),
        (Place("encoder.lstm", "lstm", layer=1, reverse=True), "encoder.lstm.l1_reverse"),
        (Place("", "gru", layer=0), "l0"),
        (Place("blocks", "modulelist", along_depth=True), "blocks.depth"),
        (Place("", "sequential", along_depth=True), "depth"),
        (Place("rnn", "gru", layer=0, stretch=3), "rnn.l0 (3)"),
    ],
)
def test_names(place, name):
    assert str(place) == name


def test_the_recurrence_is_the_name_without_the_stretch():
    place = Place("rnn", "gru", layer=2, stretch=3)
    assert place.recurrence == "rnn.l2"
    assert str(place) == "rnn.l2 (3)"


def test_a_stretch_is_counted_from_one_and_named_only_where_there_are_several():
    place = Place("cell", "grucell")
    assert place.in_stretch(0, 1) == place
    assert [str(place.in_stretch(index, 2)) for index in range(2)] == ["cell (1)", "cell (2)"]


def test_the_owner_of_a_nameless_module_is_its_kind():
    assert Place("", "lstm", layer=1).owner == "lstm"
    assert Place("encoder", "lstm", layer=1).owner == "encoder"


def test_the_layer_below_has_the_same_direction():
    top = Place("rnn", "gru", layer=2, reverse=True)
    assert top.below == Place("rnn", "gru", layer=1, reverse=True)
    assert Place("rnn", "gru", layer=0).below is None
    assert Place("rnn", "gru").below is None


def test_only_the_first_layer_reads_the_inputs():
    assert Place("rnn", "gru").reads_inputs
    assert Place("rnn", "gru", layer=0, reverse=True).reads_inputs
    assert not Place("rnn", "gru", layer=1).reads_inputs
    assert not Place("net", "net", loop=True).reads_inputs
