"""By what a run is judged."""

import math

import pandas as pd
import pytest

from gradscope.results.manifest import TaskAbout
from gradscope.results.tables import Tables
from gradscope.results.yardstick import of_language, worst_counted, yardstick
from tests.results.conftest import in_memory

BITS = {"adding": TaskAbout(measures={"bits_per_character": ("bits", "per character")})}


def of_text(losses):
    """Language models of these losses, held against an n-gram of 2 bits."""
    tables = in_memory(losses)
    trials = tables["trials"].assign(task="adding")
    trials["bits_per_character"] = trials["final_loss"] / math.log(2)
    references = trials[["trial"]].assign(reference="2-gram", bits_per_character=2.0)
    return Tables({"trials": trials, "references": references}, tables.trials)


def test_a_language_model_is_judged_in_bits():
    tables = of_text({"a": [math.log(2), math.nan], "b": [0.05, 0.05]})
    judged = yardstick(tables, BITS)
    assert of_language(tables).all()
    assert judged.measure.name == "bits_per_character"
    # the baseline of the tables is 1 nat
    assert judged.samples["a", -1].values == pytest.approx({0: 1.0, 1: 1 / math.log(2)})


def test_a_run_that_solves_its_task_is_judged_by_its_steps():
    judged = yardstick(in_memory({"a": [0.05, 0.5]}))
    assert judged.measure.name == "steps_to_solve"
    assert judged.samples["a", -1].values == {0: 10.0, 1: math.inf}
    assert judged.samples["a", -1].bounds == {0: 10.0, 1: 10.0}


def test_a_run_that_does_not_is_judged_by_its_losses():
    judged = yardstick(in_memory({"a": [0.5, math.nan], "b": [0.9, 0.8]}))
    assert judged.measure.name == "loss_over_baseline"
    assert judged.samples["a", -1].values == {0: 0.5, 1: 10.0}


@pytest.mark.parametrize(
    ("losses", "counts"), [([0.5, math.nan], 10.0), ([60.0, math.nan], 60.0), ([math.nan], 10.0)]
)
def test_what_diverged_counts_ten_times_the_baseline_or_as_the_worst(losses, counts):
    assert worst_counted(pd.Series(losses)) == counts


def test_how_much_worse_is_a_parameter():
    assert worst_counted(pd.Series([0.5, math.nan]), 2.0, 1.0) == 2.0
    assert worst_counted(pd.Series([3.0]), pd.Series([1.0, 2.0]), 1.0) == 3.0


def test_without_an_n_gram_nothing_is_of_language():
    assert not of_language(in_memory({"a": [0.5]})).any()
