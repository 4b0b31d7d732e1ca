"""What of a large run goes into a page."""

import numpy as np
import pandas as pd
import pytest

from gradscope.report.explorer.thinning import thinned


def norms(steps=range(30), seeds=range(8), points=20):
    t, k = np.tril_indices(points)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "trial": f"seed {seed}",
                    "seed": seed,
                    "train_step": 10 * step,
                    "t": t,
                    "k": k,
                    "log_spectral_norm": 0.0,
                    "log_frobenius_norm": 1.0,
                }
            )
            for seed in seeds
            for step in steps
        ],
        ignore_index=True,
    )


def test_what_fits_is_left_alone():
    frames = {"norms": norms()}
    kept, left_out = thinned(frames, 10_000_000)
    assert kept["norms"] is frames["norms"]
    assert left_out == []


def test_the_second_norm_goes_first():
    whole = norms()
    kept, left_out = thinned({"norms": whole}, 4 * len(whole))
    assert left_out == ["spectral norms alone"]
    assert len(kept["norms"]) == len(whole)
    assert "log_frobenius_norm" not in kept["norms"]


def test_then_train_steps_evenly_and_the_last_one_of_every_trial():
    early = norms(steps=range(7), seeds=[8])
    whole = pd.concat([norms(), early], ignore_index=True)
    kept, left_out = thinned({"norms": whole}, int(0.55 * 4 * len(whole)))
    assert left_out[0] == "15 of 30 measured train steps, and every last one"
    steps = kept["norms"].groupby("seed")["train_step"].unique()
    assert steps[0][0] == 0
    assert steps[0][-1] == 290
    assert len(steps[0]) == 15
    assert np.ptp(np.diff(steps[0])) <= 10
    assert steps[8][-1] == 60


def test_then_seeds_then_rows_of_the_maps():
    whole = norms()
    kept, left_out = thinned({"norms": whole}, 25_000)
    assert "the first 2 of 8 seeds" in left_out
    assert sorted(kept["norms"]["seed"].unique()) == [0, 1]
    kept, left_out = thinned({"norms": whole}, 2_000)
    assert "every 2th row and column of the maps" not in left_out
    assert "every second row and column of the maps" in left_out
    assert sorted(kept["norms"]["t"].unique()) == [*range(0, 20, 2), 19]
    assert sorted(kept["norms"]["k"].unique()) == list(range(0, 20, 2))


@pytest.mark.parametrize("most", [0, 500, 3_000, 40_000, 300_000])
def test_it_is_never_more_than_asked_for_but_for_a_last_remnant(most):
    kept, _ = thinned({"norms": norms()}, most)
    rows = len(kept["norms"])
    assert 0 < rows * 4 <= max(most, 4 * 4 * 2 * 20)
