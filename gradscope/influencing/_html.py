"""Influences as a notebook shows them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from gradscope.dynamics import InfluenceProfile
from gradscope.errors import NothingToDrawError
from gradscope.influencing import _words
from gradscope.influencing._figure import caption, drawn
from gradscope.plots._style import rendered
from gradscope.results import markup


def influence_html(of: str, profile: InfluenceProfile, estimator: str, notes: Sequence[str]) -> str:
    """Its measures, its figure, and how it was found."""
    measures = pd.DataFrame(_words.measures(profile), columns=pd.Index(["measure", "value"]))
    title = f"Influence of inputs on {of}"
    return markup.card(
        title,
        markup.paragraph(f"{_words.lags(profile)}.", name=f"{title}:"),
        markup.table(measures, title, words=True),
        _figure({"": profile}),
        markup.paragraph(f"{estimator}; {_words.errors(profile)}.", soft=True),
        *(markup.paragraph(f"Note: {note}", soft=True) for note in notes),
    )


def influences_html(formatted: pd.DataFrame, profiles: Mapping[str, InfluenceProfile]) -> str:
    """A row for each, and all of them in one figure."""
    return markup.card(
        "Influences",
        markup.table(formatted, "Influences", words=True),
        _figure(profiles),
    )


def _figure(profiles: Mapping[str, InfluenceProfile]) -> str:
    """The figure as an image with its caption; "" where there is nothing to draw."""
    try:
        figure = drawn(profiles)
    except NothingToDrawError:
        return ""
    width = round(100 * figure.get_size_inches()[0])
    content = base64.b64encode(rendered(figure, "png")).decode()
    words = escape(caption(profiles))
    return (
        f'<img src="data:image/png;base64,{content}" width="{width}" '
        f'alt="Influence by lag. {words}"><p class="soft">{words}</p>'
    )
