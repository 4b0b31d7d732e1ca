"""Loggers: where a recording's scalars go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from gradscope.errors import GradscopeError

#: (scalars by name, train step): what is called after each recording
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
    """A Weights & Biases run."""

    def log(self, data: dict[str, float], /) -> object:
        """Write several numbers."""
        ...


#: what ``Scope.log_to`` takes
Logger = ScalarWriter | MetricsLogger | RunLogger | Sink


def sink_of(logger: object) -> Sink:
    """A logger as a function of (scalars, train_step), told by the methods it has.

    Raises:
        GradscopeError: for something that no scalars can be given to.
    """
    if isinstance(logger, ScalarWriter):
        writer = logger

        def write(scalars: dict[str, float], step: int) -> None:
            for name, value in _prefixed(scalars).items():
                writer.add_scalar(name, value, step)

        return write
    if isinstance(logger, MetricsLogger):
        metrics = logger
        return lambda scalars, step: metrics.log_metrics(_prefixed(scalars), step=step)
    if isinstance(logger, RunLogger):
        run = logger  # whose own step counter is left alone
        return lambda scalars, step: run.log({**_prefixed(scalars), "gradscope/train_step": step})
    if callable(logger):
        return logger
    raise GradscopeError(
        f"cannot log to a {type(logger).__name__}: it should be a SummaryWriter, a wandb run, "
        "mlflow, a Lightning logger, or a function of (scalars, train_step)"
    )


def _prefixed(scalars: dict[str, float]) -> dict[str, float]:
    return {f"gradscope/{name}": value for name, value in scalars.items()}
