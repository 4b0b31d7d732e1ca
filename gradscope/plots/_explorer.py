"""The interactive figure: gradient norm against lag, by train step."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gradscope.plots._axes import limits
from gradscope.plots._looks import Look, centres, looks
from gradscope.plots._rows import at_end
from gradscope.results.scales import Scale
from gradscope.results.statistics import median
from gradscope.results.tables import Tables

#: of an animation that jumps
_AT_ONCE = {
    "mode": "immediate",
    "frame": {"duration": 0, "redraw": True},
    "transition": {"duration": 0},
}


def explorer(tables: Tables) -> go.Figure | None:
    """ln ||ds_T/ds_{T-lag}|| against lag by configuration, with a slider over train steps.

    A configuration that ended early stays at its last measurement, so that every position shows all
    of them. None where less than two steps were measured: the figure of norms against lag then
    shows all there is.
    """
    if "jacobian_norms" not in tables:
        return None
    curves = _curves(tables)
    steps = sorted(int(step) for step in curves["train_step"].unique())
    if len(steps) < 2:
        return None
    look = looks(tables)
    positions = [
        [
            _line(curves[curves["configuration"] == label], step, label, look[label])
            for label in tables.configurations
        ]
        for step in steps
    ]
    frames = [
        go.Frame(data=data, name=str(step)) for step, data in zip(steps, positions, strict=True)
    ]
    figure = go.Figure(data=positions[-1], frames=frames)
    low, high, margin = limits(curves["log_spectral_norm"])
    figure.update_layout(
        template="plotly_white",
        height=460,
        margin={"l": 60, "r": 20, "t": 20, "b": 40},
        hovermode="closest",
        xaxis_title="lag (steps)",
        yaxis={
            "title": "ln ‖∂s<sub>T</sub>/∂s<sub>T−lag</sub>‖ (nats)",
            "range": [low - margin, high + margin],
        },
        legend={"orientation": "h", "y": -0.45, "x": 0},
        sliders=[_slider(steps)],
    )
    return figure


def _curves(tables: Tables) -> pd.DataFrame:
    """Norms from the last step back, the median over sequences, by trial, train step and lag."""
    frame = tables.at_longest("jacobian_norms")
    last = frame.groupby(["trial", "train_step"])["t"].transform("max")
    frame = frame[(frame["block"] == "state") & (frame["t"] == last)]
    keys = ["configuration", "trial", "train_step", "lag"]
    return frame.groupby(keys)["log_spectral_norm"].apply(median).reset_index()


def _line(curves: pd.DataFrame, step: int, label: str, look: Look) -> go.Scatter:
    """A configuration's line at the slider's position ``step``, the mean over its trials."""
    latest = at_end(curves[curves["train_step"] <= step])
    norms = centres(latest, x="lag", y="log_spectral_norm", scale=Scale.MEAN)
    # an exact zero has no place on a finite axis: the line ends there
    logs = [float(value) if np.isfinite(value) else None for value in norms]
    colour = "rgb({},{},{})".format(*(round(255 * part) for part in look.colour))
    return go.Scatter(
        x=norms.index.tolist(),
        y=logs,
        name=label,
        mode="lines",
        line={"color": colour, "width": 2, "dash": "solid" if look.dash == "-" else "dash"},
        hovertemplate="lag %{x}<br>%{y:.3f} nats<extra>" + label + "</extra>",
    )


def _slider(steps: list[int]) -> dict[str, object]:
    """A position for every measured train step; the last one is shown first."""
    return {
        "active": len(steps) - 1,
        "currentvalue": {"prefix": "train step "},
        "pad": {"t": 45},
        "steps": [
            {"label": str(step), "method": "animate", "args": [[str(step)], _AT_ONCE]}
            for step in steps
        ],
    }
