"""A run as a notebook shows it: its question, what was found, its summary and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from gradscope.errors import GradscopeError
from gradscope.plots import PLOTS
from gradscope.report import PAGE
from gradscope.results import markup
from gradscope.results.manifest import Manifest
from gradscope.results.predictions import predictions
from gradscope.results.summary import formatted, summary
from gradscope.results.tables import Tables
from gradscope.results.telling import telling
from gradscope.results.verdict import verdict


def run_html(
    path: Path,
    manifest: Manifest,
    *,
    recorded: int,
    tables: Tables | None,
    failures: Mapping[str, str],
) -> str:
    """What is recorded of a run.

    Args:
        path: the run directory.
        manifest: of the run.
        recorded: trials that are.
        tables: of the trials that are recorded; None if none is.
        failures: trial to why it failed.
    """
    count = f"{recorded} of {len(manifest.trials)} trials recorded in {path}"
    parts = [
        markup.paragraph(manifest.question, name=manifest.name),
        markup.paragraph(count, soft=True),
        *_failed(failures),
    ]
    if tables is not None:
        try:
            parts += _found(manifest, tables)
        except GradscopeError as error:  # such as a damaged file; the rest is shown
            parts.append(markup.paragraph(str(error), name="Not shown:"))
        parts.append(_figures(path, tables))
    return markup.card(f"Run {manifest.name}", *parts)


def _failed(failures: Mapping[str, str]) -> list[str]:
    if not failures:
        return []
    trial, error = next(iter(failures.items()))
    text = f"such as {trial}: {error}; run.failures has all"
    return [markup.paragraph(text, name=f"{len(failures)} failed,")]


def _found(manifest: Manifest, tables: Tables) -> list[str]:
    """Verdict, predictions and summary."""
    table = summary(tables, manifest.tasks)
    few = table[table["configuration"].isin(telling(tables))]
    return [
        markup.points(verdict(tables, manifest.tasks)),
        _predicted(manifest, tables),
        markup.table(
            formatted(table, manifest.tasks),
            f"Summary of {manifest.name}",
            shown=formatted(few, manifest.tasks),
        ),
    ]


def _predicted(manifest: Manifest, tables: Tables) -> str:
    """How many of the experiment's predictions held."""
    if not manifest.expect:
        return ""
    held = predictions(tables, manifest.expect, manifest.tasks)["held"].tolist()
    unknown = f", {held.count(None)} not known" if None in held else ""
    text = f"{held.count(True)} of {len(held)} held{unknown}; run.predictions() has them"
    return markup.paragraph(text, name="Predictions:")


def _figures(path: Path, tables: Tables) -> str:
    """Links to the report and its figures, or how to make them."""
    files = sorted((path / "figures").glob("*.svg"))
    if (path / PAGE).is_file():
        links = " · ".join(markup.link(file, file.stem) for file in files)
        named = f" Figures: {links}" if links else ""
        return f'<p class="soft">Report: {markup.link(path / PAGE)}.{named}</p>'
    names = [name for name in PLOTS.names() if not PLOTS.get(name).missing(tables)]
    drawn = ", ".join(f"<code>{escape(name)}</code>" for name in names)
    return (
        '<p class="soft"><code>run.report()</code> writes all figures as one page; '
        f"<code>gradscope.plots.NAME(run)</code> draws one, with NAME of {drawn}.</p>"
    )
