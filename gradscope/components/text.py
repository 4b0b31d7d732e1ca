"""Text that can be shown: on a terminal, in a page, in a spreadsheet."""

from __future__ import annotations

import re

#: what a terminal may take for a command, what turns the direction of writing, halves of characters
NOT_TEXT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: object) -> str:
    r"""A text whose control characters are shown and not sent; line breaks and tabs stay.

    >>> printable("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return NOT_TEXT.sub(lambda found: ascii(found[0])[1:-1], str(text))
