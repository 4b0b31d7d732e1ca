"""The interactive figure: gradient norm against lag, by train step."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from gradscope.plots._plot import Look, limits, looks
from gradscope.results.tables import Tables, median


def explorer(tables: Tables) -> go.Figure | None:
    """ln ||ds_T/ds_{T-lag}|| against lag by configuration, with a slider over measured train steps;
    None with less than two.

    A configuration that ended early stays at its last measurement, so that every position shows all
    of them.
    """
    if "jacobian_norms" not in tables:
        return None
    frame = tables.at_longest("jacobian_norms")
    frame = frame[
        (frame["block"] == "state")
        & (frame["t"] == frame.groupby(["trial", "train_step"])["t"].transform("max"))
    ]
    keys = ["configuration", "trial", "train_step", "lag"]
    curves = frame.groupby(keys)["log_spectral_norm"].apply(median).reset_index()
    steps = sorted(curves["train_step"].unique())
    if len(steps) < 2:  # nothing to slide over; the figure of norms against lag shows it
        return None
    look = looks(tables)
    frames = [
        [
            _curve(curves[curves["configuration"] == label], step, label, look[label])
            for label in tables.configurations
        ]
        for step in steps
    ]
    figure = go.Figure(
        data=frames[-1],
        frames=[
            go.Frame(data=data, name=str(step)) for step, data in zip(steps, frames, strict=True)
        ],
    )
    low, high, margin = limits(curves["log_spectral_norm"])
    at_once = {
        "mode": "immediate",
        "frame": {"duration": 0, "redraw": True},
        "transition": {"duration": 0},
    }
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
        sliders=[
            {
                "active": len(steps) - 1,
                "currentvalue": {"prefix": "train step "},
                "pad": {"t": 45},
                "steps": [
                    {"label": str(step), "method": "animate", "args": [[str(step)], at_once]}
                    for step in steps
                ],
            }
        ],
    )
    return figure


def _curve(own: object, step: int, label: str, look: Look) -> go.Scatter:
    frame = own[own["train_step"] <= step]  # type: ignore[index]
    frame = frame[frame["train_step"] == frame.groupby("trial")["train_step"].transform("max")]
    colour = "rgb({},{},{})".format(*(round(255 * part) for part in look.colour))
    line = frame.groupby("lag")["log_spectral_norm"].apply(median)
    line = line.where(
        np.isfinite(line), None
    )  # an exact zero has no place on a finite axis: the line ends
    return go.Scatter(
        x=line.index.tolist(),
        y=line.tolist(),
        name=label,
        mode="lines",
        line={"color": colour, "width": 2, "dash": "solid" if look.dash == "-" else "dash"},
        hovertemplate="lag %{x}<br>%{y:.3f} nats<extra>" + label + "</extra>",
    )
