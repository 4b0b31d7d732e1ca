"""Fonts: signs that none has are found, and left to the reader's own in an SVG."""

import io

from matplotlib import font_manager
from PIL import Image

from gradscope.plots import _fonts
from gradscope.plots._style import new_figure, rendered, settled, styled


def _titled(words):
    with styled():
        figure, axes = new_figure(1, 1, height=2.0)
        axes[0, 0].set_title(words)
    settled(figure)
    return figure


def test_what_no_font_has_is_named_once(monkeypatch):
    monkeypatch.setattr(_fonts, "_known", lambda: frozenset(range(0x3000)))
    assert _fonts.unknown_signs(_titled("循环循 and ‖∂s‖")) == "循环"
    assert not _fonts.unknown_signs(_titled("tanh, ‖∂s‖ ≤ 1"))


def test_such_text_stays_text_in_an_svg_and_warns_of_nothing(monkeypatch):
    monkeypatch.setattr(_fonts, "_known", lambda: frozenset(range(0x3000)))
    figure = _titled("循环")
    assert "循环</text>" in rendered(figure, "svg").decode()
    assert Image.open(io.BytesIO(rendered(figure, "png"))).width > 100
    assert "<text" not in rendered(_titled("tanh"), "svg").decode()


def test_installed_families_come_behind_matplotlib_s_own(monkeypatch):
    installed = ["Noto Sans CJK JP", "DejaVu Sans", "Unifont"]
    monkeypatch.setattr(font_manager, "get_font_names", lambda: installed)
    _fonts.fonts.cache_clear()
    try:
        assert _fonts.fonts() == ["DejaVu Sans", "Noto Sans CJK JP", "Unifont"]
    finally:
        _fonts.fonts.cache_clear()
