"""Following a run from outside: what its directory says of it, look after look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from gradscope.results.lock import Watch
from gradscope.results.manifest import TrialEntry
from gradscope.results.records import RunDirectory
from gradscope.results.running import Running, Taken
from gradscope.results.shards import rows

#: what becomes of a trial, in the order in which it is told
OUTCOMES = ("solved", "unsolved", "diverged", "failed")


@dataclass(frozen=True)
class Ended:
    """A trial that is recorded, or has failed.

    Attributes:
        trial: its id.
        label: its labels on the axes of the sweep.
        outcome: solved, unsolved, diverged or failed.
        error: why it failed; "" if it did not.
    """

    trial: str
    label: str
    outcome: str
    error: str = ""


@dataclass(frozen=True)
class Look:
    """A run as it is at the moment.

    Attributes:
        of: trials of the sweep.
        outcomes: what became of those that have ended, to how many.
        ended: those that have ended since the look before, in the order of the sweep.
        running: those that train: the trial, and how far it is.
        seconds_left: of the run, at most; None while that is not known, or nobody is at work.
        owner: who is at work on it, in words; "" if nobody is.
    """

    of: int
    outcomes: Mapping[str, int]
    ended: tuple[Ended, ...]
    running: tuple[tuple[TrialEntry, Taken], ...]
    seconds_left: float | None
    owner: str

    @property
    def failed(self) -> int:
        """Trials that failed."""
        return self.outcomes.get("failed", 0)

    @property
    def recorded(self) -> int:
        """Trials that are recorded."""
        return sum(self.outcomes.values()) - self.failed

    @property
    def left(self) -> int:
        """Trials that have not begun."""
        return self.of - self.recorded - self.failed - len(self.running)


class Following:
    """Looks at a run directory again and again; it writes nothing.

    While somebody is at work, a trial counts as failed once it has failed in that run: what failed
    before is tried again.

    Args:
        run: the directory, in which the run has begun.
    """

    def __init__(self, run: RunDirectory):
        self._run, self._watch = run, Watch(run.path)
        self._ended: dict[str, str] = {}

    def look(self) -> Look:
        """The run as it is now.

        Raises:
            RunDirectoryError: if the directory is not a run's.
            DamagedError: if its manifest, or what a trial recorded, is not as it was written.
        """
        trials = self._run.manifest().trials
        owner = self._watch.owner()
        running = Running.read(self._run.path) if owner else Running()
        done = self._run.done()
        errors = self._errors(running, at_work=bool(owner))
        for trial in [*self._ended]:  # set aside as damaged, or tried again, meanwhile
            if trial not in done and trial not in errors:
                del self._ended[trial]
        new = []
        for entry in trials:
            outcome = self._outcome(entry.id, done, errors)
            if outcome and self._ended.get(entry.id) != outcome:
                self._ended[entry.id] = outcome
                new.append(Ended(entry.id, entry.label, outcome, errors.get(entry.id, "")))
        return Look(
            of=len(trials),
            outcomes=_in_order(Counter(self._ended.values())),
            ended=tuple(new),
            running=tuple(
                (entry, running.trials[entry.id])
                for entry in trials
                if entry.id in running.trials and entry.id not in self._ended
            ),
            seconds_left=running.seconds_left,
            owner=owner,
        )

    def _errors(self, running: Running, *, at_work: bool) -> dict[str, str]:
        """Trial that failed to why."""
        if at_work and not running.failed:
            return {}
        failures = self._run.failures()
        return {
            trial: str(failure["error"])
            for trial, failure in failures.items()
            if not at_work or trial in running.failed
        }

    def _outcome(self, trial: str, done: set[str], errors: Mapping[str, str]) -> str:
        """What became of a trial; "" of one that has not ended."""
        if trial in errors:
            return "failed"
        if trial not in done:
            return ""
        if (known := self._ended.get(trial, "failed")) != "failed":
            return known
        name = f"tables/trials/{trial}.parquet"
        content = self._run.checked(trial, name)
        if content is None:  # taken away since
            return ""
        return str(rows(content, self._run.path / name).column("outcome")[0].as_py())


def _in_order(counts: Counter[str]) -> dict[str, int]:
    """Outcomes to how many, those that there are, the usual ones first."""
    known = [outcome for outcome in OUTCOMES if outcome in counts]
    return {outcome: counts[outcome] for outcome in [*known, *sorted({*counts} - {*known})]}
