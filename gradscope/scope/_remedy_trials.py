"""A user's training, run for a few updates to be diagnosed, and again with each remedy to see what
it changes.
"""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.util
import inspect
import math
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from gradscope.components.registry import suggest
from gradscope.diagnosis import Diagnosis, Plan, Remedy
from gradscope.errors import GradscopeError
from gradscope.results.tables import number
from gradscope.scope._attach import attach
from gradscope.scope._scope import Scope

_T = TypeVar("_T")
#: (model, batch) -> a scalar loss
Loss = Callable[[nn.Module, Any], Tensor]


def default_loss(model: nn.Module, batch: Any) -> Tensor:
    """Of a batch (x, y): cross-entropy of model(x) where y holds whole numbers, mean squared error
    elsewhere.

    Raises:
        GradscopeError: for a batch or an output that this does not fit.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise GradscopeError(
            "without a loss of its own a batch should be (x, y); give a function (model, batch) ->"
            " loss"
        )
    x, y = batch
    output = model(x)
    if not isinstance(output, Tensor):
        raise GradscopeError(
            "without a loss of its own the model should give one tensor; give a function (model,"
            " batch) -> loss"
        )
    if y.is_floating_point():
        if output.shape != y.shape:
            raise GradscopeError(
                f"the model gives {tuple(output.shape)} for targets {tuple(y.shape)}; give a loss"
                " that fits"
            )
        return nn.functional.mse_loss(output, y)
    if output.shape[:-1] != y.shape:
        raise GradscopeError(
            f"the model gives {tuple(output.shape)} for labels {tuple(y.shape)}; give a loss that"
            " fits"
        )
    return nn.functional.cross_entropy(output.flatten(0, -2), y.flatten())


@dataclass
class TrainingSetup:
    """A training that can be begun again: what ``gradscope diagnose`` and ``try_remedies`` run.

    Attributes:
        model: as it is at the start; it is copied and stays untouched.
        data: batches, an iterable that can be begun again (a list, a DataLoader), or a function
            that gives an iterator.
        loss: (model, batch) -> scalar loss.
        optimizer: parameters, lr -> optimiser; Adam.
        learning_rate: for it.
        max_norm: the clip of the gradient's global norm; None clips nothing.
        steps: names of modules whose call is one step, as ``attach`` takes them.
        depth: as ``attach`` takes it.
    """

    model: nn.Module
    data: Iterable[Any] | Callable[[], Iterator[Any]]
    loss: Loss = default_loss
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam
    learning_rate: float = 1e-3
    max_norm: float | None = None
    steps: Any = ()
    depth: Any = False
    device: torch.device | str = "cpu"

    def to(self, device: torch.device | str) -> TrainingSetup:
        """Itself, with the model and from now on every batch on that device."""
        self.device = device
        self.model.to(device)
        return self

    def guarded(self, work: Callable[[], _T]) -> _T:
        """``work()``; an error of the user's own code becomes one message that says where it came
        from.

        Raises:
            GradscopeError: in the place of any other exception.
        """
        try:
            return work()
        except GradscopeError:
            raise
        except Exception as error:
            frames = [
                f
                for f in traceback.extract_tb(error.__traceback__)
                if "site-packages" not in f.filename
            ]
            where = [f for f in frames if "gradscope" not in Path(f.filename).parts] or frames
            place = (
                f" ({Path(where[-1].filename).name}, line {where[-1].lineno}: {where[-1].line})"
                if where
                else ""
            )
            told = "" if self.loss is default_loss else "; a loss is called as loss(model, batch)"
            raise GradscopeError(
                f"the model, its data or its loss raised {type(error).__name__}:"
                f" {error}{place}{told}"
            ) from error

    def batches(self) -> Iterator[Any]:
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
                    "the data hold no batch, or cannot be begun again; give a list, a DataLoader or"
                    " a function"
                )

    def plan(self) -> Plan:
        """A copy that may be changed."""
        places = tuple(attach(self.model, steps=self.steps, depth=self.depth).places)
        return Plan(copy.deepcopy(self.model), self.learning_rate, self.max_norm, places)

    def run(self, plan: Plan, updates: int, every: int) -> tuple[Scope, list[float]]:
        """Train the plan's model from the data's beginning, recording every so often and at the
        last update.
        """
        scope = attach(plan.model, steps=self.steps, depth=self.depth)
        parameters = [p for p in plan.model.parameters() if p.requires_grad]
        if not parameters:
            raise GradscopeError(
                "no parameter of the model may learn: requires_grad is off everywhere"
            )
        optimizer = self.optimizer(parameters, lr=plan.learning_rate)
        losses: list[float] = []

        def update(batch: Any) -> None:
            optimizer.zero_grad()
            loss = self.loss(plan.model, batch)
            if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
                what = f"a {type(loss).__name__}"
                if isinstance(loss, Tensor):
                    what = (
                        f"a tensor {tuple(loss.shape)}"
                        f" {'with' if loss.requires_grad else 'without'} gradient"
                    )
                raise GradscopeError(
                    f"the loss gives {what}; it should be a scalar tensor that the model's"
                    " parameters have made"
                )
            loss.backward()
            if plan.max_norm is not None:
                nn.utils.clip_grad_norm_(parameters, plan.max_norm)
            optimizer.step()
            losses.append(float(loss.detach()))

        for step, batch in zip(range(updates), self.batches(), strict=False):
            if step % every == 0 or step == updates - 1:
                with scope.record(train_step=step):
                    update(batch)
            else:
                update(batch)
            if not math.isfinite(losses[-1]):
                break
        return scope, losses


@dataclass(frozen=True)
class Trials:
    """What remedies changed.

    Attributes:
        baseline: the diagnosis without a remedy.
        scope: of the training without a remedy.
        frame: remedy, what, loss_first, loss_last (mean of the last tenth), findings_gone,
            findings_new; the first row is the training as it is.
        updates: how long each ran.
    """

    baseline: Diagnosis
    scope: Scope
    frame: pd.DataFrame
    updates: int
    caption: str = field(default="")

    def formatted(self) -> pd.DataFrame:
        """In print."""
        return pd.DataFrame(
            {
                "remedy": self.frame["what"],
                "loss at first": [number(v) for v in self.frame["loss_first"]],
                "loss at last": [number(v) for v in self.frame["loss_last"]],
                "against as it is": ["", *map(self._verdict, self.frame["loss_last"].iloc[1:])],
                "findings gone": self.frame["findings_gone"],
                "findings new": self.frame["findings_new"],
            }
        )

    def __str__(self) -> str:
        lines = []
        for row in self.frame.to_dict("records"):
            text = (
                f"- {row['what']}: loss {number(row['loss_first'])} -> {number(row['loss_last'])}"
            )
            if row["remedy"]:
                text += f" (against as it is {self._verdict(row['loss_last'])})"
                text += f"; gone: {row['findings_gone']}; new: {row['findings_new']}"
            lines.append(textwrap.fill(text, 100, subsequent_indent="  "))
        return "\n".join([*lines, textwrap.fill(self.caption, 100)])

    def _verdict(self, loss: float) -> str:
        """A last loss beside that of the training as it is."""
        reference = float(self.frame["loss_last"].iloc[0])
        if not (loss > 0 and reference > 0 and math.isfinite(loss) and math.isfinite(reference)):
            return "lower" if loss < reference else "not lower"
        word = (
            "about the same"
            if 0.9 < loss / reference < 1.1
            else "better"
            if loss < reference
            else "worse"
        )
        return f"× {loss / reference:.2g}: {word}"


def try_remedies(
    training: TrainingSetup,
    diagnosis: Diagnosis,
    scope: Scope,
    *,
    count: int = 3,
    updates: int = 300,
) -> Trials:
    """Train as it is, and with each of the first remedies, from the same start on the same data;
    what changes?

    Args:
        training: to be begun again for each.
        diagnosis: whose findings' remedies are tried, the first finding's first.
        scope: that the diagnosis is of.
        count: of remedies.
        updates: of each training.

    Raises:
        GradscopeError: if no remedy of the findings can be applied by itself.
    """
    chosen = _applicable(training, diagnosis, count)
    if not chosen:
        raise GradscopeError(
            "no remedy of these findings can be applied by itself; they are for the model's code"
        )
    before = {(f.finding, f.where) for f in diagnosis.findings}
    state = torch.get_rng_state()
    rows, after = [], before
    for name, what, apply in [("", "as it is", None), *((r.name, r.what, r.apply) for r in chosen)]:
        torch.set_rng_state(state)
        plan = training.plan()
        if apply is not None:
            apply(plan)
        tried, losses = training.run(plan, updates, updates)
        found = {(f.finding, f.where) for f in tried.diagnose().findings}
        after = found if not name else after
        tenth = losses[-max(1, len(losses) // 10) :]
        rows.append(
            {
                "remedy": name,
                "what": what,
                "loss_first": losses[0],
                "loss_last": sum(tenth) / len(tenth),
                "findings_gone": _names(after - found) if name else "",
                "findings_new": _names(found - after) if name else "",
            }
        )
    caption = (
        f"Each training begins anew with the same weights and data and takes {updates} updates; a"
        " loss at last is the mean of the last tenth. Gone and new: against the training as it is,"
        " at the last update. One run each: a small difference says nothing."
    )
    return Trials(diagnosis, scope, pd.DataFrame(rows), updates, caption)


def _applicable(training: TrainingSetup, diagnosis: Diagnosis, count: int) -> list[Remedy]:
    """The first remedies, finding by finding, that change something and with which the model still
    runs.
    """
    found: list[Remedy] = []
    for finding in diagnosis.findings:
        for remedy in diagnosis.remedies(finding):
            if len(found) < count and remedy not in found and _runs(training, remedy):
                found.append(remedy)
    return found


def _runs(training: TrainingSetup, remedy: Remedy) -> bool:
    plan = training.plan()
    if remedy.apply is None or not remedy.apply(plan):
        return False
    try:
        with torch.no_grad():
            training.loss(plan.model, next(training.batches()))
    except (
        Exception
    ):  # the model's own code does not take the change, such as another kind of state
        return False
    return True


def _names(pairs: set[tuple[str, str]]) -> str:
    return (
        ", ".join(sorted(f"{finding.replace('_', ' ')} at {where}" for finding, where in pairs))
        or "none"
    )


def imported(spec: str, option: str) -> Any:
    """What ``package.module:name`` or ``path/to/file.py:name`` names.

    Raises:
        GradscopeError: if it cannot be imported, or has no such name.
    """
    module, colon, name = spec.rpartition(":")
    if not colon or not module or not name:
        raise GradscopeError(
            f"{option} {spec!r}: should be package.module:name or path/to/file.py:name"
        )
    try:
        if module.endswith(".py"):
            path = Path(module)
            if not path.exists():
                raise GradscopeError(f"{option} {spec!r}: there is no file {module}")
            made = importlib.util.spec_from_file_location(path.stem, path)
            assert made is not None
            assert made.loader is not None
            found = importlib.util.module_from_spec(made)
            sys.modules.setdefault(path.stem, found)
            sys.path.insert(0, str(path.parent.resolve()))
            made.loader.exec_module(found)
        else:
            sys.path.insert(0, str(Path.cwd()))
            found = importlib.import_module(module)
    except GradscopeError:
        raise
    except Exception as error:
        raise GradscopeError(
            f"{option} {spec!r}: importing {module} failed: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(found, name):
        names = [
            n for n, v in vars(found).items() if not n.startswith("_") and not inspect.ismodule(v)
        ]
        raise GradscopeError(f"{option} {spec!r}: {module} has no {name!r}; {suggest(name, names)}")
    return getattr(found, name)


def training_of(made: Any, data: Any = None, loss: Loss | None = None) -> TrainingSetup:
    """What a factory gave as a ``TrainingSetup``: one as it is, (model, data), (model, data, loss),
    or a model with ``data``.

    Raises:
        GradscopeError: for anything else, or without data.
    """
    if isinstance(made, TrainingSetup):
        training = made
    elif isinstance(made, nn.Module):
        if data is None:
            raise GradscopeError(
                "the factory gives a model alone: name its batches with --data package.module:name"
            )
        training = TrainingSetup(made, data)
    elif isinstance(made, Sequence) and len(made) in (2, 3) and isinstance(made[0], nn.Module):
        training = TrainingSetup(*made)
    else:
        raise GradscopeError(
            f"the factory gives a {type(made).__name__}; it should give a model, (model, data),"
            " (model, data, loss) or a gradscope.TrainingSetup"
        )
    if data is not None:
        training.data = data
    if loss is not None:
        training.loss = loss
    if isinstance(training.loss, nn.Module):  # a criterion of (output, target)
        training.loss = functools.partial(_by_criterion, training.loss)
    if not callable(training.loss):
        raise GradscopeError(
            f"the loss is a {type(training.loss).__name__}; it should be a function (model, batch)"
            " -> loss"
        )
    return training


def _by_criterion(criterion: nn.Module, model: nn.Module, batch: Any) -> Tensor:
    x, y = batch
    return criterion(model(x), y)
