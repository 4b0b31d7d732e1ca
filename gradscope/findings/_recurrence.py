"""Recurrence: what was recorded of one, and what several checks ask of it, computed once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gradscope.capture import GradientNorms, LoopCell, Place, WholeStep, resets_of
from gradscope.dynamics import (
    Adjoints,
    Gate,
    Trace,
    adjoints,
    largest_lyapunov_exponent,
    last_loss_alone,
)
from gradscope.errors import GradscopeError
from gradscope.findings._statistics import laplace

#: steps of a trajectory on which the largest exponent is taken: an asymptotic rate needs more than
#: most sequences have
_LONG = 1000
#: share of its size by which the state of a loop at rest changes in a step, at most
_AT_REST = 0.01
#: sequences that are looked at one by one
_SEQUENCES = 16


class Exponent(NamedTuple):
    """The largest Lyapunov exponent, nats per step, and its standard error."""

    value: float
    error: float


class Shut(NamedTuple):
    """A gate that is shut: its mean, and how sure that is."""

    mean: float
    confidence: float


class Recurrence:
    """One recurrence as it was recorded.

    Args:
        place: where it runs.
        trace: what was recorded.
        module: that it is part of.
        carried: whether it begins in a state that came, detached, from an earlier step.
        gradients: of the parameters that belong to it, by their names in the model.
        updates: ||change|| / ||value|| of these in the optimiser's step, where there was one.
    """

    def __init__(
        self,
        place: Place,
        trace: Trace,
        module: nn.Module,
        *,
        carried: bool,
        gradients: Mapping[str, GradientNorms],
        updates: Mapping[str, float],
    ):
        self.place, self.trace, self.module, self.carried = place, trace, module, carried
        self.gradients, self.updates = gradients, updates

    @property
    def time(self) -> int:
        """Number of steps."""
        return self.trace.time

    @property
    def unit(self) -> str:
        """The word for its steps: they are layers along depth."""
        return "layers" if self.place.along_depth else "steps"

    @cached_property
    def lengths(self) -> Int[Tensor, " batch"]:
        """Steps that each sequence takes."""
        return self.trace.lengths()

    @cached_property
    def resets(self) -> Bool[Tensor, "time batch"] | None:
        """Before which steps the state was set anew, as at an episode's end; None where never."""
        return resets_of(self.trace)

    @cached_property
    def whole(self) -> Bool[Tensor, " batch"]:
        """Which sequences take every step, their state never set anew."""
        whole = self.lengths == self.time
        return whole if self.resets is None else whole & ~self.resets.any(0)

    @cached_property
    def settles(self) -> bool:
        """Whether it is a loop that comes to rest, and so forgets where it began, as it should."""
        if not self.place.loop or self.time < 3:
            return False
        states = self.trace.states.detach().double()
        moved = (states[1:] - states[:-1]).norm(dim=-1) / states[1:].norm(dim=-1).clamp_min(1e-12)
        moved = moved.median(dim=-1).values
        return bool(moved[-1] < _AT_REST) and bool(moved[-1] < 0.1 * moved[0])

    @cached_property
    def total(self) -> Adjoints | None:
        """dL/ds_t of the whole loss; None where no gradient arrived."""
        return None if self.trace.immediate is None else adjoints(self.trace)

    @cached_property
    def scored(self) -> Bool[Tensor, "times batch"] | None:
        """Which steps and sequences have an immediate gradient; None where no gradient arrived."""
        immediate = self.trace.immediate
        return None if immediate is None else immediate.mantissa.ne(0).any(-1)

    @property
    def is_heard(self) -> bool:
        """Whether any loss hears it."""
        return self.scored is not None and bool(self.scored.any())

    # --- what one loss sends back -----------------------------------------------------------------

    @property
    def sent(self) -> str:
        """What ``reach`` is of, in words."""
        if self.trace.immediate is None:
            return "a gradient of random direction"
        return "what the last loss sends back along it"

    @cached_property
    def reach(self) -> Float[np.ndarray, "lag batch"] | None:
        """ln of the norm of what the last loss alone sends back, by 0, 1, 2, ... steps.

        Over its own norm, of the first sequences that it hears; NaN beyond a sequence's beginning,
        or where its state was set anew.
        Without a backward pass it is of a random direction. None where there is no way back, or no
        step that can be linearised.
        """
        if self.trace.immediate is None:
            alone, last = _drawn(self.trace), self.time
        elif (heard := last_loss_alone(self.trace)) is not None:
            alone, last = heard
        else:
            return None
        if last < 2:
            return None
        assert alone.immediate is not None
        sent = alone.immediate.mantissa[-1].ne(0).any(-1).nonzero().flatten()[:_SEQUENCES]
        some = Adjoints(alone.immediate.mantissa[:, sent], alone.immediate.log_scale[:, sent])
        try:
            sent_back = adjoints(alone.sequences(sent).with_losses_of(some))
        except GradscopeError:  # a step that cannot be linearised, such as a block with dropout
            return None
        logs = sent_back.log_norms().flip(0).cpu().numpy()
        lengths = (self.lengths[sent] - (self.time - last)).cpu().numpy()
        if self.resets is not None:
            cut = self.resets[:last, sent].flip(0).cpu().numpy()
            lengths = np.where(cut.any(0), cut.argmax(0), lengths)
        beyond = np.arange(last + 1)[:, None] > lengths[None]
        return np.where(beyond, np.nan, logs - logs[0])

    @cached_property
    def exponent(self) -> Exponent | None:
        """The largest Lyapunov exponent; None of a trajectory or a step unfit for it."""
        whole = self.whole.nonzero().flatten()[:4]
        if self.time < 50 or not len(whole):
            return None
        few = self.trace.sequences(whole)
        long = _driven_on(Trace(few.cell, few.inputs, few.states), _LONG)
        try:
            largest = largest_lyapunov_exponent(long, burn_in=long.time // 5, blocks=5)
        except GradscopeError:  # a step that cannot be linearised
            return None
        return Exponent(float(largest.exponents[0]), float(largest.standard_errors[0]))

    # --- gates ------------------------------------------------------------------------------------

    @cached_property
    def gates(self) -> dict[str, Gate]:
        """The gates of the first sequences, at steps that are taken."""
        return self.trace.first(_SEQUENCES).gates()

    def shut(self, gate: str, level: float) -> Shut | None:
        """A gate whose mean over steps, sequences and units is under the level; None of any other.

        How sure that is comes from the sequences whose own mean is.
        """
        if gate not in self.gates:
            return None
        by_step = self.gates[gate].value.mean(-1)
        mean = float(by_step.mean())
        return Shut(mean, laplace(by_step.mean(0) < level)) if mean < level else None


def _drawn(trace: Trace) -> Trace:
    """The trace with a random gradient at its end, where no backward pass was recorded."""
    states = trace.states.detach()
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(states.shape[-1], generator=generator, dtype=torch.float64)
    mantissa = torch.zeros_like(states)
    mantissa[-1] = direction.to(states)
    return trace.with_losses_of(Adjoints(mantissa))


@torch.no_grad()
def _driven_on(trace: Trace, steps: int) -> Trace:
    """The trace made longer.

    Each sequence goes on from its last state with the inputs of the others, in turn. As it is where
    the cell cannot be run on, or leaves all bounds.
    """
    if isinstance(trace.cell, WholeStep) and not trace.cell.is_affine:
        return trace  # what lies between its calls is known along what was recorded alone
    rounds = math.ceil(steps / trace.time) - 1
    more = [trace.inputs.roll(-turn, dims=1) for turn in range(1, rounds + 1)]
    if isinstance(trace.cell, LoopCell):  # each sample goes round with what it reads itself
        more = [trace.inputs] * rounds if trace.cell.repeats() else []
    if not more:
        return trace
    inputs = torch.cat(more)
    try:
        states = trace.cell.scan(inputs, trace.states[-1])
    except (GradscopeError, RuntimeError):
        return trace
    if not bool(states.isfinite().all()):
        return trace
    return Trace(
        trace.cell, torch.cat((trace.inputs, inputs)), torch.cat((trace.states, states[1:]))
    )
