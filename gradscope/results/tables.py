"""Run directories as tidy DataFrames."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cache
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from gradscope.components.suggestions import suggest
from gradscope.errors import RunDirectoryError, UnknownTableError
from gradscope.results import markup
from gradscope.results.gathered import gathered
from gradscope.results.manifest import TrialEntry
from gradscope.results.reading import Reading
from gradscope.results.records import RunDirectory
from gradscope.results.words import SWEEP, Words

Made = TypeVar("Made")


class Tables(Mapping[str, pd.DataFrame]):
    """The tables of a run, or of a scope's recordings, by name.

        tables = gradscope.open_run("reports/quickstart").tables
        tables["jacobian_norms"]  # a DataFrame; list(tables) has all names

    Every row carries trial, configuration, length (-1 where the task has none), seed and task.

    Attributes:
        trials: all trials of the sweep, recorded or not, or an entry for each recurrence.
        words: what captions say of them.
        configurations: labels in the order of the sweep.
        longest: configuration to its greatest task length, None where its task has none.
        axes: configuration to its labels on the sweep's axes.
        lengths: task lengths, ascending; empty where the task has none.
    """

    def __init__(
        self,
        frames: Mapping[str, pd.DataFrame],
        trials: Sequence[TrialEntry],
        *,
        words: Words = SWEEP,
        seconds: Callable[[], Mapping[str, Mapping[str, float]]] | None = None,
    ):
        self._frames, self._seconds = frames, seconds
        self._made: dict[Hashable, object] = {}
        self.trials, self.words = list(trials), words
        self.configurations = list(dict.fromkeys(trial.configuration for trial in trials))
        self.longest: dict[str, int | None] = dict.fromkeys(self.configurations)
        for trial in trials:
            known = self.longest[trial.configuration]
            lengths = [length for length in (known, trial.length) if length is not None]
            self.longest[trial.configuration] = max(lengths, default=None)
        self.axes = {trial.configuration: trial.other_labels for trial in trials}
        self.lengths = sorted({trial.length for trial in trials if trial.length is not None})

    @property
    def seconds(self) -> Mapping[str, Mapping[str, float]]:
        """Trial to where its time went."""
        nothing: Mapping[str, Mapping[str, float]] = {}
        return self.once("seconds", lambda: self._seconds() if self._seconds else nothing)

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._frames:
            raise UnknownTableError(
                f"there is no table {name!r}; {suggest(name, list(self._frames))}"
            )
        return self._frames[name]

    def __contains__(self, name: object) -> bool:
        return name in self._frames

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __repr__(self) -> str:
        sizes = [f"{name} ({len(frame)} rows)" for name, frame in self._frames.items()]
        return "Tables: " + (", ".join(sizes) or "none")

    def _repr_html_(self) -> str:
        rows = [
            (name, f"{len(frame):,}", ", ".join(map(str, frame.columns)))
            for name, frame in self._frames.items()
        ]
        frame = pd.DataFrame(rows, columns=pd.Index(["table", "rows", "columns"]))
        return markup.card("Tables", markup.table(frame, "Tables", words=True))

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What ``make`` gives, made when it is first asked for under this key.

        For what several readers work out of these tables, which stay as they are.
        """
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]  # pyright: ignore[reportAssignmentType]  # by this key alone
        return made

    def of_trial(self, trial: str) -> Tables:
        """The same tables with the rows of one trial alone."""
        frames = {name: frame[frame["trial"] == trial] for name, frame in self.items()}
        return Tables(frames, self.trials, words=self.words)

    def at_longest(self, frame: str | pd.DataFrame) -> pd.DataFrame:
        """The rows of a table, or a part of one, at each configuration's greatest task length."""
        rows = self[frame] if isinstance(frame, str) else frame
        several = {-1 if length is None else length for length in self.longest.values()}
        if len(several) > 1:
            greatest = rows["configuration"].map(self.longest).fillna(-1)
            return rows[rows["length"] == greatest]
        if len(self.lengths) < 2:
            return rows
        return rows[rows["length"] == several.pop()]

    @property
    def where(self) -> str:
        """' at length 50', for a heading; '' where there is but one length."""
        greatest = set(self.longest.values())
        if len(self.lengths) < 2:
            return ""
        if len(greatest) == 1:
            return f" at length {greatest.pop()}"
        return f" at each {self.words.one}'s greatest length"

    def same_time(self, frame: pd.DataFrame) -> bool:
        """Whether all sequences of a table with columns t and to_end (t - T) are equally long."""
        return (frame["t"] - frame["to_end"]).nunique() <= 1

    def first_and_last(self, name: str, block: str | None = None) -> pd.DataFrame:
        """Each trial's first and last measurement in a probe's table, named in a column ``when``.

        Of a sweep's trials the first is that before training, and the last is any later one. A
        scope's recordings need not begin with a training: theirs are the first and the last that
        there are, and a single one is the last.

        Args:
            name: of the table.
            block: whose rows are meant, of a table with a column of that name; None is all.
        """
        frame = self[name]
        # which rows they are is kept, and not the rows: those of a large run are gigabytes
        early, late = self.once(("first and last", name), lambda: self._ends(frame))
        if block is not None:
            chosen = frame["block"] == block
            early, late = early & chosen, late & chosen
        return self._named(frame, early, late)

    def ends(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What ``first_and_last`` gives, of some rows of a probe's table alone."""
        return self._named(frame, *self._ends(frame))

    def _ends(self, frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
        """Which rows are the first and the last measurement of their trial."""
        step = frame["train_step"]
        by_trial = step.groupby(pd.factorize(frame["trial"])[0])  # numbers are faster than names
        first, last = by_trial.transform("min"), by_trial.transform("max")
        if self.words.of_sweep:
            return step == 0, (step == last) & (last > 0)
        return (step == first) & (first < last), step == last

    def _named(self, frame: pd.DataFrame, early: pd.Series, late: pd.Series) -> pd.DataFrame:
        """Those rows, and in a column ``when`` which of the two they are."""
        return pd.concat(
            [
                frame[early].assign(when=self.words.first),
                frame[late].assign(when=self.words.last),
            ]
        )


def load(run: RunDirectory) -> Tables:
    """All tables of a run.

    A column of a table's own that is called as one of those of every row, such as seed, is
    ``seed_measured``.

    Raises:
        RunDirectoryError: if the directory is no run's, or holds no finished trial.
    """
    trials, done = run.manifest().trials, run.done()
    there = [trial for trial in trials if trial.id in done]
    if not there:
        raise RunDirectoryError(f"{run.path}: no trial is recorded yet; 'gradscope run' does that")
    ids = [trial.id for trial in there]
    together, reading = gathered(run, ids), cache(lambda: Reading(run, ids))

    def table(name: str) -> pa.Table:
        found = together.table(run, name) if together else None
        return reading().table(name) if found is None else found

    def seconds() -> Mapping[str, Mapping[str, float]]:
        return together.seconds if together else reading().seconds()

    names = together.names if together else reading().names
    frames = Frames(names, lambda name: _with_trials(name, table(name), there))
    return Tables(frames, trials, seconds=seconds)


def outcomes(run: RunDirectory, tables: Tables | None) -> dict[str, str]:
    """Trial to what became of it, in the order of the sweep.

    Args:
        run: the directory.
        tables: of it; None where no trial is recorded.

    Returns:
        solved, unsolved or diverged; of a trial that is not recorded failed or missing.
    """
    failures, became = run.failures(), dict[str, str]()
    if tables is not None:
        recorded = tables["trials"]
        became = dict(zip(recorded["trial"], map(str, recorded["outcome"]), strict=True))
    return {
        trial.id: became.get(trial.id, "failed" if trial.id in failures else "missing")
        for trial in run.manifest().trials
    }


class Frames(Mapping[str, pd.DataFrame]):
    """Tables that are made when they are first asked for."""

    def __init__(self, names: Sequence[str], make: Callable[[str], pd.DataFrame]):
        self._names, self._make = list(names), make
        self._made: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._made:
            if name not in self._names:
                raise KeyError(name)
            self._made[name] = self._make(name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _with_trials(name: str, table: pa.Table, trials: Sequence[TrialEntry]) -> pd.DataFrame:
    """A table's rows, each with what is to be known of its trial; takes the place of the table."""
    frame = table.to_pandas(split_blocks=True, self_destruct=True)
    del table
    pa.default_memory_pool().release_unused()
    if name == "lengths":  # its own length is that of the test
        frame = frame.rename(columns={"length": "test_length"})
    places = {trial.id: place for place, trial in enumerate(trials)}
    codes, there = pd.factorize(frame["trial"])
    rows = np.array([places[trial] for trial in there], dtype=int)[codes]
    about = {
        "configuration": [trial.configuration for trial in trials],
        "length": [-1 if trial.length is None else trial.length for trial in trials],
        "seed": [trial.seed for trial in trials],
        "task": [trial.task for trial in trials],
    }
    own = {column: f"{column}_measured" for column in about if column in frame}
    known = {column: pd.Series(values).take(rows).array for column, values in about.items()}
    rest = frame.drop(columns="trial").rename(columns=own)
    columns = {"trial": frame["trial"], **known, **dict(rest.items())}
    return pd.DataFrame(columns, copy=False)
