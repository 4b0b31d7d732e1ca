"""Diagnosis: the findings of one recording, ranked, each with what may help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from gradscope.components import suggest
from gradscope.diagnosis import _html, _text
from gradscope.diagnosis._text import Entry
from gradscope.errors import UnknownNameError
from gradscope.findings import FINDINGS, Finding
from gradscope.remedies import REMEDIES, Measured, Remedy
from gradscope.results import markup

#: how far a remedy must have lowered the loss in the experiments to be named first
_HELPED = 0.9
_COLUMNS = pd.Index(
    ["rank", "finding", "where", "severity", "confidence", "says", "figure", "remedies"]
)


@dataclass(frozen=True)
class Advice:
    """A remedy against a finding.

    Attributes:
        name: of the remedy.
        what: to do, in a sentence without its full stop.
        measured: what gradscope's experiments found of it; None if it was not among them.
    """

    name: str
    what: str
    measured: Measured | None

    def __str__(self) -> str:
        return self.what + (f" (gradscope's experiments: {self.measured})" if self.measured else "")


@dataclass(frozen=True)
class Diagnosis:
    """What was found in a recording, the gravest and surest first.

        diagnosis = scope.diagnose()
        print(diagnosis)          # ranked, with evidence and remedies
        diagnosis.frame()         # the same as a DataFrame
        assert not diagnosis      # nothing was found

    Attributes:
        findings: ranked by severity times confidence.
        cells: recurrence to the class of its cell.
        looked_at: names of the findings that were looked for.
        notes: what the reader should know of the recording.
        failed: names of the findings whose check ended in an error, to that error.
        unjudged: recurrence to why too little was seen of it to judge, and what to do.
    """

    findings: tuple[Finding, ...]
    cells: Mapping[str, str]
    looked_at: tuple[str, ...]
    notes: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    unjudged: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.findings)

    def __bool__(self) -> bool:
        return bool(self.findings)

    def __repr__(self) -> str:
        titles = "; ".join(finding.title for finding in self.findings)
        return f"Diagnosis({titles or self._nothing})"

    @property
    def _nothing(self) -> str:
        """What is said where there are no findings."""
        return "not enough was seen" if self.unjudged else "nothing found"

    def __str__(self) -> str:
        return _text.text(self._entries(), self._summary(), self.notes)

    def _repr_html_(self) -> str:
        return markup.card("Diagnosis", self.as_html())

    def as_html(self) -> str:
        """The same as ``str`` in HTML, to be a part of what a notebook shows."""
        return _html.findings(self._entries(), self._summary(), self.notes)

    def _summary(self) -> list[str]:
        """Of what nothing was found, and of what not enough was seen; no all-clear beside that."""
        unjudged = [f"Not enough was seen of {name}: {why}." for name, why in self.unjudged.items()]
        judged = [
            name
            for name in self.cells
            if not any(name == other or name.startswith(f"{other} (") for other in self.unjudged)
        ]
        if self.findings or (unjudged and not judged):
            return unjudged
        kinds = f"{len(self.looked_at)} kinds of illness were looked for"
        return [f"Nothing found: {kinds} in {', '.join(judged) or 'nothing'}.", *unjudged]

    def _entries(self) -> list[Entry]:
        return [Entry(f, [str(advice) for advice in self.advice(f)]) for f in self.findings]

    @property
    def probes(self) -> tuple[str, ...]:
        """Probes that the findings' figures need."""
        probes = [FINDINGS.get(finding.name).probe for finding in self.findings]
        return tuple(dict.fromkeys(probe for probe in probes if probe))

    def remedies(self, finding: Finding) -> list[Remedy]:
        """What may help against one finding, for the cell that it is at.

        In the order of what gradscope's experiments measured, the most helpful first, then what
        these did not try, then the rest.
        """
        cell = self.cells.get(finding.where, "")
        remedies = [REMEDIES.make(name) for name in finding.remedies]
        suitable = [remedy for remedy in remedies if not cell or remedy.suits(cell)]
        return sorted(suitable, key=lambda remedy: _rank(remedy.measured(cell or "RNN")))

    def advice(self, finding: Finding) -> list[Advice]:
        """The same in words, with what was measured."""
        cell = self.cells.get(finding.where, "RNN")
        return [
            Advice(remedy.name, remedy.told(cell), remedy.measured(cell))
            for remedy in self.remedies(finding)
        ]

    def named(self, names: Iterable[str]) -> list[Finding]:
        """The findings of these names; ``any`` is all.

        Raises:
            UnknownNameError: for a name that no check has.
        """
        chosen = set(names)
        check_names(chosen)
        return [finding for finding in self.findings if chosen & {"any", finding.name}]

    def frame(self) -> pd.DataFrame:
        """One row for each finding.

        Columns: rank, finding, where, severity, confidence, says, figure, remedies (names, best
        first).
        """
        rows = [
            {
                "rank": rank,
                "finding": finding.name,
                "where": finding.where,
                "severity": finding.severity,
                "confidence": finding.confidence,
                "says": finding.says,
                "figure": finding.figure,
                "remedies": ", ".join(remedy.name for remedy in self.remedies(finding)),
            }
            for rank, finding in enumerate(self.findings, 1)
        ]
        return pd.DataFrame(rows, columns=_COLUMNS)

    def as_json(self) -> list[dict[str, object]]:
        """For programs: as ``frame``, with the evidence by name and remedies in words."""
        return [
            {
                "finding": finding.name,
                "where": finding.where,
                "says": finding.says,
                "severity": finding.severity,
                "confidence": finding.confidence,
                "evidence": dict(finding.evidence),
                "figure": finding.figure,
                "remedies": [
                    {
                        "name": advice.name,
                        "what": advice.what,
                        "measured": str(advice.measured or ""),
                    }
                    for advice in self.advice(finding)
                ],
            }
            for finding in self.findings
        ]


def check_names(names: Iterable[str]) -> None:
    """Every name is a finding's, or ``any``.

    Raises:
        UnknownNameError: if not.
    """
    known = FINDINGS.names()
    for name in names:
        if name != "any" and name not in known:
            raise UnknownNameError(
                f"there is no finding called {name!r}; {suggest(name, ['any', *known])}"
            )


def _rank(measured: Measured | None) -> tuple[int, float]:
    if measured is None:
        return 1, 0.0
    return (0 if measured.factor < _HELPED else 2), measured.factor
