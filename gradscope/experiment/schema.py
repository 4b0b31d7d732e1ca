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

    layers: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="cells stacked one on another, each reading the output h of the one below",
    )
    embedding: Literal["one_hot", "learned", "scaled", "tied"] = Field(
        default="one_hot",
        description=(
            "how a token becomes a vector: one_hot, a 1 at its place; learned; scaled, learned and "
            "times sqrt(embedding_size); tied, learned and the readout's weights as well"
        ),
    )
    embedding_size: int | None = Field(
        default=None,
        ge=1,
        description=(
            "length of the vector of a token, unless one_hot; null: 16, or the cell's hidden_size "
            "where tied"
        ),
    )


class TrainingSection(Section):
    """The training loop of one trial."""

    steps: int = Field(
        default=2000,
        ge=1,
        le=10**12,
        description="optimiser steps (updates) that a trial takes at most",
    )
    batch_size: int = Field(
        default=32,
        ge=1,
        description="sequences in a training batch; the loss is the mean over them",
    )
    tbptt_length: int | None = Field(
        default=None,
        ge=1,
        description="k2: time steps that a gradient runs back; null: all of them (full BPTT)",
    )
    tbptt_stride: int | None = Field(
        default=None,
        ge=1,
        description=(
            "k1: time steps between two updates, at most tbptt_length; null: tbptt_length, which "
            "cuts a sequence in chunks; 1: sliding, every loss reaches back k2 steps"
        ),
    )
    tbptt_random: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description=(
            "ARTBP: chance of a cut at each time step, 0 to 1; gradients that pass are divided by "
            "1 - chance, which keeps them unbiased; null: no random cuts"
        ),
    )
    stop_on_success: bool = Field(
        default=True,
        description=(
            "whether a trial stops at the first evaluation that meets the task's criterion; false: "
            "it takes all its steps"
        ),
    )
    save_weights: bool = Field(
        default=False,
        description=(
            "whether the trained weights are kept, for 'gradscope sample' and Run.model; false: "
            "tables alone"
        ),
    )


class EvaluationSection(Section):
    """The tests of one trial, on sequences that it does not train on."""

    every: int = Field(
        default=100,
        ge=1,
        description="optimiser steps between two evaluations; first and last weights are tested",
    )
    sequences: int = Field(
        default=1000, ge=1, description="fresh sequences in an evaluation, the same ones in each"
    )
    lengths: list[Annotated[int, Field(ge=1)]] = Field(
        default=[],
        description="other lengths, in time steps, that the trained weights are tested on",
    )


class Expectation(Section):
    """A prediction that the report holds against what was measured."""

    claim: str = Field(description="the prediction in words, as the report prints it")
    measure: str = Field(
        description=(
            "what is compared: a column of the summary, such as success_rate, or a task's own; "
            "'gradscope list measure' names them"
        )
    )
    configuration: str = Field(
        description="label of the configuration that it is about, as 'gradscope validate' prints it"
    )
    length: int | None = Field(
        default=None, description="task length that it is about; null: the longest in the sweep"
    )
    above: float | str | None = Field(
        default=None,
        description=(
            "what the measure exceeds: a number in its unit, or the label of another "
            "configuration; null: it is held against below"
        ),
    )
    below: float | str | None = Field(
        default=None,
        description=(
            "what the measure stays under: a number in its unit, or the label of another "
            "configuration; null: it is held against above"
        ),
    )


#: what the key ``sweep`` is, which the models below do not have: it makes many of them
SWEEP = (
    "what varies from trial to trial: axes, of which every combination is run; or a list of "
    "mappings from dotted keys to values, one for each configuration; points of the axis random "
    "are drawn, as in random: {trials: 40, optimizer.lr: {log: [1e-4, 1e-1]}}"
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
        description=(
            "decides all random numbers: weights, data, tests and random cuts; trials of one seed "
            "share every draw that their settings do not decide"
        ),
    )
    dtype: Literal["float32", "float64"] = Field(
        default="float32",
        description=(
            "number format of weights, states and gradients: float32 has 7 digits, down to 1e-38; "
            "float64 has 16, down to 1e-308, and is slower"
        ),
    )
    task: Annotated[Task, Named("task")] = Field(
        description="what is learned: how sequences and their targets are drawn, and scored"
    )
    cell: Annotated[CellOptions, Named("cell")] = Field(
        description="the recurrent cell, one step s_t = F(x_t, s_{t-1}), with its size and init"
    )
    model: ModelSection = Field(
        default=ModelSection(), description="what is around the cell: layers and embedding"
    )
    # defaults are names here, as in a file; Named makes the components
    clip: Annotated[Clip, Named("clip")] = Field(
        default=cast(Clip, "none"),
        description="what bounds or changes the gradient before each update; none leaves it",
    )
    optimizer: Annotated[Optimizer, Named("optimizer")] = Field(
        default=cast(Optimizer, "adam"),
        description="how a gradient changes the weights, with the learning rate lr",
    )
    training: TrainingSection = Field(
        default=TrainingSection(),
        description="the training loop of one trial: steps, batches, and where gradients are cut",
    )
    evaluation: EvaluationSection = Field(
        default=EvaluationSection(),
        description="the tests of one trial, on sequences that it does not train on",
    )
    probes: list[Annotated[Probe, Named("probe")]] = Field(
        default_factory=default_probes,
        description=(
            "what is measured inside the network: probes beside the default ones, or one of those "
            "with other options; the item none clears the defaults"
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
        description="name of the experiment, and of its directory under reports/",
    )
    question: str = Field(
        default="", description="what the experiment asks, a sentence at the head of its report"
    )
    answer: str = Field(
        default="",
        description="the published or predicted answer, which the report shows beside the results",
    )
    source: str = Field(
        default="", description="where the question or the set-up comes from, such as a paper"
    )
    expect: list[Expectation] = Field(
        default=[], description="predictions that the report holds against what was measured"
    )
    figures: list[Annotated[Component, Named("plot")]] | None = Field(
        default=None,
        description="plots of the report, in their order; null: every plot that its tables allow",
    )

    @field_validator("name")
    @classmethod
    def _is_no_file_of_an_index(cls, name: str) -> str:
        """A folder of experiments has an index.html beside their directories."""
        if name.casefold() == "index.html":
            raise ValueError("is the name of the page that links reports; choose another name")
        return name
