"""Component: frozen, typed options that know the name of their class."""

import pytest
from pydantic import ValidationError

from gradscope.cells import CELLS
from gradscope.clips import CLIPS, Clip, register
from gradscope.clips.global_norm import GlobalNorm
from gradscope.components.base import class_of, is_registered, name_of
from gradscope.errors import ConfigError


class Loose(Clip):
    """Of a kind, and not registered."""

    factor: float = 1.0

    def __call__(self, gradients, norm):
        return norm.new_tensor(self.factor)


def test_the_name_is_that_of_the_class():
    assert name_of(GlobalNorm) == "global_norm"
    assert GlobalNorm(max_norm=1.0).name == "global_norm"
    assert is_registered(GlobalNorm)


def test_the_model_of_a_cells_options_has_the_cells_name():
    options = CELLS.make("lstm")
    assert options.name == "lstm"
    assert is_registered(type(options))
    assert class_of(type(options)) is CELLS.get("lstm")
    assert name_of(type(options)) == name_of(CELLS.get("lstm"))


def test_a_class_that_is_not_registered_has_no_name():
    assert not is_registered(Loose)
    assert not is_registered(int)
    for use in (lambda: name_of(Loose), lambda: Loose().name, lambda: name_of(int)):
        with pytest.raises(ConfigError, match="is not registered"):
            use()


def test_a_subclass_does_not_inherit_the_name():
    class Heir(GlobalNorm):
        """As its base."""

    with pytest.raises(ConfigError, match="Heir is not registered"):
        _ = Heir(max_norm=1.0).name
    register("heir")(Heir)
    assert Heir(max_norm=1.0).name == "heir"
    assert GlobalNorm(max_norm=1.0).name == "global_norm"


@pytest.mark.parametrize(
    "options",
    [
        {"max_norm": -1.0},
        {"max_norm": "1"},
        {"max_norm": float("inf")},
        {"max_norm": float("nan")},
        {"max_norm": 1.0, "min_norm": 1.0},
    ],
)
def test_an_option_that_is_wrong_is_refused(options):
    with pytest.raises(ValidationError):
        GlobalNorm(**options)


def test_a_wrong_default_is_refused():
    class Wrong(Clip):
        """Its default is no number."""

        factor: float = "one"

        def __call__(self, gradients, norm):
            return norm

    with pytest.raises(ValidationError):
        Wrong()


def test_a_component_is_frozen_and_equal_to_its_like():
    clip = GlobalNorm(max_norm=1.0)
    with pytest.raises(ValidationError):
        clip.max_norm = 2.0
    assert clip == GlobalNorm(max_norm=1.0)
    assert clip != GlobalNorm(max_norm=2.0)


def test_a_trial_is_known_by_name_and_options():
    assert CLIPS.make("none").identity == ("none", {})
    former = {name: CELLS.make(name).identity for name in CELLS.names()}
    moved = {name: known_as for name, (known_as, _) in former.items() if known_as != name}
    assert moved
    assert set(moved.values()) <= set(CELLS.names())
