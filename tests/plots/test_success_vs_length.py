"""Success rate."""

import numpy as np
import pytest
from scipy import stats

from gradscope.plots.success_vs_length import SuccessVsLength
from gradscope.results.tables import Tables
from tests.plots.conftest import made

#: of one success in four: Clopper and Pearson's ends are quantiles of beta distributions
LOW, HIGH = stats.beta.ppf(0.025, 1, 4), stats.beta.ppf(0.975, 2, 3)


def _tables(lengths):
    """Four seeds of a, of which one solves the task, and of b, of which all do."""
    places = [(label, length, seed) for label in "ab" for length in lengths for seed in range(4)]
    return made(
        trials={
            "configuration": [label for label, _, _ in places],
            "length": [length for _, length, _ in places],
            "seed": [seed for _, _, seed in places],
            "outcome": [
                "solved" if label == "b" or seed == 0 else "unsolved" for label, _, seed in places
            ],
            "final_loss": 0.1,
            "baseline": 0.2,
            "loss_unit": "nats",
            "steps_to_solve": 5.0,
            "wrong_fraction": 0.0,
        }
    )


def test_rates_and_their_intervals():
    data = SuccessVsLength().data(_tables([8])).set_index("configuration")
    assert data["success_rate"].to_dict() == {"a": 0.25, "b": 1.0}
    ends = data.loc["a", ["success_rate_low", "success_rate_high"]]
    assert tuple(ends) == pytest.approx((LOW, HIGH))


def test_at_one_length_there_is_a_row_for_each_configuration():
    (panel,) = SuccessVsLength().figure(_tables([8])).axes
    assert panel.get_xlabel() == "solved at length 8 (share of seeds)"
    assert [text.get_text() for text in panel.get_yticklabels()] == ["a", "b"]
    bar = panel.containers[0].lines[2][0].get_segments()[0]
    np.testing.assert_allclose(bar, [[LOW, 0], [HIGH, 0]], rtol=1e-9)


def test_over_lengths_points_of_one_length_are_apart():
    tables = _tables([8, 16])
    (panel,) = SuccessVsLength().figure(tables).axes
    lines = [container.lines[0].get_xdata() for container in panel.containers]
    first, second = np.array(lines, dtype=float)
    np.testing.assert_allclose(first, np.array([8, 16]) * np.exp(-0.03), rtol=1e-12)
    np.testing.assert_allclose(second, np.array([8, 16]) * np.exp(0.03), rtol=1e-12)
    assert [text.get_text() for text in panel.get_xticklabels()] == ["8", "16"]


@pytest.mark.parametrize(("lengths", "apart"), [([8], False), ([8, 16], True)])
def test_the_caption_counts_seeds(lengths, apart):
    caption = SuccessVsLength().caption(_tables(lengths))
    assert "over 4 seeds." in caption
    assert ("a little apart" in caption) is apart


def test_a_decided_figure_is_a_sentence():
    tables = _tables([8, 16])
    assert SuccessVsLength().in_words(tables) == ""
    alone = Tables({"trials": tables["trials"].query("configuration == 'b'")}, tables.trials)
    low = stats.beta.ppf(0.025, 4, 1)
    assert SuccessVsLength().in_words(alone) == (
        "8 of 8 trials at 2 lengths solved the task. By 4 seeds of each configuration that leaves "
        f"a share of {low:.0%} to 100% (exact 95% interval, Clopper and Pearson)."
    )
