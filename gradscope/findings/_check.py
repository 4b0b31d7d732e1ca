"""Check: looks for one illness of gradients in what was recorded of a model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

from gradscope.capture import Place
from gradscope.components import Component, Kind
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


class Check(Component):
    """Base of all checks; its options are the thresholds beyond which something is a finding.

    @register("sleepy")
    class Sleepy(Check):
        '''No state moves by more than a millionth.'''

        remedies = ("scale_inputs",)

        def examine(self, evidence: Evidence) -> Iterator[Finding]:
            for recurrence in evidence.in_time:
                moved = float(recurrence.trace.states.diff(dim=0).abs().max())
                if moved < 1e-6:
                    yield self.finding(
                        recurrence.place, "its state hardly moves", severity=0.5,
                        confidence=0.9, evidence={"moved": moved},
                    )
    """

    component_kind: ClassVar[str] = "finding"
    in_runs: ClassVar[bool] = False

    #: the plot that shows what is found, and the probe that the plot needs
    figure: ClassVar[str] = ""
    probe: ClassVar[str] = ""
    #: what may help, the likeliest first; ranked by what was measured where it was
    remedies: ClassVar[tuple[str, ...]] = ()
    #: findings that this one explains at the same place, so that they are not said again
    explains: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Yield what is found, place by place; nothing for a healthy model."""

    def finding(
        self,
        where: Place | str,
        says: str,
        *,
        severity: float,
        confidence: float,
        evidence: Mapping[str, float | int],
        remedies: tuple[str, ...] | None = None,
    ) -> Finding:
        """Make a finding of this check.

        Args:
            where: the recurrence's place, or which parameters.
            says: what was found, a sentence that begins in lower case and has no full stop.
            severity: kept between 0 and 1.
            confidence: kept between 0 and 0.99.
            evidence: the numbers by name.
            remedies: instead of the check's own.
        """
        return Finding(
            name=self.name,
            where=str(where),
            says=says,
            severity=round(min(1.0, max(0.0, severity)), 3),
            confidence=round(min(0.99, max(0.0, confidence)), 3),
            evidence={name: float(value) for name, value in evidence.items()},
            figure=self.figure,
            remedies=self.remedies if remedies is None else remedies,
            place=where if isinstance(where, Place) else None,
        )


#: every check
FINDINGS: Kind[Check, Check] = Kind("finding")
register = FINDINGS.register
