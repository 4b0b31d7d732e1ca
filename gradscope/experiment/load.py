"""From a YAML file to an Experiment: its header and its frozen trials.

Errors name file, line and column, and say what would be right; all of a file are told at once.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gradscope.components import marks
from gradscope.components.marks import Mapping, Where
from gradscope.components.mistakes import Mistakes
from gradscope.components.options import attempted, component, kind_of
from gradscope.components.suggestions import nearest, shown, suggest
from gradscope.errors import ConfigError, MissingOptionError, UnknownNameError
from gradscope.experiment import drawn, sweep
from gradscope.experiment.asked import Asked, with_defaults
from gradscope.experiment.checks import checked
from gradscope.experiment.predicted import Known, check_figures, check_predictions
from gradscope.experiment.schema import Header, Settings, Trial
from gradscope.experiment.shipped import located
from gradscope.results.manifest import REPETITIONS

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
            ConfigError: if the experiment cannot be run; nothing has been written then. It is a
                ConfigErrors where several things are wrong.
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
        mistakes = Mistakes()
        root = marks.read(text, file, mistakes)
        return cls._made(root, file, default_name, overrides, mistakes)

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
        return cls._made(marks.marked(content), "", default_name, overrides, Mistakes())

    @classmethod
    def _made(
        cls,
        root: Mapping,
        file: str,
        default_name: str,
        overrides: Overrides | None,
        mistakes: Mistakes,
    ) -> Experiment:
        axes, place = root.pop("sweep", None), root.places.get("sweep")
        for key, value in (overrides or {}).items():
            with mistakes.noted():
                value = marks.marked_value(value, key)
                root = sweep.applied(root, key, value, model=Settings, place="overrides")
                axes = sweep.without(axes, key)
        head, base = _split(root, mistakes)
        if "name" not in head:
            head.put("name", default_name, root.place)
        header = attempted(Header, head, mistakes, owner="the experiment")
        _check_base(base, mistakes, swept=axes is not None)
        known = _known(base, axes, place, mistakes)
        check_predictions(known, head)
        check_figures(known, head)
        trials = [
            Trial(settings=point.settings, configuration=point.configuration, axes=point.axes)
            for point in known.points
        ]
        if not mistakes.found:
            _check_trials(trials, place or file, mistakes)
        mistakes.raise_any()
        assert header is not None
        return cls(header=header, trials=trials)

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
        if path.exists() and not path.is_file():
            what = "a directory" if path.is_dir() else "a pipe or a device"
            raise ConfigError(f"is {what}; name one YAML file", where=str(path))
        with path.open(encoding="utf-8") as stream:
            return stream.read(marks.LONGEST + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read as text: {error}", where=str(path)) from None


def _split(root: Mapping, mistakes: Mistakes) -> tuple[Mapping, Mapping]:
    """The part of a file that is the header, and the part that is the settings."""
    head, base = Mapping("", root.place), Mapping("", root.place)
    head.unread |= root.unread
    base.unread |= root.unread
    known = [*Header.model_fields, *Settings.model_fields, "sweep"]
    for key, value in root.items():
        if key in known:
            (head if key in Header.model_fields else base).put(key, value, root.places[key])
            continue
        mistakes.add(
            UnknownNameError(
                f"an experiment has no key {shown(key)}; {suggest(key, known)}",
                where=root.places[key],
                key="" if root.places[key] else key,
            )
        )
        base.unread |= set(nearest(key, known))  # what it means is not missing as well
    return head, base


# --- checks --------------------------------------------------------------------------------------


def _check_base(base: Mapping, mistakes: Mistakes, *, swept: bool) -> None:
    """Check each component outside the sweep by itself.

    A typo is found so even where the sweep replaces the component. An option that is missing may
    still come from the sweep.
    """
    for key, value in base.items():
        kind = kind_of(Settings.model_fields[key])
        if kind is not None:
            try:
                component(kind, value, place=base.places[key], key=key)
            except ConfigError as error:
                for one in error.errors:
                    if not (swept and isinstance(one, MissingOptionError)):
                        mistakes.add(one)


def _known(base: Mapping, axes: object, place: Where, mistakes: Mistakes) -> Known:
    """All points of the sweep, as far as they can be used."""
    before = len(mistakes.found)
    points = sweep.expand(base, axes, model=Settings, place=place, mistakes=mistakes)
    labelled = len(mistakes.found) == before
    once, asked = drawn.ranges(axes), []
    for point in points:
        found = Mistakes()
        asked.append(_asked(point, found))
        for error in found.found:  # of a range that is wrong one value tells enough
            if not (error.key in once and mistakes.about(error.key)):
                mistakes.add(error)
    labels = [
        one.configuration if one is not None else _label(point)
        for point, one in zip(points, asked, strict=True)
    ]
    return Known(
        points=[one for one in asked if one is not None],
        labels=list(dict.fromkeys(labels)) if labelled and all(labels) else None,
        whole=None not in asked,
        mistakes=mistakes,
    )


def _label(point: sweep.Point) -> str:
    """A point's labels on the axes that are neither seed nor task length."""
    labels = (label for axis, label in point.axes.items() if axis not in REPETITIONS)
    return " · ".join(labels)


def _asked(point: sweep.Point, mistakes: Mistakes) -> Asked | None:
    """What a point asks for, wrong values left at their defaults; None where that is not known."""
    of_point = Mistakes()
    cleared = with_defaults(point.settings, of_point)
    settings = attempted(Settings, point.settings, of_point, owner="the experiment")
    if settings is not None:
        settings = checked(settings, point.settings, of_point)
    for error in of_point.found:
        mistakes.add(error)
    if settings is None:
        return None
    return Asked(settings, cleared, _label(point) or settings.cell.name, point.axes)


def _check_trials(trials: list[Trial], where: Where, mistakes: Mistakes) -> None:
    """Check that no two trials are the same."""
    seen: dict[str, Trial] = {}
    for trial in trials:
        first = seen.setdefault(trial.id, trial)
        if first is not trial:
            message = (
                f"two points of the sweep are the same trial: {_labels(first)} and "
                f"{_labels(trial)}; drop one"
            )
            mistakes.add(ConfigError(message, where=where, key="sweep"))


def _labels(trial: Trial) -> str:
    return "(" + ", ".join(f"{axis}: {label}" for axis, label in trial.axes.items()) + ")"
