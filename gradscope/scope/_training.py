"""TrainingSetup: a user's training, which can be begun again."""

from __future__ import annotations

import copy
import math
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from gradscope.capture import Depth, Loops, Steps
from gradscope.errors import GradscopeError
from gradscope.remedies import Plan
from gradscope.scope._attach import attach
from gradscope.scope._scope import Scope

_T = TypeVar("_T")
#: whatever a user's data give and the user's loss takes
Batch = Any
#: (model, batch) -> a scalar loss
Loss = Callable[[nn.Module, Batch], Tensor]


def default_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy where the targets are whole numbers, mean squared error elsewhere.

    Args:
        model: called as model(x).
        batch: (x, y).

    Raises:
        GradscopeError: for a batch or an output that this does not fit.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise GradscopeError(
            "without a loss of its own a batch should be (x, y); give a function (model, batch) -> "
            "loss"
        )
    x, y = batch
    output = model(x)
    if not isinstance(output, Tensor):
        raise GradscopeError(
            "without a loss of its own the model should give one tensor; give a function (model, "
            "batch) -> loss"
        )
    if y.is_floating_point():
        if output.shape != y.shape:
            raise GradscopeError(
                f"the model gives {tuple(output.shape)} for targets {tuple(y.shape)}; give a loss "
                "that fits"
            )
        return nn.functional.mse_loss(output, y)
    if output.shape[:-1] != y.shape:
        raise GradscopeError(
            f"the model gives {tuple(output.shape)} for labels {tuple(y.shape)}; give a loss that "
            "fits"
        )
    return nn.functional.cross_entropy(output.flatten(0, -2), y.flatten())


@dataclass
class TrainingSetup:
    """A training that can be begun again: what ``gradscope diagnose`` and ``try_remedies`` run.

        setup = gradscope.TrainingSetup(model, data=[(x, y)], loss=lambda model, batch: ...)

    Attributes:
        model: as it is at the start; it is copied and stays untouched.
        data: batches, an iterable that can be begun again (a list, a DataLoader), or a function
            that gives an iterator.
        loss: (model, batch) -> scalar loss.
        optimizer: parameters, lr -> optimiser.
        learning_rate: for it.
        max_norm: the clip of the gradient's global norm; None clips nothing.
        steps: names of modules whose call is one step, as ``attach`` takes them.
        depth: as ``attach`` takes it.
        loops: likewise.
        device: of the model and, from now on, of every batch.
    """

    model: nn.Module
    data: Iterable[Batch] | Callable[[], Iterator[Batch]]
    loss: Loss = default_loss
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam
    learning_rate: float = 1e-3
    max_norm: float | None = None
    steps: Steps = ()
    depth: Depth = False
    loops: Loops = True
    device: torch.device | str = "cpu"

    def to(self, device: torch.device | str) -> TrainingSetup:
        """Move the model, and from now on every batch, to a device; returns itself.

        Raises:
            GradscopeError: for a model without numbers.
        """
        for name, value in (*self.model.named_parameters(), *self.model.named_buffers()):
            if value.is_meta:
                raise GradscopeError(
                    f"{name} is on the device meta, which holds shapes and no numbers; give the "
                    "model its weights first, by model.to_empty(device='cpu') and a start or a "
                    "state dict"
                )
        self.device = device
        self.model.to(device)
        return self

    def name_parts(self, steps: Steps, depth: Depth | None, loops: Loops | None) -> None:
        """Attach by these instead, where they are given: neither empty nor None."""
        self.steps, self.depth = steps or self.steps, depth or self.depth
        self.loops = self.loops if loops is None else loops

    def guarded(self, work: Callable[[], _T]) -> _T:
        """``work()``; an error of the user's own code becomes one message that says where.

        Raises:
            GradscopeError: in the place of any other exception.
        """
        try:
            return work()
        except GradscopeError:
            raise
        except (Exception, SystemExit) as error:
            told = "" if self.loss is default_loss else "; a loss is called as loss(model, batch)"
            raise GradscopeError(
                f"the model, its data or its loss raised {type(error).__name__}: "
                f"{error}{_line_of(error)}{told}"
            ) from error

    def batches(self) -> Iterator[Batch]:
        """The data from its beginning, again and again.

        Raises:
            GradscopeError: if there is none.
        """
        while True:
            count = 0
            for batch in self.data() if callable(self.data) else self.data:
                count += 1
                yield pytree.tree_map_only(Tensor, lambda x: x.to(self.device), batch)
            if not count:
                raise GradscopeError(
                    "the data hold no batch, or cannot be begun again; give a list, a DataLoader "
                    "or a function"
                )

    def plan(self) -> Plan:
        """A copy that may be changed."""
        places = tuple(self._attached(self.model).places)
        return Plan(copy.deepcopy(self.model), self.learning_rate, self.max_norm, places)

    def _attached(self, model: nn.Module) -> Scope:
        return attach(model, steps=self.steps, depth=self.depth, loops=self.loops)

    def run(self, plan: Plan, updates: int, every: int) -> tuple[Scope, list[float]]:
        """Train the plan's model from the data's beginning.

        Args:
            plan: of ``plan()``.
            updates: how many; fewer where the loss is no longer finite.
            every: updates from one recording to the next; the last is recorded too.

        Returns:
            The scope, and the loss of every update.

        Raises:
            GradscopeError: if no parameter may learn, or the loss is no scalar with a gradient.
        """
        scope = self._attached(plan.model)
        parameters = [p for p in plan.model.parameters() if p.requires_grad]
        if not parameters:
            raise GradscopeError(
                "no parameter of the model may learn: requires_grad is off everywhere"
            )
        optimizer = self.optimizer(parameters, lr=plan.learning_rate)

        def update(batch: Batch) -> float:
            optimizer.zero_grad()
            loss = _checked(self.loss(plan.model, batch))
            loss.backward()
            if plan.max_norm is not None:
                nn.utils.clip_grad_norm_(parameters, plan.max_norm)
            optimizer.step()
            return float(loss.detach())

        losses: list[float] = []
        for step, batch in enumerate(islice(self.batches(), updates)):
            if step % every == 0 or step == updates - 1:
                with scope.record(train_step=step):
                    losses.append(update(batch))
            else:
                losses.append(update(batch))
            if not math.isfinite(losses[-1]):
                break
        return scope, losses


def _checked(loss: object) -> Tensor:
    """The loss, if it is a scalar tensor with a gradient."""
    if isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad:
        return loss
    what = f"a {type(loss).__name__}"
    if isinstance(loss, Tensor):
        gradient = "with" if loss.requires_grad else "without"
        what = f"a tensor {tuple(loss.shape)} {gradient} gradient"
    raise GradscopeError(
        f"the loss gives {what}; it should be a scalar tensor that the model's parameters have made"
    )


def _line_of(error: BaseException) -> str:
    """Where an error came from, in the user's own code if it passed through it."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename
    ]
    outside = [frame for frame in frames if "gradscope" not in Path(frame.filename).parts] or frames
    if not outside:
        return ""
    last = outside[-1]
    return f" ({Path(last.filename).name}, line {last.lineno}: {last.line})"
