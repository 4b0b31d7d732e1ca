"""Diagnosis: the findings of one recording, ranked."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import nn

from gradscope.cells._held import Held
from gradscope.components import registry
from gradscope.dynamics.trace import recurrence
from gradscope.errors import GradscopeError
from gradscope.findings import Evidence, Found
from gradscope.remedies.remedies import REMEDIES, Remedy

#: a finding -> those that it explains at the same place and that are not said again
_EXPLAINS = {
    "axes_swapped": ("one_sequence_rules", "vanishing", "unheard_inputs", "read_after_padding"),
    "detached_steps": ("truncated_early", "cut_off", "unheard_inputs"),
    "reverse_read_early": ("unheard_inputs", "vanishing"),
    "exploding": ("transient_growth",),
    "cut_off": ("vanishing", "exploding", "transient_growth"),
    "frozen_state": ("input_gates_shut", "collapsed_states"),
    "read_after_padding": ("unheard_inputs",),
}


@dataclass(frozen=True)
class Diagnosis:
    """What was found, the gravest and surest first.

    Attributes:
        findings: ranked by severity times confidence.
        kinds: recurrence to the kind of its cell.
        looked_at: names of the findings that were looked for.
        notes: what the reader should know of the recording.
    """

    findings: tuple[Found, ...]
    kinds: dict[str, str]
    looked_at: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.findings)

    def __bool__(self) -> bool:
        return bool(self.findings)

    @property
    def probes(self) -> tuple[str, ...]:
        """Probes that the findings' figures need."""
        return tuple(
            dict.fromkeys(
                p for f in self.findings if (p := registry.get("finding", f.finding).probe)
            )
        )

    def remedies(self, found: Found) -> list[Remedy]:
        """What may help: first what experiments showed to help, the most first; then what they did
        not try; then the rest.
        """
        kind = self.kinds.get(found.where, "")
        own = [REMEDIES[name] for name in found.remedies if not kind or REMEDIES[name].suits(kind)]
        return sorted(own, key=lambda remedy: _rank(remedy, kind or "RNN"))

    def named(self, names: Iterable[str]) -> list[Found]:
        """The findings of these kinds; ``any`` is all.

        Raises:
            GradscopeError: for a name that does not exist.
        """
        chosen = set(names)
        check_names(chosen)
        return [found for found in self.findings if "any" in chosen or found.finding in chosen]

    def frame(self) -> pd.DataFrame:
        """One row for each finding: rank, finding, where, severity, confidence, says, figure,
        remedies (names, best first).
        """
        rows = [
            (
                i,
                f.finding,
                f.where,
                f.severity,
                f.confidence,
                f.says,
                f.figure,
                ", ".join(r.name for r in self.remedies(f)),
            )
            for i, f in enumerate(self.findings, 1)
        ]
        return pd.DataFrame(
            rows,
            columns=[
                "rank",
                "finding",
                "where",
                "severity",
                "confidence",
                "says",
                "figure",
                "remedies",
            ],
        )

    def as_json(self) -> list[dict[str, Any]]:
        """For programs: as ``frame``, with the evidence by name."""
        return [
            {
                "finding": f.finding,
                "where": f.where,
                "says": f.says,
                "severity": f.severity,
                "confidence": f.confidence,
                "evidence": f.evidence,
                "figure": f.figure,
                "remedies": [
                    {
                        "name": r.name,
                        "what": r.what,
                        "measured": str(r.measured(self.kinds.get(f.where, "RNN")) or ""),
                    }
                    for r in self.remedies(f)
                ],
            }
            for f in self.findings
        ]

    def __str__(self) -> str:
        if not self.findings:
            places = ", ".join(self.kinds) or "nothing"
            text = (
                f"Nothing found: {len(self.looked_at)} kinds of illness were looked for in"
                f" {places}."
            )
            return "\n".join([textwrap.fill(text, 100), *self._noted()])
        lines, said = [], {}
        for rank, found in enumerate(self.findings, 1):
            head = f"{rank}. {found.finding.replace('_', ' ')} at {found.where}"
            lines.append(
                f"{head}  [severity {found.severity:.2f}, confidence {found.confidence:.2f}]"
            )
            text = found.says[0].upper() + found.says[1:] + "."
            lines.append(textwrap.fill(text, 100, initial_indent="   ", subsequent_indent="   "))
            own = self.remedies(found)[:3]
            key = tuple(remedy.name for remedy in own)
            if own and key in said:
                lines.append(f"   - remedies: as for {said[key]}")
                continue
            said[key] = rank
            for remedy in own:
                measured = remedy.measured(self.kinds.get(found.where, "RNN"))
                text = f"- {remedy.what}" + (
                    f" (gradscope's experiments: {measured})" if measured else ""
                )
                lines.append(
                    textwrap.fill(text, 100, initial_indent="   ", subsequent_indent="     ")
                )
        return "\n".join([*lines, *self._noted()])

    def _noted(self) -> list[str]:
        return [
            textwrap.fill(f"note: {note}", 100, subsequent_indent="      ") for note in self.notes
        ]


def check_names(names: Iterable[str]) -> None:
    """Every name is a finding's, or ``any``.

    Raises:
        GradscopeError: if not.
    """
    known = registry.names("finding")
    for name in names:
        if name != "any" and name not in known:
            raise GradscopeError(
                f"there is no finding called {name!r}; {registry.suggest(name, ['any', *known])}"
            )


def _rank(remedy: Remedy, kind: str) -> tuple[int, float]:
    found = remedy.measured(kind)
    if found is None:
        return 1, 0.0
    return (0, found.factor) if found.factor < 0.9 else (2, found.factor)


def examine(
    recording: Any, history: Mapping[int, tuple[float, float]], model: nn.Module
) -> Diagnosis:
    """Look for every registered finding in a recording.

    Args:
        recording: of ``Scope.record``.
        history: train_step -> (gradient norm before, after the clip) over all recordings.
        model: that was recorded.
    """
    evidence, found = Evidence(recording, history, model), []
    names = registry.names("finding")
    for name in names:
        found += registry.get("finding", name)().examine(evidence)
    said = {(f.finding, recurrence(f.where)) for f in found}
    kept = [
        f
        for f in found
        if not any(
            f.finding in others and (by, recurrence(f.where)) in said
            for by, others in _EXPLAINS.items()
        )
    ]
    ranked = _gathered(sorted(kept, key=lambda f: -f.severity * f.confidence))
    kinds = {}
    for name, trace in recording.traces.items():
        cell = trace.cell.cell if isinstance(trace.cell, Held) else trace.cell
        kinds[name] = type(cell).__name__
    return Diagnosis(tuple(ranked), kinds, tuple(names), tuple(recording.notes))


def _gathered(ranked: list[Found]) -> list[Found]:
    """Of several stretches of one recurrence, ``rnn (1)``, ``rnn (2)``, ..., the gravest, with how
    many more there are.
    """
    first: dict[tuple[str, str], int] = {}
    more: dict[int, int] = {}
    gathered: list[Found] = []
    for found in ranked:
        key = found.finding, recurrence(found.where)
        if " (" in found.where and key in first:
            more[first[key]] = more.get(first[key], 0) + 1
            continue
        first.setdefault(key, len(gathered))
        gathered.append(found)
    for place, count in more.items():
        says = f"{gathered[place].says} (and in {count} more of its stretches)"
        gathered[place] = dataclasses.replace(gathered[place], says=says)
    return gathered
