"""The verdict: who solved the task, who diverged, whose gradient vanishes or explodes."""

import math

import pandas as pd
import pytest

from gradscope.results import tables
from gradscope.results.manifest import TaskAbout
from gradscope.results.records import RunDirectory
from gradscope.results.statistics import STRONG
from gradscope.results.tables import Tables
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
    assert "dead · none (×0, no interval, n = 2)" in before
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


# Clopper and Pearson: one of two with 1 - sqrt(0.975) and its mirror, two of two with sqrt(0.025)
ONE_OF_TWO, TWO_OF_TWO, NONE_OF_TWO = "1% to 99%", "16% to 100%", "0% to 84%"
NORM = "the gradient of the last state with respect to the first, ‖∂s_T/∂s_0‖,"


def test_a_run_by_hand(tmp_path):
    assert verdict(tables.load(run_by_hand(tmp_path / "run"))) == [
        f"Solved at length 20 by every seed: lstm (2/2); 95% interval of the share {TWO_OF_TWO}.",
        f"Solved at length 20 by no seed: tanh (0/2); 95% interval of the share {NONE_OF_TWO}.",
        "Of what no seed solved, the test loss against that of the best answer without a memory: "
        "no evidence of a difference for tanh (×0.5, no interval, n = 2).",
        # 10 updates against more than the 30 that were given; two signs alike have p = 1/2
        "Cell: no evidence of a difference. lstm came first: it needs at least 20 updates fewer "
        "than tanh (no interval; 2 paired seeds; p = 0.5).",
        f"Before training, over the 20 steps of a sequence, {NORM} vanishes in every seed for tanh "
        "(×10⁻⁴, no interval, n = 2); it stays in range in every seed for lstm (×0.61, no "
        "interval, n = 2).",
        f"At the end of training, over the 20 steps of a sequence, {NORM} vanishes in every seed "
        "for tanh (×10⁻⁹, no interval, n = 2); it stays in range in every seed for lstm (×1.6, no "
        "interval, n = 2).",
    ]


@pytest.mark.parametrize(
    ("losses", "sentences"),
    [
        ([0.05, 0.05], [f"Solved by every seed: a (2/2); 95% interval of the share {TWO_OF_TWO}."]),
        ([0.05, 0.5], [f"Solved by some seeds: a (1/2); 95% interval of the share {ONE_OF_TWO}."]),
        (
            [0.5, 0.5],
            [
                f"Solved by no seed: a (0/2); 95% interval of the share {NONE_OF_TWO}.",
                "Of what no seed solved, the test loss against that of the best answer without a "
                "memory: no evidence of a difference for a (×0.5, no interval, n = 2).",
            ],
        ),
        (
            [0.05, math.nan],
            [
                f"Solved by some seeds: a (1/2); 95% interval of the share {ONE_OF_TWO}.",
                "Diverged (a loss or gradient that is no longer a number): a (1/2); 95% interval "
                f"of the share {ONE_OF_TWO}.",
            ],
        ),
    ],
)
def test_without_probes_it_speaks_of_success_alone(losses, sentences):
    assert verdict(in_memory({"a": losses})) == sentences


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        # t of the logarithms against ln 1, three seeds
        ([0.5, 0.52, 0.49], "below it beyond chance for a (×0.503, 0.467 to 0.542)"),
        ([1.5, 1.6, 1.45], "above it beyond chance for a (×1.52, 1.34 to 1.72)"),
        ([0.5, 1.1, 0.9], "no evidence of a difference for a (×0.791, 0.286 to 2.19)"),
        ([0.5], "below it by one seed, which is no evidence, for a (×0.5, n = 1)"),
    ],
)
def test_what_no_seed_solved_is_judged_by_its_loss(losses, said):
    assert any(sentence.endswith(f": {said}.") for sentence in verdict(in_memory({"a": losses})))


def test_a_gradient_whose_fate_depends_on_the_seed():
    norms = pd.DataFrame(
        {"trial": ["a0", "a1", "a2"], "train_step": 0, "block": "state", "time": 20, "horizon": 1.0}
    ).assign(
        configuration="a", length=-1, log_norm=[-10.0, -8.0, -1.0], growth_rate=[-0.5, -0.4, -0.05]
    )
    loaded = in_memory({"a": [0.5, 0.5, 0.5]}, memory_horizon=norms)
    (said,) = [s for s in verdict(loaded) if s.startswith("Before training")]
    assert "it vanishes in 2 of 3" in said
    assert "depends on the seed for a (×0.0018, 10⁻⁸ to 220" in said


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        ([1.5, 1.52, 1.48], "below it beyond chance for a (1.5, 1.45 to 1.55)"),
        ([1.9, 2.1, 2.0], "no evidence of a difference for a (2, 1.76 to 2.26)"),
        ([2.4, 2.5, 2.45], "above it beyond chance for a (2.45, 2.33 to 2.58)"),
    ],
)
def test_a_language_model_is_held_against_its_n_gram(bits, said):
    loaded = in_memory({"a": [0.5, 0.5, 0.5]})
    trials = loaded["trials"].assign(bits_per_character=bits, task="lm")
    references = pd.DataFrame(
        {"trial": trials["trial"], "reference": "3-gram", "bits_per_character": 2.0}
    )
    text = Tables({"trials": trials, "references": references}, loaded.trials)
    about = {"lm": TaskAbout(measures={"bits_per_character": ("bits", "per character")})}
    sentences = verdict(text, about)
    assert f"Bits per character of held-out text against the 3-gram (2): {said}." in sentences
    assert not any(sentence.startswith("Solved") for sentence in sentences)
