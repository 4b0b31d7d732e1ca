"""Loggers: where scalars of a training go, a recording's or a trial's."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from gradscope.errors import GradscopeError

#: (scalars by name, train step): what is called for each step that has any
Sink = Callable[[dict[str, float], int], object]


@runtime_checkable
class ScalarWriter(Protocol):
    """TensorBoard's SummaryWriter."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int, /) -> object:
        """Write one number."""
        ...


@runtime_checkable
class MetricsLogger(Protocol):
    """Lightning's loggers, and the mlflow module."""

    def log_metrics(self, metrics: Mapping[str, float], /, *, step: int) -> object:
        """Write several numbers."""
        ...


@runtime_checkable
class RunLogger(Protocol):
    """A Weights & Biases run, or one of trackio."""

    def log(self, data: dict[str, float], /) -> object:
        """Write several numbers."""
        ...


#: what ``Scope.log_to`` takes; a path is of a CSV file
Logger = ScalarWriter | MetricsLogger | RunLogger | Sink | str | os.PathLike[str]

#: columns of a CSV file of scalars
_COLUMNS = ("train_step", "name", "value")


def sink_of(logger: object, prefix: str = "gradscope/") -> Sink:
    """A logger as a function of (scalars, train_step), told by the methods it has.

    Args:
        logger: to hand scalars to.
        prefix: of their names, which keeps them apart from what else the logger has.

    Raises:
        GradscopeError: for something that no scalars can be given to.
    """
    if isinstance(logger, ScalarWriter):
        writer = logger

        def write(scalars: dict[str, float], step: int) -> None:
            for name, value in _prefixed(scalars, prefix).items():
                writer.add_scalar(name, value, step)

        return write
    if isinstance(logger, MetricsLogger):
        metrics = logger
        return lambda scalars, step: metrics.log_metrics(_prefixed(scalars, prefix), step=step)
    if isinstance(logger, RunLogger):
        run = logger  # whose own step counter is left alone
        return lambda scalars, step: run.log(
            {**_prefixed(scalars, prefix), f"{prefix}train_step": step}
        )
    if isinstance(logger, str | os.PathLike):
        return _csv_sink(Path(logger), prefix)
    if callable(logger):
        return logger
    raise GradscopeError(
        f"cannot log to a {type(logger).__name__}: it should be a SummaryWriter, a wandb or "
        "trackio run, mlflow, a Lightning logger, the path of a CSV file, or a function of "
        "(scalars, train_step)"
    )


def _csv_sink(path: Path, prefix: str) -> Sink:
    """Appends a row for each scalar; there is a header first, and none twice.

    Raises:
        GradscopeError: for a file that holds something else, or cannot be written.
    """

    def rows(written: list[tuple[object, ...]]) -> None:
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(written)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8") as file:
            file.seek(0)
            header = file.readline()
        if not header:
            rows([_COLUMNS])
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise GradscopeError(f"{path}: cannot be written as a CSV file: {reason}") from None
    if header and header.strip() != ",".join(_COLUMNS):
        raise GradscopeError(
            f"{path}: holds something else; give another file, or one whose first line is "
            f"{','.join(_COLUMNS)}"
        )
    return lambda scalars, step: rows(
        [(step, name, value) for name, value in _prefixed(scalars, prefix).items()]
    )


def _prefixed(scalars: dict[str, float], prefix: str) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in scalars.items()}
