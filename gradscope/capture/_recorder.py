"""Recorder: watches a model's recurrences during a block, and takes apart what it saw."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from gradscope.capture._attachment import Attachment, nothing_found
from gradscope.capture._gradients import GradientWatch
from gradscope.capture._recording import Recording
from gradscope.capture._remarks import remarks
from gradscope.capture._watch import Watch
from gradscope.errors import GradscopeError


class Recorder:
    """Records blocks of a model's training.

    Hooks are on the model within a block only.

    Args:
        model: that is watched.
        attachment: what is watched in it.
    """

    def __init__(self, model: nn.Module, attachment: Attachment):
        self.model, self.attachment = model, attachment
        self._inside = False

    @property
    def is_recording(self) -> bool:
        """Whether a block is being recorded now."""
        return self._inside

    @contextmanager
    def block(self, train_step: int) -> Iterator[Recording]:
        """Record what runs within; the recording is filled when the block ends.

        Raises:
            GradscopeError: if a module's step is not a function of its input and state alone, if
                nothing was called, or if a block is inside another.
        """
        if self._inside:
            raise GradscopeError(
                "a recorded block is inside another one of the same scope; leave the first before "
                "the next"
            )
        recording, gradients = Recording(train_step), GradientWatch(self.model)
        watches = [watched.make() for watched in self.attachment.all()]
        hooks = ExitStack()
        self._inside = True
        try:
            with hooks:
                _without_compilation(hooks)
                for watch in watches:
                    watch.install(hooks)
                gradients.install(hooks)
                yield recording
        finally:
            self._inside = False
        if any(watch.onlooker.compiled for watch in watches):
            recording.notes.append(
                "what is compiled ran as it was before compilation within this block: its numbers "
                "may differ in their last digits, and the block takes as long as without"
            )
        recording.notes += gradients.find_scale()
        recording.update_skipped = gradients.was_skipped
        if gradients.scale != 1.0:
            for watch in watches:
                watch.unscale(gradients.scale)
        with torch.enable_grad():
            self._fill(recording, watches)
        if problem := gradients.onlooker.problem("the parameters' gradients"):
            recording.notes.append(f"not recorded: {problem}")
        recording.gradients, recording.updates = gradients.norms(), gradients.updates()
        recording.notes += remarks(recording)

    def _fill(self, recording: Recording, watches: list[Watch]) -> None:
        failed: list[GradscopeError] = []
        for watch in watches:
            recording.notes += watch.onlooker.notes(str(watch.place))
            try:
                if problem := watch.onlooker.problem(str(watch.place)):
                    raise problem
                harvest = watch.harvest()
            except GradscopeError as error:  # the other places have their say
                failed.append(error)
                recording.unseen[str(watch.place)] = f"it was not recorded: {error}"
                continue
            for place, trace, carried, module, kind in harvest.recorded:
                recording.add(place, trace, module or watch.module, carried=carried)
                if kind:
                    recording.found[place.recurrence] = kind
            recording.notes += harvest.notes
            recording.unseen |= harvest.unseen
            if not harvest.recorded and not watch.optional:
                recording.unseen[str(watch.place)] = (
                    "; ".join(harvest.notes) or "it was not called in the recorded block"
                )
        if failed and all(place.loop for place in recording.places.values()):
            raise failed[0]  # a loop that was found is not what was asked for
        if not recording.traces:
            raise GradscopeError(self._nothing(recording.notes))

    def _nothing(self, notes: list[str]) -> str:
        """Why nothing was recorded."""
        watched = ", ".join(name or "the model itself" for name in self.attachment.watched)
        if not watched:
            return "; ".join([nothing_found(self.model, self.attachment.unattached), *notes])
        if notes:
            return f"nothing of {watched} could be recorded. " + "; ".join(notes)
        return (
            "nothing was called within the recorded block: it should hold the forward pass of "
            f"{watched}"
        )


def _without_compilation(hooks: ExitStack) -> None:
    """Run what torch.compile made as it was before, until ``hooks`` is closed.

    A compiled graph does not show the calls within it.
    """
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    if getattr(dynamo, "cached_backends", None) and hasattr(torch.compiler, "set_stance"):
        hooks.enter_context(torch.compiler.set_stance("force_eager"))
