"""The text and the JSON of ``gradscope list``."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from gradscope.cli._catalogue import (
    KINDS,
    Entry,
    Option,
    entries,
    entry,
    found,
    having,
    shown_value,
    singular,
)

#: columns that a page has at least and at most
_NARROW, _WIDE = 60, 100
#: where the second column of a list begins
_INDENT = 23
#: kinds whose names stand alone on a line, as they are long
_LONG_NAMES = ("experiment", "measure")
#: where to find what a list of names leaves out
_MORE = """\
gradscope list cell   each of a kind, with its options
gradscope list lstm   whatever has the name, in full"""
#: facts that are sentences, each a paragraph
_LONG_FACTS = ("question", "answer", "source", "solved")


def listing(kind: str | None = None, name: str | None = None, width: int | None = None) -> str:
    """All that exists, what is of one kind, or what has a name, in full.

    Args:
        kind: such as "cell" or "cells"; or a name of any kind.
        name: of that kind.
        width: columns; None is what the terminal has, within bounds.

    Raises:
        UnknownNameError: for a kind or a name that does not exist.
    """
    page = Page(width or min(_WIDE, max(_NARROW, shutil.get_terminal_size((80, 24)).columns)))
    if kind is None:
        kinds = [page.names(known, entries(known)) for known in KINDS]
        return "\n\n".join([*kinds, _MORE])
    if name is not None:
        return page.entry(entry(kind, name))
    known = singular(kind)
    if known is not None:
        return page.kind(known, entries(known))
    parts = [page.entry(one) for one in found(kind)]
    if options := having(kind):
        parts.append(page.option(kind, options))
    return "\n\n\n".join(parts)


def listed_json(kind: str | None = None, name: str | None = None) -> str:
    """As ``listing``, as a JSON array of entries.

    Each has kind, name, about (a sentence), text, options (name, type, default, required, about)
    and facts.

    Raises:
        UnknownNameError: as ``listing``.
    """
    if name is not None and kind is not None:
        chosen = [entry(kind, name)]
    elif kind is None or singular(kind):
        chosen = [one for known in ([kind] if kind else KINDS) for one in entries(known)]
    else:
        chosen = found(kind) or [of for of, _ in having(kind)]
    return json.dumps([asdict(one) for one in chosen], indent=1, allow_nan=False)


class Page:
    """Lays entries out within a number of columns."""

    def __init__(self, width: int):
        self.width = width

    def names(self, kind: str, of_kind: Sequence[Entry]) -> str:
        """The names of a kind alone."""
        return f"{kind}\n{self._paragraph(', '.join(one.name for one in of_kind), ' ' * 2)}"

    def kind(self, kind: str, of_kind: Sequence[Entry]) -> str:
        """The entries of a kind, each with its options on the lines below."""
        lines = [kind]
        for one in of_kind:
            if kind in _LONG_NAMES:
                lines += [f"  {one.name}", self._paragraph(one.about, " " * 6)]
                continue
            lines.append(self._paragraph(one.about, f"  {one.name:<{_INDENT - 3}} "))
            options = ", ".join(f"{of.name}={_default(of)}" for of in one.options)
            if options:
                lines.append(self._paragraph(options, " " * _INDENT))
        return "\n".join(lines)

    def entry(self, one: Entry) -> str:
        """One entry in full."""
        parts = [f"{one.kind} {one.name}"]
        if one.text:
            parts.append(refilled(one.text, self.width))
        if one.options:
            parts.append("\n".join(["Options:", *map(self._option, one.options)]))
        elif one.kind not in ("experiment", "measure", "key"):
            parts.append("No options.")
        parts += [
            self._paragraph(f"{key.capitalize()}: {words}", "")
            for key, words in one.facts.items()
            if key in _LONG_FACTS
        ]
        short = {key: words for key, words in one.facts.items() if key not in _LONG_FACTS}
        if short:
            margin = max(map(len, short)) + 3
            lines = (self._fact(key, words, margin) for key, words in short.items())
            parts.append("\n".join(lines))
        return "\n\n".join(parts)

    def _fact(self, key: str, words: str, margin: int) -> str:
        """A fact on a line or more; a path or a command is never broken."""
        return textwrap.fill(
            f"{f'{key.capitalize()}:':<{margin - 1}}{words}",
            self.width if key not in ("file", "run") else len(words) + margin,
            subsequent_indent=" " * (margin - 1),
            break_on_hyphens=False,
        )

    def option(self, name: str, having_it: Sequence[tuple[Entry, Option]]) -> str:
        """An option, with the components that have it, by what it is there."""
        by_words: dict[str, list[str]] = {}
        for one, option in having_it:
            by_words.setdefault(option.about, []).append(f"{one.kind} {one.name}")
        lines = [f"option {name}", ""]
        for about, owners in by_words.items():
            lines.append(self._paragraph(f"of {', '.join(owners)}:", ""))
            lines.append(self._paragraph(about, " " * 4))
        return "\n".join(lines)

    def _option(self, option: Option) -> str:
        first = f"  {option.name}: {option.type} = {_default(option)}"
        words = f"{first}    {option.about}" if option.about else first
        return textwrap.fill(words, self.width, subsequent_indent=" " * 6)

    def _paragraph(self, words: str, margin: str) -> str:
        """Words filled to the page, the margin before the first line, blanks below it."""
        below = " " * min(len(margin), _INDENT)
        return textwrap.fill(
            words,
            self.width,
            initial_indent=margin,
            subsequent_indent=below,
            break_on_hyphens=False,
        )


def refilled(text: str, width: int) -> str:
    """A docstring whose paragraphs and items are filled to a width; what is indented stays.

    >>> print(refilled("One two\\nthree.\\n\\n    a = b\\n\\n- item that\\n  goes on", 30))
    One two three.
    <BLANKLINE>
        a = b
    <BLANKLINE>
    - item that goes on
    """
    blocks = []
    for block in text.split("\n\n"):
        lines = block.splitlines()
        if any(line.startswith("    ") for line in lines):
            blocks.append(block)
        elif block.startswith("- "):
            items = [item.replace("\n", " ") for item in block[2:].split("\n- ")]
            filled = (
                textwrap.fill(
                    " ".join(item.split()), width, initial_indent="- ", subsequent_indent="  "
                )
                for item in items
            )
            blocks.append("\n".join(filled))
        else:
            blocks.append(textwrap.fill(" ".join(lines), width, break_on_hyphens=False))
    return "\n\n".join(blocks)


def _default(option: Option) -> str:
    return "(required)" if option.required else shown_value(option.default)
