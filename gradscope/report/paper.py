"""Figures for a paper: one column wide, as vector PDF, with their captions in LaTeX."""

from __future__ import annotations

import re
from pathlib import Path

from matplotlib.figure import Figure

from gradscope.plots._style import rendered
from gradscope.report.formulas import written
from gradscope.results.files import write_atomically

#: signs that captions use, in LaTeX; any other is left to an engine that reads Unicode
_SIGNS = {
    "‖": r"$\|$",
    "∂": r"$\partial$",
    "Δ": r"$\Delta$",
    "Σ": r"$\sum$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "φ": r"$\varphi$",
    "χ": r"$\chi$",
    "ρ": r"$\rho$",
    "ℓ": r"$\ell$",
    "′": r"$'$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "⋯": r"$\cdots$",
    "−": "$-$",
    "±": r"$\pm$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "<": "$<$",
    ">": "$>$",
    "≠": r"$\ne$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "⊤": r"$\top$",
    "√": r"$\surd$",
    "∞": r"$\infty$",
    "–": "--",
    "…": r"\dots{}",
    "|": r"$|$",
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: rf"\{sign}" for sign in "#$%&_{}"},
    **{sign: f"$^{place}$" for place, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    "⁻": "$^-$",
}
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))


def write_paper_figure(figure: Figure, name: str, caption: str, folder: Path) -> None:
    r"""Write ``<name>.pdf``, and ``<name>.tex`` that includes it: ``\input{<name>}``.

    Args:
        figure: drawn one column wide.
        name: of the files, and of the label ``fig:<name>``.
        caption: in words, with formulas as ``formulas`` has them.
        folder: where they go.
    """
    write_atomically(folder / f"{name}.pdf", rendered(figure, "pdf"))
    source = (
        "\\begin{figure}\n  \\centering\n"
        f"  \\includegraphics[width=\\columnwidth]{{{name}.pdf}}\n"
        f"  \\caption{{{latex(caption)}}}\n  \\label{{fig:{name}}}\n\\end{{figure}}\n"
    )
    write_atomically(folder / f"{name}.tex", source.encode())


def latex(text: str) -> str:
    r"""Text with formulas in LaTeX.

    >>> latex("‖∂s_T‖ falls by 5%")
    '$\\|$$\\partial$s\\textsubscript{T}$\\|$ falls by 5\\%'
    """
    return written(text, _escaped, "\\textsubscript{{{}}}".format, "\\textsuperscript{{{}}}".format)


def _escaped(text: str) -> str:
    return _SIGN.sub(lambda found: _SIGNS[found[0]], text)
