"""What was found of an unroll, as a notebook shows it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._style import rendered
from gradscope.results import markup
from gradscope.unrolls._words import Said

#: columns of the table, with what they are called
_HEADINGS = {
    "horizon": "T",
    "log_norm": "ln ‖gradient‖",
    "sign_agreement": "sign agreement",
    "local_agreement": "at the smallest scale",
    "signal_to_noise": "signal to noise",
    "log_variance": "ln variance",
}


def horizon_html(
    title: str, said: Sequence[Said], notes: Sequence[str], frame: pd.DataFrame, figure: Figure
) -> str:
    """Words, the figure, and the table folded.

    Args:
        title: what was measured.
        said: what was found.
        notes: what is to be known.
        frame: a row for each horizon.
        figure: of it.
    """
    shown = frame[list(_HEADINGS)].rename(columns=_HEADINGS)
    shown = shown.map(lambda value: f"{value:.4g}")
    width = round(100 * figure.get_size_inches()[0])
    content = base64.b64encode(rendered(figure, "png")).decode()
    words = escape("; ".join(f"{each.what}: {each.words}" for each in said))
    return markup.card(
        title,
        markup.paragraph(title),
        *(markup.paragraph(each.words, name=f"{each.what}:") for each in said),
        f'<img src="data:image/png;base64,{content}" width="{width}" alt="{words}">',
        markup.folded("All horizons", markup.table(shown, "By horizon")),
        *(markup.paragraph(f"Note: {note}", soft=True) for note in notes),
    )
