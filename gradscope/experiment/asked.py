"""The probes of a trial: the default ones, those that its file names, and those that are needed.

``probes:`` adds to the default probes, and changes the options of one of them where it names that
one. The item ``none`` clears the defaults, and so does an empty list. A prediction or a figure that
is of a probe's table brings that probe along, but for ``none``, where it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradscope.components.marks import Mapping, Sequence, Where
from gradscope.components.mistakes import Mistakes
from gradscope.errors import ConfigError
from gradscope.experiment.schema import NONE, Expectation, Settings, default_probes
from gradscope.probes import PROBES, Probe
from gradscope.results import measures
from gradscope.tasks import Task

if TYPE_CHECKING:
    from gradscope.plots import Plot

#: tables of every trial that come from no probe
_ALWAYS = frozenset({"training", "evaluation", "trials"})
#: tables of some trials that come from no probe, and what gives them
_BY_SETTINGS = {
    "lengths": "other lengths to test at, 'evaluation: {lengths: [...]}'",
    "references": "a task with models to compare with, such as char_lm",
}


@dataclass
class Asked:
    """A point of the sweep on its way to a trial.

    Attributes:
        settings: of the trial.
        cleared: whether its file says that nothing but the probes it names is measured.
        configuration: its label.
        axes: axis of the sweep to its label on it.
    """

    settings: Settings
    cleared: bool
    configuration: str
    axes: dict[str, str]

    @property
    def measured(self) -> set[str]:
        """The tables that the trial will have."""
        tables = _ALWAYS | {probe.name for probe in self.settings.probes}
        if self.settings.evaluation.lengths:
            tables |= {"lengths"}
        if type(self.settings.task).references is not Task.references:
            tables |= {"references"}
        return {*tables}

    def bring(self, probe: str) -> None:
        """Measure with this probe as well, unless the file rules it out."""
        if probe not in self.measured and not self.cleared:
            probes = [*self.settings.probes, PROBES.make(probe)]
            self.settings = self.settings.model_copy(update={"probes": probes})


def with_defaults(settings: Mapping, mistakes: Mistakes) -> bool:
    """Put the default probes beside those that a point names, unless it clears them.

    Args:
        settings: of the point; its probes are replaced by components.
        mistakes: gathers what is wrong with them.

    Returns:
        Whether it says ``none``.
    """
    listed = settings.get("probes")
    if not isinstance(listed, Sequence):
        return False
    named: dict[str, Probe] = {}
    where = settings.places.get("probes")
    for index, (item, place) in enumerate(zip(listed, listed.places, strict=True)):
        if item == NONE:
            continue
        with mistakes.noted():
            probe = PROBES.make(item, place=place or where, key=f"probes[{index}]")
            if probe.name in named:
                message = f"the probe {probe.name!r} is there twice; keep one"
                raise ConfigError(message, where=where, key="probes")
            named[probe.name] = probe
    cleared = NONE in listed
    defaults = default_probes() if listed and not cleared else []
    every = {probe.name: probe for probe in defaults}
    settings.put("probes", [*(every | named).values()], where)
    return cleared


def bring_for_prediction(points: list[Asked], expectation: Expectation) -> None:
    """Measure what a prediction is about, in every trial that it concerns.

    Raises:
        ConfigError: if one of them cannot have it.
    """
    measure = measures.MEASURES.get(expectation.measure)
    bounds = (expectation.configuration, expectation.above, expectation.below)
    for point in points:
        if point.configuration not in bounds:
            continue
        task = point.settings.task
        if measure is None:
            if expectation.measure not in task.measure_words:
                raise ConfigError(
                    f"trials of {point.configuration!r} have no {expectation.measure!r}: the task "
                    f"{task.name!r} does not measure it",
                    key="measure",
                )
        elif measure.needs in PROBES.names():
            point.bring(measure.needs)
            if measure.needs not in point.measured:
                raise ConfigError(_wanting(measure.needs, "the prediction"), key="measure")


def bring_for_figure(points: list[Asked], figure: Plot, where: Where, key: str) -> None:
    """Measure what a figure shows, in every trial whose file does not rule it out.

    Raises:
        ConfigError: if no trial can have it.
    """
    needed = list(figure.requires)
    tables = set().union(*(point.measured for point in points))
    if figure.requires_any and not tables & set(figure.requires_any):
        needed.append(figure.requires_any[0])
    for table in needed:
        if table in PROBES.names():
            for point in points:
                point.bring(table)
            reason = _wanting(table, "the figure")
        elif table in _BY_SETTINGS:
            reason = f"the figure {figure.name!r} needs {_BY_SETTINGS[table]}"
        else:
            reason = f"the figure {figure.name!r} needs the table {table!r}, which no trial records"
        if not any(table in point.measured for point in points):
            raise ConfigError(reason, where=where, key=key)


def _wanting(probe: str, who: str) -> str:
    return (
        f"{who} needs the probe {probe!r}, which 'none' among the probes leaves out; add {probe!r} "
        f"beside it, or drop {who}"
    )
