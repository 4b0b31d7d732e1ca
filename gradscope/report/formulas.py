"""Formulas such as ``s_T``, ``s_{T-lag}`` and ``J^{⊤}`` within running text, for any format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Literal, NamedTuple

Kind = Literal["plain", "sub", "sup"]
#: subscripts and superscripts stand in braces; of formulas' own letters, in which labels such as
#: a_b or x_1 are not taken for formulas, a subscript of one letter may do without
_FORMULA = re.compile(
    r"(?P<sub>(?<=\b[A-Za-zℓ])_\{([^}]+)\}|(?<=\b[bcGhJLsxℓ])_([tTkKlLfi0])\b)"
    r"|(?P<sup>\^\{([^}]+)\})"
)


class Piece(NamedTuple):
    """A stretch of text.

    Attributes:
        kind: whether it stands on the line, below or above it.
        text: of it.
    """

    kind: Kind
    text: str


def pieces(text: str) -> Iterator[Piece]:
    """Text in stretches on, below and above the line.

    >>> [(kind, part) for kind, part in pieces("the loss s_{T-1}")]
    [('plain', 'the loss s'), ('sub', 'T-1')]
    """
    end = 0
    for found in _FORMULA.finditer(text):
        if found.start() > end:
            yield Piece("plain", text[end : found.start()])
        inner = next(part for part in (found[2], found[3], found[5]) if part is not None)
        yield Piece("sub" if found["sub"] else "sup", inner)
        end = found.end()
    if end < len(text):
        yield Piece("plain", text[end:])


def written(
    text: str, escape: Callable[[str], str], sub: Callable[[str], str], sup: Callable[[str], str]
) -> str:
    """Text in a format's own words.

    Args:
        text: to be written.
        escape: plain text as the format has it.
        sub: escaped text as a subscript.
        sup: escaped text as a superscript.
    """
    ways: dict[Kind, Callable[[str], str]] = {"plain": str, "sub": sub, "sup": sup}
    return "".join(ways[kind](escape(part)) for kind, part in pieces(text))


class _Terms(HTMLParser):
    """Collects the terms of a definition list, and what is said of each."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "dt":
            self.found.append([""])
        elif tag in ("sub", "sup"):
            self._add("_{" if tag == "sub" else "^{")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("sub", "sup"):
            self._add("}")
        elif tag == "dt":
            self.found[-1].append("")  # what follows is said of it

    def handle_data(self, data: str) -> None:
        self._add(data)

    def _add(self, text: str) -> None:
        if self.found:
            self.found[-1][-1] += text


def terms(html: str) -> list[tuple[str, str]]:
    """The terms of a definition list in HTML, and what is said of each, as text with formulas.

    >>> terms("<dt>a<sub>t</sub></dt><dd>the\\n<b>adjoint</b></dd>")
    [('a_{t}', 'the adjoint')]
    """
    parser = _Terms()
    parser.feed(html)
    return [(_spaced(term), _spaced(said[-1])) for term, *said in parser.found]


def _spaced(text: str) -> str:
    return " ".join(text.split())
