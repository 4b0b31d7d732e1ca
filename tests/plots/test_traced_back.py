"""One loss traced back."""

import pytest

from gradscope.plots.traced_back import TracedBackPlot
from gradscope.results.words import RECORDINGS, SWEEP
from tests.plots.conftest import made


def _caption(words, of):
    return TracedBackPlot(of=of).caption(made(words, traced_back={"lag": [0]}))


@pytest.mark.parametrize("of", ["input", "state"])
def test_a_sweep_is_asked_for_the_loss_of_the_last_answer(of):
    caption = _caption(SWEEP, of)
    assert caption.startswith("How strongly the loss of the last answer alone depends on the " + of)
    assert "median over measured sequences, then mean over seeds" in caption


@pytest.mark.parametrize("of", ["input", "state"])
def test_a_model_is_told_what_is_left_out(of):
    caption = _caption(RECORDINGS, of)
    assert f"along that recurrence alone to the {of} so many steps before" in caption
    assert "are left out" in caption
    assert "median over the measured sequences" in caption


def test_a_scope_asks_for_states():
    assert TracedBackPlot.model_validate(dict(TracedBackPlot.scope_options)).of == "state"
