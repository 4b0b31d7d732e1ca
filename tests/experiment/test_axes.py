"""The axes of a sweep, and what is said of those that are none."""

import pytest

from gradscope.components.marks import read
from gradscope.components.mistakes import Mistakes
from gradscope.experiment.axes import axes_of
from gradscope.experiment.schema import Settings


def axes(text):
    """The axes of a sweep, and what is wrong with them."""
    mistakes = Mistakes()
    found = axes_of(read(text, "file.yaml"), Settings, "here", mistakes)
    return found, [str(mistake) for mistake in mistakes.found]


def test_a_value_has_a_label_and_what_it_changes():
    found, mistakes = axes("cell.hidden_size: [3, 4]\nhow: [{label: fast, optimizer.lr: 0.5}]")
    assert mistakes == []
    assert [choice.label for choice in found["cell.hidden_size"]] == [
        "hidden size 3",
        "hidden size 4",
    ]
    [((key, value, _),)] = [choice.changes for choice in found["how"]]
    assert (key, value, found["how"][0].label) == ("optimizer.lr", 0.5, "fast")


def test_every_axis_that_is_wrong_is_told():
    found, mistakes = axes("seed: [1, 2]\ncell.hidden_size: 3\ntask.length: []")
    assert list(found) == ["seed"]
    assert "cell.hidden_size: should be a list of values, got 3" in mistakes[0]
    assert "task.length: is empty; give at least one value" in mistakes[1]


@pytest.mark.parametrize(
    ("key", "meant"),
    [("hidden_size", "cell.hidden_size"), ("steps", "training.steps"), ("lr", "optimizer.lr")],
)
def test_a_key_without_its_section_is_told_where_it_belongs(key, meant):
    _, [mistake] = axes(f"{key}: [1, 2]")
    assert f"did you mean '{meant}'" in mistake
