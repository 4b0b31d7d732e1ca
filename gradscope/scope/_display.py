"""A scope as a notebook shows it: what it watches, what was found, and how gradients pass back."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import pandas as pd

from gradscope.diagnosis import Diagnosis
from gradscope.errors import NothingToDrawError
from gradscope.plots import PLOTS
from gradscope.plots._style import rendered
from gradscope.results import markup
from gradscope.results.tables import Tables
from gradscope.scope._given import RecordedPlace

#: the figure that says most of one recording, and is quickly drawn
_FIGURE = "adjoint_norms"


def scope_html(
    title: str,
    *,
    state: str,
    places: Sequence[RecordedPlace],
    unattached: Sequence[str],
    diagnosis: Diagnosis | None,
    tables: Tables | None,
) -> str:
    """What is watched, and of the last recording its findings and a figure.

    Args:
        title: name of the model.
        state: what the scope has done so far, in words.
        places: what is watched.
        unattached: what is not, and why.
        diagnosis: of the last recording; None before the first.
        tables: what was measured; None before the first recording.
    """
    rows = [(place.place, place.kind, ", ".join(place.names)) for place in places]
    frame = pd.DataFrame(rows, columns=pd.Index(["module", "kind", "last recorded as"]))
    return markup.card(
        f"Scope of {title}",
        markup.paragraph(f"{state}.", name=f"Scope of {title}:"),
        markup.table(frame, "What is watched", words=True),
        *(markup.paragraph(f"Not attached: {reason}") for reason in unattached),
        "" if diagnosis is None else diagnosis.as_html(),
        "" if tables is None else _figure(tables),
    )


def _figure(tables: Tables) -> str:
    """The gradient's norm against the step, as an image with its caption; "" without one."""
    cls = PLOTS.get(_FIGURE)
    plot = cls.model_validate(dict(cls.scope_options))
    try:
        figure = plot.figure(tables)
    except NothingToDrawError:
        return ""
    width = round(100 * figure.get_size_inches()[0])
    content = base64.b64encode(rendered(figure, "png")).decode()
    caption = escape(plot.caption(tables))
    return (
        f'<img src="data:image/png;base64,{content}" width="{width}" '
        f'alt="{escape(plot.title)}. {caption}"><p class="soft">{escape(plot.title)}. {caption}</p>'
    )
