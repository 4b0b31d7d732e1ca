"""The errors: one base, a class for each reason, and places that are told in order."""

import inspect
import pickle

import pytest

from gradscope import errors
from gradscope.errors import (
    ConfigError,
    GradscopeError,
    MissingOptionError,
    MissingPackageError,
    UnknownNameError,
    UnknownTableError,
)

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_one_is_a_gradscope_error_that_says_its_message_as_it_is(cls):
    assert issubclass(cls, GradscopeError)
    assert str(cls("what is wrong; 'what' would be right")) == (
        "what is wrong; 'what' would be right"
    )
    assert cls.__name__ in (errors.__doc__ or "")


def test_they_are_what_python_would_raise_as_well():
    assert issubclass(UnknownTableError, KeyError)
    assert issubclass(MissingPackageError, ImportError)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "wrong"),
        ({"where": "a.yaml:3:7"}, "a.yaml:3:7: wrong"),
        ({"key": "clip.max_norm"}, "clip.max_norm: wrong"),
        ({"where": "a.yaml:3:7", "key": "clip"}, "a.yaml:3:7: clip: wrong"),
        ({"where": None}, "wrong"),
    ],
)
def test_place_and_key_stand_before_the_message(options, text):
    error = ConfigError("wrong", **options)
    assert str(error) == text
    assert error.message == "wrong"
    assert (error.where, error.key) == (options.get("where") or "", options.get("key", ""))


@pytest.mark.parametrize("cls", [ConfigError, MissingOptionError, UnknownNameError])
def test_an_error_at_a_better_known_place_is_of_the_same_class(cls):
    error = cls("wrong", where="a.yaml", key="clip")
    better = error.at("a.yaml:3:7")
    assert type(better) is cls
    assert str(better) == "a.yaml:3:7: clip: wrong"
    assert str(better.at(None, "clip.name")) == "a.yaml:3:7: clip.name: wrong"
    assert str(error) == "a.yaml: clip: wrong"


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_survives_the_way_from_a_worker(cls):
    error = cls("wrong")
    if isinstance(error, ConfigError):
        error = cls("wrong", where="a.yaml:3:7", key="clip")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == str(error)
    assert vars(again) == vars(error)
