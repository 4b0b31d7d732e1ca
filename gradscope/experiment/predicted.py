"""What an experiment promises of its results: predictions and figures, held against its trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gradscope.components.marks import Mapping, Sequence
from gradscope.components.mistakes import Mistakes
from gradscope.components.options import attempted
from gradscope.components.suggestions import shown, suggest
from gradscope.errors import ConfigError, UnknownNameError
from gradscope.experiment.asked import Asked, bring_for_figure, bring_for_prediction
from gradscope.experiment.checks import place_of
from gradscope.experiment.schema import Expectation
from gradscope.results import measures
from gradscope.tasks import TASKS


@dataclass(frozen=True)
class Known:
    """What is known of the trials when the rest of a file is checked.

    Attributes:
        points: what the sweep asks for, as far as its settings can be used.
        labels: of all configurations; None where that is not known.
        whole: whether these are all points.
        mistakes: all that has been found wrong.
    """

    points: list[Asked]
    labels: list[str] | None
    whole: bool
    mistakes: Mistakes


def check_predictions(known: Known, head: Mapping) -> None:
    """Check each prediction by itself, and bring the probes that it needs.

    Args:
        known: of the trials; the points are changed, and mistakes gathered.
        head: the header, with places.
    """
    listed = head.get("expect")
    for index, item in enumerate(listed if isinstance(listed, list) else []):
        if not isinstance(item, Mapping):
            continue
        of_item = Mistakes()  # told with the header
        expectation = attempted(Expectation, item, of_item, owner="the experiment")
        if expectation is None or of_item.found:
            continue
        for check in (_check_measure, _check_bounds, _check_length, _check_labels):
            _noted(check, known, expectation, item, f"expect[{index}]", of_item)
        if not of_item.found:
            _noted(_bring, known, expectation, item, f"expect[{index}]", of_item)


def _noted(
    check: Callable[[Known, Expectation], None],
    known: Known,
    expectation: Expectation,
    item: Mapping,
    key: str,
    of_item: Mistakes,
) -> None:
    """Check a prediction, and gather what is wrong with its place."""
    try:
        check(known, expectation)
    except ConfigError as error:
        path = f"{key}.{error.key}" if error.key else key
        known.mistakes.add(error.at(place_of(item, error.key), path))
        of_item.add(error)


def _check_measure(known: Known, expectation: Expectation) -> None:
    if expectation.measure in measures.predictable():
        return
    tasks = (
        [type(point.settings.task) for point in known.points] if known.whole else TASKS.classes()
    )
    of_tasks = {name for task in tasks for name in task.measure_words}
    if expectation.measure not in of_tasks:
        names = [*measures.predictable(), *sorted(of_tasks)]
        raise UnknownNameError(
            f"there is no measure {shown(expectation.measure)}; "
            f"{suggest(expectation.measure, names)}",
            key="measure",
        )


def _check_bounds(known: Known, expectation: Expectation) -> None:
    if (expectation.above is None) == (expectation.below is None):
        raise ConfigError("should have one of 'above' and 'below'")


def _check_length(known: Known, expectation: Expectation) -> None:
    if expectation.length is None or not known.whole or known.mistakes.about("task"):
        return
    of_tasks = {point.settings.task.nominal_length for point in known.points}
    lengths = sorted(length for length in of_tasks if length is not None)
    if expectation.length not in lengths:
        names = ", ".join(map(str, lengths)) or "none"
        raise ConfigError(f"no trial has length {expectation.length}; known: {names}", key="length")


def _check_labels(known: Known, expectation: Expectation) -> None:
    for key in ("configuration", "above", "below"):
        label = getattr(expectation, key)
        if isinstance(label, str) and known.labels is not None and label not in known.labels:
            raise UnknownNameError(
                f"there is no configuration {shown(label)}; {suggest(label, known.labels)}", key=key
            )


def _bring(known: Known, expectation: Expectation) -> None:
    if known.whole and not known.mistakes.about("task", "probes"):
        bring_for_prediction(known.points, expectation)


def check_figures(known: Known, head: Mapping) -> None:
    """Check that each figure can be drawn, and bring the probes that it needs.

    Args:
        known: of the trials; the points are changed, and mistakes gathered.
        head: the header, with places.
    """
    listed, told = head.get("figures"), known.mistakes
    if not isinstance(listed, Sequence) or not known.whole:
        return
    if told.about("figures", "task", "probes", "evaluation"):
        return
    from gradscope.plots import PLOTS  # here, as it takes long to import

    for index, (item, where) in enumerate(zip(listed, listed.places, strict=True)):
        with told.noted():
            bring_for_figure(known.points, PLOTS.make(item), where, f"figures[{index}]")
