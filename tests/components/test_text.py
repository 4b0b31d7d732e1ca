"""Text that can be shown."""

import pytest

from gradscope.components.text import NOT_TEXT, printable


@pytest.mark.parametrize(
    "character",
    [
        "\x00", "\x07", "\x08", "\x1b", "\r", "\x7f", "\x9b", "\u202e", "\u2066", "\u2028",
        "\ufeff", "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_text_is_shown_and_not_sent(character):
    assert NOT_TEXT.fullmatch(character)
    shown = printable(f"a{character}b")
    assert shown.startswith("a\\")
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["plain", "two\nlines\tand a tab", "é ü ß 日本 🙂 − · λ", ""])
def test_what_is_text_stays(text):
    assert printable(text) == text
