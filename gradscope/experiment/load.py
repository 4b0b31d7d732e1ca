"""From a YAML file to an Experiment: its header and its frozen trials.

Errors name file, line and column, and say what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from gradscope.components import marks
from gradscope.components.marks import Mapping, Sequence, Where
from gradscope.components.options import component, kind_of, validated
from gradscope.components.suggestions import suggest
from gradscope.errors import ConfigError, MissingOptionError, UnknownNameError
from gradscope.experiment import sweep
from gradscope.experiment.schema import Expectation, Header, Settings, Trial
from gradscope.experiment.shipped import located
from gradscope.results import measures

#: dotted keys to values that take the place of the file's
Overrides = AbstractMapping[str, object]


class Experiment(BaseModel):
    """A question and the trials that answer it.

    >>> experiment = Experiment.of({"task": "adding", "cell": "lstm", "sweep": {"seed": [0, 1]}})
    >>> experiment
    Experiment 'experiment': 2 trials of 1 configuration
    >>> experiment.trials[1].settings.seed
    1

    Attributes:
        header: name, question, answer, source, predictions and figures.
        trials: the trials, in the order of the sweep.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    header: Header
    trials: list[Trial]

    @classmethod
    def load(cls, path: str | Path, overrides: Overrides | None = None) -> Experiment:
        """Read, check and expand an experiment file.

        Args:
            path: the YAML file, or the name of an experiment that comes with gradscope.
            overrides: dotted keys to values that take the place of the file's, before the sweep is
                expanded: ``{"training.steps": 100}``.

        Raises:
            ConfigError: if the experiment cannot be run; nothing has been written then.
        """
        path = located(path)
        return cls.parse(_text(path), str(path), default_name=path.stem, overrides=overrides)

    @classmethod
    def parse(
        cls,
        text: str,
        file: str = "<text>",
        *,
        default_name: str = "experiment",
        overrides: Overrides | None = None,
    ) -> Experiment:
        """Read, check and expand the text of an experiment file.

        Args:
            text: the YAML text.
            file: the file's name in error messages.
            default_name: the experiment's name where the text gives none.
            overrides: as in ``load``.

        Raises:
            ConfigError: as ``load``.
        """
        return cls._made(marks.read(text, file), file, default_name, overrides)

    @classmethod
    def of(
        cls,
        content: AbstractMapping[str, object],
        *,
        default_name: str = "experiment",
        overrides: Overrides | None = None,
    ) -> Experiment:
        """Check and expand a mapping such as ``{"task": "adding", "cell": {"name": "lstm"}}``.

        Args:
            content: the experiment, with the keys of an experiment file.
            default_name: the experiment's name where the mapping gives none.
            overrides: as in ``load``.

        Raises:
            ConfigError: as ``load``; the message names the key.
        """
        return cls._made(marks.marked(content), "", default_name, overrides)

    @classmethod
    def _made(
        cls, root: Mapping, file: str, default_name: str, overrides: Overrides | None
    ) -> Experiment:
        axes, place = root.pop("sweep", None), root.places.get("sweep")
        for key, value in (overrides or {}).items():
            root = sweep.applied(root, key, value, model=Settings, place="overrides")
            axes = sweep.without(axes, key)
        head, base = _split(root)
        if "name" not in head:
            head.put("name", default_name, root.place)
        header = validated(Header, head, owner="the experiment")
        _check_base(base, swept=axes is not None)
        points = sweep.expand(base, axes, model=Settings, place=place)
        experiment = cls(header=header, trials=[_trial(point) for point in points])
        _check_trials(experiment.trials, place or file)
        _check_expectations(experiment, head)
        return experiment

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.header.name

    @property
    def configurations(self) -> list[str]:
        """The labels of the configurations, in the order of the sweep."""
        return list(dict.fromkeys(trial.configuration for trial in self.trials))

    def __repr__(self) -> str:
        trials, labels = len(self.trials), len(self.configurations)
        return (
            f"Experiment {self.name!r}: {trials} trial{'s' * (trials != 1)} of {labels} "
            f"configuration{'s' * (labels != 1)}"
        )

    __str__ = __repr__


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except IsADirectoryError:
        raise ConfigError("is a directory; name one YAML file", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read as text: {error}", where=str(path)) from None


def _split(root: Mapping) -> tuple[Mapping, Mapping]:
    """The part of a file that is the header, and the part that is the settings."""
    head, base = Mapping("", root.place), Mapping("", root.place)
    for key, value in root.items():
        if key not in Header.model_fields and key not in Settings.model_fields:
            known = [*Header.model_fields, *Settings.model_fields, "sweep"]
            raise UnknownNameError(
                f"an experiment has no key {key!r}; {suggest(key, known)}",
                where=root.places[key],
                key="" if root.places[key] else key,
            )
        (head if key in Header.model_fields else base).put(key, value, root.places[key])
    return head, base


# --- checks --------------------------------------------------------------------------------------


def _check_base(base: Mapping, *, swept: bool) -> None:
    """Check each component outside the sweep by itself.

    A typo is found so even where the sweep replaces the component. An option that is missing may
    still come from the sweep.
    """
    for key, value in base.items():
        kind = kind_of(Settings.model_fields[key])
        if kind is not None:
            try:
                component(kind, value, place=base.places[key], key=key)
            except MissingOptionError:
                if not swept:
                    raise


def _trial(point: sweep.Point) -> Trial:
    settings = validated(Settings, point.settings, owner="the experiment")
    _check_files(settings, point.settings)
    _check_probes(settings, point.settings)
    _check_truncation(settings, point.settings)
    _check_lengths(settings, point.settings)
    labels = [label for axis, label in point.axes.items() if axis not in ("seed", "task.length")]
    configuration = " · ".join(labels) or settings.cell.name
    return Trial(settings=settings, configuration=configuration, axes=point.axes)


def _place(section: Mapping, *keys: str) -> Where:
    """Where the last of nested keys stands, or the nearest key above it that has a place."""
    place: Where = section.place
    for key in keys:
        if not isinstance(section, Mapping) or key not in section:
            break
        place = section.places.get(key) or place
        inner = section[key]
        if not isinstance(inner, Mapping):
            break
        section = inner
    return place


def _check_files(settings: Settings, section: Mapping) -> None:
    """Check that the files which the task reads exist."""
    try:
        settings.task.check()
    except ConfigError as error:
        raise error.at(_place(section, "task", error.key), f"task.{error.key}") from None


def _check_probes(settings: Settings, section: Mapping) -> None:
    names = [probe.name for probe in settings.probes]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(
            f"the probe {repeated!r} is there twice; keep one",
            where=section.places.get("probes"),
            key="probes",
        )


def _check_truncation(settings: Settings, section: Mapping) -> None:
    length, stride = settings.training.tbptt_length, settings.training.tbptt_stride
    if stride is None or (length is not None and stride <= length):
        return
    problem = (
        "tbptt_stride needs tbptt_length; give both, or neither for full BPTT"
        if length is None
        else f"tbptt_stride {stride} is longer than tbptt_length {length}, so some losses would "
        "reach no weight; it should be at most tbptt_length"
    )
    where = _place(section, "training", "tbptt_stride")
    raise ConfigError(problem, where=where, key="training.tbptt_stride")


def _check_lengths(settings: Settings, section: Mapping) -> None:
    for index, length in enumerate(settings.evaluation.lengths):
        key = f"evaluation.lengths[{index}]"
        if settings.task.nominal_length is None:
            raise ConfigError(
                f"the task {settings.task.name!r} has no length to test at",
                where=_place(section, "evaluation", "lengths"),
                key="evaluation.lengths",
            )
        try:
            settings.task.at_length(length)
        except ValidationError as error:
            evaluation = section["evaluation"]
            lengths = evaluation["lengths"] if isinstance(evaluation, Mapping) else None
            raise ConfigError(
                f"the task cannot have length {length}: {error.errors()[0]['msg']}",
                where=lengths.places[index] if isinstance(lengths, Sequence) else None,
                key=key,
            ) from None


def _check_trials(trials: list[Trial], where: Where) -> None:
    seen: dict[str, Trial] = {}
    for trial in trials:
        if trial.id in seen:
            raise ConfigError(
                f"two points of the sweep are the same trial: {_labels(seen[trial.id])} and "
                f"{_labels(trial)}; drop one",
                where=where,
                key="sweep",
            )
        seen[trial.id] = trial


def _labels(trial: Trial) -> str:
    return "(" + ", ".join(f"{axis}: {label}" for axis, label in trial.axes.items()) + ")"


def _check_expectations(experiment: Experiment, head: Mapping) -> None:
    listed = head.get("expect")
    for index, expectation in enumerate(experiment.header.expect):
        try:
            _check_expectation(experiment, expectation)
        except ConfigError as error:
            key = f"expect[{index}]" + (f".{error.key}" if error.key else "")
            item = listed[index] if isinstance(listed, list) else None
            where = _place(item, error.key) if isinstance(item, Mapping) else None
            raise error.at(where, key) from None


def _check_expectation(experiment: Experiment, expectation: Expectation) -> None:
    trials = experiment.trials
    of_tasks = {name for trial in trials for name in trial.settings.task.measure_words}
    known = [*measures.predictable(), *sorted(of_tasks)]
    if expectation.measure not in known:
        raise UnknownNameError(
            f"there is no measure {expectation.measure!r}; {suggest(expectation.measure, known)}",
            key="measure",
        )
    if (expectation.above is None) == (expectation.below is None):
        raise ConfigError("should have one of 'above' and 'below'")
    lengths = sorted({trial.task_length for trial in trials if trial.task_length is not None})
    if expectation.length is not None and expectation.length not in lengths:
        known_lengths = ", ".join(map(str, lengths)) or "none"
        raise ConfigError(
            f"no trial has length {expectation.length}; known: {known_lengths}", key="length"
        )
    labels = experiment.configurations
    for key in ("configuration", "above", "below"):
        label = getattr(expectation, key)
        if isinstance(label, str) and label not in labels:
            raise UnknownNameError(
                f"there is no configuration {label!r}; {suggest(label, labels)}", key=key
            )
