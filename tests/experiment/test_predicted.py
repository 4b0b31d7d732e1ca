"""Predictions and figures held against what is known of the trials."""

import pytest

from gradscope.components import marks
from gradscope.components.mistakes import Mistakes
from gradscope.experiment import Experiment
from gradscope.experiment.asked import Asked
from gradscope.experiment.predicted import Known, check_figures, check_predictions
from gradscope.experiment.schema import default_probes

BASE = "task: {name: adding, length: 9}\ncell: {name: rnn, hidden_size: 3}\nprobes: []\n"


def known(*, labels: list[str] | None = None, whole: bool = True) -> Known:
    settings = Experiment.parse(BASE).trials[0].settings
    points = [Asked(settings, False, label, {}) for label in ("a", "b")]
    return Known(points, ["a", "b"] if labels is None else labels, whole, Mistakes())


def complaints(of: Known, text: str) -> list[str]:
    head = marks.read(text, "file.yaml")
    check_predictions(of, head)
    check_figures(of, head)
    return [f"{error.where}: {error.key}" for error in of.mistakes.found]


CLAIM = "expect: [{claim: c, measure: %s, configuration: %s, above: %s}]"


def test_what_is_right_says_nothing_and_brings_its_probe():
    of = known()
    assert complaints(of, CLAIM % ("growth_rate", "a", "0") + "\nfigures: [eigenvalues]") == []
    assert [sorted(p.name for p in point.settings.probes) for point in of.points] == [
        ["memory_horizon", "spectra"],
        ["spectra"],
    ]


@pytest.mark.parametrize(
    ("claim", "key"),
    [
        (("luck", "a", "0"), "expect[0].measure"),
        (("final_loss", "c", "0"), "expect[0].configuration"),
        (("final_loss", "a", "c"), "expect[0].above"),
        (("final_loss", "a", "1, below: 2"), "expect[0]"),
        (("final_loss", "a", "1, length: 8"), "expect[0].length"),
    ],
)
def test_each_kind_of_mistake(claim, key):
    (said,) = complaints(known(), CLAIM % claim)
    assert said.startswith("file.yaml:1:")
    assert said.endswith(f": {key}")


def test_one_prediction_may_be_wrong_in_several_ways():
    assert len(complaints(known(), CLAIM % ("luck", "c", "1, below: 2, length: 8"))) == 4


def test_labels_and_lengths_that_are_not_known_are_not_missed():
    settings = Experiment.parse(BASE).trials[0].settings
    unknown = Known([Asked(settings, False, "a", {})], None, False, Mistakes())
    assert complaints(unknown, CLAIM % ("final_loss", "c", "1, length: 8")) == []
    (said,) = complaints(unknown, CLAIM % ("luck", "c", "1"))
    assert "measure" in said
    of_another_task = Known([], None, False, Mistakes())
    assert complaints(of_another_task, CLAIM % ("bits_per_word", "c", "1")) == []


def test_nothing_is_brought_where_a_prediction_is_wrong():
    of = known()
    complaints(of, CLAIM % ("growth_rate", "a", "c"))
    assert [point.settings.probes for point in of.points] == [[], []]


def test_default_probes_are_no_part_of_an_empty_list():
    assert Experiment.parse(BASE).trials[0].settings.probes == []
    assert default_probes()
