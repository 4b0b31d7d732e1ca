"""Scope: what is attached to a model, and what it has recorded."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from gradscope.capture._recording import Gradients, Recording
from gradscope.capture._watch import Watch
from gradscope.components.options import component
from gradscope.dynamics.trace import Trace, recurrence
from gradscope.errors import GradscopeError
from gradscope.results.tables import Tables
from gradscope.scope._sinks import Sink, sink_of

if TYPE_CHECKING:
    from gradscope.diagnosis import Diagnosis

#: probes whose work grows with the number of steps alone: what every recorded block measures unless
#: told otherwise
LIGHT: tuple[Any, ...] = (
    "adjoint_norms",
    "input_gradients",
    {"name": "saturation", "sequences": 4},
)
#: what a report adds on the last recording
FULL = (
    "traced_back",
    "jacobian_norms",
    "memory_horizon",
    "spectra",
    "lyapunov",
    "lag_contributions",
    "gates",
    "non_normality",
    "singular_values",
)
#: options of these that differ from their defaults: as many sequences as the findings look at
_REPORTED: dict[str, dict[str, Any]] = {"traced_back": {"sequences": 16}}
#: of these, what forms no Jacobian
_FORMS_NO_JACOBIAN = (
    "traced_back",
    "lag_contributions",
    "gates",
    "saturation",
    "adjoint_norms",
    "input_gradients",
)
#: units of the state above which Jacobians of the full state are not formed unasked
LARGE = 1100


class Scope:
    """Looks at the recurrences of a model while it trains. Make one with ``attach``.

    Attributes:
        model: as it was given; nothing in it is changed, and hooks are on it within recorded blocks
            only.
        places: what is watched, name to kind.
        unattached: what looks like a recurrence and cannot be watched, with what to do about it.
        last: the latest recording, whose traces are kept; None before the first.
        train_step: how many blocks (``record`` and ``every``) have been entered.
    """

    def __init__(
        self,
        model: nn.Module,
        makers: dict[str, tuple[str, Callable[[], Watch]]],
        unattached: list[str],
        probes: list[Any],
    ):
        self.model, self.unattached, self.probes = model, unattached, probes
        self._makers = makers
        self.places = {name: kind for name, (kind, _) in makers.items()}
        self.last: Recording | None = None
        self.train_step = 0
        self.skipped: dict[str, str] = {}
        self._measured: dict[
            str, list[tuple[str, int, Mapping[str, Any]]]
        ] = {}  # table: (recurrence, train_step, columns)
        self._names: list[str] = []
        self._sinks: list[Sink] = []
        self._inside = False
        self._diagnosed: tuple[Recording, Diagnosis] | None = None

    def __repr__(self) -> str:
        lines = [
            f"Scope of {type(self.model).__name__}: "
            + ", ".join(f"{n or 'itself'} ({k})" for n, k in self.places.items())
        ]
        return "\n".join([*lines, *(f"not attached: {text}" for text in self.unattached)])

    # --- recording --------------------------------------------------------------------------------

    @contextmanager
    def record(
        self, *, train_step: int | None = None, probes: Sequence[Any] | None = None
    ) -> Iterator[Recording]:
        """Record one forward and backward pass (or more), and measure it when the block ends.

        Put the clip and the optimiser's step into the block as well, at its end, and what they did
        is recorded too. An exception goes through; the hooks come off in any case.

        Args:
            train_step: the block's number; None counts blocks from 0.
            probes: instead of the scope's own.

        Raises:
            GradscopeError: if a module's step is not a function of its input and state alone, or a
                block is inside another.
        """
        if self._inside:
            raise GradscopeError(
                "a recorded block is inside another one of the same scope; leave the first before"
                " the next"
            )
        recording = Recording(self.train_step if train_step is None else train_step)
        self.train_step += 1
        watches = {place: make() for place, (_, make) in self._makers.items()}
        hooks, gradients = ExitStack(), Gradients(self.model)
        self._inside = True
        self.last = self._diagnosed = None  # what they hold makes room
        try:
            with hooks:
                for watch in watches.values():
                    watch.install(hooks)
                gradients.install(hooks)
                yield recording
        finally:
            self._inside = False
        with torch.enable_grad():
            self._finish(
                recording, watches, gradients, self.probes if probes is None else _probes(probes)
            )

    @contextmanager
    def every(
        self, steps: int, *, probes: Sequence[Any] | None = None
    ) -> Iterator[Recording | None]:
        """``record`` in the first block and every ``steps`` blocks from then on; None, and no cost,
        in the others.

        Made for loops: what cannot be recorded is a warning, and the training goes on.

        Raises:
            GradscopeError: for steps below 1.
        """
        if not isinstance(steps, int) or steps < 1:
            raise GradscopeError(
                f"every({steps!r}): should be at least 1, the number of blocks from one recording"
                " to the next"
            )
        if self.train_step % steps:
            self.train_step += 1
            yield None
            return
        block, inside = self.record(probes=probes), False
        try:
            with block as recording:
                inside = True
                yield recording
                inside = False
        except GradscopeError as error:
            if inside:  # the caller's own
                raise
            warnings.warn(
                f"nothing was recorded at block {self.train_step - 1}: {error}", stacklevel=3
            )

    def _finish(
        self,
        recording: Recording,
        watches: dict[str, Watch],
        gradients: Gradients,
        probes: list[Any],
    ) -> None:
        failed: list[GradscopeError] = []
        for place, watch in watches.items():
            try:
                found = watch.harvest()
            except GradscopeError as error:  # the other places have their say
                failed.append(error)
                recording.notes.append(f"not recorded: {error}")
                continue
            recording.traces |= found.traces
            recording.modules |= dict.fromkeys(found.traces, watch.module)
            recording.places |= dict.fromkeys(found.traces, place)
            recording.notes += found.notes
            recording.carried |= found.carried
        if failed and not recording.traces:
            raise failed[0]
        if not recording.traces:
            raise GradscopeError(
                "nothing was called within the recorded block: it should hold the forward pass of"
                f" {', '.join(self.places)}"
            )
        recording.gradients, recording.updates = gradients.norms(), gradients.ratios()
        for name, trace in recording.traces.items():
            states = trace.states.detach()
            if not bool(states.sum().isfinite()) and not bool(
                (finite := states.isfinite().flatten(1).all(1)).all()
            ):
                recording.nonfinite[name] = int((~finite).nonzero()[0])
        recording.notes += _remarks(recording)
        self.last = recording
        self._names += [name for name in recording.traces if name not in self._names]
        if recording.gradients:
            sizes, before, after = zip(*recording.gradients.values(), strict=True)
            columns = {"parameter": list(recording.gradients), "size": list(sizes)}
            columns |= {"grad_norm_preclip": list(before), "grad_norm_postclip": list(after)}
            self._keep("grad_norms", "", recording.train_step, columns)
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
                    self._keep(probe.name, name, recording.train_step, columns)

    def _keep(self, table: str, name: str, train_step: int, columns: Mapping[str, Any]) -> None:
        self._measured.setdefault(table, []).append((name, train_step, columns))

    # --- what was recorded ------------------------------------------------------------------------

    def _left_out(self) -> list[str]:
        """What could not be measured, and why, each reason once."""
        reasons: dict[str, list[str]] = {}
        for what, reason in self.skipped.items():
            reasons.setdefault(reason, []).append(what)
        return [f"not measured: {', '.join(what)}: {reason}" for reason, what in reasons.items()]

    def _recorded(self) -> Recording:
        if self.last is None:
            raise GradscopeError(
                "nothing is recorded yet: run 'with scope.record(): loss = ...; loss.backward()'"
                " first"
            )
        return self.last

    def trace(self, name: str) -> Trace:
        """The last recording's trace of one recurrence, such as ``encoder.lstm.l1_reverse``; every
        function of ``gradscope.dynamics`` takes it.

        Raises:
            GradscopeError: if nothing is recorded, or for an unknown name; the message lists those
                that are known.
        """
        return self._recorded().trace(name)

    def measure(self, *probes: Any) -> Tables:
        """Measure the last recording with more probes (names, or mappings with options); all
        tables.

        Raises:
            GradscopeError: if nothing is recorded, or for an unknown probe.
        """
        recording = self._recorded()
        chosen = [
            probe for probe in _probes(probes) if not self._has(probe.name, recording.train_step)
        ]
        self._measure(recording, chosen)
        return self.tables()

    def _has(self, table: str, train_step: int) -> bool:
        return any(of == train_step for _, of, _ in self._measured.get(table, ()))

    def tables(self) -> Tables:
        """What the probes measured, a DataFrame for each: ``scope.tables()["adjoint_norms"]``.
        Columns ``configuration`` (the recurrence) and ``train_step``, then the probe's own
        (``gradscope list probe``). There are those of the scope's own probes; ``measure`` and
        ``report`` add more.

        Raises:
            GradscopeError: if nothing is recorded.
        """
        self._recorded()
        frames = {table: _frame(parts) for table, parts in self._measured.items()}
        trials = [
            {"id": name, "configuration": name, "settings": {"task": {}, "seed": 0}, "axes": {}}
            for name in self._names
        ]
        moments = ["first recording", "last recording"]
        manifest = {
            "name": type(self.model).__name__,
            "trials": trials,
            "figures": None,
            "moments": moments,
        }
        return Tables(frames, manifest, {})

    def scalars(self) -> dict[str, float]:
        """The last recording in a few numbers by name, for a logger; nats where a name ends in
        ``log_...``.

        For each recurrence ``adjoint_log_ratio`` (ln ||dL/ds_1|| - ln ||dL/ds_T||: below 0 it
        vanishes on its way back) and ``log_adjoint_last``; ``saturated/<gate>`` and
        ``mean/<gate>``; ``grad_norm_preclip`` and ``grad_norm_postclip`` of all parameters
        together. Numbers that are not finite are left out.
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
        for name, of, columns in self._measured.get("saturation", []):
            if of == recording.train_step:
                for gate, low, high, mean in zip(
                    *(columns[key] for key in ("gate", "low", "high", "mean")), strict=True
                ):
                    found[f"{name}/saturated/{gate}"], found[f"{name}/mean/{gate}"] = (
                        low + high,
                        mean,
                    )
        for index, key in ((1, "grad_norm_preclip"), (2, "grad_norm_postclip")):
            values = [value[index] for value in recording.gradients.values()]
            if values:
                found[key] = math.sqrt(sum(value**2 for value in values))
        return {key: value for key, value in found.items() if math.isfinite(value)}

    def log_to(self, sink: Any) -> Scope:
        """Hand every recording's scalars to a logger from now on; returns the scope.

        Args:
            sink: a TensorBoard ``SummaryWriter``, a Weights & Biases run, the ``mlflow`` module, a
                Lightning logger, or any function of (scalars, train_step).

        Raises:
            GradscopeError: for something else.
        """
        self._sinks.append(sink_of(sink))
        return self

    def report(self, folder: str | Path, *, tried: Any = None) -> Path:
        """Measure the last recording in full and write ``index.html``, the figures and the tables;
        returns the page's path.

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
        names = names if small else [name for name in names if name in _FORMS_NO_JACOBIAN]
        tables = self.measure(*({"name": name, **_REPORTED.get(name, {})} for name in names))
        notes = [*recording.notes, *self.unattached, *self._left_out()]
        if not small:
            notes.append(
                f"a state has more than {LARGE} units: Jacobians were not formed;"
                " scope.measure(...) does it"
            )
        places = [
            {
                "place": place or type(self.model).__name__,
                "kind": kind,
                "names": [name for name, of in recording.places.items() if of == place],
            }
            for place, kind in self.places.items()
        ]
        return write_attached_report(
            tables,
            diagnosis.as_json(),
            diagnosis.looked_at,
            notes,
            places,
            Path(folder),
            None if tried is None else tried.formatted(),
            "" if tried is None else tried.caption,
        )

    def diagnose(self) -> Diagnosis:
        """What is wrong with the gradients of the last recording, ranked, with evidence and
        remedies.

        Raises:
            GradscopeError: if nothing is recorded.
        """
        from gradscope.diagnosis import examine

        recording = self._recorded()
        if self._diagnosed is not None and self._diagnosed[0] is recording:
            return self._diagnosed[1]
        history: dict[int, tuple[float, float]] = {}
        for _, train_step, columns in self._measured.get("grad_norms", []):
            before, after = (
                math.hypot(*columns[f"grad_norm_{when}clip"]) for when in ("pre", "post")
            )
            history[train_step] = before, after
        self._diagnosed = recording, examine(recording, history, self.model)
        return self._diagnosed[1]


def _probes(given: Sequence[Any]) -> list[Any]:
    return [component("probe", each) for each in given]


def _frame(parts: Sequence[tuple[str, int, Mapping[str, Any]]]) -> pd.DataFrame:
    """One table of (recurrence, train_step, columns); a column that only some have is empty in the
    others.
    """
    sizes = [len(next(iter(columns.values()))) for _, _, columns in parts]
    names = [name for (name, _, _), size in zip(parts, sizes, strict=True) for _ in range(size)]
    steps = np.repeat([train_step for _, train_step, _ in parts], sizes)
    known = dict.fromkeys(key for _, _, columns in parts for key in columns)
    found = {
        key: list(
            chain.from_iterable(
                c.get(key, repeat(None, n)) for (_, _, c), n in zip(parts, sizes, strict=True)
            )
        )
        for key in known
    }
    about = {
        "trial": names,
        "configuration": names,
        "length": -1,
        "seed": 0,
        "task": "",
        "train_step": steps,
    }
    return pd.DataFrame({**about, **found})


def _remarks(recording: Recording) -> list[str]:
    """What a reader of any recording should know."""
    found = []
    if all(trace.immediate is None for trace in recording.traces.values()):
        found.append(
            "no gradient arrived in the recorded block, so that there are no adjoints: is"
            " loss.backward() inside it, and does any parameter require a gradient?"
        )
    if all(trace.time < 2 for trace in recording.traces.values()):
        found.append("every recurrence took a single step: there is no way back to look along")
    if (
        chains := sum(
            " (" in name and not trace.cell.along_depth for name, trace in recording.traces.items()
        )
    ) > 1:
        found.append(
            f"a number behind a name, such as (2), is one of {chains} stretches whose states are"
            " not connected"
        )
    if reverse := [name for name in recording.traces if recurrence(name).endswith("_reverse")]:
        found.append(
            f"{', '.join(reverse)}: t is in the order of reading, so that T is the sequence's first"
            " element"
        )
    return found
