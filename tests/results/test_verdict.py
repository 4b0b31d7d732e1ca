"""The verdict: who solved the task, who diverged, whose gradient vanishes or explodes."""

import math

import pytest

from gradscope.results import tables
from gradscope.results.records import RunDirectory
from gradscope.results.statistics import STRONG
from gradscope.results.verdict import fate, verdict
from tests.results.conftest import in_memory, run_by_hand


def test_verdict_names_every_configuration_once_per_question(tiny_run):
    loaded = tables.load(RunDirectory(tiny_run))
    sentences = verdict(loaded)
    solved = " ".join(s for s in sentences if s.startswith("Solved"))
    for label in loaded.configurations:
        assert solved.count(f"{label} (") == 1
    before = next(s for s in sentences if s.startswith("Before training"))
    assert "over the 12 steps" in before
    assert "dead · none (×0)" in before
    assert any(s.startswith("Diverged") and "diverging · none" in s for s in sentences)


def test_fates():
    assert [fate(x) for x in (-7, -6.8, 0, 6.8, 7, -math.inf)] == [
        "vanishes",
        "stays in range",
        "stays in range",
        "stays in range",
        "explodes",
        "vanishes",
    ]
    assert fate(math.nan) == "is not measured"
    assert (fate(STRONG), fate(-STRONG)) == ("explodes", "vanishes")


def test_a_run_by_hand(tmp_path):
    assert verdict(tables.load(run_by_hand(tmp_path / "run"))) == [
        "Solved at length 20 by every seed: lstm (2/2).",
        "Solved at length 20 by no seed: tanh (0/2).",
        "Before training, over the 20 steps of a sequence, the gradient of the last state with "
        "respect to the first, ‖∂s_T/∂s_0‖, vanishes for tanh (×10⁻⁴); it stays in range for lstm "
        "(×0.61).",
        "At the end of training, over the 20 steps of a sequence, the gradient of the last state "
        "with respect to the first, ‖∂s_T/∂s_0‖, vanishes for tanh (×10⁻⁹); it stays in range for "
        "lstm (×1.6).",
    ]


@pytest.mark.parametrize(
    ("losses", "sentences"),
    [
        ([0.05, 0.05], ["Solved by every seed: a (2/2)."]),
        ([0.05, 0.5], ["Solved by some seeds: a (1/2)."]),
        ([0.5, 0.5], ["Solved by no seed: a (0/2)."]),
        (
            [0.05, math.nan],
            [
                "Solved by some seeds: a (1/2).",
                "Diverged (a loss or gradient that is no longer a number): a (50% of trials).",
            ],
        ),
    ],
)
def test_without_probes_it_speaks_of_success_alone(losses, sentences):
    assert verdict(in_memory({"a": losses})) == sentences
