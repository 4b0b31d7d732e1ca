"""The interactive figure."""

import math

import pytest

from gradscope.plots._explorer import explorer
from tests.plots.conftest import made


def test_it_has_a_position_for_every_measured_step(tiny):
    figure = explorer(tiny)
    steps = sorted(tiny.at_longest("jacobian_norms")["train_step"].unique())
    assert [frame.name for frame in figure.frames] == [str(step) for step in steps]
    assert len(figure.data) == len(tiny.configurations)


def test_mixed_runs_have_all_their_positions(mixed):
    assert len(explorer(mixed).frames) == 6


def _norms(**columns):
    return made(
        jacobian_norms={
            "configuration": ["a", "a", "a", "a", "b", "b"],
            "train_step": [0, 0, 7, 7, 0, 0],
            "block": "state",
            "sequence": 0,
            "t": 3,
            "lag": [0, 1, 0, 1, 0, 1],
            "log_spectral_norm": [0.0, -1.0, 0.0, -2.0, 0.0, -math.inf],
            **columns,
        }
    )


def test_what_ended_early_stays_and_exact_zeros_end_the_line():
    before, after = explorer(_norms()).frames
    assert [line.y for line in before.data] == [(0.0, -1.0), (0.0, None)]
    assert [line.y for line in after.data] == [(0.0, -2.0), (0.0, None)]
    assert [line.name for line in after.data] == ["a", "b"]


def test_only_the_last_step_of_the_full_state_is_followed_back():
    figure = explorer(_norms(t=[3, 3, 3, 2, 3, 3], block=["state"] * 5 + ["hidden"]))
    assert figure.frames[1].data[0].x == (0,)
    assert figure.frames[0].data[1].x == (0,)


@pytest.mark.parametrize("tables", [made(), _norms(train_step=0)])
def test_with_less_than_two_steps_there_is_none(tables):
    assert explorer(tables) is None
