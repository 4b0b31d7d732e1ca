"""The manifest of a run: what it asks, its trials, and where and with what it was made."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

#: of the run directory as this version writes it
FORMAT = 1

_M = TypeVar("_M", bound="Part")


class Part(BaseModel):
    """Base of the parts of a manifest; keys of later versions are kept and ignored."""

    model_config = ConfigDict(frozen=True, extra="allow")


class TrialEntry(Part):
    """One trial of the sweep.

    Attributes:
        id: twelve hexadecimal digits.
        configuration: its label but for seed and task length.
        axes: axis of the sweep to the trial's label on it.
        settings: everything that decides its outcome, as plain values.
    """

    id: str
    configuration: str
    axes: dict[str, str] = {}
    settings: dict[str, object] = {}

    def _task(self, key: str) -> object:
        task = self.settings.get("task")
        return task.get(key) if isinstance(task, dict) else None

    @property
    def length(self) -> int | None:
        """Of its task; None where the task has none."""
        length = self._task("length")
        return length if isinstance(length, int) else None

    @property
    def task(self) -> str:
        """Its task's name."""
        return str(self._task("name") or "")

    @property
    def seed(self) -> int:
        """Its seed."""
        seed = self.settings.get("seed", 0)
        return seed if isinstance(seed, int) else 0

    @property
    def other_labels(self) -> list[str]:
        """Its labels on the axes that are neither seed nor task length."""
        return [v for axis, v in self.axes.items() if axis not in ("seed", "task.length")] or [""]


class TaskAbout(Part):
    """A task in words.

    Attributes:
        about: what it asks.
        criterion: when it counts as solved.
        wrong: what counts as a wrong answer.
        measures: name of a column of its own to (heading, unit).
    """

    about: str = ""
    criterion: str = ""
    wrong: str = ""
    measures: dict[str, tuple[str, str]] = {}


class Prediction(Part):
    """What the experiment expects: a measure of a configuration above or below something.

    Attributes:
        claim: in words.
        measure: name of a column of the summary.
        configuration: label of the configuration that it is about.
        length: of the task; None is the greatest.
        above: a number, or the configuration whose measure it exceeds.
        below: a number, or the configuration whose measure it stays under.
    """

    claim: str
    measure: str
    configuration: str
    length: int | None = None
    above: float | str | None = None
    below: float | str | None = None

    @property
    def bound(self) -> float | str:
        """The number or configuration that it is held against."""
        return self.above if self.above is not None else self.below if self.below is not None else 0


class PluginEntry(Part):
    """A user's file that the run's components come from."""

    path: str
    sha256: str
    components: list[str] = []


class Provenance(Part):
    """Where and with what a part of the run was made, and since when."""

    device: str
    versions: dict[str, str]
    hardware: dict[str, str | int | None]
    git: str | None = None
    since: str = ""


class Manifest(Part):
    """All of it, as it stands in ``manifest.json``.

    Attributes:
        figures: the plots that the experiment names, as plain values; None is all that fit.
        packages: installed packages whose components were there, entry point to distribution.
    """

    format: int = FORMAT
    name: str
    created: str
    question: str = ""
    answer: str = ""
    source: str = ""
    expect: list[Prediction] = []
    figures: list[dict[str, object]] | None = None
    tasks: dict[str, TaskAbout] = {}
    plugins: list[PluginEntry] = []
    packages: dict[str, str] = {}
    trials: list[TrialEntry]
    provenance: list[Provenance]


def first_problem(error: ValidationError) -> str:
    """What is wrong with a manifest, in a few words."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(map(str, problem["loc"]))
    return f"it lacks {place!r}" if problem["type"] == "missing" else f"{place}: {problem['msg']}"
