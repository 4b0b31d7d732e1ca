"""The report of a phase diagram."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots import _phase
from gradscope.plots._plot import styled
from gradscope.report.page import Shown, environment, rendered, saved
from gradscope.results.records import write_atomically


def write_phase_report(
    frame: pd.DataFrame,
    curves: pd.DataFrame,
    critical: pd.DataFrame,
    *,
    title: str,
    network: str,
    folder: Path,
) -> Path:
    """Figures, ``phase.csv`` and ``index.html`` in ``folder``; returns the page's path.

    Args:
        frame: as ``PhaseDiagram.measure`` gives it.
        curves: gain, input_variance, mean_field_exponent on a fine grid; may be empty.
        critical: input_variance and the gain that mean field calls critical there; may be empty.
        title: of the page.
        network: what was measured, in words.
        folder: to write to.
    """
    lines = " Lines: mean field, ½ ln χ." if len(curves) else ""
    with styled():
        figures = [
            _shown(
                _phase.exponent_against_gain(frame, curves),
                "exponent_against_gain",
                "Largest exponent against gain",
                folder,
                "Largest Lyapunov exponent: mean over seeds, bars from the least to the greatest."
                + lines,
            ),
            _shown(
                _phase.phase_map(frame, critical),
                "phase_map",
                "Phase diagram",
                folder,
                "The same over gain and input variance: red vanishes, blue explodes. The rows are"
                " not to scale."
                + (" Line: where mean field puts the border, χ = 1." if len(critical) else ""),
            ),
            _shown(
                _phase.spectra(frame),
                "spectra",
                "Spectra",
                folder,
                "The largest exponents in order, mean over seeds.",
            ),
        ]
    page = (
        environment()
        .get_template("phase.html")
        .render(title=title, network=network, figures=figures, verdict=_verdict(frame))
    )
    write_atomically(folder / "phase.csv", frame.to_csv(index=False).encode())
    write_atomically(folder / "index.html", page.encode())
    return folder / "index.html"


def _shown(figure: Figure, name: str, title: str, folder: Path, caption: str) -> Shown:
    return saved(figure, rendered(figure), name, title, caption, folder / "figures")


def _verdict(frame: pd.DataFrame) -> list[str]:
    """Where the measured largest exponent crosses 0, for each input variance, and how far mean
    field is off.
    """
    sentences = []
    largest = frame[frame["index"] == 0]
    first = (
        largest.groupby(["input_variance", "gain"])[["exponent", "mean_field_exponent"]]
        .mean()
        .reset_index()
    )
    for variance, own in first.groupby("input_variance"):
        gains, values = own["gain"].to_numpy(), own["exponent"].to_numpy()
        if (at := _crossing(gains, values)) is not None:
            by_seed = [
                _crossing(one["gain"].to_numpy(), one["exponent"].to_numpy())
                for _, one in (
                    largest[largest["input_variance"] == variance]
                    .sort_values("gain")
                    .groupby("seed")
                )
            ]
            known = [value for value in by_seed if value is not None]
            spread = f" ({min(known):.3g} to {max(known):.3g} by seed)" if len(known) > 1 else ""
            theory = _crossing(gains, own["mean_field_exponent"].to_numpy())
            beside = (
                ""
                if theory is None
                else f"; mean field, of infinitely many units, puts it at {theory:.3g}"
            )
            what = f"the gradient turns from vanishing to exploding at g = {at:.3g}{spread}{beside}"
        else:
            what = (
                f"the gradient {'vanishes' if values.max() < 0 else 'explodes'} at every gain"
                " measured"
            )
        sentences.append(f"With inputs of variance {variance:g}, {what}.")
    finite = first[np.isfinite(first["mean_field_exponent"]) & np.isfinite(first["exponent"])]
    if len(finite):
        off = float((finite["exponent"] - finite["mean_field_exponent"]).abs().max())
        where = finite.loc[(finite["exponent"] - finite["mean_field_exponent"]).abs().idxmax()]
        sentences.append(
            f"Mean field and measurement differ by at most {off:.2g} nats per step (at g ="
            f" {where['gain']:g}, variance {where['input_variance']:g})."
        )
    return sentences


def _crossing(gains: np.ndarray, values: np.ndarray) -> float | None:
    """The first gain at which the exponent comes up through 0, on straight lines between the
    measured gains.
    """
    found = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    if not len(found):
        return None
    i = found[0]
    return float(gains[i] + (gains[i + 1] - gains[i]) * -values[i] / (values[i + 1] - values[i]))
