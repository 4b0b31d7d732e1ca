"""Observer: who is told how a sweep goes on."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Observer(Protocol):
    """What watches a sweep, such as a progress display."""

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """A running trial has taken ``train_step`` of at most ``steps`` optimiser steps."""

    def finished(self, trial: str, outcome: str) -> None:
        """A trial is recorded (outcome solved, unsolved or diverged) or has failed."""


class Several:
    """Tells several observers, one after another."""

    def __init__(self, *observers: Observer):
        self.observers = observers

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """Tell all of them."""
        for observer in self.observers:
            observer.advanced(trial, train_step, steps, loss)

    def finished(self, trial: str, outcome: str) -> None:
        """Tell all of them."""
        for observer in self.observers:
            observer.finished(trial, outcome)
