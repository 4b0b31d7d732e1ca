"""Fonts of figures: matplotlib's own, and what is installed for the scripts that it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import FixedFormatter

_OWN = "DejaVu Sans"
#: families of Chinese, Japanese, Korean and Indic scripts that systems come with, the first found
#: of each line before the others
_OTHERS = (
    ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC"),
    ("PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic"),
    ("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAexGothic"),
    ("Noto Sans Devanagari", "Nirmala UI", "Arial Unicode MS", "Unifont"),
)


@cache
def fonts() -> list[str]:
    """Families in the order in which a sign is looked for."""
    installed = set(font_manager.get_font_names())
    found = [next((name for name in line if name in installed), "") for line in _OTHERS]
    return [_OWN, *filter(None, found)]


@cache
def _known() -> frozenset[int]:
    """The signs that some family has."""
    paths = [font_manager.findfont(family) for family in fonts()]
    return frozenset(code for path in paths for code in FT2Font(path).get_charmap())


def unknown_signs(figure: Figure) -> str:
    """The signs on a figure that no installed family has, each once."""
    signs = dict.fromkeys("".join(text for text in _texts(figure)))
    return "".join(sign for sign in signs if sign.isprintable() and ord(sign) not in _known())


def _texts(figure: Figure) -> Iterator[str]:
    """What stands on a figure but for numbers at its axes."""
    for legend in (*figure.legends, *filter(None, (ax.get_legend() for ax in figure.axes))):
        yield from (text.get_text() for text in legend.get_texts())
    for ax in figure.axes:
        for words in (ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts):
            yield words.get_text()
        for axis in (ax.xaxis, ax.yaxis):
            if isinstance(named := axis.get_major_formatter(), FixedFormatter):
                yield from map(str, named.seq)
    yield from (text.get_text() for text in figure.texts)
