"""A text under the gradient of one of its symbols."""

import math

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from gradscope.plots.traced_text import _LINES, _RANGE, _SIGNS, TracedTextPlot, _laid_out
from tests.plots.conftest import made


def _rows(symbols, inputs, answer="e"):
    return pd.DataFrame(
        {"t": range(len(symbols)), "symbol": symbols, "input": inputs, "answer": answer}
    )


@given(st.lists(st.text("ab \n", min_size=1, max_size=9), min_size=1, max_size=400))
def test_lines_are_full_and_hold_the_end_of_the_text(words):
    text = _laid_out(_rows(words, [0.0] * len(words)))
    widths = [sum(symbol.width for symbol in line) for line in text.lines]
    assert len(text.lines) <= _LINES
    assert max(widths) <= _SIGNS
    for width, following in zip(widths, text.lines[1:], strict=False):
        assert width + following[0].width > _SIGNS
    shown = [symbol.word for line in text.lines for symbol in line]
    whitespace = {" ": "␣", "\n": "⏎"}
    assert shown == [whitespace.get(word, word) for word in words][-len(shown) :]
    assert len(text.lines) == _LINES or len(shown) == len(words)


def test_letters_touch_and_words_do_not():
    (letters,) = _laid_out(_rows(list("ab c"), [0.0] * 4)).lines
    assert [(symbol.word, symbol.width) for symbol in letters] == [
        ("a", 1),
        ("b", 1),
        ("␣", 1),
        ("c", 1),
    ]
    (words,) = _laid_out(_rows(["the", "cat"], [0.0] * 2)).lines
    assert [symbol.width for symbol in words] == [4, 4]


def test_colours_run_down_from_the_largest():
    inputs = [3.0, 3.0 - _RANGE / 2, 3.0 - 2 * _RANGE, -math.inf, math.nan]
    (line,) = _laid_out(_rows(list("abcde"), inputs)).lines
    assert [symbol.share for symbol in line] == [1.0, 0.5, 0.0, 0.0, 0.0]


def _tables(**columns):
    return made(
        traced_back={
            "train_step": 5,
            "sequence": [0, 0, 0, 1],
            "t": [2, 1, 3, 1],
            "lag": [1, 2, 0, 2],
            "symbol": ["i", "h", "", "x"],
            "answer": " ",
            "state": 0.0,
            "input": [0.0, -1.0, 0.0, 0.0],
            **columns,
        }
    )


def test_the_first_sequence_is_shown_in_its_order():
    assert TracedTextPlot().data(_tables())["symbol"].tolist() == ["i", "h"]
    panel = TracedTextPlot().figure(_tables()).axes[0]
    assert [text.get_text() for text in panel.texts] == ["a", "h", "i", "→ ␣"]
    assert len([patch for patch in panel.patches if isinstance(patch, Rectangle)]) == 2


def test_a_task_without_symbols_has_no_text():
    assert TracedTextPlot.missing(_tables()) == []
    assert TracedTextPlot.missing(_tables(symbol="")) == ["the table 'traced_back' of a text"]
    assert TracedTextPlot.missing(made()) == ["the table 'traced_back'"]
