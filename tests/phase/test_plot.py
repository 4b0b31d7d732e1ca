"""Figures of a phase diagram show the numbers that they are given."""

import numpy as np
import pandas as pd
import pytest

from gradscope.phase.measure import PhaseDiagram, Theory
from gradscope.phase.plot import exponent_against_gain, phase_map, spectra

NO_THEORY = PhaseDiagram("lstm", hidden_size=2).theory()


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_points_are_means_and_bars_go_from_the_least_to_the_greatest(frame, theory):
    figure = exponent_against_gain(frame, theory.curves)
    (axes,) = figure.axes
    assert legend_of(figure) == ["input variance 0", "input variance 0.5"]
    for container, factor in zip(axes.containers, (1.0, 0.5), strict=True):
        points, _, (bars,) = container
        gains = np.array([0.5, 1.0, 1.5, 2.0])
        assert list(points.get_xdata()) == gains.tolist()
        np.testing.assert_allclose(points.get_ydata().astype(float), factor * (gains - 1.05))
        for x, segment in zip(gains, bars.get_segments(), strict=True):
            np.testing.assert_allclose(
                segment[:, 1], [factor * (x - 1.1), factor * (x - 1)], atol=1e-12
            )


def test_the_lines_are_the_theorys(frame, theory):
    (axes,) = exponent_against_gain(frame, theory.curves).axes
    lines = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata())]
    drawn = {tuple(line.get_ydata()) for line in lines}
    for _, curve in theory.curves.groupby("input_variance"):
        assert tuple(curve["mean_field_exponent"]) in drawn


def test_the_map_has_a_row_for_each_variance_and_the_critical_line(frame, theory):
    figure = phase_map(frame, theory.critical)
    axes = figure.axes[0]
    (mesh,) = axes.collections
    values = mesh.get_array().reshape(2, 4)
    np.testing.assert_allclose(values[0], np.array([0.5, 1.0, 1.5, 2.0]) - 1.05)
    np.testing.assert_allclose(values[1], values[0] / 2)
    assert (
        mesh.norm(0.0) == 0.5
    )  # the colours' middle is where gradients neither vanish nor explode
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "0.5"]
    (line,) = axes.lines
    assert line.get_xdata().tolist() == [1.2, 1.2]
    assert list(line.get_ydata()) == [0, 1]
    low, high = axes.get_xlim()
    assert low <= 0.5 < 2.0 <= high


def test_a_panel_of_spectra_for_each_variance(frame):
    figure = spectra(frame)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["input variance 0", "input variance 0.5"]
    assert legend_of(figure) == ["g = 0.5", "g = 1", "g = 1.5", "g = 2"]
    first = shown[0].lines[0]
    assert first.get_xdata().tolist() == [1, 2]
    np.testing.assert_allclose(first.get_ydata(), [-0.55, -1.55])


@pytest.mark.parametrize("variances", [1, 2, 4, 5])
def test_panels_that_hold_nothing_are_hidden(variances, frame):
    base = frame[frame["input_variance"] == 0.0]
    several = pd.concat([base.assign(input_variance=float(v)) for v in range(variances)])
    figure = spectra(several)
    assert sum(axes.get_visible() for axes in figure.axes) == variances


def test_of_many_gains_eight_are_named(frame):
    base = frame[frame["gain"] == 0.5]
    many = pd.concat([base.assign(gain=g / 10) for g in range(1, 21)])
    names = legend_of(spectra(many))
    assert len(names) == 8
    assert (names[0], names[-1]) == ("g = 0.1", "g = 2")


def test_dead_directions_leave_gaps(frame):
    frame.loc[frame["index"] == 1, "exponent"] = -np.inf
    line = spectra(frame).axes[0].lines[0]
    assert np.isnan(line.get_ydata()[1])


def test_a_single_point_without_theory_can_be_drawn(frame):
    one = frame[(frame["gain"] == 1.0) & (frame["input_variance"] == 0.0)]
    assert isinstance(NO_THEORY, Theory)
    exponent_against_gain(one, NO_THEORY.curves)
    spectra(one)
    figure = phase_map(one, NO_THEORY.critical)
    assert not figure.axes[0].lines
