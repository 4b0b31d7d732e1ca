"""The explorer as a part of a page: its controls, its numbers and its script."""

from __future__ import annotations

import json
from pathlib import Path

import seaborn as sns
from markupsafe import Markup
from matplotlib.colors import to_hex

from gradscope.report.explorer.contents import MOST, contents
from gradscope.report.templates import filled
from gradscope.results.tables import Tables

_HERE = Path(__file__).parent
#: in the order in which they need one another
_SCRIPTS = (
    "words", "contents", "plane", "track", "map_panel", "line_panels", "unit_panels", "view",
    "explorer",
)  # fmt: skip
#: stops of a ramp of colours
_STOPS = 33


def explorer_html(tables: Tables, most: int = MOST, *, keeps_address: bool = True) -> Markup | None:
    """The explorer of these tables; None where nothing was measured that it could show.

    Args:
        tables: of a run, or of a scope's recordings.
        most: bytes of numbers in it; of a run that has more, seeds and train steps are left out.
        keeps_address: whether the selection is kept in the page's address. A page within another
            page has none of its own.
    """
    held = contents(tables, most)
    if held is None:
        return None
    index = {**held.index, "ramps": _ramps()}
    return filled(
        _HERE / "explorer.html",
        {
            "panels": held.sources,
            "words": tables.words,
            "left_out": held.left_out,
            "keeps_address": keeps_address,
            # in JSON a "<" stands in strings alone; a name may hold "</script>"
            "index": Markup(json.dumps(index, separators=(",", ":")).replace("<", "\\u003c")),
            "arrays": held.arrays,
            "script": Markup(script()),
            "style": Markup((_HERE / "explorer.css").read_text(encoding="utf-8")),
        },
    )


def script() -> str:
    """All parts of the script, in one scope."""
    parts = [(_HERE / "script" / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    return "\n".join(parts)


def _ramps() -> dict[str, list[str]]:
    """The colours of the figures: of what has either sign, and of what goes from 0 to 1."""
    return {
        "signed": [to_hex(colour) for colour in sns.color_palette("vlag_r", _STOPS)],
        "rising": [to_hex(colour) for colour in sns.color_palette("viridis", _STOPS)],
    }
