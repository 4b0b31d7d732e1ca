"""Non-normality."""

import pytest

from gradscope.plots.non_normality import NonNormalityPlot
from tests.plots.conftest import made


@pytest.fixture
def tables():
    """Two steps of each Jacobian, before and after training, b recorded before a."""
    columns = ("spectral_radius", "numerical_radius", "spectral_norm", "kreiss")
    return made(
        trials={"configuration": ["a", "b"]},
        non_normality={
            "configuration": ["b", "b", "a", "a", "a"],
            "train_step": [5, 5, 0, 5, 5],
            "matrix": "J",
            "t": [1, 2, 1, 1, 2],
            "henrici_relative": [0.5, 0.7, 0.0, 0.1, 0.3],
            **{name: [float(place)] * 5 for place, name in enumerate(columns, 1)},
        },
    )


def test_means_over_steps_at_the_last_measurement(tables):
    data = NonNormalityPlot().data(tables).set_index("configuration")
    assert data["henrici_relative"].to_dict() == pytest.approx({"a": 0.2, "b": 0.6})


def test_rows_are_in_the_order_of_the_sweep(tables):
    left, right = NonNormalityPlot().figure(tables).axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["a   J", "b   J"]
    assert [bar.get_width() for bar in left.patches] == pytest.approx([0.2, 0.6])
    radius, numerical, norm, _ = right.lines
    assert [line.get_label() for line in (radius, numerical, norm)] == [
        "spectral radius",
        "numerical radius",
        "spectral norm",
    ]
    assert [line.get_xdata().tolist() for line in (radius, numerical, norm)] == [
        [1.0, 1.0],
        [2.0, 2.0],
        [3.0, 3.0],
    ]
