"""The report of a run: figures on disk (SVG, PNG, CSV) and one page that works offline."""

from __future__ import annotations

import base64
import inspect
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from gradscope.components import registry
from gradscope.components.options import component
from gradscope.plots import Plot
from gradscope.plots._explorer import explorer
from gradscope.plots._plot import styled
from gradscope.results import tables
from gradscope.results.records import RunDirectory, write_atomically

PAGE = "index.html"


@dataclass(frozen=True)
class Shown:
    """A figure as the page needs it."""

    name: str
    title: str
    caption: str
    image: str  # a data URI
    width: int  # in CSS pixels, at which text is as large as the page's small print
    problem: str = ""


def write_report(run: RunDirectory) -> Path:
    """Draw all figures of a run and write ``index.html``; returns its path.

    Raises:
        RunDirectoryError: if there is nothing to report.
    """
    loaded = tables.load(run)
    figures = [draw_figure(plot, loaded, run.path / "figures") for plot in _plots(loaded)]
    summary = tables.summary(loaded)
    page = (
        environment()
        .get_template("page.html")
        .render(
            run=loaded.manifest,
            recorded=len(loaded["trials"]),
            failures=run.failures(),
            verdict=tables.verdict(loaded),
            strong=f"{2.718281828459045**tables.STRONG:.0f}",
            expectations=tables.held_against(loaded).to_dict("records"),
            summary=tables.formatted(summary),
            causes=_causes(loaded),
            task=_task(loaded),
            figures=figures,
            explorer=interactive(explorer(loaded)),
            cost=tables.recording_cost(loaded),
        )
    )
    write_atomically(run.path / "summary.csv", summary.to_csv(index=False).encode())
    write_atomically(run.path / PAGE, page.encode())
    return run.path / PAGE


def _plots(loaded: tables.Tables) -> list[Plot]:
    """The figures that the experiment names; else all that the recorded tables allow, in their own
    order.
    """
    named = loaded.manifest.get("figures")
    if named is not None:
        return [component("plot", spec) for spec in named]  # type: ignore[misc]
    plots = [registry.get("plot", name)() for name in registry.names("plot")]
    return sorted((plot for plot in plots if not plot.missing(loaded)), key=lambda plot: plot.order)


def draw_figure(plot: Plot, loaded: tables.Tables, folder: Path) -> Shown:
    """Draw and save one figure; a figure that cannot be drawn says why in its place and takes no
    other with it.
    """
    missing = plot.missing(loaded)
    try:
        if missing:
            raise LookupError(
                f"it needs the table {missing[0]!r}, which no probe of this run recorded"
            )
        data = plot.data(loaded)
        if data.empty:
            raise LookupError("the run recorded nothing that it could show")
        with styled():
            figure = plot.draw(loaded)
            images = rendered(figure)
    except Exception as error:
        reason = (
            str(error) if isinstance(error, LookupError) else f"{type(error).__name__}: {error}"
        )
        return Shown(plot.name, plot.title, "", "", 0, f"This figure could not be drawn: {reason}.")
    write_atomically(folder / f"{plot.name}.csv", data.to_csv(index=False).encode())
    return saved(figure, images, plot.name, plot.title, plot.caption(loaded), folder)


def interactive(figure: Any) -> str | None:
    """A plotly figure as a part of a page, its code inlined; None stays None."""
    if figure is None:
        return None
    config = {"responsive": True, "displaylogo": False}
    return figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        include_mathjax=False,
        div_id="explorer",
        auto_play=False,
        config=config,
    )


def rendered(figure: Figure) -> dict[str, bytes]:
    """The figure as svg and png, by that name."""
    images = {"svg": io.BytesIO(), "png": io.BytesIO()}
    figure.savefig(images["svg"], format="svg", metadata={"Date": None})
    figure.savefig(images["png"], format="png")
    return {suffix: stream.getvalue() for suffix, stream in images.items()}


def saved(
    figure: Figure, images: dict[str, bytes], name: str, title: str, caption: str, folder: Path
) -> Shown:
    """Put the images beside each other in ``folder``; what the page needs of them."""
    for suffix, content in images.items():
        write_atomically(folder / f"{name}.{suffix}", content)
    image = "data:image/svg+xml;base64," + base64.b64encode(images["svg"]).decode()
    return Shown(name, title, caption, image, round(116 * figure.get_size_inches()[0]))


def _causes(loaded: tables.Tables) -> list[dict[str, Any]]:
    """Diverged trials: configuration, seed, step and cause."""
    frame = loaded["trials"]
    return frame[frame["outcome"] == "diverged"][
        ["configuration", "length", "seed", "steps", "cause"]
    ].to_dict("records")


def _task(loaded: tables.Tables) -> dict[str, str]:
    """The task's name and criterion of success, in words."""
    tasks = loaded.manifest["tasks"]
    return {
        "names": ", ".join(tasks),
        "about": " ".join(task["about"] for task in tasks.values()),
        "criteria": "; ".join(task["criterion"] for task in tasks.values()),
        "wrong": " ".join(
            dict.fromkeys(inspect.getdoc(registry.get("task", name).wrong) or "" for name in tasks)
        ),
    }


def environment() -> jinja2.Environment:
    """Of the report's templates: autoescaped, strict, with the filter ``subscripts``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gradscope", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["subscripts"] = subscripts
    return environment


def subscripts(text: str) -> Markup:
    """``s_T`` and ``s_{T-lag}`` with real subscripts, everything else escaped; only after one
    letter, as in a formula.
    """
    escaped = str(escape(text))
    return Markup(
        re.sub(r"\b([A-Za-zℓ])_(?:\{([^}]+)\}|([A-Za-z0-9])\b)", r"\1<sub>\2\3</sub>", escaped)
    )
