"""The figure of influences, and what a notebook shows."""

import numpy as np
import pytest

from gradscope.dynamics import InfluenceProfile
from gradscope.errors import NothingToDrawError
from gradscope.influencing._figure import caption, drawn
from gradscope.influencing._html import influence_html

LAGS = np.arange(40)


def profile_of(base):
    return InfluenceProfile.of(np.arange(len(base)), np.broadcast_to(base, (3, 1, 4, len(base))))


def lines(axes):
    return [line.get_xydata() for line in axes.lines if len(line.get_xydata()) > 2]


def test_one_profile_and_its_law():
    profile = profile_of(-LAGS / 6)
    figure = drawn({"": profile})
    straight, logarithmic = figure.axes
    assert (straight.get_xscale(), logarithmic.get_xscale()) == ("linear", "log")
    np.testing.assert_allclose(lines(straight)[0][:, 1], -LAGS / 6)
    assert lines(logarithmic)[0][0, 0] == 1
    law = lines(straight)[-1]
    np.testing.assert_allclose(law[:, 1], -law[:, 0] / 6, atol=1e-6)
    assert [text.get_text() for text in figure.legends[0].texts] == ["law of decay"]
    assert "over examples" in figure.description


@pytest.mark.parametrize("count", [2, 9])
def test_several(count):
    figure = drawn({f"layer $ {i}": profile_of(-LAGS[:8] / (i + 2)) for i in range(count)})
    names = [text.get_text() for text in figure.legends[0].texts]
    assert len(names) == count + 1
    colours = {tuple(line.get_color()) for line in figure.axes[0].lines}
    assert len(colours) == count


def test_zeros_have_no_point_and_nothing_has_no_figure():
    figure = drawn({"": profile_of(np.where(LAGS < 2, 0.0, -np.inf))})
    assert np.isfinite(figure.axes[0].dataLim.get_points()).all()
    assert not figure.legends
    with pytest.raises(NothingToDrawError, match="exactly zero at all lags"):
        drawn({"": profile_of(np.full(40, -np.inf))})


def test_the_future_is_drawn_on_the_left():
    profile = InfluenceProfile.of(np.arange(-3, 4), np.zeros((1, 1, 4, 7)))
    straight, logarithmic = drawn({"": profile}).axes
    assert lines(straight)[1][0, 0] == -3
    assert logarithmic.get_xlim()[0] > 0


def test_a_notebook_shows_all_of_it():
    shown = influence_html(
        "the output of <Model>", profile_of(-LAGS / 6), "exact", ["mind the gap"]
    )
    assert "<img" in shown
    assert caption({"": profile_of(-LAGS / 6)}) in shown
    assert "&lt;Model&gt;" in shown
    assert "Note: mind the gap" in shown
    nothing = influence_html("x", profile_of(np.full(40, -np.inf)), "exact", [])
    assert "<img" not in nothing
