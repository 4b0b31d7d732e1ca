"""Captions in LaTeX."""

from gradscope.plots import PLOTS
from gradscope.report.paper import latex
from gradscope.results.records import RunDirectory
from gradscope.results.tables import load


def test_latex():
    assert latex("‖∂s_T/∂s_0‖ ≤ 10⁻³ & 5% of a_b_c") == (
        r"$\|$$\partial$s\textsubscript{T}/$\partial$s\textsubscript{0}$\|$ $\le$ 10$^-$$^3$ "
        r"\& 5\% of a\_b\_c"
    )


def test_every_caption_is_ascii_in_latex(tiny_run):
    tables = load(RunDirectory(tiny_run))
    drawable = [plot() for plot in PLOTS.classes() if not plot.missing(tables)]
    assert drawable
    for plot in drawable:
        assert latex(plot.caption(tables)).isascii(), plot.name
