"""Loggers: where a recording's scalars go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradscope.errors import GradscopeError

#: (scalars by name, train step): what a logger is given after each recording
Sink = Callable[[dict[str, float], int], None]


def sink_of(sink: Any) -> Sink:
    """A logger as a function of (scalars, train_step), told by the methods it has.

    Raises:
        GradscopeError: for something that no scalars can be given to.
    """
    if hasattr(sink, "add_scalar"):  # TensorBoard's SummaryWriter

        def write(scalars: dict[str, float], step: int) -> None:
            for name, value in scalars.items():
                sink.add_scalar(f"gradscope/{name}", value, step)

        return write

    def prefixed(scalars: dict[str, float]) -> dict[str, float]:
        return {f"gradscope/{name}": value for name, value in scalars.items()}

    if hasattr(sink, "log_metrics"):  # Lightning's loggers (metrics, step); mlflow (metrics, step=)
        return lambda scalars, step: sink.log_metrics(prefixed(scalars), step=step)
    if hasattr(sink, "log"):  # a Weights & Biases run; its own step counter is left alone
        return lambda scalars, step: sink.log({**prefixed(scalars), "gradscope/train_step": step})
    if callable(sink):
        return sink  # type: ignore[return-value]
    raise GradscopeError(
        f"cannot log to a {type(sink).__name__}: it should be a SummaryWriter, a wandb run, mlflow,"
        " a Lightning logger, or a function of (scalars, train_step)"
    )
