"""The figure of an unroll: what is marked in it."""

import numpy as np


def test_panels_and_marks(chaotic):
    figure = chaotic.plot()
    size, sign, variance = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["size", "sign", "variance"]
    trusted = chaotic.trusted_horizon.centre
    assert any((np.asarray(line.get_xdata()) == trusted).all() for line in sign.lines)
    norms = size.lines[0].get_ydata()
    np.testing.assert_allclose(norms, chaotic.to_frame()["log_norm"])
    dotted = variance.lines[1]
    x, y = np.asarray(dotted.get_xdata()), np.asarray(dotted.get_ydata())
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    np.testing.assert_allclose(slope, 2 * chaotic.lyapunov_exponent.centre)
    assert "trusted horizon" in figure.description


def test_what_is_censored_is_not_marked(fading):
    sign = fading.plot().axes[1]
    vertical = [line for line in sign.lines if len(set(line.get_xdata())) == 1]
    assert [line.get_xdata()[0] for line in vertical] == [fading.truncation.steps]


def test_exact_zeros_end_in_a_triangle(dead):
    size = dead.plot().axes[0]
    assert any(line.get_marker() == "v" and line.get_xdata()[0] == 5 for line in size.lines)


def test_one_start_is_drawn():
    import torch

    import gradscope

    found = gradscope.horizon(torch.tanh, torch.ones(1, 2), 3)
    assert len(found.plot().axes) == 3
