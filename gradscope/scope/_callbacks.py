"""Callbacks for the loops of Lightning and transformers: a scope that records now and then."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Any

from torch import nn

from gradscope.errors import GradscopeError, MissingPackageError
from gradscope.scope._attach import attach
from gradscope.scope._scope import Scope
from gradscope.tracking.sinks import Logger, sink_of

# Lightning's and transformers' own objects are ``Any`` here: neither package need be installed.


def _loop() -> FrameType | None:
    """The frame of transformers' training loop among the callers; None where there is none."""
    frame, found = sys._getframe(), None
    while frame is not None:
        if frame.f_globals.get("__name__") == "transformers.trainer":
            found = frame
        frame = frame.f_back
    return found


class _Periodic:
    """Opens ``scope.every(n)`` where a step begins and closes it where it ends.

    Args:
        every: steps from one recording to the next.
        loggers: that take the scalars.
        options: of ``attach``.
    """

    def __init__(self, every: int, loggers: Sequence[Logger], options: dict[str, Any]):
        if every < 1:
            raise GradscopeError(f"every should be at least 1, got {every}")
        for logger in loggers:
            sink_of(logger)
        self.every, self.loggers, self.options = every, list(loggers), options
        self.scope: Scope | None = None
        self.open = ExitStack()

    def begin(self, model: nn.Module, loggers: Sequence[Logger] = ()) -> None:
        """A step begins; the first one attaches the scope."""
        if self.scope is None:
            self.scope = attach(model, **self.options)
            for logger in (*self.loggers, *loggers):
                self.scope.log_to(logger)
        self.open = ExitStack()
        self.open.enter_context(self.scope.every(self.every))
        self._abandon_with(model, _loop())

    def end(self) -> None:
        """The step ends, and is measured."""
        self.open.close()

    def _abandon_with(self, model: nn.Module, loop: FrameType | None) -> None:
        """Take the hooks off at the model's next use where the loop that began has ended.

        transformers tells no callback of an exception.
        """

        def look(module: nn.Module, args: object) -> None:
            frame = sys._getframe()
            while frame is not None and frame is not loop:
                frame = frame.f_back
            if frame is None:
                self.abandon(RuntimeError("the training that began has ended"))

        if loop is not None and model is not None:
            self.open.callback(model.register_forward_pre_hook(look).remove)

    def abandon(self, error: BaseException) -> None:
        """Take the hooks off without measuring."""
        self.open.__exit__(type(error), error, error.__traceback__)


def lightning_callback(every: int = 100, *, log_to: Sequence[Logger] = (), **options: Any) -> Any:
    """A callback for Lightning's Trainer that records every so many training batches.

        callback = gradscope.lightning_callback(every=100)
        Trainer(callbacks=[callback]).fit(module, data)
        print(callback.scope.diagnose())

    Scalars go to the trainer's own loggers and to ``log_to``. The scope is its attribute ``scope``.

    Args:
        every: training batches from one recording to the next.
        log_to: more loggers, as ``Scope.log_to`` takes them.
        options: of ``attach``.

    Raises:
        MissingPackageError: if neither lightning nor pytorch_lightning is installed.
    """
    base = _lightning_base()
    periodic = _Periodic(every, log_to, options)

    class GradscopeCallback(base):
        """Records from a batch's start to after the optimiser's step."""

        @property
        def scope(self) -> Scope | None:
            """What was attached; None before the first batch."""
            return periodic.scope

        def on_train_batch_start(
            self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
        ) -> None:
            """Open a block that may be recorded."""
            periodic.begin(pl_module, tuple(trainer.loggers))

        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            """Close the block, and measure it if it was recorded."""
            periodic.end()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            """Leave nothing on the model."""
            periodic.abandon(exception)

    return GradscopeCallback()


def _lightning_base() -> Any:
    """Lightning's Callback, of whichever package has it."""
    try:
        from lightning.pytorch import Callback  # pyright: ignore[reportMissingImports]
    except ImportError:
        try:
            from pytorch_lightning import Callback  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise MissingPackageError(
                "Lightning is not installed; 'pip install lightning' brings it"
            ) from None
    return Callback


def transformers_callback(
    every: int = 100, *, log_to: Sequence[Logger] = (), **options: Any
) -> Any:
    """A TrainerCallback for transformers' Trainer that records every so many optimiser steps.

        callback = gradscope.transformers_callback(every=100, log_to=(writer,))
        Trainer(..., callbacks=[callback]).train()
        print(callback.scope.diagnose())

    Args:
        every: optimiser steps from one recording to the next.
        log_to: loggers, as ``Scope.log_to`` takes them.
        options: of ``attach``.

    Raises:
        MissingPackageError: if transformers is not installed.
    """
    try:
        from transformers import TrainerCallback  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingPackageError(
            "transformers is not installed; 'pip install transformers' brings it"
        ) from None
    periodic = _Periodic(every, log_to, options)

    class GradscopeCallback(TrainerCallback):
        """Records from a step's start to after the optimiser's step."""

        @property
        def scope(self) -> Scope | None:
            """What was attached; None before the first step."""
            return periodic.scope

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Open a block that may be recorded."""
            periodic.begin(kwargs["model"])

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Close the block, and measure it if it was recorded."""
            periodic.end()

    return GradscopeCallback()
