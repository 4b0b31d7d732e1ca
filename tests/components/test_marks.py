"""YAML into plain values that know their place, or one error that has a place."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gradscope.components import marks
from gradscope.components.marks import Mapping, Place, Sequence
from gradscope.errors import ConfigError

# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("5E2", 500.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("+3", 3),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("off", "off"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("1_000", "1_000"),
        (".inf", float("inf")),
        ("-.Inf", float("-inf")),
        ("+.INF", float("inf")),
        ("'1'", "1"),
        ('"a b"', "a b"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        ("!!int '7'", 7),
        ("|\n  a\n  b", "a\nb"),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    read = marks.read(f"key: {text}", "f")["key"]
    assert read == value
    assert type(read) is type(value)


def test_not_a_number():
    read = marks.read("key: .nan", "f")["key"]
    assert isinstance(read, float)
    assert math.isnan(read)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="ascii", exclude_categories=["Cc"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_what_json_writes_is_read_as_it_was(value):
    """JSON is YAML; its writer is not ours."""
    import json

    read = marks.read(f'{{"key": {json.dumps(value)}}}'.replace("Infinity", ".inf"), "f")["key"]
    assert read == value


def test_an_alias_stands_for_its_anchor():
    read = marks.read("a: &x {b: [1]}\nc: *x", "f")
    assert read == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_keys_are_strings_however_they_are_written():
    assert list(marks.read("1: a\ntrue: b\nnull: c", "f")) == ["1", "true", "null"]


# --- places ------------------------------------------------------------------------------------


def test_every_value_knows_its_place_and_path():
    read = marks.read("a:\n  b: [1, {c: 2}]\nd: e", "f.yaml")
    assert read.place == Place("f.yaml", 1, 1)
    assert read.places == {"a": Place("f.yaml", 2, 3), "d": Place("f.yaml", 3, 4)}
    inner = read["a"]
    assert isinstance(inner, Mapping)
    assert (inner.path, str(inner.places["b"])) == ("a", "f.yaml:2:6")
    items = inner["b"]
    assert isinstance(items, Sequence)
    assert (items.path, [str(place) for place in items.places]) == (
        "a.b",
        ["f.yaml:2:7", "f.yaml:2:10"],
    )
    last = items[1]
    assert isinstance(last, Mapping)
    assert (last.path, str(last.places["c"])) == ("a.b[1]", "f.yaml:2:14")


def test_a_plain_mapping_gets_paths():
    read = marks.marked({"a": {"b": ({"c": 1}, 2)}})
    assert read == {"a": {"b": [{"c": 1}, 2]}}
    inner = read["a"]
    assert isinstance(inner, Mapping)
    assert inner.path == "a"
    assert inner["b"][0].path == "a.b[0]"
    assert inner.places == {"b": None}


def test_a_key_of_a_plain_mapping_is_a_string():
    with pytest.raises(ConfigError, match=r"^a: a key should be a string, got 1"):
        marks.marked({"a": {1: 2}})


def test_a_duplicate_is_changed_alone():
    read = marks.read("a: {b: 1}\nc: [2]", "f")
    twin = read.duplicate()
    assert twin == read
    assert twin.places == read.places
    inner = twin["a"]
    assert isinstance(inner, Mapping)
    inner.put("b", 3, "--set a.b")
    assert read["a"] == {"b": 1}
    assert read["a"].places["b"] == Place("f", 1, 8)
    assert (inner["b"], inner.places["b"], inner.path) == (3, "--set a.b", "a")


# --- what is wrong -----------------------------------------------------------------------------

WRONG = {
    # name: (text, place behind the file, parts of the message)
    "duplicate key": ("a: 1\nb: 2\na: 3", ":3:1", ["a: the key appears twice", "on line 1"]),
    "duplicate nested key": ("a: {b: 5, b: 6}", ":1:11", ["appears twice"]),
    "a list": ("- a\n- b", ":1:1", ["top level is a list"]),
    "a single value": ("hello", ":1:1", ["top level is a single value"]),
    "empty": ("", "", ["the file is empty"]),
    "comments alone": ("# nothing\n", "", ["the file is empty"]),
    "two documents": ("a: 1\n---\nb: 2", ":2:1", ["not valid YAML", "document"]),
    "python tag": ("a: !!python/object/apply:os.system ['true']", ":1:4", ["not allowed"]),
    "custom tag": ("a: !thing x", ":1:4", ["'!thing' is not allowed"]),
    "custom tag of a mapping": ("a: !thing {b: 1}", ":1:4", ["'!thing' is not allowed"]),
    "a tag that looks like YAML's": ("a: !<int> 5", ":1:4", ["'int' is not allowed"]),
    "tag of a set": ("a: !!set {b, c}", ":1:4", ["not allowed"]),
    "tag of bytes": ("a: !!binary aGk=", ":1:4", ["not allowed"]),
    "tag of another type": ("a: !!int abc", ":1:4", ["'abc' is not of the type int"]),
    "tag of no number": ("a: !!float many", ":1:4", ["'many' is not of the type float"]),
    "tag of no truth": ("a: !!bool yes", ":1:4", ["'yes' is not of the type bool"]),
    "tag of not nothing": ("a: !!null 1", ":1:4", ["'1' is not of the type null"]),
    "too long a number": ("a: " + "1" * 5000, ":1:4", ["5000 digits is too long"]),
    "too long in base 16": ("a: 0x" + "f" * 4000, ":1:4", ["4002 digits is too long"]),
    "too long in base 8": ("a: 0o" + "7" * 300, ":1:4", ["302 digits is too long"]),
    "broken list": ("a: [1, 2\nb: c", ":2:", ["not valid YAML"]),
    "open brace": ("a: 1\nb: {c: 1\nd: 2\n", ":3:2", ["the '{' of line 2, column 4 is not closed"]),
    "open bracket": ("a: [1, 2\n", ":2:1", ["the '[' of line 1, column 4 is not closed"]),
    "tab": ("a:\n\tb: c", ":2:1", ["not valid YAML"]),
    "colon in a value": ("a: b: c", ":1:5", ["not valid YAML"]),
    "unknown alias": ("a: *b", ":1:4", ["not valid YAML", "undefined alias"]),
    "control character": ("a: \x07", "", ["not valid YAML"]),
    "merge key": ("a: &b {c: d}\ne:\n  <<: *b", ":3:3", ["merge keys"]),
    "recursive alias": ("a: &b {c: *b}", ":1:4", ["never ends"]),
    "recursive list": ("a: &b [*b]", ":1:4", ["never ends"]),
    "a mapping for a key": ("{a: 1}: b", ":1:1", ["a key must be a plain word"]),
    "a list for a key": ("? [a, b]\n: c", ":1:3", ["a key must be a plain word"]),
    "nested too deeply": ("a: " + "[" * 3000, "", ["nested too deeply"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_message_names_the_place(case):
    text, place, parts = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        marks.read(text, "file.yaml")
    message = str(caught.value)
    assert message.startswith(f"file.yaml{place}"), message
    assert "\n" not in message
    for part in parts:
        assert part in message, message


def refusal(text: str) -> str:
    """What is said of a text; empty where it is read."""
    try:
        assert isinstance(marks.read(text, "f"), Mapping)
    except ConfigError as error:
        return str(error)
    return ""


@given(st.text(alphabet="abk:-[]{}\"'&*!#|>%@?,~.\n\t 015<", max_size=40))
def test_any_text_is_read_or_refused_as_configuration(text):
    said = refusal(text)
    assert not said or said.startswith("f:")


GOOD = "task: {name: adding, length: 10}\ncell: &c {name: lstm}\nsweep: {seed: [0, 1]}\n"


@given(st.data())
def test_a_damaged_file_is_read_or_refused_as_configuration(data):
    characters = list(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(characters) - 1))
        characters[at] = data.draw(st.sampled_from(":{}[],&*!\"'\n\t x0"))
    said = refusal("".join(characters))
    assert not said or said.startswith("f:")


def test_a_half_of_a_file_is_read_or_refused_as_configuration():
    said = [refusal(GOOD[:end]) for end in range(len(GOOD))]
    assert all(part.startswith("f:") for part in said if part)
    assert len([part for part in said if part]) > 10
    assert refusal(GOOD) == ""


def test_the_same_values_as_pyyaml_where_the_two_versions_agree():
    text = "a: [1, -2, 3.5, x y, 'q', true, null]\nb: {c: {d: [[], {}]}}\n"
    assert marks.read(text, "f") == yaml.safe_load(text)
