"""What is said of a name that does not exist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.components.suggestions import nearest, suggest


def test_the_nearest_name_comes_first_and_then_all():
    assert suggest("lsmt", ["gru", "lstm", "rnn"]) == "did you mean 'lstm'? known: gru, lstm, rnn"


def test_nothing_is_suggested_where_nothing_is_near():
    assert suggest("zzz", ["gru", "lstm"]) == "known: gru, lstm"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("LSTM", "lstm"),
        ("Global-Norm", "global_norm"),
        ("GLOBAL NORM", "global_norm"),
        ("lstm · No Clip", "LSTM · no clip"),
        ("Success-Rate", "success_rate"),
        ("RELU", "relu"),
    ],
)
def test_neither_case_nor_the_signs_between_words_matter(name, known):
    others = ["gru", "none", "tanh"]
    assert suggest(name, [*others, known]).startswith(f"did you mean {known!r}? ")


def test_names_that_differ_in_case_alone_are_kept_apart():
    assert nearest("lstm", ["LSTM", "lstm"], count=2) == ["LSTM", "lstm"]


def test_there_may_be_none():
    assert suggest("gru", []) == "there are none"
    assert suggest("gru", iter(())) == "there are none"


def test_of_many_the_nearest_are_listed():
    said = suggest("name_07x", [f"name_{i:02}" for i in range(41)])
    assert said.startswith("did you mean 'name_07'? among 41 known: name_07, ")
    assert said.endswith(", ...")
    assert said.count("name_") == 11
    assert suggest("x", [f"name_{i:02}" for i in range(40)]).count("name_") == 40


@given(
    st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text())),
    st.lists(st.text(), max_size=5),
)
def test_anything_may_stand_where_a_name_should(name, known):
    said = suggest(name, known)
    assert said
    for other in known:
        assert other in said
