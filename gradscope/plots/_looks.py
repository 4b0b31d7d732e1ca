"""How configurations look, the same in every figure of a report, and a cell the same in all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradscope.plots._axes import legend_below, plain
from gradscope.plots._style import FAINT, points
from gradscope.results.manifest import TrialEntry
from gradscope.results.tables import Tables
from gradscope.results.telling import telling

Colour = tuple[float, float, float]
Dash = Literal["-"] | tuple[float, tuple[float, ...]]

#: of the sweep's second axis, and of nothing else
DASHES: tuple[Dash, ...] = (
    "-",
    (0, (4, 2)),
    (0, (6, 1.5, 1.5, 1.5)),
    (0, (9, 3)),
    (0, (2.5, 1.2, 1, 1.2, 1, 1.2)),
)
#: of what a line is held against: a baseline, a bound, the border between shrinking and growing
REFERENCE: Dash = (0, (1, 2))
_MARKERS = "os^DvPX"
# seaborn's colour-blind safe set, without the pale yellow and the grey that a band hides
_SAFE: tuple[Colour, ...] = tuple(
    colour for place, colour in enumerate(sns.color_palette("colorblind")) if place not in (6, 7, 8)
)
#: slots of the cells that most reports compare; any other has one by its name
_USUAL = {"rnn tanh": 0, "rnn relu": 1, "lstm": 2, "gru": 3}


class Look(NamedTuple):
    """How a configuration is drawn.

    Attributes:
        colour: of its line.
        dash: of its line.
        marker: of its points, so that it is known in grey print and whatever one's eyes.
        named: whether it has a place in legends; others are drawn in grey, behind.
    """

    colour: Colour
    dash: Dash
    marker: str
    named: bool = True


def looks(tables: Tables) -> dict[str, Look]:
    """Colour and marker by the sweep's first axis, dashes by its second.

    Where there are not enough dashes, or more axes, configurations of one colour differ by their
    markers. Of many configurations those that tell most are named.
    """
    return tables.once("looks", lambda: _looks(tables))


def _looks(tables: Tables) -> dict[str, Look]:
    named = telling(tables)
    axes = {label: tables.axes[label] for label in named}
    first = list(dict.fromkeys(labels[0] for labels in axes.values()))
    second = list(dict.fromkeys(labels[1] for labels in axes.values() if len(labels) == 2))
    few = len(first) > 1 and 1 < len(second) <= len(DASHES)
    dashed = few and all(len(labels) == 2 for labels in axes.values())
    largest = max(Counter(labels[0] for labels in axes.values()).values(), default=0)
    several = 1 < len(first) <= len(_SAFE) and (dashed or largest <= len(_MARKERS))
    # where not, each configuration is a group of its own
    groups = {label: labels[0] if several else label for label, labels in axes.items()}
    slots = _slots(list(dict.fromkeys(groups.values())), _cells(tables, groups))
    chosen, members = {}, Counter[str]()
    for label, group in groups.items():
        dash = DASHES[second.index(axes[label][1])] if dashed else DASHES[0]
        marker = _marker(slots[group] + (0 if dashed else members[group] * (len(_SAFE) + 1)))
        members[group] += 1
        chosen[label] = Look(_SAFE[slots[group] % len(_SAFE)], dash, marker)
    others = sns.husl_palette(len(tables.configurations), l=0.55)
    return {
        label: chosen.get(label) or Look((red, green, blue), "-", "", named=False)
        for label, (red, green, blue) in zip(tables.configurations, others, strict=True)
    }


def _marker(slot: int) -> str:
    """Once all colours are taken, each comes again with another marker."""
    return _MARKERS[(slot + slot // len(_SAFE)) % len(_MARKERS)]


def _slots(groups: list[str], cells: dict[str, str]) -> dict[str, int]:
    """Group to its place among the colours; that of its cell if the groups are cells."""
    if len(cells) < len(groups):
        return {group: place for place, group in enumerate(groups)}
    usual = {group: _USUAL[cell] for group, cell in cells.items() if cell in _USUAL}
    free = [place for place in range(len(groups) + len(_SAFE)) if place not in usual.values()]
    slots = dict(usual)
    for group in sorted(set(groups) - set(usual), key=lambda group: cells[group]):
        wanted = int(hashlib.sha256(cells[group].encode()).hexdigest(), 16) % len(_SAFE)
        slots[group] = next((place for place in free if place >= wanted), free[0])
        free.remove(slots[group])
    return slots


def _cells(tables: Tables, groups: dict[str, str]) -> dict[str, str]:
    """Group to its cell, of groups that are told apart by their cells; empty if they are not."""
    cells: dict[str, set[str]] = {}
    for trial in tables.trials:
        if trial.configuration in groups:
            cells.setdefault(groups[trial.configuration], set()).add(_cell(trial))
    alone = {group: found.pop() for group, found in cells.items() if len(found) == 1}
    return alone if len(set(alone.values())) == len(set(groups.values())) else {}


def _cell(trial: TrialEntry) -> str:
    """A trial's cell by name, an Elman network's with its activation."""
    cell = trial.settings.get("cell")
    if not isinstance(cell, dict):
        return str(cell)
    activation = cell.get("activation", "tanh")
    return f"rnn {activation}" if cell.get("name") == "rnn" else str(cell.get("name"))


def legend(figure: Figure, tables: Tables, present: Iterable[str], **others: Line2D) -> None:
    """One legend of configurations, and of ``others``, under the whole figure."""
    shown, look = set(present), looks(tables)
    handles = {
        label: Line2D(
            [],
            [],
            color=look[label].colour,
            linestyle=look[label].dash,
            marker=look[label].marker,
            markersize=points(4.5),
            linewidth=points(2),
        )
        for label in tables.configurations
        if label in shown and look[label].named
    }
    if behind := len([label for label in shown if not look[label].named]):
        handles[f"{behind} others"] = Line2D([], [], color=FAINT, linewidth=0.8)
    handles |= others
    legend_below(figure, {plain(label): h for label, h in handles.items()}, handlelength=3.2)
