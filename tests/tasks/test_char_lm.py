"""A language model over characters."""

import pytest
import torch

from gradscope.errors import ConfigError, GradscopeError
from gradscope.tasks import TASKS


def test_the_text_is_split_in_order_over_the_whole_alphabet(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("cab" * 30 + "z" * 10)
    task = TASKS.make({"name": "char_lm", "corpus": str(path), "length": 3, "held_out": 0.1})
    text = task.text()
    assert text.symbols == ("a", "b", "c", "z") == task.alphabet
    assert "".join(text.symbols[token] for token in text.train.tolist()) == "cab" * 30
    assert (text.test == 3).all()
    assert len(text.test) == 10
    assert task.input_size == task.output_size == 4


def test_equal_options_give_the_same_text(text_file):
    spec = {"name": "char_lm", "corpus": text_file}
    assert TASKS.make(spec).text() is TASKS.make(spec).text()


def test_a_changed_file_is_another_text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("ab" * 500)
    task = TASKS.make({"name": "char_lm", "corpus": str(path), "length": 5})
    before = task.text()
    path.write_text("abc" * 500)
    assert task.text().symbols == ("a", "b", "c")
    assert task.text().digest != before.digest


def test_baseline_is_the_entropy_of_single_characters(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abcd" * 100)
    task = TASKS.make({"name": "char_lm", "corpus": str(path), "length": 5, "held_out": 0.25})
    assert task.baseline == pytest.approx(float(torch.tensor(4.0).log()))


def test_texts_that_are_too_short_or_missing(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("abcdefgh")
    with pytest.raises(GradscopeError, match="too few for sequences of 100 and a test"):
        TASKS.make({"name": "char_lm", "corpus": str(path)}).text()
    with pytest.raises(ConfigError) as caught:
        TASKS.make({"name": "char_lm", "corpus": str(tmp_path / "no.txt")}).check()
    assert caught.value.key == "corpus"


def test_the_alphabet_is_every_character_in_the_order_of_code_points(tmp_path):
    path = tmp_path / "text.txt"
    text = "日本語 a\u0301é\U0001f600z\n" * 40
    path.write_text(text, encoding="utf-8")
    whole = TASKS.make({"name": "char_lm", "corpus": str(path), "length": 5}).text()
    assert whole.symbols == tuple(sorted(set(text)))
    read = [whole.symbols[place] for place in [*whole.train.tolist(), *whole.test.tolist()]]
    assert "".join(read) == text


@pytest.mark.parametrize("name", ["char_lm", "word_lm"])
def test_tasks_of_several_lengths_share_one_text(name):
    short, long = (TASKS.make({"name": name, "length": length}) for length in (5, 50))
    assert short.text() is long.text()
    with pytest.raises(GradscopeError, match="too few for sequences of 1000000 and a test"):
        TASKS.make({"name": name, "length": 1_000_000}).text()
