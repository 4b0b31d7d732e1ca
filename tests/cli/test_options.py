"""Options that several commands share."""

import click
import pytest

from gradscope.cli._options import PopulationSize


@pytest.mark.parametrize(("given", "value"), [("auto", "auto"), ("off", "off"), ("16", 16), (3, 3)])
def test_a_population_is_a_word_or_a_number(given, value):
    assert PopulationSize()(given) == value


@pytest.mark.parametrize("given", ["0", "-1", "many", "1.5", ""])
def test_any_other_is_told_what_it_should_be(given):
    with pytest.raises(click.BadParameter, match="should be auto, off, or a number such as 16"):
        PopulationSize()(given)
