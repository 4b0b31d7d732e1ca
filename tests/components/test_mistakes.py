"""Mistakes: gathered, each once, and told in the order of the file."""

import pytest

from gradscope.components.mistakes import Mistakes
from gradscope.errors import ConfigError, ConfigErrors


def error(line: int, message: str = "wrong", key: str = "") -> ConfigError:
    return ConfigError(message, where=f"a.yaml:{line}:1", key=key)


def test_each_is_gathered_once_and_told_in_order():
    mistakes = Mistakes()
    for line in (12, 3, 12, 9):
        with mistakes.noted():
            raise error(line)
    mistakes.add(ConfigErrors.of([error(3), error(1), ConfigErrors("")]))
    with pytest.raises(ConfigErrors) as caught:
        mistakes.raise_any()
    assert [one.where for one in caught.value.errors] == [f"a.yaml:{n}:1" for n in (1, 3, 9, 12)]


def test_files_stay_together_in_the_order_in_which_they_were_read():
    mistakes, places = (
        Mistakes(),
        ["b.yaml:3:1", "b.yaml:1:9", "a.yaml:2:2", "overrides", "a.yaml:2:1"],
    )
    for place in places:
        mistakes.add(ConfigError("wrong", where=place))
    with pytest.raises(ConfigErrors) as caught:
        mistakes.raise_any()
    ordered = ["b.yaml:1:9", "b.yaml:3:1", "a.yaml:2:1", "a.yaml:2:2", "overrides"]
    assert [one.where for one in caught.value.errors] == ordered


def test_one_alone_is_itself_and_none_is_nothing():
    mistakes, only = Mistakes(), error(1)
    mistakes.raise_any()
    mistakes.add(only)
    with pytest.raises(ConfigError) as caught:
        mistakes.raise_any()
    assert caught.value is only


def test_other_errors_go_through():
    with pytest.raises(ZeroDivisionError), Mistakes().noted():
        raise ZeroDivisionError


def test_what_they_are_about():
    mistakes = Mistakes()
    mistakes.add(error(1, key="training.steps"))
    mistakes.add(error(2, key="expect[0].measure"))
    assert mistakes.about("training")
    assert mistakes.about("task", "training.steps")
    assert mistakes.about("expect")
    assert not mistakes.about("train", "steps", "expect[1]")
