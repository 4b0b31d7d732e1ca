"""The manifest of a run: what it asks, its trials, and where and with what it was made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from gradscope.components.suggestions import shown
from gradscope.components.text import NOT_TEXT, printable

#: of the run directory as this version writes it; the first one had no ledgers and no checksums
FORMAT = 2

#: axes of a sweep that are no settings but repetitions and difficulties
REPETITIONS = ("seed", "task.length")

_ID = re.compile(r"\w{1,64}")
_M = TypeVar("_M", bound="Part")


class Part(BaseModel):
    """Base of the parts of a manifest; keys that this version does not know are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Document(Part):
    """Base of what stands in a file of its own."""

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, content: object) -> object:
        """A directory may come from anybody: its words are shown on terminals and in pages."""
        if isinstance(content, Mapping):
            _check_text(content)
        return content


def _check_text(value: object) -> None:
    """Refuse control characters in any text that a part holds.

    Raises:
        ValueError: if there are.
    """
    if isinstance(value, str):
        if found := NOT_TEXT.search(value):
            raise ValueError(f"it holds the character {found[0]!a}, which is no text")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_text(item)


class TrialEntry(Part):
    """One trial of the sweep.

    Attributes:
        id: twelve hexadecimal digits.
        configuration: its label but for seed and task length.
        axes: axis of the sweep to the trial's label on it.
        settings: everything that decides its outcome, as plain values.
        contents: the SHA-256 of the text or images that its task reads from files; "" if none.
        draws: what is drawn at random (weights, training, testing) to twelve digits of all that
            decides it: trials with the same digits share it, bit for bit.
    """

    id: str
    configuration: str
    axes: dict[str, str] = {}
    settings: dict[str, object] = {}
    contents: str = ""
    draws: dict[str, str] = {}

    def _task(self, key: str) -> object:
        task = self.settings.get("task")
        return task.get(key) if isinstance(task, dict) else None

    @property
    def length(self) -> int | None:
        """The length of its task; None where the task has none."""
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
        return [v for axis, v in self.axes.items() if axis not in REPETITIONS] or [""]

    @property
    def label(self) -> str:
        """Its labels on the axes of the sweep, such as ``lstm · seed 3``."""
        return label_of(self.axes, self.configuration)


def label_of(axes: Mapping[str, str], configuration: str) -> str:
    """A trial in a few words: its labels on the axes, or its configuration where there are none.

    >>> label_of({"cell": "lstm", "seed": "seed 3"}, "lstm")
    'lstm · seed 3'
    """
    parts = [
        f"seed {value.removeprefix('seed ')}" if axis == "seed" else value
        for axis, value in axes.items()
    ]
    return printable(" · ".join(parts) or configuration)


def leaves(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The values of nested settings under dotted keys; a list is a value.

    >>> list(leaves({"cell": {"name": "lstm", "bias": None}, "seed": 0}))
    [('cell.name', 'lstm'), ('cell.bias', None), ('seed', 0)]
    """
    for key, value in settings.items():
        if isinstance(value, Mapping):
            inner = {str(name): item for name, item in value.items()}
            yield from leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


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

    @model_validator(mode="after")
    def _has_one_bound(self) -> Prediction:
        if (self.above is None) == (self.below is None):
            raise ValueError("a prediction has one of 'above' and 'below'")
        return self

    @property
    def bound(self) -> float | str:
        """The number or configuration that it is held against."""
        bound = self.above if self.above is not None else self.below
        assert bound is not None
        return bound


class PluginEntry(Part):
    """A user's file that the run's components come from."""

    path: str
    sha256: str
    components: list[str] = []


class Provenance(Part):
    """Where and with what a part of the run was made.

    Attributes:
        device: torch's name of it.
        versions: of Python, gradscope and the packages that decide the numbers.
        hardware: the machine in a few words.
        git: the commit that the working directory stood at, twelve digits.
        since: when that part began, in UTC.
    """

    device: str
    versions: dict[str, str]
    hardware: dict[str, str | int | None]
    git: str | None = None
    since: str = ""


class Manifest(Document):
    """All of it, as it stands in ``manifest.json``.

    Attributes:
        format: of the run directory.
        name: of the experiment.
        created: when the run began, in UTC.
        question: what the experiment asks.
        answer: the published or predicted one.
        source: where the question comes from.
        expect: predictions that the report holds against what was measured.
        tasks: by name, what each says of itself.
        plugins: users' files whose components the trials have.
        trials: all of the sweep, recorded or not.
        provenance: where each part of the run was made, the latest last.
        figures: the plots that the experiment names, as plain values; None is all that fit.
        packages: installed packages whose components were there, entry point to distribution.
        together: groups of trials that train as one program; a run that goes on keeps them, so that
            it comes to the same bits.
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
    together: list[list[str]] = []

    @field_validator("trials")
    @classmethod
    def _names_no_path(cls, trials: list[TrialEntry]) -> list[TrialEntry]:
        """A trial's id is part of the names of its files."""
        for trial in trials:
            if not _ID.fullmatch(trial.id):
                raise ValueError(f"a trial's id is a word, got {shown(trial.id)}")
        return trials

    @property
    def trained_together(self) -> str:
        """Which trials trained as one program, in words; "" if each trained alone."""
        sizes = sorted({len(group) for group in self.together})
        if not sizes:
            return ""
        number = sum(len(group) for group in self.together)
        range_ = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        return (
            f"{number} of {len(self.trials)} trials, {range_} in a program with a trial axis, each "
            "on its own batches and with its own optimiser; their results are those of trials "
            "alone to rounding, and are repeated to the bit by the same groups."
        )

    def shares(self, what: str, axis: str) -> bool:
        """Whether trials share a draw that are alike but for their label on one axis.

        Args:
            what: weights, training or testing.
            axis: of the sweep.
        """
        drawn: dict[tuple[object, ...], set[str]] = {}
        for trial in self.trials:
            rest = tuple(label for other, label in trial.axes.items() if other != axis)
            drawn.setdefault((trial.seed, *rest), set()).add(trial.draws.get(what, trial.id))
        return all(len(different) == 1 for different in drawn.values())

    @property
    def sharing(self) -> str:
        """What trials of one seed share, in a sentence; "" where there is nothing to compare."""
        axes = [axis for axis in self.trials[0].axes if axis != "seed"] if self.trials else []
        if not axes:
            return ""
        sequences = [a for a in axes if self.shares("training", a) and self.shares("testing", a)]
        weights = [axis for axis in axes if self.shares("weights", axis)]
        see, begin = "see the same training and test sequences", "begin with the same weights"
        if not sequences and not weights:
            return "Trials share no random numbers, so comparisons between them are not paired."
        if sequences == weights:
            return f"Of one seed, {_alike(axes, weights)} {see} and {begin}."
        parts = [(sequences, see), (weights, begin)]
        said = [f"{_alike(axes, over)} {what}" for over, what in parts if over]
        return f"Of one seed, {'; '.join(said)}."


def _alike(axes: list[str], over: list[str]) -> str:
    """Trials that differ on these of the axes alone, in words."""
    if len(over) == len(axes):
        return "all trials"
    return f"trials that differ only in {' and '.join(over)}"


def first_problem(error: ValidationError) -> str:
    """What is wrong with a manifest, in a few words."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(map(str, problem["loc"]))
    return f"it lacks {place!r}" if problem["type"] == "missing" else f"{place}: {problem['msg']}"
