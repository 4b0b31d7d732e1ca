"""Fixed points and their stability."""

from gradscope.plots._looks import looks
from gradscope.plots.fixed_points import FixedPointsPlot
from gradscope.results.words import RECORDINGS, SWEEP
from tests.plots.conftest import made


def _tables(words=SWEEP):
    return made(
        words,
        fixed_points={
            "train_step": 5,
            "index": [0, 1],
            "visits": [0.75, 0.25],
            "residual": 0.0,
            "spectral_radius": [0.5, 2.0],
            "time_constant": [1.0, -1.0],
            "stable": [True, False],
        },
    )


def test_points_are_filled_where_they_are_stable():
    tables = _tables()
    (panel,) = FixedPointsPlot().figure(tables).axes
    (points,) = panel.collections
    assert points.get_offsets().tolist() == [[0.75, 0.5], [0.25, 2.0]]
    filled, open_ = points.get_facecolors()[:, :3].tolist()
    assert filled == list(looks(tables)["a"].colour)
    assert open_ == [1.0, 1.0, 1.0]


def test_points_are_those_of_a_trial_or_of_a_recurrence():
    assert "of one trial" in FixedPointsPlot().caption(_tables())
    assert "of one recurrence" in FixedPointsPlot().caption(_tables(RECORDINGS))
