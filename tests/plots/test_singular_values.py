"""Singular values of Jacobian products."""

import math

from gradscope.plots.singular_values import SingularValues
from tests.plots.conftest import made

GRADED = {
    "train_step": [0, 5, 5, 5],
    "lag": [1, 1, 1, 4],
    "index": [0, 0, 1, 0],
    "log_value": [9.0, 0.0, -1.0, -4.0],
}
FORMED = {
    "train_step": [5, 5, 5],
    "kind": ["product", "product", "jacobian"],
    "t": [9, 9, 9],
    "k": [7, 7, 8],
    "index": [0, 1, 0],
    "log_value": [-2.0, -3.0, 7.0],
}


def test_graded_values_are_preferred():
    data = SingularValues().data(made(singular_values=GRADED, spectra=FORMED))
    assert data["log_value"].tolist() == [0.0, -1.0, -4.0]


def test_without_them_those_of_formed_products_are_shown():
    data = SingularValues().data(made(spectra=FORMED))
    assert data["log_value"].tolist() == [-2.0, -3.0]
    assert data["lag"].tolist() == [2, 2]


def test_a_curve_for_each_lag_by_rank():
    figure = SingularValues().figure(made(singular_values=GRADED))
    first, second, zero = figure.axes[0].lines
    assert first.get_xdata().tolist() == [1, 2]
    assert second.get_ydata().tolist() == [-4.0]
    assert zero.get_ydata() == [0, 0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["lag 1", "lag 4"]


def test_zeros_are_told_of():
    tables = made(
        singular_values={
            "configuration": ["dead", "a"],
            "train_step": 5,
            "lag": 1,
            "index": 0,
            "log_value": [-math.inf, 0.0],
        }
    )
    dead, alive = SingularValues().figure(tables).axes
    assert [text.get_text() for text in dead.texts] == ["all exactly zero"]
    assert not alive.texts
