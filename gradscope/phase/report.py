"""The report of a phase diagram."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from gradscope.phase.measure import Theory
from gradscope.phase.plot import exponent_against_gain, phase_map, spectra
from gradscope.plots._style import styled
from gradscope.report import Shown, save_figure, write_page
from gradscope.results.files import write_atomically
from gradscope.results.spreadsheets import csv_of

_TEMPLATE = Path(__file__).with_name("phase.html")


def write_phase_report(
    frame: pd.DataFrame, theory: Theory, *, title: str, network: str, folder: Path
) -> Path:
    """Write figures, ``phase.csv`` and ``index.html`` into a folder; returns the page's path.

    Args:
        frame: as ``PhaseDiagram.measure`` gives it.
        theory: as ``PhaseDiagram.theory`` gives it.
        title: of the page.
        network: what was measured, in words.
        folder: where they go.
    """
    write_atomically(folder / "phase.csv", csv_of(frame).encode())
    content = {
        "title": title,
        "network": network,
        "figures": _figures(frame, theory, folder / "figures"),
        "verdict": verdict(frame),
    }
    return write_page(_TEMPLATE, folder, content)


def _figures(frame: pd.DataFrame, theory: Theory, folder: Path) -> list[Shown]:
    lines = " Lines: mean field, ½ ln χ." if len(theory.curves) else ""
    border = " Line: where mean field puts the border, χ = 1." if len(theory.critical) else ""
    with styled():
        return [
            save_figure(
                exponent_against_gain(frame, theory.curves),
                "exponent_against_gain",
                "Largest exponent against gain",
                "Largest Lyapunov exponent: mean over seeds, bars from the least to the greatest."
                + lines,
                folder,
            ),
            save_figure(
                phase_map(frame, theory.critical),
                "phase_map",
                "Phase diagram",
                "The same over gain and input variance: red vanishes, blue explodes. The rows are "
                "not to scale." + border,
                folder,
            ),
            save_figure(
                spectra(frame),
                "spectra",
                "Spectra",
                "The largest exponents in order, mean over seeds.",
                folder,
            ),
        ]


def verdict(frame: pd.DataFrame) -> list[str]:
    """Where the measured largest exponent crosses 0, and how far mean field is off.

    Args:
        frame: as ``PhaseDiagram.measure`` gives it.

    Returns:
        A sentence for each input variance, and one on mean field where there is such a theory.
    """
    largest = frame[frame["index"] == 0]
    means = (
        largest.groupby(["input_variance", "gain"])[["exponent", "mean_field_exponent"]]
        .mean()
        .reset_index()
    )
    sentences = [
        f"With inputs of variance {variance:g}, {_turn(by_gain, rows)}."
        for variance, by_gain, rows in _by_variance(means, largest)
    ]
    finite = means[np.isfinite(means["mean_field_exponent"]) & np.isfinite(means["exponent"])]
    if len(finite):
        differences = (finite["exponent"] - finite["mean_field_exponent"]).abs()
        worst = finite.iloc[int(differences.to_numpy().argmax())]
        sentences.append(
            f"Mean field and measurement differ by at most {differences.max():.2g} nats per step "
            f"(at g = {worst['gain']:g}, variance {worst['input_variance']:g})."
        )
    return sentences


def _by_variance(
    means: pd.DataFrame, largest: pd.DataFrame
) -> Iterator[tuple[float, pd.DataFrame, pd.DataFrame]]:
    """Each input variance, ascending, with its rows of both frames."""
    for variance in sorted(means["input_variance"].unique()):
        yield (
            float(variance),
            means[means["input_variance"] == variance],
            largest[largest["input_variance"] == variance],
        )


def _turn(by_gain: pd.DataFrame, by_seed: pd.DataFrame) -> str:
    """What the gradient does as the gain grows, at one input variance.

    Args:
        by_gain: means over seeds.
        by_seed: every seed's largest exponent.
    """
    gain = _crossing(by_gain, "exponent")
    if gain is None:
        if by_gain["exponent"].min() < 0 <= by_gain["exponent"].max():
            return "the gradient explodes at the lower gains measured and vanishes at the higher"
        always = "vanishes" if by_gain["exponent"].max() < 0 else "explodes"
        return f"the gradient {always} at every gain measured"
    per_seed = [
        _crossing(rows, "exponent") for _, rows in by_seed.sort_values("gain").groupby("seed")
    ]
    crossings = [crossing for crossing in per_seed if crossing is not None]
    spread = (
        f" ({min(crossings):.3g} to {max(crossings):.3g} by seed)" if len(crossings) > 1 else ""
    )
    theory = _crossing(by_gain, "mean_field_exponent")
    beside = (
        "" if theory is None else f"; mean field, of infinitely many units, puts it at {theory:.3g}"
    )
    return f"the gradient turns from vanishing to exploding at g = {gain:.3g}{spread}{beside}"


def _crossing(frame: pd.DataFrame, column: str) -> float | None:
    """The first gain at which an exponent rises through 0; None where it does not.

    Interpolated linearly between the measured gains, which ascend; after a dead network, whose
    exponent is -inf, the next gain.
    """
    gains, values = frame["gain"].to_numpy(dtype=float), frame[column].to_numpy(dtype=float)
    upward = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    if not len(upward):
        return None
    i = upward[0]
    if values[i] == -np.inf:
        return float(gains[i + 1])
    return float(gains[i] + (gains[i + 1] - gains[i]) * -values[i] / (values[i + 1] - values[i]))
