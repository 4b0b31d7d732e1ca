"""Callbacks for the loops of Lightning and transformers: a scope that records every so many steps."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from torch import nn

from gradscope.errors import GradscopeError
from gradscope.scope._attach import attach
from gradscope.scope._scope import Scope
from gradscope.scope._sinks import sink_of


class _Periodic:
    """Opens ``scope.every(n)`` where a step begins and closes it where it ends."""

    def __init__(self, every: int, sinks: tuple[Any, ...], options: dict[str, Any]):
        if every < 1:
            raise GradscopeError(f"every should be at least 1, got {every}")
        self.every, self.sinks, self.options = every, sinks, options
        self.scope: Scope | None = None
        self.open = ExitStack()

    def begin(self, model: nn.Module, sinks: tuple[Any, ...] = ()) -> None:
        if self.scope is None:
            self.scope = attach(model, **self.options)
            for sink in (*self.sinks, *sinks):
                self.scope.log_to(sink)
        self.open = ExitStack()
        self.open.enter_context(self.scope.every(self.every))

    def end(self) -> None:
        self.open.close()

    def abandon(self, error: BaseException) -> None:
        """Take the hooks off without measuring."""
        self.open.__exit__(type(error), error, error.__traceback__)


def lightning_callback(every: int = 100, *, log_to: tuple[Any, ...] = (), **options: Any) -> Any:
    """A callback for Lightning's Trainer that records every so many training batches; the scope is
    its attribute ``scope``.

        trainer = Trainer(callbacks=[gradscope.lightning_callback(every=100)])

    Scalars go to the trainer's own loggers and to ``log_to``.

    Args:
        every: training batches from one recording to the next.
        log_to: loggers more, as ``Scope.log_to`` takes them.
        options: of ``attach``.

    Raises:
        GradscopeError: if neither lightning nor pytorch_lightning is installed.
    """
    try:
        from lightning.pytorch import Callback
    except ImportError:
        try:
            from pytorch_lightning import Callback  # type: ignore[import-not-found,no-redef]
        except ImportError:
            raise GradscopeError(
                "Lightning is not installed; 'pip install lightning' brings it"
            ) from None
    periodic = _Periodic(every, log_to, options)
    base: Any = Callback

    class GradscopeCallback(base):
        """Records what the training step does, from the batch's start to after the optimiser's
        step.
        """

        @property
        def scope(self) -> Scope | None:
            """What was attached; None before the first batch."""
            return periodic.scope

        def on_train_batch_start(
            self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
        ) -> None:
            """Begin."""
            periodic.begin(pl_module, tuple(trainer.loggers))

        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            """End, and measure."""
            periodic.end()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            """Leave nothing on the model."""
            periodic.abandon(exception)

    return GradscopeCallback()


def transformers_callback(every: int = 100, *, log_to: tuple[Any, ...] = (), **options: Any) -> Any:
    """A TrainerCallback for transformers' Trainer that records every so many optimiser steps; the
    scope is its ``scope``.

        trainer = Trainer(..., callbacks=[gradscope.transformers_callback(every=100, log_to=(writer,))])

    Args:
        every: optimiser steps from one recording to the next.
        log_to: loggers, as ``Scope.log_to`` takes them.
        options: of ``attach``.

    Raises:
        GradscopeError: if transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError:
        raise GradscopeError(
            "transformers is not installed; 'pip install transformers' brings it"
        ) from None
    for sink in log_to:
        sink_of(sink)
    periodic = _Periodic(every, log_to, options)

    class GradscopeCallback(TrainerCallback):
        """Records from a step's start to after the optimiser's step."""

        @property
        def scope(self) -> Scope | None:
            """What was attached; None before the first step."""
            return periodic.scope

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Begin."""
            periodic.begin(kwargs["model"])

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """End, and measure."""
            periodic.end()

    return GradscopeCallback()
