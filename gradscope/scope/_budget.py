"""Budget: the time that a report's measurements may take."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

from gradscope.components.quantities import duration
from gradscope.dynamics import Trace
from gradscope.errors import GradscopeError
from gradscope.probes import Probe, decomposition_seconds


class Budget:
    """Says of a measurement, before it begins, whether it fits into the time that is left.

    Probes say what they cost in QR decompositions of a matrix of the state's size; how long one
    takes here is measured, once for each size and device.

    Args:
        seconds: in all, from now on; None is no limit.

    Raises:
        GradscopeError: for a number below 0.
    """

    def __init__(self, seconds: float | None):
        if seconds is not None and not seconds >= 0:  # nor NaN
            raise GradscopeError(f"seconds={seconds}: should be at least 0, or None for no limit")
        self.seconds = math.inf if seconds is None else seconds
        self._end = time.monotonic() + self.seconds

    def in_order(self, probes: Sequence[Probe], traces: Iterable[Trace]) -> list[Probe]:
        """The probes as they are, or where time is limited those that cost less first."""
        if self.seconds == math.inf:
            return list(probes)
        traces = list(traces)
        return sorted(probes, key=lambda probe: sum(map(probe.work, traces)))

    def check(self, work: float, trace: Trace) -> None:
        """Refuse what would take longer than is left.

        Args:
            work: in QR decompositions.
            trace: of which the measurement is.

        Raises:
            GradscopeError: if it does not fit.
        """
        if self.seconds == math.inf or not work:
            return
        needed = work * decomposition_seconds(trace)
        if needed > self._end - time.monotonic():
            raise GradscopeError(
                f"about {duration(needed)}, more than is left of the {self.seconds:g} s of this "
                "report; report(folder, seconds=...) gives it more, seconds=None all it needs"
            )
