"""Formulas: LaTeX between dollar signs becomes MathML, which browsers show by themselves."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

#: what pymdownx.arithmatex (generic) makes of $...$ and $$...$$
_FOUND = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)
#: what latex2mathml leaves as it is where it does not know a command
_UNKNOWN = re.compile(r"\\[A-Za-z]+")


def with_mathml(page: str) -> str:
    """A page's HTML with MathML in the place of its LaTeX.

    Raises:
        ValueError: for a command that cannot be shown.
    """
    return _FOUND.sub(_mathml, page)


def _mathml(found: re.Match[str]) -> str:
    latex = html.unescape(found["latex"]).strip()
    block = found["tag"] == "div"
    mathml = convert(latex, display="block" if block else "inline")
    if unknown := _UNKNOWN.search(mathml):
        raise ValueError(f"the formula {latex!r} has {unknown[0]}, which cannot be shown")
    return f'<div class="formula">{mathml}</div>' if block else mathml
