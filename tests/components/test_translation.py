"""pydantic's errors in words and with places; that they reach the user is in test_options."""

from typing import Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from gradscope.components import marks
from gradscope.components.translation import (
    joined,
    located,
    place_of,
    shown,
    translated,
    unread,
    without,
)
from gradscope.errors import ConfigError, MissingOptionError, UnknownNameError


class Inner(BaseModel):
    """A part of something."""

    layers: int = 1


class Options(BaseModel):
    """Options of something."""

    model_config = {"extra": "forbid", "strict": True}

    count: int = Field(description="how many")
    mode: Literal["slow", "fast"] = "slow"
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ({}, MissingOptionError, "the thing needs 'count' (how many)"),
        (
            {"count": 1, "moed": 2},
            UnknownNameError,
            "did you mean 'mode'? known: count, mode, inner",
        ),
        ({"count": "x"}, ConfigError, "should be a whole number, such as 20, got 'x'"),
        ({"count": 1, "mode": "FAST"}, ConfigError, "got 'FAST'; did you mean 'fast'?"),
        ({"count": 1, "mode": 3}, ConfigError, "should be 'slow' or 'fast', got 3"),
        ({"count": 1, "inner": 3}, ConfigError, "should be a mapping of layers, got 3"),
        ({"count": 1, "inner": "lstm"}, ConfigError, "it is a cell, so write it as 'cell'"),
    ],
)
def test_a_problem_in_words(content, kind, message):
    with pytest.raises(ValidationError) as caught:
        Options.model_validate(content)
    (problem,) = caught.value.errors()
    error = translated(problem, list(problem["loc"]), Options, "the thing", "a.yaml:1:1", "k")
    assert type(error) is kind
    assert message in error.message
    assert error.where == "a.yaml:1:1"


def test_a_part_has_the_place_of_the_nearest_thing_that_has_one():
    value = marks.read("a:\n  b: [1, 2]\n", "f.yaml")
    assert [str(part) for part in located(value, ["a", "b", 1], None, "")] == [
        "f.yaml:2:10",
        "a.b[1]",
    ]
    assert str(located(value, ["a", "c"], None, "")[0]) == "f.yaml:2:3"
    assert str(place_of(value, "a", None)) == "f.yaml:2:3"
    assert place_of({"a": 1}, "a", "here") == "here"


def test_keys_and_values_in_a_message():
    assert (joined("a.b", "c"), joined("", "c")) == ("a.b.c", "c")
    assert shown("x" * 100) == "'" + "x" * 56 + "..."
    assert shown(marks.read("a: 1", "f")) == "{'a': 1}"


def test_what_could_not_be_read_is_known_where_it_was():
    from gradscope.components.mistakes import Mistakes

    value = marks.read("a:\n  - {b: !t 1}\n", "f.yaml", Mistakes())
    assert unread(value, ["a", 0, "b"]) == {"b"}
    assert unread(value, ["a"]) == set()
    assert unread(value, ["a", 7, "b"]) == set()


def test_the_innermost_option_is_left_out():
    content = {"a": {"b": [1, 2], "c": 3}, "d": 4}
    assert without(content, ["a", "b", 1]) == {"a": {"c": 3}, "d": 4}
    assert without(content, ["d"]) == {"a": {"b": [1, 2], "c": 3}}
    assert without(content, []) == content
    assert content["a"] == {"b": [1, 2], "c": 3}
