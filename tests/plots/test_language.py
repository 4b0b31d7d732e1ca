"""Language models against n-grams."""

import math

from gradscope.plots.language import LanguagePlot
from tests.plots.conftest import made


def test_bits_of_the_trials_that_have_references():
    tables = made(
        evaluation={
            "configuration": ["text", "text", "sums"],
            "train_step": [0, 5, 5],
            "loss": [3 * math.log(2), math.log(2), 9.0],
        },
        references={
            "configuration": "text",
            "reference": ["1-gram", "2-gram"],
            "loss": [2 * math.log(2), math.log(2)],
        },
        trials={"configuration": ["text", "sums"]},
    )
    data = LanguagePlot().data(tables)
    assert data["configuration"].tolist() == ["text", "text"]
    assert data["bits"].tolist() == [3.0, 1.0]
    (panel,) = LanguagePlot().figure(tables).axes
    dashed = [line for line in panel.lines if line.get_linestyle() == "--"]
    assert [float(line.get_ydata()[0]) for line in dashed] == [2.0, 1.0]
    assert [words.get_text() for words in panel.texts] == ["1-gram", "2-gram"]
