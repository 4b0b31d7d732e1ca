"""Colours, markers, dashes and legends."""

import pandas as pd
import pytest
from matplotlib.lines import Line2D

from gradscope.plots._looks import DASHES, legend, looks
from gradscope.plots._style import new_figure
from gradscope.results.manifest import TrialEntry
from gradscope.results.tables import Tables
from tests.plots.conftest import made


def _tables(*labels):
    return made(norms={"configuration": list(labels)})


def test_two_axes_are_colour_and_dashes(tiny):
    chosen = looks(tiny)
    assert list(chosen) == tiny.configurations
    assert len({look.colour for look in chosen.values()}) == 4
    assert len({str(look.dash) for look in chosen.values()}) == 2
    for label, look in chosen.items():
        network, clip = tiny.axes[label]
        same = [other for other, labels in tiny.axes.items() if labels[0] == network]
        assert all(chosen[other].colour == look.colour for other in same)
        same = [other for other, labels in tiny.axes.items() if labels[1] == clip]
        assert all(chosen[other].dash == look.dash for other in same)


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b", "c"],
        ["only · x", "only · y"],  # the first axis tells nothing apart
        ["a · x", "b · x"],  # nor does the second
        [f"{first} · {second}" for first in "ab" for second in range(len(DASHES) + 1)],
        ["a · x · 1", "b · y · 2"],
        [str(number) for number in range(12)],
    ],
)
def test_otherwise_every_configuration_has_a_colour_and_a_marker(labels):
    chosen = looks(_tables(*labels))
    assert len({(look.colour, look.marker) for look in chosen.values()}) == len(labels)
    if len(labels) <= 7:
        assert len({look.colour for look in chosen.values()}) == len(labels)
        assert len({look.marker for look in chosen.values()}) == len(labels)
    assert {look.dash for look in chosen.values()} == {"-"}
    assert all(look.named for look in chosen.values())


def test_more_settings_than_dashes_are_markers_of_one_colour():
    chosen = looks(_tables(*(f"{first} · {second}" for first in "ab" for second in range(6))))
    for first in "ab":
        own = [look for label, look in chosen.items() if label.startswith(first)]
        assert len({look.colour for look in own}) == 1
        assert len({look.marker for look in own}) == 6


def test_no_two_look_alike_however_uneven_the_axes():
    chosen = looks(_tables(*(f"a · {second}" for second in range(11)), "b · 0"))
    assert len({(look.colour, look.marker) for look in chosen.values()}) == 12


def test_of_many_configurations_some_are_named():
    chosen = looks(_tables(*map(str, range(30))))
    assert sum(look.named for look in chosen.values()) == 12
    named = [look for look in chosen.values() if look.named]
    assert len({(look.colour, look.marker) for look in named}) == 12


def _of_cells(*cells):
    """A configuration for each cell, called as somebody likes."""
    entries = [
        TrialEntry(
            id=f"t{place}",
            configuration=label,
            axes={f"axis {axis}": part for axis, part in enumerate(label.split(" · "))},
            settings={"cell": cell},
        )
        for place, (label, cell) in enumerate(cells)
    ]
    return Tables({}, entries)


RNN = {"name": "rnn", "activation": "tanh"}
RELU = {"name": "rnn", "activation": "relu"}
CELLS = [{"name": name} for name in ("lstm", "gru", "janet", "lru", "mgu")]


def test_a_cell_keeps_its_colour_and_marker_whoever_else_is_there_and_whatever_it_is_called():
    lstm = looks(_of_cells(("LSTM", CELLS[0]), ("GRU", CELLS[1])))["LSTM"]
    others = _of_cells(("one", RELU), ("two", CELLS[4]), ("three", RNN), ("mine", CELLS[0]))
    assert looks(others)["mine"] == lstm
    back = looks(_of_cells(("GRU", CELLS[1]), ("LSTM", CELLS[0])))
    assert back["LSTM"] == lstm


def test_a_cell_keeps_its_colour_in_a_sweep_of_two_axes():
    alone = looks(_of_cells(("LSTM", CELLS[0]), ("GRU", CELLS[1])))
    pairs = [("LSTM · a", CELLS[0]), ("LSTM · b", CELLS[0]), ("GRU · a", CELLS[1])]
    both = looks(_of_cells(*pairs, ("GRU · b", CELLS[1])))
    for label, look in both.items():
        assert look.colour == alone[label.split(" · ")[0]].colour


def test_cells_differ_in_colour_and_marker():
    chosen = looks(_of_cells(*((str(i), cell) for i, cell in enumerate([RNN, RELU, *CELLS]))))
    assert len({look.colour for look in chosen.values()}) == 7
    assert len({look.marker for look in chosen.values()}) == 7


def test_one_cell_with_other_options_is_told_apart_by_place():
    chosen = looks(_of_cells(("small", {**RNN, "hidden_size": 8}), ("large", RNN)))
    assert chosen["small"].colour != chosen["large"].colour


def test_a_legend_names_what_is_there_and_others():
    tables = _tables("a $", "b", "c")
    figure, _ = new_figure(1, 1, height=2.0)
    legend(figure, tables, pd.Series(["c", "a $"]), baseline=Line2D([], []))
    (box,) = figure.legends
    assert [text.get_text() for text in box.get_texts()] == [r"a \$", "c", "baseline"]


def test_a_legend_counts_those_that_it_does_not_name():
    tables = _tables(*map(str, range(30)))
    figure, _ = new_figure(1, 1, height=2.0)
    legend(figure, tables, tables.configurations)
    (box,) = figure.legends
    said = [text.get_text() for text in box.get_texts()]
    assert len(said) == 13
    assert said[-1] == "18 others"


def test_room_for_a_long_legend_is_not_taken_from_the_axes():
    tables = _tables(*(f"a rather long label of a configuration, number {n}" for n in range(20)))
    figure, _ = new_figure(1, 1, height=2.0)
    legend(figure, tables, pd.Series(tables.configurations))
    assert figure.get_figheight() > 3.0
