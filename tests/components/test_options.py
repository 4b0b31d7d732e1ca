"""Options: from names and mappings to frozen values and back, and errors that have a place."""

from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gradscope.clips import CLIPS, Clip
from gradscope.components import marks
from gradscope.components.mistakes import Mistakes
from gradscope.components.options import (
    Named,
    OneOf,
    attempted,
    component,
    dump,
    kind_of,
    validated,
)
from gradscope.errors import ConfigError, MissingOptionError, UnknownNameError
from gradscope.probes import Probe


class Inner(BaseModel):
    """A section within another one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _ordered(self):
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class Section(BaseModel):
    """What an experiment's sections are made of."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)

    steps: int = Field(description="how many")
    rate: float = Field(default=0.1, gt=0)
    mode: Literal["slow", "fast"] = "slow"
    inner: Inner = Inner()
    clip: Annotated[Clip, Named("clip")] = Field(default="none")
    probes: list[Annotated[Probe, Named("probe")]] = []
    maybe: list[Annotated[Probe, Named("probe")]] | None = None
    word: Annotated[str, OneOf("yes", "no")] = "no"
    lengths: list[int] = []


def section(text: str) -> Section:
    return validated(Section, marks.read(text, "f.yaml"), owner="the section")


# --- values ------------------------------------------------------------------------------------


def test_a_component_by_name_or_by_mapping_in_a_section():
    short = section("steps: 1\nclip: global_norm\nprobes: [spectra, {name: spectra, every: 2}]")
    assert short.clip == CLIPS.make("global_norm")
    assert [probe.every for probe in short.probes] == [None, 2]
    assert short == section("steps: 1\nclip: {name: global_norm}\nprobes: [{name: spectra}, "
                            "{name: spectra, every: 2}]")  # fmt: skip
    assert section("steps: 1\nmaybe: [spectra]").maybe == [component("probe", "spectra")]
    assert section("steps: 1\nmaybe: null").maybe is None


def test_defaults_are_made_too():
    assert section("steps: 1").clip == CLIPS.make("none")
    assert section("steps: 1\nword: yes").word == "yes"


def test_the_same_without_marks():
    plain = {"steps": 1, "clip": "global_norm", "probes": ["spectra", {"name": "gates"}]}
    made = validated(Section, plain, owner="the section")
    assert [probe.name for probe in made.probes] == ["spectra", "gates"]


def test_what_has_been_made_is_taken_as_it_is():
    clip = CLIPS.make("global_norm")
    assert validated(Section, {"steps": 1, "clip": clip}, owner="the section").clip is clip


def test_the_kind_that_a_field_holds():
    kinds = {key: kind_of(field) for key, field in Section.model_fields.items()}
    assert {key: kind for key, kind in kinds.items() if kind} == {"clip": "clip"}


def test_the_schema_says_which_kind_of_component():
    schema = Section.model_json_schema()["properties"]
    assert schema["clip"]["x-component"] == "clip"
    assert schema["probes"]["items"] == {"x-component": "probe"}
    assert schema["word"]["enum"] == ["yes", "no"]


# --- and back ----------------------------------------------------------------------------------


def test_dump_is_plain_and_complete():
    made = section("steps: 1\nclip: {name: global_norm, max_norm: 3.0}\nprobes: [gates]")
    written = dump(made)
    assert written["clip"] == {"name": "global_norm", "max_norm": 3.0}
    assert written["inner"] == {"low": 0, "high": 1}
    assert written["probes"][0]["name"] == "gates"
    assert written["probes"][0]["every"] is None
    assert validated(Section, written, owner="the section") == made


def test_dump_looks_into_mappings_and_lists():
    clip = CLIPS.make("none")
    assert dump({"a": [clip, (1, clip)], "b": None}) == {
        "a": [{"name": "none"}, [1, {"name": "none"}]],
        "b": None,
    }


@given(
    hidden=st.integers(1, 50),
    bias=st.floats(-5, 5),
    every=st.none() | st.integers(1, 100),
    max_norm=st.floats(1e-3, 1e3),
)
def test_what_is_dumped_makes_the_same_component(hidden, bias, every, max_norm):
    for kind, options in (
        ("cell", {"name": "lstm", "hidden_size": hidden, "forget_bias": bias}),
        ("probe", {"name": "spectra", "every": every}),
        ("clip", {"name": "global_norm", "max_norm": max_norm}),
    ):
        made = component(kind, options)
        assert component(kind, dump(made)) == made
        assert dump(component(kind, dump(made))) == dump(made)


# --- what is wrong -----------------------------------------------------------------------------

#: name -> (text, line:column, key, class, parts of the message)
WRONG = {
    "unknown option": (
        "steps: 1\nstepz: 2",
        "2:8",
        "stepz",
        UnknownNameError,
        ["the section has no option 'stepz'; did you mean 'steps'? known: steps, rate"],
    ),
    "unknown option of an inner section": (
        "steps: 1\ninner: {lov: 2}",
        "2:14",
        "inner.lov",
        UnknownNameError,
        ["no option 'lov'; did you mean 'low'? known: low, high"],
    ),
    "missing option": (
        "rate: 1.0",
        "1:1",
        "steps",
        MissingOptionError,
        ["the section needs 'steps' (how many)"],
    ),
    "wrong type": (
        "steps: many",
        "1:8",
        "steps",
        ConfigError,
        ["a whole number, such as 20, got 'many'"],
    ),
    "out of range": ("steps: 1\nrate: 0.0", "2:7", "rate", ConfigError, ["greater than 0, got 0"]),
    "unknown choice": ("steps: 1\nmode: fats", "2:7", "mode", ConfigError, ["'slow' or 'fast'"]),
    "none of the words": ("steps: 1\nword: of", "2:7", "word", ConfigError, ["'yes' or 'no'"]),
    "a rule between options": (
        "steps: 1\ninner: {low: 3}",
        "2:8",
        "inner",
        ConfigError,
        ["low 3 is above high 1"],
    ),
    "an item of a list": (
        "steps: 1\nlengths: [1, x]",
        "2:14",
        "lengths[1]",
        ConfigError,
        ["a whole number, such as 20, got 'x'"],
    ),
    "an unknown component": (
        "steps: 1\nclip: nome",
        "2:7",
        "clip.name",
        UnknownNameError,
        ["no clip called 'nome'; did you mean 'none'?"],
    ),
    "an unknown component in a mapping": (
        "steps: 1\nclip: {max_norm: 1.0, name: nome}",
        "2:29",
        "clip.name",
        UnknownNameError,
        ["did you mean 'none'?"],
    ),
    "an unknown component in a list": (
        "steps: 1\nprobes: [spectra, gatez]",
        "2:19",
        "probes[1].name",
        UnknownNameError,
        ["no probe called 'gatez'"],
    ),
    "an unknown component in a list that may be null": (
        "steps: 1\nmaybe: [gatez]",
        "2:9",
        "maybe[0].name",
        UnknownNameError,
        ["no probe called 'gatez'"],
    ),
    "a component's unknown option": (
        "steps: 1\nclip: {name: global_norm, max_nrom: 1.0}",
        "2:37",
        "clip.max_nrom",
        UnknownNameError,
        ["the clip 'global_norm' has no option 'max_nrom'; did you mean 'max_norm'?"],
    ),
    "a component without options": (
        "steps: 1\nclip: {name: none, max_norm: 1.0}",
        "2:30",
        "clip.max_norm",
        UnknownNameError,
        ["it has no options"],
    ),
    "a component's wrong option": (
        "steps: 1\nprobes: [{name: spectra, every: 0}]",
        "2:33",
        "probes[0].every",
        ConfigError,
        ["greater than or equal to 1, got 0"],
    ),
    "a component that is a number": (
        "steps: 1\nclip: 3",
        "2:7",
        "clip",
        ConfigError,
        ["should be a clip's name or a mapping with 'name', got 3; known: adjoint_norm, agc"],
    ),
    "a component without a name": (
        "steps: 1\nclip: {max_norm: 1.0}",
        "2:7",
        "clip",
        ConfigError,
        ["a clip needs 'name'; known: adjoint_norm"],
    ),
    "a list of names": (
        "steps: 1\nclip: {name: [none, agc]}",
        "2:14",
        "clip.name",
        ConfigError,
        ["should be one name", "'sweep: {clip.name: [...]}'"],
    ),
    "a name that is a number": (
        "steps: 1\nclip: {name: 3}",
        "2:14",
        "clip.name",
        ConfigError,
        ["should be one name, got 3"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_error_has_a_place_a_key_and_a_class(case):
    text, place, key, cls, parts = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        section(text)
    error = caught.value
    assert type(error) is cls
    assert (error.where, error.key) == (f"f.yaml:{place}", key)
    assert str(error) == f"f.yaml:{place}: {key}: {error.message}"
    for part in parts:
        assert part in error.message


#: text -> where each mistake stands, and a part of what is said of it
SEVERAL = {
    "a wrong value and a missing one": ("rate: fast", {"1:1": "needs 'steps'", "1:7": "'fast'"}),
    "an unknown option and a wrong value": (
        "steps: 1\nrate: fast\nratte: 1",
        {"2:7": "'fast'", "3:8": "did you mean 'rate'?"},
    ),
    "an unknown option that means the missing one": ("stesp: 1", {"1:8": "did you mean 'steps'?"}),
    "a component and a section": (
        "steps: 1\nclip: nome\ninner: {lov: 1}",
        {"2:7": "did you mean 'none'?", "3:14": "no option 'lov'"},
    ),
    "two in a list": (
        "steps: 1\nprobes: [gatez, spectra, spektra]",
        {"2:10": "'gates'", "2:26": "'spectra'"},
    ),
    "two options of a component": (
        "steps: 1\nclip: {name: global_norm, max_nrom: 1, max_norm: x}",
        {"2:37": "did you mean 'max_norm'?", "2:50": "a number"},
    ),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_all_that_is_wrong_is_told_at_once(case):
    text, told = SEVERAL[case]
    with pytest.raises(ConfigError) as caught:
        section(text)
    errors = caught.value.errors
    assert [error.where.removeprefix("f.yaml:") for error in errors] == list(told)
    for error, part in zip(errors, told.values(), strict=True):
        assert part in error.message
    assert str(caught.value).splitlines() == [str(error) for error in errors]


def test_what_can_be_made_of_it_leaves_the_wrong_at_its_default():
    mistakes = Mistakes()
    value = marks.read("steps: 3\nrate: fast\ninner: {lov: 1, low: 1}", "f.yaml")
    made = attempted(Section, value, mistakes, owner="the section")
    assert len(mistakes.found) == 2
    assert made is not None
    assert (made.steps, made.rate) == (3, Section(steps=1).rate)
    assert attempted(Section, marks.read("rate: 1", "f"), Mistakes(), owner="the section") is None


def test_the_same_errors_without_marks_have_no_place():
    with pytest.raises(UnknownNameError) as caught:
        validated(Section, {"steps": 1, "inner": {"lov": 1}}, owner="the section")
    assert (caught.value.where, caught.value.key) == ("", "inner.lov")


def test_a_place_that_is_given_stands_for_what_knows_none():
    with pytest.raises(MissingOptionError) as caught:
        validated(Section, {}, owner="the section", place="--set section")
    assert str(caught.value).startswith("--set section: steps: the section needs 'steps'")


def test_a_long_value_is_shown_cut_short():
    with pytest.raises(ConfigError) as caught:
        section(f"steps: {'x' * 200}")
    assert caught.value.message.endswith("x...")
    assert len(caught.value.message) < 120


def test_a_component_needs_what_it_has_no_default_for():
    @CLIPS.register("needy")
    class Needy(Clip):
        """Of an option without a default."""

        bound: float = Field(description="how far it goes")

        def __call__(self, gradients, norm):
            return norm

    assert CLIPS.make({"name": "needy", "bound": 1.0}) == Needy(bound=1.0)
    with pytest.raises(MissingOptionError) as caught:
        CLIPS.make("needy", key="clip")
    assert str(caught.value) == "clip.bound: the clip 'needy' needs 'bound' (how far it goes)"
