"""How a value of a sweep is called, and what is said of a key that is none."""

import pytest

from gradscope.components import marks
from gradscope.experiment.choice import label_of, unknown
from gradscope.experiment.schema import Settings


@pytest.mark.parametrize(
    ("key", "value", "label"),
    [
        ("cell.hidden_size", 64, "hidden size 64"),
        ("cell.activation", "relu", "relu"),
        ("training.tbptt_length", None, "tbptt length null"),
        ("training.stop_on_success", False, "stop on success false"),
        ("clip", {"name": "value", "max_value": 2.0}, "value (max value 2.0)"),
        ("probes", ["none", {"name": "gates"}], "probes none, gates"),
        ("evaluation.lengths", [], "lengths none"),
    ],
)
def test_a_value_in_a_few_words(key, value, label):
    assert label_of(key, marks.marked_value(value, key)) == label


def test_a_key_that_is_none_is_told_where_it_belongs():
    error = unknown("lr", Settings, place="here", path="sweep.lr", but="or else")
    assert str(error).startswith("here: sweep.lr: is not a key of an experiment; did you mean ")
    assert "'optimizer.lr'" in error.message
    assert error.message.endswith(" (or else)")
    assert "did you mean 'seed'?" in unknown("sed", Settings, place="", path="sweep.sed").message
