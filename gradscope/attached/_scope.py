"""Scope: what is attached to a model, and what it has recorded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from gradscope.attached._depth import DepthWatch, containers
from gradscope.attached._fused import FusedWatch
from gradscope.attached._scans import ADAPTERS, ScanWatch
from gradscope.attached._steps import Step, StepWatch
from gradscope.attached._watch import Watch
from gradscope.cells import Cell, Stack
from gradscope.dynamics import Adjoints
from gradscope.errors import GradscopeError
from gradscope.options import component
from gradscope.registry import suggest
from gradscope.tables import Tables
from gradscope.trace import Trace

if TYPE_CHECKING:
    from gradscope.diagnosis import Diagnosis

#: probes whose work grows with the number of steps alone: what every recorded block measures unless told otherwise
LIGHT = ("adjoint_norms", "input_gradients", "saturation")
#: what a report adds on the last recording
FULL = (
    "jacobian_norms",
    "memory_horizon",
    "spectra",
    "lyapunov",
    "lag_contributions",
    "gates",
    "non_normality",
    "singular_values",
)
#: of these, what forms no Jacobian
_FORMS_NO_JACOBIAN = ("lag_contributions", "gates", "saturation", "adjoint_norms", "input_gradients")
#: units of the state above which Jacobians of the full state are not formed unasked
LARGE = 1100

#: (scalars by name, train step): what a logger is given after each recording
Sink = Callable[[dict[str, float], int], None]


@dataclass
class Recording:
    """What one recorded block left.

    Attributes:
        train_step: number of the block among all that the scope went through, or the caller's own.
        traces: name of the recurrence to its ``Trace``; every function of ``gradscope.dynamics`` takes one. Names are the
            module's, then the layer and direction as torch has them: ``encoder.lstm.l1_reverse``.
        notes: what the reader should know, such as a state that was cut off between two calls.
        carried: names of the traces that begin in a state which came, detached, from an earlier step.
        gradients: parameter to (number of elements, gradient norm after backward, norm at the optimiser's step); the last is
            NaN where no optimiser stepped within the block.
        updates: parameter to ||change|| / ||value|| of the optimiser's step within the block.
        nonfinite: recurrence to the first step whose state is not finite.
        modules: recurrence to the module that it is part of.
        places: recurrence to that module's name.
    """

    train_step: int
    traces: dict[str, Trace] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    carried: set[str] = field(default_factory=set)
    gradients: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    updates: dict[str, float] = field(default_factory=dict)
    nonfinite: dict[str, int] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict, repr=False)
    places: dict[str, str] = field(default_factory=dict)

    def trace(self, name: str) -> Trace:
        """The trace of one recurrence.

        Raises:
            GradscopeError: for a name that was not recorded; the message lists those that were.
        """
        if name not in self.traces:
            raise GradscopeError(f"nothing was recorded as {name!r}; {suggest(name, list(self.traces))}")
        return self.traces[name]

    def stack(self, name: str) -> Trace:
        """All layers of a module as one recurrence, whose state is all layers' states: d(every layer)/d(every layer).

        For a unidirectional module without dropout between its layers, or sequences of several lengths.

        Raises:
            GradscopeError: if there is no such module.
        """
        layers = [trace for key, trace in self.traces.items() if key.rpartition(".")[0] == name or key == name]
        cells = [trace.cell for trace in layers]
        whole = cells and all(above.input_size == below.hidden_size for below, above in pairwise(cells))
        same = whole and all(
            torch.equal(above.inputs, below.cell.hidden(below.states[1:])) for below, above in pairwise(layers)
        )
        if not same:
            raise GradscopeError(
                f"{name!r} is not one recurrence of stacked layers (bidirectional, with dropout between layers, with sequences "
                f"of several lengths, or unknown); its parts are there: {', '.join(self.traces)}"
            )
        states = torch.cat([trace.states.detach() for trace in layers], dim=-1).requires_grad_()
        if any(trace.immediate is None for trace in layers):
            return Trace(Stack(cells), layers[0].inputs, states)
        values = [trace.immediate.values().to(states.dtype) for trace in layers]
        for index, above in enumerate(layers[1:]):  # what came down from the layer above is a path within the stack
            from_above = above.cache["adjoints"].by_input.values().to(states.dtype)
            part = layers[index].cell.hidden(values[index])[1:]
            part -= from_above
            part[part.abs() <= 32 * torch.finfo(part.dtype).eps * from_above.abs()] = 0
        immediate = torch.cat(values, dim=-1)
        scale = torch.zeros(immediate.shape[:2], dtype=torch.float64, device=immediate.device)
        return Trace(Stack(cells), layers[0].inputs, states, immediate=Adjoints(immediate, scale))


class Scope:
    """Looks at the recurrences of a model while it trains. Make one with ``attach``.

    Attributes:
        model: as it was given; nothing in it is changed, and hooks are on it within recorded blocks only.
        places: what is watched, name to kind.
        unattached: what looks like a recurrence and cannot be watched, with what to do about it.
        last: the latest recording, whose traces are kept; None before the first.
        train_step: how many blocks (``record`` and ``every``) have been entered.
    """

    def __init__(
        self, model: nn.Module, makers: dict[str, tuple[str, Callable[[], Watch]]], unattached: list[str], probes: list[Any]
    ):
        self.model, self.unattached, self.probes = model, unattached, probes
        self._makers = makers
        self.places = {name: kind for name, (kind, _) in makers.items()}
        self.last: Recording | None = None
        self.train_step = 0
        self.skipped: dict[str, str] = {}
        self._frames: dict[str, list[pd.DataFrame]] = {}
        self._names: list[str] = []
        self._sinks: list[Sink] = []
        self._inside = False

    def __repr__(self) -> str:
        lines = [
            f"Scope of {type(self.model).__name__}: " + ", ".join(f"{n or 'itself'} ({k})" for n, k in self.places.items())
        ]
        return "\n".join([*lines, *(f"not attached: {text}" for text in self.unattached)])

    # --- recording -----------------------------------------------------------------------------------------------------

    @contextmanager
    def record(self, *, train_step: int | None = None, probes: Sequence[Any] | None = None) -> Iterator[Recording]:
        """Record one forward and backward pass (or more), and measure it when the block ends.

        Put the clip and the optimiser's step into the block as well, at its end, and what they did is recorded too. An
        exception goes through; the hooks come off in any case.

        Args:
            train_step: the block's number; None counts blocks from 0.
            probes: instead of the scope's own.

        Raises:
            GradscopeError: if a module's step is not a function of its input and state alone, or a block is inside another.
        """
        if self._inside:
            raise GradscopeError("a recorded block is inside another one of the same scope; leave the first before the next")
        recording = Recording(self.train_step if train_step is None else train_step)
        self.train_step += 1
        watches = {place: make() for place, (_, make) in self._makers.items()}
        hooks, gradients = ExitStack(), _Gradients(self.model)
        self._inside = True
        self.last = None  # what it holds makes room
        try:
            with hooks:
                for watch in watches.values():
                    watch.install(hooks)
                gradients.install(hooks)
                yield recording
        finally:
            self._inside = False
        with torch.enable_grad():
            self._finish(recording, watches, gradients, self.probes if probes is None else _probes(probes))

    @contextmanager
    def every(self, steps: int, *, probes: Sequence[Any] | None = None) -> Iterator[Recording | None]:
        """``record`` in the first block and every ``steps`` blocks from then on; None, and no cost, in the others.

        Raises:
            GradscopeError: for steps below 1, or as ``record``.
        """
        if steps < 1:
            raise GradscopeError(f"every({steps}): should be at least 1, the number of blocks from one recording to the next")
        if self.train_step % steps:
            self.train_step += 1
            yield None
            return
        with self.record(probes=probes) as recording:
            yield recording

    def _finish(self, recording: Recording, watches: dict[str, Watch], gradients: _Gradients, probes: list[Any]) -> None:
        for place, watch in watches.items():
            found = watch.harvest()
            recording.traces |= found.traces
            recording.modules |= dict.fromkeys(found.traces, watch.module)
            recording.places |= dict.fromkeys(found.traces, place)
            recording.notes += found.notes
            recording.carried |= found.carried
        if not recording.traces:
            raise GradscopeError(
                f"nothing was called within the recorded block: it should hold the forward pass of {', '.join(self.places)}"
            )
        recording.gradients, recording.updates = gradients.norms(), gradients.ratios()
        for name, trace in recording.traces.items():
            states = trace.states.detach()
            if not bool(states.sum().isfinite()) and not bool((finite := states.isfinite().flatten(1).all(1)).all()):
                recording.nonfinite[name] = int((~finite).nonzero()[0])
        self.last = recording
        self._names += [name for name in recording.traces if name not in self._names]
        if recording.gradients:
            frame = pd.DataFrame(
                [(name, *values) for name, values in recording.gradients.items()],
                columns=["parameter", "size", "grad_norm_preclip", "grad_norm_postclip"],
            )
            self._keep("grad_norms", "", recording.train_step, frame)
        self._measure(recording, probes)
        scalars = self.scalars()
        for sink in self._sinks:
            sink(scalars, recording.train_step)

    def _measure(self, recording: Recording, probes: list[Any]) -> None:
        for probe in probes:
            for name, trace in recording.traces.items():
                if name in recording.nonfinite:
                    continue
                try:
                    columns = probe.measure(trace)
                except GradscopeError as error:
                    if "no losses" in str(error):
                        continue  # nothing went backward through this one
                    self.skipped[f"{probe.name} of {name}"] = str(error)
                    continue
                if columns:
                    self._keep(probe.name, name, recording.train_step, pd.DataFrame(columns))

    def _keep(self, table: str, name: str, train_step: int, frame: pd.DataFrame) -> None:
        about = {"trial": name, "configuration": name, "length": -1, "seed": 0, "task": "", "train_step": train_step}
        for place, (key, value) in enumerate(about.items()):
            frame.insert(place, key, value)
        self._frames.setdefault(table, []).append(frame)

    # --- what was recorded -----------------------------------------------------------------------------------------------

    def _recorded(self) -> Recording:
        if self.last is None:
            raise GradscopeError("nothing is recorded yet: run 'with scope.record(): loss = ...; loss.backward()' first")
        return self.last

    def measure(self, *probes: Any) -> Tables:
        """Measure the last recording with more probes (names, or mappings with options); all tables.

        Raises:
            GradscopeError: if nothing is recorded, or for an unknown probe.
        """
        recording = self._recorded()
        chosen = [probe for probe in _probes(probes) if not self._has(probe.name, recording.train_step)]
        self._measure(recording, chosen)
        return self.tables()

    def _has(self, table: str, train_step: int) -> bool:
        return any(int(frame["train_step"].iloc[0]) == train_step for frame in self._frames.get(table, ()))

    def tables(self) -> Tables:
        """What the probes measured, a DataFrame for each: ``scope.tables()["adjoint_norms"]``. Columns ``configuration`` (the
        recurrence) and ``train_step``, then the probe's own (``gradscope list probe``).

        Raises:
            GradscopeError: if nothing is recorded.
        """
        self._recorded()
        frames = {name: pd.concat(parts, ignore_index=True) for name, parts in self._frames.items()}
        trials = [{"id": name, "configuration": name, "settings": {"task": {}, "seed": 0}, "axes": {}} for name in self._names]
        moments = ["first recording", "last recording"]
        manifest = {"name": type(self.model).__name__, "trials": trials, "figures": None, "moments": moments}
        return Tables(frames, manifest, {})

    def scalars(self) -> dict[str, float]:
        """The last recording in a few numbers by name, for a logger; nats where a name ends in ``log_...``.

        For each recurrence ``adjoint_log_ratio`` (ln ||dL/ds_1|| - ln ||dL/ds_T||: below 0 it vanishes on its way back) and
        ``log_adjoint_last``; ``saturated/<gate>`` and ``mean/<gate>``; ``grad_norm_preclip`` and ``grad_norm_postclip`` of all
        parameters together. Numbers that are not finite are left out.
        """
        recording, found = self._recorded(), {}
        for name, trace in recording.traces.items():
            if trace.immediate is not None and name not in recording.nonfinite:
                logs = trace.cache["adjoints"].log_norm() if "adjoints" in trace.cache else None
                if logs is not None:
                    reached = logs[1:][torch.isfinite(logs[1:])]
                    if len(reached):
                        found[f"{name}/adjoint_log_ratio"] = float(logs[1] - logs.max())
                        found[f"{name}/log_adjoint_last"] = float(reached[-1])
        for frame in self._frames.get("saturation", []):
            if int(frame["train_step"].iloc[0]) == recording.train_step:
                for row in frame.itertuples():
                    found[f"{row.configuration}/saturated/{row.gate}"] = float(row.low + row.high)  # type: ignore[operator]
                    found[f"{row.configuration}/mean/{row.gate}"] = float(row.mean)  # type: ignore[arg-type]
        for index, key in ((1, "grad_norm_preclip"), (2, "grad_norm_postclip")):
            values = [value[index] for value in recording.gradients.values()]
            if values:
                found[key] = math.sqrt(sum(value**2 for value in values))
        return {key: value for key, value in found.items() if math.isfinite(value)}

    def log_to(self, sink: Any) -> Scope:
        """Hand every recording's scalars to a logger from now on; returns the scope.

        Args:
            sink: a TensorBoard ``SummaryWriter``, a Weights & Biases run, the ``mlflow`` module, a Lightning logger, or any
                function of (scalars, train_step).

        Raises:
            GradscopeError: for something else.
        """
        self._sinks.append(sink_of(sink))
        return self

    def report(self, folder: str | Path, *, tried: Any = None) -> Path:
        """Measure the last recording in full and write ``index.html``, the figures and the tables; returns the page's path.

        Args:
            folder: to write to.
            tried: remedies that were tried, of ``gradscope.try_remedies``.

        Raises:
            GradscopeError: if nothing is recorded, or the folder holds something else.
        """
        from gradscope.report import write_attached_report

        recording, diagnosis = self._recorded(), self.diagnose()
        names = list(dict.fromkeys([*FULL, *diagnosis.probes]))
        small = all(trace.states.shape[-1] <= LARGE for trace in recording.traces.values())
        tables = self.measure(*(names if small else [name for name in names if name in _FORMS_NO_JACOBIAN]))
        notes = [*recording.notes, *self.unattached, *(f"{key}: {reason}" for key, reason in self.skipped.items())]
        if not small:
            notes.append(f"a state has more than {LARGE} units: Jacobians were not formed; scope.measure(...) does it")
        places = [
            {
                "place": place or type(self.model).__name__,
                "kind": kind,
                "names": [name for name, of in recording.places.items() if of == place],
            }
            for place, kind in self.places.items()
        ]
        return write_attached_report(
            tables, diagnosis.as_json(), diagnosis.looked_at, notes, places, Path(folder),
            None if tried is None else tried.formatted(), "" if tried is None else tried.caption,
        )  # fmt: skip

    def diagnose(self) -> Diagnosis:
        """What is wrong with the gradients of the last recording, ranked, with evidence and remedies.

        Raises:
            GradscopeError: if nothing is recorded.
        """
        from gradscope.diagnosis import examine

        history: dict[int, tuple[float, float]] = {}
        for frame in self._frames.get("grad_norms", []):
            norms = [math.sqrt((frame[f"grad_norm_{when}clip"].to_numpy() ** 2).sum()) for when in ("pre", "post")]
            history[int(frame["train_step"].iloc[0])] = norms[0], norms[1]
        return examine(self._recorded(), history, self.model)


class _Gradients:
    """The parameters' gradient norms: after backward, and when an optimiser steps; and how far it steps."""

    def __init__(self, model: nn.Module):
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.of = {id(p): name for name, p in self.named.items()}
        self.before: dict[str, Tensor] = {}
        self.after: dict[str, Tensor] = {}
        self.values: dict[str, Tensor] = {}
        self.changes: dict[str, Tensor] = {}

    def install(self, hooks: ExitStack) -> None:
        for name, parameter in self.named.items():
            if parameter.is_leaf:
                handle = parameter.register_post_accumulate_grad_hook(lambda p, name=name: self._arrived(name, p))
                hooks.callback(handle.remove)
        hooks.callback(register_optimizer_step_pre_hook(self._stepping).remove)
        hooks.callback(register_optimizer_step_post_hook(self._stepped).remove)

    def _arrived(self, name: str, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self.before[name] = _norm(parameter.grad)

    def _mine(self, optimizer: Any) -> dict[str, Tensor]:
        parameters = (p for group in optimizer.param_groups for p in group["params"])
        return {self.of[id(p)]: p for p in parameters if id(p) in self.of}

    def _stepping(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        for name, parameter in self._mine(optimizer).items():
            if parameter.grad is not None and name not in self.after:
                self.after[name] = _norm(parameter.grad)
                self.values[name] = parameter.detach().clone()

    def _stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        for name, parameter in self._mine(optimizer).items():
            if (value := self.values.pop(name, None)) is not None:
                size = _norm(value)
                self.changes[name] = torch.where(size > 0, _norm(parameter.detach() - value) / size, torch.zeros_like(size))

    def norms(self) -> dict[str, tuple[int, float, float]]:
        nan = float("nan")
        return {
            name: (self.named[name].numel(), float(value), float(self.after[name]) if name in self.after else nan)
            for name, value in self.before.items()
        }

    def ratios(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.changes.items()}


def _norm(x: Tensor) -> Tensor:
    x = x.detach()
    return torch.linalg.vector_norm(x.coalesce().values() if x.is_sparse else x)


def _probes(given: Sequence[Any]) -> list[Any]:
    return [component("probe", each) for each in given]


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
        f"cannot log to a {type(sink).__name__}: it should be a SummaryWriter, a wandb run, mlflow, a Lightning logger, or a "
        "function of (scalars, train_step)"
    )


def attach(
    model: nn.Module,
    *,
    steps: Sequence[str] | Mapping[str, Step] = (),
    depth: str | Sequence[str] | bool = False,
    sequences: int | None = None,
    probes: Sequence[Any] = LIGHT,
) -> Scope:
    """Find the recurrences of any model, to be recorded while it trains as it is.

        scope = gradscope.attach(model)
        with scope.record():
            loss = criterion(model(x), y)
            loss.backward()
        scope.diagnose()

    Found without being told: torch.nn.RNN, LSTM, GRU (any layers, directions, projection, dropout, batch_first, packed), and
    torch's *Cell modules and gradscope's cells called in a loop; of transformers' models Mamba, RWKV and xLSTM.

    Args:
        model: any module; it may be the recurrence itself.
        steps: names of modules whose call is one step (x, s) -> s; a mapping to ``Step`` says how to read other calls.
        depth: look along depth too, d x_L / d x_l: the name (or names) of a container of blocks called one after another; True
            takes every Sequential or ModuleList of blocks of one class.
        sequences: of torch.nn.RNN, LSTM and GRU take the first so many sequences of the batch alone (packed: the longest), at
            a cost as much smaller; None is all, and only then do contributions add up to the parameters' own gradients.
        probes: what each recording measures: names, or mappings with options (``gradscope list probe``). The default's cost
            grows with the number of steps alone.

    Returns:
        A ``Scope``. The model is untouched.

    Raises:
        GradscopeError: for a compiled or scripted model, a name that it does not have, or a model without a recurrence.
    """
    _refuse(model)
    if sequences is not None and sequences < 1:
        raise GradscopeError(f"sequences should be at least 1, or None for all, got {sequences}")
    named = dict(model.named_modules())
    makers: dict[str, tuple[str, Callable[[], Watch]]] = {}
    unattached: list[str] = []
    told = dict(steps) if isinstance(steps, Mapping) else dict.fromkeys([steps] if isinstance(steps, str) else steps)
    for name, step in told.items():
        module = _module(named, name, "steps")
        chosen = step or Step()
        makers[name] = (f"{type(module).__name__}, step by step", lambda n=name, m=module, s=chosen: StepWatch(n, m, s))
    inside: list[str] = list(told)
    for name, module in named.items():
        if any(name == outer or name.startswith(f"{outer}.") or not outer for outer in inside):
            continue
        if problem := _problem(module):
            unattached.append(f"{name or type(module).__name__}: {problem}")
        elif isinstance(module, nn.RNNBase):
            makers[name] = (type(module).__name__, lambda n=name, m=module: FusedWatch(n, m, sequences))
        elif known := next((adapter for adapter in ADAPTERS if adapter.knows(module)), None):
            makers[name] = (
                f"{type(module).__name__}, a diagonal scan", lambda n=name, m=module, a=known: ScanWatch(n, m, a, sequences),
            )  # fmt: skip
        elif isinstance(module, nn.RNNCellBase | Cell):
            makers[name] = (f"{type(module).__name__}, step by step", lambda n=name, m=module: StepWatch(n, m, None))
            inside.append(name)
    if depth:
        names = [depth] if isinstance(depth, str) else [] if depth is True else list(depth)
        stacks = containers(model) if depth is True else [(name, _module(named, name, "depth")) for name in names]
        for name, module in stacks:
            makers[f"{name}.depth".strip(".")] = ("depth", lambda n=name, m=module: DepthWatch(n, m))
    if not makers:
        raise GradscopeError(_nothing(model, unattached, depth))
    return Scope(model, makers, unattached, _probes(probes))


def _refuse(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise GradscopeError(f"attach() takes a torch.nn.Module, got {type(model).__name__}")
    if hasattr(model, "_orig_mod"):
        raise GradscopeError(
            "this model is compiled: its graph does not show the modules inside. Attach to the module before torch.compile "
            "(model._orig_mod) and run that within the recorded block; its weights are the same"
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise GradscopeError(
            "this model is a torch.jit module: what it computes cannot be seen from Python. Attach to the nn.Module that it "
            "was scripted or traced from"
        )


def _problem(module: nn.Module) -> str:
    """Why a module that looks like a recurrence cannot be attached; empty if it can, or is none."""
    if isinstance(module, torch.jit.ScriptModule):
        return "a torch.jit module, which Python cannot see into; use the nn.Module that it was made from"
    if hasattr(module, "_orig_mod"):
        return "compiled; record with the module before torch.compile"
    if isinstance(module, nn.RNNBase) and type(module).forward not in (nn.RNN.forward, nn.LSTM.forward, nn.GRU.forward):
        return f"{type(module).__name__} has a forward of its own; name it in steps=, or attach to the module that it wraps"
    return ""


def _module(named: dict[str, nn.Module], name: str, option: str) -> nn.Module:
    if name not in named:
        raise GradscopeError(f"{option}: the model has no module {name!r}; {suggest(name, [n for n in named if n])}")
    return named[name]


def _nothing(model: nn.Module, unattached: list[str], depth: Any) -> str:
    names = ", ".join(f"{name} ({type(m).__name__})" for name, m in list(model.named_modules())[1:13]) or "no submodules"
    text = (
        f"no recurrence was found in {type(model).__name__}: no torch RNN, LSTM, GRU, *Cell or gradscope cell. "
        "Name the modules whose call is one step with steps=[...], or look along depth with depth=True or a container's "
        f"name. It has: {names}"
    )
    return text + ("".join(f"; {reason}" for reason in unattached))
