"""Scope: what is attached to a model, and what it has recorded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Unpack

from torch import nn

from gradscope.capture import Attachment, Recorder, Recording
from gradscope.diagnosis import Diagnosis, examine
from gradscope.dynamics import Trace
from gradscope.errors import GradscopeError
from gradscope.influencing import Influence, InfluenceOptions, Inputs, influence
from gradscope.results.tables import Tables
from gradscope.scope._budget import Budget
from gradscope.scope._given import RecordedPlace, Tried
from gradscope.scope._measurements import Measurements, Progress
from gradscope.scope._probes import Chosen, ProbeChoice, default_probes, made, report_probes
from gradscope.scope._scalars import scalars
from gradscope.tracking.sinks import Logger, Sink, sink_of


class Scope:
    """Looks at the recurrences of a model while it trains. Make one with ``gradscope.attach``.

        scope = gradscope.attach(model)
        for step, (x, y) in enumerate(batches):
            with scope.every(100):
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
        print(scope.diagnose())
        scope.report("reports/my_model")

    Attributes:
        model: as it was given; nothing in it is changed, and hooks are on it within recorded blocks
            only.
        places: what is watched, name to kind; loops are added when they were found.
        unattached: what looks like a recurrence and cannot be watched, with what to do about it.
        last: the latest recording, whose traces are kept; None before the first.
        train_step: how many blocks (``record`` and ``every``) have been entered.
    """

    def __init__(
        self,
        model: nn.Module,
        attachment: Attachment,
        probes: Chosen = None,
    ):
        self.model, self.unattached = model, attachment.unattached
        self.places = {name: watched.kind for name, watched in attachment.watched.items()}
        self.last: Recording | None = None
        self.train_step = 0
        self._probes = default_probes() if probes is None else made(probes)
        self._recorder = Recorder(model, attachment)
        self._measurements = Measurements()
        self._sinks: list[Sink] = []
        self._diagnosed: tuple[Recording, Diagnosis] | None = None

    def __repr__(self) -> str:
        places = ", ".join(f"{name or 'itself'} ({kind})" for name, kind in self.places.items())
        reasons = [f"not attached: {reason}" for reason in self.unattached]
        title = f"Scope of {type(self.model).__name__}: {places or 'loops are looked for'}"
        return "\n".join([title, *reasons, self._state()])

    def _repr_html_(self) -> str:
        from gradscope.scope._display import scope_html  # here, as it draws

        return scope_html(
            type(self.model).__name__,
            state=self._state(),
            places=self._places(),
            unattached=self.unattached,
            diagnosis=None if self.last is None else self.diagnose(),
            tables=None if self.last is None else self.tables(),
        )

    def _state(self) -> str:
        """What it has done so far, in words."""
        if self._recorder.is_recording:
            return f"recording block {self.train_step - 1} now"
        if self.last is None:
            return "nothing recorded yet"
        done = f"{self._measurements.recordings} of {self.train_step}"
        blocks = f"{done} block{'s' * (self.train_step != 1)} recorded"
        return f"{blocks}, the last at step {self.last.train_step}"

    def _places(self) -> list[RecordedPlace]:
        """What is watched, and what the last recording calls it."""
        return RecordedPlace.all_of(type(self.model).__name__, self.places, self.last)

    # --- recording --------------------------------------------------------------------------------

    @contextmanager
    def record(
        self, *, train_step: int | None = None, probes: Chosen = None
    ) -> Iterator[Recording]:
        """Record one forward and backward pass (or more), and measure it when the block ends.

        Put the clip and the optimiser's step into the block as well, at its end, and what they did
        is recorded too. An exception goes through; the hooks come off in any case.

        Args:
            train_step: the block's number; None counts blocks from 0.
            probes: instead of the scope's own.

        Raises:
            GradscopeError: if a module's step is not a function of its input and state alone, if
                nothing was called, or if a block is inside another.
        """
        chosen = self._probes if probes is None else made(probes)
        number = self.train_step if train_step is None else train_step
        with self._recorder.block(number) as recording:
            self.train_step += 1
            self.last = self._diagnosed = None  # what they hold makes room
            yield recording
        self.last = recording
        self.places |= recording.found
        self._measurements.add(recording, chosen)
        numbers = self.scalars() if self._sinks else {}
        for sink in self._sinks:
            sink(numbers, recording.train_step)

    def every(
        self, steps: int, *, probes: Chosen = None
    ) -> AbstractContextManager[Recording | None]:
        """``record`` in the first block and in every so many blocks from then on.

        None, and no cost, in the others. Made for loops: what cannot be recorded is a warning, and
        the training goes on.

        Raises:
            GradscopeError: for steps below 1.
        """
        if not isinstance(steps, int) or steps < 1:
            raise GradscopeError(
                f"every({steps!r}): should be at least 1, the number of blocks from one recording "
                "to the next"
            )
        return self._every(steps, probes)

    @contextmanager
    def _every(self, steps: int, probes: Chosen) -> Iterator[Recording | None]:
        if self.train_step % steps:
            self.train_step += 1
            yield None
            return
        block = self.record(probes=probes)
        try:
            recording = block.__enter__()
        except Exception as error:
            self.train_step += 1
            self._warn(error)
            yield None
            return
        try:
            yield recording
        except BaseException as error:  # the caller's own
            block.__exit__(type(error), error, error.__traceback__)
            raise
        try:
            block.__exit__(None, None, None)
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        """Say why nothing was recorded, whatever it was: a training is not ended for it."""
        said = str(error)
        if not isinstance(error, GradscopeError):
            said = f"{type(error).__name__}: {error}"
        warnings.warn(f"nothing was recorded at block {self.train_step - 1}: {said}", stacklevel=5)

    def log_to(self, sink: Logger) -> Scope:
        """Hand every recording's scalars to a logger from now on; returns the scope.

        Args:
            sink: a TensorBoard ``SummaryWriter``, a Weights & Biases or trackio run, the ``mlflow``
                module, a Lightning logger, the path of a CSV file, or any function of (scalars,
                train_step).

        Raises:
            GradscopeError: for something else, or a file that holds something else.
        """
        self._sinks.append(sink_of(sink))
        return self

    def influence(self, inputs: Inputs, **options: Unpack[InfluenceOptions]) -> Influence:
        """How far back in these inputs what the model puts out depends on them.

        Nothing needs to be recorded, and the model is left as it was. Inputs, options and errors
        are those of ``gradscope.influence``.
        """
        return influence(self.model, inputs, **options)

    # --- what was recorded ------------------------------------------------------------------------

    def _recorded(self) -> Recording:
        if self.last is None:
            raise GradscopeError(
                "nothing is recorded yet: run 'with scope.record(): loss = ...; loss.backward()' "
                "first"
            )
        return self.last

    def trace(self, name: str) -> Trace:
        """The last recording's trace of one recurrence, such as ``encoder.lstm.l1_reverse``.

        Every function of ``gradscope.dynamics`` takes it.

        Raises:
            GradscopeError: if nothing is recorded, or for an unknown name; the message lists those
                that are known.
        """
        return self._recorded().trace(name)

    def measure(self, *probes: ProbeChoice) -> Tables:
        """Measure the last recording with more probes; all tables.

        Args:
            probes: names, mappings with options, or probes.

        Raises:
            GradscopeError: if nothing is recorded, or for an unknown probe.
        """
        self._measurements.measure(self._recorded(), made(probes))
        return self.tables()

    def tables(self) -> Tables:
        """What the probes measured, a DataFrame for each: ``scope.tables()["adjoint_norms"]``.

        Columns ``configuration`` (the recurrence) and ``train_step``, then the probe's own
        (``gradscope list probe``); ``trial``, ``length``, ``seed`` and ``task`` are there for the
        figures, which a run's tables draw as well. There are those of the scope's own probes;
        ``measure`` and ``report`` add more.

        Raises:
            GradscopeError: if nothing is recorded.
        """
        self._recorded()
        return self._measurements.tables()

    def scalars(self) -> dict[str, float]:
        """The last recording in a few numbers by name; nats where a name has ``log`` in it.

        For each recurrence ``adjoint_log_ratio`` (ln ||dL/ds_1|| less the largest ln ||dL/ds_t||:
        far below 0 it vanishes on its way back) and ``log_adjoint_last``; ``saturated/<gate>`` and
        ``mean/<gate>``; ``grad_norm_preclip`` and ``grad_norm_postclip`` of all parameters
        together. Numbers that are not finite are left out.

        Raises:
            GradscopeError: if nothing is recorded.
        """
        return scalars(self._recorded(), self._measurements)

    def diagnose(self) -> Diagnosis:
        """What is wrong with the gradients of the last recording, ranked.

        Raises:
            GradscopeError: if nothing is recorded.
        """
        recording = self._recorded()
        if self._diagnosed is None or self._diagnosed[0] is not recording:
            diagnosis = examine(recording, self._measurements.history, self.model)
            self._diagnosed = recording, diagnosis
        return self._diagnosed[1]

    def measure_in_full(self, seconds: float | None = 60.0) -> Tables:
        """Measure the last recording with every probe of a report; all tables.

        Args:
            seconds: that measuring may take, roughly; None is no limit. ``left_out`` says what did
                not fit into them.

        Raises:
            GradscopeError: if nothing is recorded, or for seconds below 0.
        """
        self._measure_for_report(seconds)
        return self.tables()

    @property
    def left_out(self) -> list[str]:
        """What could not be measured of the last recording, and why."""
        return self._measurements.left_out()

    def _measure_for_report(
        self,
        seconds: float | None,
        probes: Chosen = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """Measure the last recording with the probes of a report; what the reader should know."""
        recording = self._recorded()
        sizes = [trace.cell.state_size for trace in recording.traces.values()]
        chosen, note = report_probes(max(sizes), self.diagnose().probes)
        if probes is not None:
            chosen, note = made(probes), []
        self._measurements.measure(recording, chosen, Budget(seconds), progress)
        return note

    def report(
        self,
        folder: str | Path,
        *,
        seconds: float | None = 60.0,
        probes: Chosen = None,
        progress: Progress | None = None,
        tried: Tried | None = None,
    ) -> Path:
        """Measure the last recording in full and write ``index.html``, the figures and the tables.

        Args:
            folder: to write to.
            seconds: that measuring may take, roughly; a measurement that would take longer than is
                left is not begun, the page says which, and what it would take. None is no limit.
                Drawing comes on top, some ten seconds.
            probes: that measure beside the scope's own (``gradscope list probe``): names, or
                mappings with ``name`` and options; all that suit a report where not given.
            progress: called as (how many probes have measured, of how many, the next one's name).
            tried: remedies that were tried, of ``gradscope.try_remedies``.

        Returns:
            The page's path.

        Raises:
            GradscopeError: if nothing is recorded, the folder holds something else, for seconds
                below 0, or for an unknown probe.
        """
        diagnosis = self.diagnose()
        # drawing takes a second to import, and a training that is watched needs none
        from gradscope.scope._report import write_recording_report

        note = self._measure_for_report(seconds, probes, progress)
        return write_recording_report(
            Path(folder),
            title=type(self.model).__name__,
            tables=self.tables(),
            diagnosis=diagnosis,
            notes=[
                *diagnosis.notes,
                *self.unattached,
                *self.left_out,
                *note,
            ],
            places=self._places(),
            tried=tried,
        )
