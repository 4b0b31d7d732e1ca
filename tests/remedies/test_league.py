"""What gradscope's own experiments measured of remedies."""

import numpy as np
import pandas as pd
import pytest

from gradscope.remedies import MEASURED, REMEDIES, Measured
from gradscope.remedies._league import against_itself, compared


@pytest.fixture(scope="module")
def league():
    return pd.read_csv(MEASURED, comment="#")


def test_a_comparison_is_the_ratio_of_geometric_means(league):
    measured = compared("GRU", "tanh, clip")
    logs = np.log(league.set_index("entrant")["ratio"])
    expected = np.exp(logs["GRU"].mean() - logs["tanh, clip"].mean())
    assert measured.factor == pytest.approx(expected)
    rows = league.groupby("entrant")[["solved", "trials"]].sum()
    assert measured.solved == tuple(rows.loc["GRU"])
    assert measured.solved_without == tuple(rows.loc["tanh, clip"])


def test_who_did_not_take_part_is_not_compared():
    assert compared("GRU", "nobody") is None
    assert compared("nobody", "GRU") is None


@pytest.mark.parametrize("name", REMEDIES.names())
def test_every_entrant_that_a_remedy_names_took_part(name, league):
    remedy = REMEDIES.get(name)
    assert bool(remedy.entrant) == bool(remedy.against)
    if remedy.entrant:
        assert {remedy.entrant, remedy.against} <= set(league["entrant"])
        assert REMEDIES.make(name).measured() is not None


def test_a_gated_cell_is_compared_with_itself():
    assert against_itself("LSTM", "tanh, clip") == "LSTM"
    assert against_itself("ProjectedLSTM", "tanh, clip") == "LSTM"
    assert against_itself("RNN", "tanh, clip") == "tanh, clip"
    assert against_itself("LSTM", "tanh, nothing") == "tanh, nothing"
    assert REMEDIES.make("gru").measured("GRU") is None
    of_lstm, of_rnn = (REMEDIES.make("lstm_chrono").measured(cell) for cell in ("LSTM", "RNN"))
    assert of_lstm.solved == of_rnn.solved
    assert of_lstm.factor > of_rnn.factor


def test_a_remedy_that_did_not_take_part_has_no_measure():
    assert REMEDIES.make("batch_first").measured() is None


def test_in_words():
    differ = Measured("adding at length 40", 0.0312, (3, 3), (0, 3))
    assert str(differ) == (
        "adding at length 40: solved 3/3 trials, against 0/3 without it; loss × 0.031"
    )
    same = Measured("adding at length 40", 0.5, (3, 3), (3, 3))
    assert "3/3 trials, as without it;" in str(same)


def test_tasks_share_their_length_in_words():
    assert compared("GRU", "LSTM").tasks == "adding and temporal order at length 40"
