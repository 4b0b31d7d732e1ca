"""A language model over words."""

import pytest

from gradscope.errors import GradscopeError
from gradscope.tasks import TASKS
from gradscope.tasks.word_lm import split


def test_words_of_a_plain_text_and_of_one_that_is_ready():
    assert split("I live in France.\n\nYes!", ready=False) == [
        "i",
        "live",
        "in",
        "france",
        ".",
        "<eos>",
        "yes",
        "!",
        "<eos>",
    ]
    assert split("the <unk> N\n", ready=True) == ["the", "<unk>", "N", "<eos>"]


def test_rare_words_are_unknown(tmp_path):
    """Lines end more often than 'one' comes, as the last lines have another word."""
    path = tmp_path / "text.txt"
    path.write_text("one two two three three three\n" * 20 + "four\n" * 5)
    options = {"length": 2, "held_out": 0.05, "vocabulary": 3}
    text = TASKS.make({"name": "word_lm", "corpus": str(path), **options}).text()
    assert text.symbols == ("<unk>", "<eos>", "three", "two")
    first = [text.symbols[token] for token in text.train[:7].tolist()]
    assert first == ["<unk>", "two", "two", "three", "three", "three", "<eos>"]
    assert [text.symbols[token] for token in text.test.tolist()] == ["<unk>", "<eos>"] * 4


def test_a_text_that_is_too_short(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("three short words")
    with pytest.raises(GradscopeError, match="too few for sequences of 100 and a test"):
        TASKS.make({"name": "word_lm", "corpus": str(path)}).text()
