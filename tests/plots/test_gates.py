"""Gates along a sequence."""

import numpy as np
import pytest

from gradscope.plots.gates import _ROWS, GatesPlot
from gradscope.results.words import RECORDINGS, SWEEP
from tests.plots.conftest import made


def _tables(words=SWEEP, **columns):
    """A forget gate of two units, the second more open, and a candidate of one, over two steps."""
    return made(
        words,
        gates={
            "train_step": 5,
            "gate": ["f"] * 4 + ["g"] * 2,
            "unit": [0, 0, 1, 1, 0, 0],
            "t": [1, 2, 1, 2, 1, 2],
            "value": [0.1, 0.2, 0.8, 0.9, -0.5, 0.5],
            "symbol": "",
            **columns,
        },
    )


def test_units_that_open_most_lie_on_top():
    forget, candidate, _ = GatesPlot().figure(_tables()).axes
    (mesh,) = forget.collections
    np.testing.assert_array_equal(mesh.get_array(), [[0.8, 0.9], [0.1, 0.2]])
    assert mesh.get_clim() == (0, 1)
    assert forget.yaxis_inverted()
    assert candidate.get_title() == "gate g (−1 to 1)"
    assert candidate.collections[0].get_clim() == (-1, 1)


def test_the_first_seed_is_shown_at_its_last_measurement():
    tables = _tables(seed=[1, 1, 1, 1, 0, 0], train_step=[0, 0, 5, 5, 5, 5])
    data = GatesPlot().data(tables)
    assert data["gate"].tolist() == ["g", "g"]


def test_what_was_measured_before_training_only_is_shown_as_well():
    assert len(GatesPlot().data(_tables(train_step=0))) == 6


def test_a_configuration_without_a_gate_has_an_empty_place():
    tables = _tables(configuration=["a"] * 4 + ["b"] * 2, gate=["f", "f", "i", "i", "f", "f"])
    figure = GatesPlot().figure(tables)
    assert [ax.get_visible() for ax in figure.axes[:4]] == [True, True, True, False]


def test_no_more_rows_than_a_page_takes():
    labels = [f"cell {number}" for number in range(_ROWS + 2)]
    tables = _tables(
        configuration=labels, gate="f", unit=0, t=1, value=0.5, seed=0, symbol=[""] * len(labels)
    )
    figure = GatesPlot().figure(tables)
    assert len([ax for ax in figure.axes if ax.get_title() == "gate f"]) == _ROWS


@pytest.mark.parametrize(
    ("words", "shown"), [(SWEEP, "the first seed of each configuration"), (RECORDINGS, "each recu")]
)
def test_the_caption_says_whose_gates_they_are(words, shown):
    assert f"Shown is {shown}" in GatesPlot().caption(_tables(words))
