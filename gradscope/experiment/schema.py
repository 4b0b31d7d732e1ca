"""What an experiment is made of: a header, sections of typed settings, and frozen trials."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gradscope.cells import CellOptions
from gradscope.clips import Clip
from gradscope.components.base import Component, name_of
from gradscope.components.identity import identified, sha256
from gradscope.components.options import Named, dump
from gradscope.experiment import seeding
from gradscope.optimizers import Optimizer
from gradscope.probes import PROBES, Probe
from gradscope.tasks import Task


class Section(BaseModel):
    """Base of the sections of an experiment."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_default=True, allow_inf_nan=False
    )


class ModelSection(Section):
    """The model around the cell."""

    layers: int = Field(default=1, ge=1, le=1000, description="cells stacked one on another")
    embedding: Literal["one_hot", "learned", "scaled", "tied"] = Field(
        default="one_hot",
        description=(
            "how a token becomes a vector; scaled: times sqrt(size); tied: the readout's weights "
            "as well"
        ),
    )
    embedding_size: int | None = Field(
        default=None,
        ge=1,
        description=(
            "length of an embedding that is learned; null is 16, and the cell's hidden_size where "
            "tied"
        ),
    )


class TrainingSection(Section):
    """The training loop of one trial."""

    steps: int = Field(default=2000, ge=1, le=10**12, description="optimiser steps at most")
    batch_size: int = Field(default=32, ge=1, description="sequences in a batch")
    tbptt_length: int | None = Field(
        default=None, ge=1, description="k2: steps a gradient runs back; null is full BPTT"
    )
    tbptt_stride: int | None = Field(
        default=None,
        ge=1,
        description="k1: time steps between updates; null is tbptt_length (chunks), 1 is sliding",
    )
    tbptt_random: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description=(
            "ARTBP: chance of a cut at each step, where gradients that pass are divided by "
            "1 - chance; null: no random cuts"
        ),
    )
    stop_on_success: bool = Field(
        default=True, description="stop at the first evaluation that meets the task's criterion"
    )
    save_weights: bool = Field(
        default=False, description="keep the trained weights, for 'gradscope sample' and Run.model"
    )


class EvaluationSection(Section):
    """The tests of one trial, on sequences that it does not train on."""

    every: int = Field(default=100, ge=1, description="optimiser steps between two evaluations")
    sequences: int = Field(default=1000, ge=1, description="fresh sequences in an evaluation")
    lengths: list[Annotated[int, Field(ge=1)]] = Field(
        default=[], description="other lengths to test on at the end"
    )


class Expectation(Section):
    """A prediction that the report holds against what was measured."""

    claim: str = Field(description="the prediction in words")
    measure: str = Field(description="a column of the report's summary, such as success_rate")
    configuration: str = Field(description="label of the configuration it is about")
    length: int | None = Field(
        default=None, description="task length; null is the longest in the sweep"
    )
    above: float | str | None = Field(
        default=None, description="a number, or the configuration whose measure it exceeds"
    )
    below: float | str | None = Field(
        default=None, description="a number, or the configuration whose measure it stays under"
    )


#: the item of ``probes`` that clears the defaults
NONE = "none"


def default_probes() -> list[Probe]:
    """The probes that an experiment measures without naming them."""
    chosen = [probe for probe in PROBES.classes() if probe.by_default]
    return [PROBES.make(name_of(probe)) for probe in sorted(chosen, key=lambda probe: probe.order)]


class Settings(Section):
    """Everything that decides the outcome of one trial."""

    seed: int = Field(
        default=0,
        ge=0,
        lt=2**63,
        description="of all random numbers; what a setting does not decide it shares at one seed",
    )
    dtype: Literal["float32", "float64"] = "float32"
    task: Annotated[Task, Named("task")]
    cell: Annotated[CellOptions, Named("cell")]
    model: ModelSection = ModelSection()
    # defaults are names here, as in a file; Named makes the components
    clip: Annotated[Clip, Named("clip")] = Field(default=cast(Clip, "none"))
    optimizer: Annotated[Optimizer, Named("optimizer")] = Field(default=cast(Optimizer, "adam"))
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()
    probes: list[Annotated[Probe, Named("probe")]] = Field(
        default_factory=default_probes,
        description=(
            "measurements, beside the default ones or in the place of one of them; the item none "
            "clears the defaults"
        ),
    )


class Trial(BaseModel):
    """One point of the sweep: its settings, and its labels on the axes of the sweep.

    Attributes:
        settings: everything that decides its outcome.
        configuration: its labels without those of seed and task length.
        axes: axis of the sweep to the trial's label on it.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    settings: Settings
    configuration: str
    axes: dict[str, str]

    @cached_property
    def resolved(self) -> dict[str, object]:
        """The settings as plain JSON values, defaults written out."""
        return {key: dump(value) for key, value in self.settings}

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits that depend on the settings alone, and the rule of seeding.

        They do not depend on order, labels or the rest of the sweep. Of a file that the task reads
        they depend on the contents, not on the path.
        """
        return sha256({"seeding": seeding.RULE, "settings": identified(self.settings)})[:12]

    @property
    def task_length(self) -> int | None:
        """The length of the task's sequences; None where the task has no such option."""
        return self.settings.task.nominal_length

    @cached_property
    def draws(self) -> dict[str, str]:
        """What is drawn (weights, training, test) to twelve digits of all that decides it.

        Trials with the same digits begin with the same weights, or see the same sequences, bit for
        bit.
        """
        settings, task = self.settings, self.settings.task
        decided: dict[str, list[object]] = {
            "weights": [task.sizes, *map(identified, (settings.cell, settings.model))],
            "training": [seeding.trained_on(task), settings.training.batch_size],
            "testing": [identified(task), settings.evaluation.sequences],
        }
        decided["weights"].append(settings.dtype)
        return {what: sha256([settings.seed, *of])[:12] for what, of in decided.items()}


class Header(Section):
    """The part of an experiment that changes no result: its name, its words, its figures."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=100,
        description="of the run directory under reports/",
    )
    question: str = Field(default="", description="what the experiment asks")
    answer: str = Field(default="", description="the published or predicted answer")
    source: str = Field(default="", description="where the question or the set-up comes from")
    expect: list[Expectation] = Field(default=[], description="predictions")
    figures: list[Annotated[Component, Named("plot")]] | None = Field(
        default=None, description="plots of the report; null is all that fit"
    )

    @field_validator("name")
    @classmethod
    def _is_no_file_of_an_index(cls, name: str) -> str:
        """A folder of experiments has an index.html beside their directories."""
        if name.casefold() == "index.html":
            raise ValueError("is the name of the page that links reports; choose another name")
        return name
