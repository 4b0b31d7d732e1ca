"""YAML -> Experiment -> frozen Trials; every error names file, line, column and what would be
right.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gradscope.components import marks
from gradscope.components.marks import Mapping
from gradscope.components.options import Named, component, dump, validated
from gradscope.components.registry import suggest
from gradscope.errors import ConfigError, GradscopeError
from gradscope.experiment import sweep as grid

#: what a prediction may be about: columns of the report's summary table
Measure = Literal[
    "success_rate",
    "final_loss",
    "loss_over_baseline",
    "steps_to_solve",
    "memory_horizon",
    "memory_horizon_initial",
    "growth_rate",
    "growth_rate_initial",
    "clipped_fraction",
    "diverged_fraction",
    "wrong_fraction",
    "bits_per_character",
    "bits_per_word",
    "perplexity",
]

DEFAULT_PROBES = (
    "grad_norms",
    "adjoint_norms",
    "jacobian_norms",
    "memory_horizon",
    "spectra",
    "saturation",
)


class Options(BaseModel):
    """Base of the sections of an experiment."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_default=True, allow_inf_nan=False
    )


class ModelOptions(Options):
    """What surrounds the cell."""

    layers: int = Field(1, ge=1, description="cells stacked one on another")
    embedding: Literal["one_hot", "learned", "scaled", "tied"] = Field(
        "one_hot",
        description=(
            "how a token becomes a vector; scaled: times sqrt(size); tied: the readout's weights as"
            " well"
        ),
    )
    embedding_size: int | None = Field(
        None,
        ge=1,
        description=(
            "length of an embedding that is learned; null is 16, and the cell's hidden_size where"
            " tied"
        ),
    )


class Training(Options):
    """The loop of one trial."""

    steps: int = Field(2000, ge=1, description="optimiser steps at most")
    batch_size: int = Field(32, ge=1, description="sequences in a batch")
    tbptt_length: int | None = Field(
        None, ge=1, description="k2: steps a gradient runs back; null is full BPTT"
    )
    tbptt_stride: int | None = Field(
        None,
        ge=1,
        description="k1: time steps between updates; null is tbptt_length (chunks), 1 is sliding",
    )
    tbptt_random: float | None = Field(
        None,
        gt=0,
        lt=1,
        description=(
            "ARTBP: chance of a cut at each step, gradients that go on growing by 1 / (1 - it);"
            " null: no"
        ),
    )
    stop_on_success: bool = Field(
        True, description="stop at the first evaluation that meets the task's criterion"
    )
    save_weights: bool = Field(
        False, description="keep the trained weights, for 'gradscope sample'"
    )


class Evaluation(Options):
    """Tests on fresh sequences."""

    every: int = Field(100, ge=1, description="optimiser steps between two evaluations")
    sequences: int = Field(1000, ge=1, description="fresh sequences in an evaluation")
    lengths: list[Annotated[int, Field(ge=1)]] = Field(
        [], description="other lengths to test on at the end"
    )


class Settings(Options):
    """All that decides the outcome of one trial."""

    seed: int = Field(0, ge=0, description="of every random number of the trial")
    dtype: Literal["float32", "float64"] = "float32"
    task: Annotated[Any, Named("task")]
    cell: Annotated[Any, Named("cell")]
    model: ModelOptions = ModelOptions()  # type: ignore[call-arg]
    clip: Annotated[Any, Named("clip")] = "none"
    optimizer: Annotated[Any, Named("optimizer")] = "adam"
    training: Training = Training()  # type: ignore[call-arg]
    evaluation: Evaluation = Evaluation()  # type: ignore[call-arg]
    probes: list[Annotated[Any, Named("probe")]] = list(DEFAULT_PROBES)


class Trial(BaseModel):
    """One point of the sweep: its settings, and what distinguishes it from its neighbours."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    settings: Settings
    configuration: str
    axes: dict[str, str]

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """The settings as plain JSON values, defaults written out."""
        return dump(self.settings)

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits that depend on the settings alone, not on order, labels or the
        rest of the sweep.
        """
        canonical = json.dumps(self.resolved, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def seed_of(self, purpose: str) -> int:
        """The seed of one of the trial's generators, from (experiment seed, trial id, purpose)."""
        digest = hashlib.sha256(f"{self.settings.seed}/{self.id}/{purpose}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1


class Expectation(Options):
    """A prediction that the report holds against what was measured."""

    claim: str = Field(description="the prediction in words")
    measure: Measure
    configuration: str = Field(description="label of the configuration it is about")
    length: int | None = Field(None, description="task length; null is the longest in the sweep")
    above: float | str | None = Field(
        None, description="a number, or the configuration whose measure it exceeds"
    )
    below: float | str | None = Field(
        None, description="a number, or the configuration whose measure it stays under"
    )


class Header(Options):
    """The part of an experiment that changes no number."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="of the run directory under reports/"
    )
    question: str = Field("", description="what the experiment asks")
    answer: str = Field("", description="the published or predicted answer")
    source: str = Field("", description="where the question or the set-up comes from")
    expect: list[Expectation] = []
    figures: list[Annotated[Any, Named("plot")]] | None = None


class Experiment(BaseModel):
    """A question and the trials that answer it."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    header: Header
    trials: list[Trial]

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.header.name


def load(path: str | Path, overrides: dict[str, Any] | None = None) -> Experiment:
    """Read, check and expand an experiment file.

    Args:
        path: the YAML file.
        overrides: dotted keys to values that take the place of the file's, before the sweep is
            expanded.

    Raises:
        ConfigError: for everything that would not run; nothing has been written then.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = sorted(str(p) for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        raise ConfigError(
            f"there is no such file; {suggest(str(path), near) if near else 'check the path'}",
            where=str(path),
        ) from None
    except IsADirectoryError:
        raise ConfigError("is a directory; name one YAML file", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read as text: {error}", where=str(path)) from None
    return parse(text, str(path), default_name=path.stem, overrides=overrides)


def parse(
    text: str,
    file: str = "<text>",
    *,
    default_name: str = "experiment",
    overrides: dict[str, Any] | None = None,
) -> Experiment:
    """As ``load``, from the text of the file."""
    root = marks.read(text, file)
    sweep = root.pop("sweep", None)
    for key, value in (overrides or {}).items():
        root = grid.applied(root, key, value, model=Settings, place=f"--set {key}")
        sweep = grid.without(sweep, key)
    head, base = _split(root)
    if "name" not in head:
        head.put("name", default_name, root.place)
    header = validated(Header, head, owner="the experiment")
    _check_base(base, swept=sweep is not None)
    trials = [
        _trial(point)
        for point in grid.expand(base, sweep, model=Settings, place=root.places.get("sweep"))
    ]
    _check_trials(trials, root.places.get("sweep") or file)
    _check_expectations(header, trials, head)
    return Experiment(header=header, trials=trials)


def _split(root: Mapping) -> tuple[Mapping, Mapping]:
    head, base = Mapping("", root.place), Mapping("", root.place)
    for key, value in root.items():
        if key not in Header.model_fields and key not in Settings.model_fields:
            known = [*Header.model_fields, *Settings.model_fields, "sweep"]
            raise ConfigError(
                f"an experiment has no key {key!r}; {suggest(key, known)}", where=root.places[key]
            )
        (head if key in Header.model_fields else base).put(key, value, root.places[key])
    return head, base


def _check_files(settings: Settings, section: Mapping) -> None:
    """What the task needs of the disk is there."""
    try:
        settings.task.check()
    except GradscopeError as error:
        key, _, problem = str(error).partition(": ")
        task = section.get("task")
        place = task.places.get(key) if isinstance(task, Mapping) else None
        raise ConfigError(
            problem, where=place or section.places.get("task"), key=f"task.{key}"
        ) from None


def _check_probes(settings: Settings, section: Mapping) -> None:
    names = [probe.name for probe in settings.probes]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(
            f"the probe {repeated!r} is there twice; keep one",
            where=section.places.get("probes"),
            key="probes",
        )


def _check_base(base: Mapping, *, swept: bool) -> None:
    """Check each section on its own, so that a typo is found even where the sweep replaces the
    component.
    """
    for key, value in base.items():
        field = Settings.model_fields[key]
        kind = next((m.kind for m in field.metadata if isinstance(m, Named)), None)
        try:
            if kind is not None:
                component(kind, value, place=base.places[key], key=key)
        except ConfigError as error:
            if not (swept and " needs " in error.message):
                raise


def _trial(point: grid.Point) -> Trial:
    settings = validated(Settings, point.settings, owner="the experiment")
    _check_files(settings, point.settings)
    _check_probes(settings, point.settings)
    training, where = settings.training, point.settings.get("training", point.settings)
    if training.tbptt_stride is not None:
        if training.tbptt_length is None:
            problem = "tbptt_stride needs tbptt_length; give both, or neither for full BPTT"
        elif training.tbptt_stride > training.tbptt_length:
            problem = (
                f"tbptt_stride {training.tbptt_stride} is longer than tbptt_length"
                f" {training.tbptt_length}, so some losses would reach no weight; it should be at"
                " most tbptt_length"
            )
        else:
            problem = ""
        if problem:
            place = getattr(where, "places", {}).get("tbptt_stride")
            raise ConfigError(
                problem, where=place or getattr(where, "place", None), key="training.tbptt_stride"
            )
    for index, length in enumerate(settings.evaluation.lengths):
        if not hasattr(settings.task, "length"):
            raise ConfigError(
                f"the task {settings.task.name!r} has no length to test at",
                key="evaluation.lengths",
            )
        try:
            settings.task.at_length(length)
        except ValidationError as error:
            section = point.settings["evaluation"]
            place = section["lengths"].places[index] if isinstance(section, Mapping) else None
            raise ConfigError(
                f"the task cannot have length {length}: {error.errors()[0]['msg']}",
                where=place,
                key=f"evaluation.lengths[{index}]",
            ) from None
    configuration = " · ".join(
        label for axis, label in point.axes.items() if axis not in ("seed", "task.length")
    )
    return Trial(
        settings=settings, configuration=configuration or settings.cell.name, axes=point.axes
    )


def _check_trials(trials: list[Trial], where: object) -> None:
    seen: dict[str, Trial] = {}
    for trial in trials:
        if trial.id in seen:
            raise ConfigError(
                f"two points of the sweep are the same trial: {_axes(seen[trial.id])} and"
                f" {_axes(trial)}; drop one",
                where=where,
                key="sweep",
            )
        seen[trial.id] = trial


def _axes(trial: Trial) -> str:
    return "(" + ", ".join(f"{axis}: {label}" for axis, label in trial.axes.items()) + ")"


def _check_expectations(header: Header, trials: list[Trial], head: Mapping) -> None:
    labels = list(dict.fromkeys(trial.configuration for trial in trials))
    lengths = sorted({getattr(trial.settings.task, "length", None) for trial in trials} - {None})  # type: ignore[type-var]
    for index, expectation in enumerate(header.expect):
        place, key = head["expect"].places[index], f"expect[{index}]"
        if (expectation.above is None) == (expectation.below is None):
            raise ConfigError("should have one of 'above' and 'below'", where=place, key=key)
        if expectation.length is not None and expectation.length not in lengths:
            known = ", ".join(map(str, lengths)) or "none"
            raise ConfigError(
                f"no trial has length {expectation.length}; known: {known}", where=place, key=key
            )
        for label in (expectation.configuration, expectation.above, expectation.below):
            if isinstance(label, str) and label not in labels:
                raise ConfigError(
                    f"there is no configuration {label!r}; {suggest(label, labels)}",
                    where=place,
                    key=key,
                )


MEASURES: tuple[str, ...] = get_args(Measure)
