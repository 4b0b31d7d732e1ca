"""Finding: one illness of gradients, looked for in what was recorded of a model."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from gradscope.cells._held import Held
from gradscope.components.base import Component
from gradscope.components.kind import Kind
from gradscope.dynamics import Adjoints, adjoints, largest_lyapunov_exponent, last_loss_alone
from gradscope.dynamics.activations import Activation
from gradscope.dynamics.trace import Trace, recurrence
from gradscope.errors import GradscopeError

#: ln of a thousand: the factor at which a gradient is said to have vanished or exploded
STRONG = math.log(1e3)
#: steps of a trajectory on which the largest exponent is taken: an asymptotic rate needs more than
#: most sequences have
_LONG = 1000
#: sequences that are looked at one by one
_SEQUENCES = 16


@dataclass(frozen=True)
class Found:
    """One finding at one place.

    Attributes:
        finding: its name.
        where: the recurrence, or the parameter.
        says: in a sentence, with the numbers.
        severity: 0 (a remark) to 1 (nothing can be learned through this).
        confidence: 0 to 1; for what is seen sequence by sequence, (k + 1) / (n + 2) with k of n
            sequences showing it (Laplace).
        evidence: the numbers by name.
        figure: the plot that shows it.
        remedies: names of what may help.
    """

    finding: str
    where: str
    says: str
    severity: float
    confidence: float
    evidence: dict[str, float] = field(default_factory=dict)
    figure: str = ""
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True)
class GateValues:
    """A gate at recorded steps: values and preactivations ``(time, batch, hidden)``."""

    activation: Activation
    values: Tensor
    preactivation: Tensor


class Evidence:
    """What was recorded of a model, and what several findings ask of it, computed once.

    Attributes:
        traces: finite traces by recurrence.
        recording: the last recording.
        history: the table of gradient norms over all recordings: train_step -> (norm before, norm
            after the clip).
    """

    def __init__(
        self, recording: Any, history: Mapping[int, tuple[float, float]], model: nn.Module
    ):
        self.recording, self.history, self.model = recording, dict(history), model
        self.modules: dict[str, nn.Module] = recording.modules
        self.traces: dict[str, Trace] = {
            n: t for n, t in recording.traces.items() if n not in recording.nonfinite and _finite(t)
        }
        self._memo: dict[Any, Any] = {}

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]

    @cached_property
    def in_time(self) -> dict[str, Trace]:
        """Traces whose steps are steps of time, not layers."""
        return {name: trace for name, trace in self.traces.items() if not self.is_depth(name)}

    def is_depth(self, name: str) -> bool:
        """Whether the recurrence runs along layers."""
        return self.traces[name].cell.along_depth

    def layer(self, name: str) -> str:
        """torch's suffix of the layer and direction, such as ``l1_reverse``; empty for what has
        none.
        """
        base, place = recurrence(name), self.recording.places.get(name, "")
        rest = base.removeprefix(place).removeprefix(".")
        return rest if re.fullmatch(r"l\d+(_reverse)?", rest) else ""

    def bottom(self, name: str) -> bool:
        """Whether a recurrence reads the module's own inputs and not another layer."""
        return self.layer(name) in ("", "l0", "l0_reverse")

    def detached(self, name: str) -> bool:
        """Whether the recurrence was recorded as three or more stretches of a step or two, each
        begun where another ended.
        """
        base = recurrence(name)
        stretches = [each for each in self.traces if recurrence(each) == base]
        short = all(self.traces[each].time <= 2 for each in stretches)
        return (
            len(stretches) >= 3
            and short
            and sum(each in self.recording.carried for each in stretches) >= len(stretches) - 1
        )

    def lengths(self, name: str) -> Tensor:
        """Steps of each sequence that are not held."""
        trace = self.traces[name]
        if isinstance(trace.cell, Held):
            return trace.inputs[..., -1].sum(0).long()
        return torch.full((trace.inputs.shape[1],), trace.time)

    def adjoint(self, name: str) -> Adjoints | None:
        """dL/ds_t of the whole loss."""
        trace = self.traces[name]
        return (
            None
            if trace.immediate is None
            else self._once(("adjoint", name), lambda: adjoints(trace))
        )

    def heard(self, name: str) -> Tensor | None:
        """Which steps and sequences have an immediate gradient: (time + 1, batch)."""
        trace = self.traces[name]
        return None if trace.immediate is None else trace.immediate.mantissa.ne(0).any(-1)

    def reach(self, name: str) -> np.ndarray | None:
        """ln of the norm of what one loss, the last one that is heard, sends back by 0, 1, 2, ...
        steps, over its own norm.

        Shape (lags, sequences); NaN beyond a sequence's beginning. Without a backward pass it is of
        a random direction.
        """
        return self._once(("reach", name), lambda: self._reach(name))

    def _reach(self, name: str) -> np.ndarray | None:
        trace = self.traces[name]
        found = (
            last_loss_alone(trace) if trace.immediate is not None else (_drawn(trace), trace.time)
        )
        if found is None or found[1] < 2:
            return None
        alone, last = found
        assert alone.immediate is not None
        sent = alone.immediate.mantissa[-1].ne(0).any(-1).nonzero().flatten()[:_SEQUENCES]
        states = alone.states[:, sent]
        part = Adjoints(alone.immediate.mantissa[:, sent], alone.immediate.log_scale[:, sent])
        try:
            logs = (
                adjoints(Trace(alone.cell, alone.inputs[:, sent], states, immediate=part))
                .log_norms()
                .flip(0)
                .cpu()
                .numpy()
            )
        except GradscopeError:  # a step that cannot be linearised, such as a block with dropout
            return None
        logs = logs - logs[0]
        beyond = np.arange(last + 1)[:, None] > self.lengths(name)[sent.cpu()].cpu().numpy()[
            None
        ] - (trace.time - last)
        return np.where(beyond, np.nan, logs)

    def sent(self, name: str) -> str:
        """What ``reach`` is of, in words."""
        return (
            "what the last loss sends back along it"
            if self.traces[name].immediate is not None
            else "a gradient of random direction"
        )

    def exponent(self, name: str) -> tuple[float, float] | None:
        """(largest Lyapunov exponent, standard error), nats per step; None for a trajectory or
        state unfit for it.
        """
        trace = self.traces[name]

        def make() -> tuple[float, float] | None:
            full = (
                (self.lengths(name) == trace.time).nonzero().flatten()[:4].to(trace.states.device)
            )
            if trace.time < 50 or not len(full):
                return None
            part = _driven_on(
                Trace(trace.cell, trace.inputs[:, full], trace.states.detach()[:, full]), _LONG
            )
            try:
                found = largest_lyapunov_exponent(part, burn_in=part.time // 5, blocks=5)
            except GradscopeError:  # a step that cannot be linearised
                return None
            return float(found.exponents[0]), float(found.standard_errors[0])

        return self._once(("exponent", name), make)

    def gates(self, name: str) -> dict[str, GateValues]:
        """The gates of the first sequences, at steps that are not held."""
        trace = self.traces[name]

        def make() -> dict[str, GateValues]:
            with torch.no_grad():
                found = trace.cell.gates(
                    trace.inputs[:, :_SEQUENCES], trace.states.detach()[:-1, :_SEQUENCES]
                )
                return {
                    k: GateValues(g.activation, g.activation(g.preactivation), g.preactivation)
                    for k, g in found.items()
                }

        return self._once(("gates", name), make)

    def shut(self, name: str, gate: str, level: float) -> tuple[float, float] | None:
        """(mean, confidence) of a gate whose mean over steps, sequences and units is under the
        level; None of any other.
        """
        if gate not in (gates := self.gates(name)):
            return None
        by_step = gates[gate].values.mean(-1)
        mean = float(by_step.mean())
        return (mean, laplace((by_step.mean(0) < level).cpu())) if mean < level else None

    def weights(self, name: str) -> dict[str, Any]:
        """Recorded (size, norm before, norm after) of the parameters that belong to the recurrence,
        by their own names.
        """
        module = self.modules.get(name)
        if module is None:
            return {}
        mine = {id(p) for p in module.parameters()}
        suffix = self.layer(name)
        named = {
            n
            for n, p in self.model.named_parameters()
            if id(p) in mine and n.endswith(f"_{suffix}" if suffix else "")
        }
        return {n: value for n, value in self.recording.gradients.items() if n in named}


class Finding(Component):
    """Base of all findings; options are the values from which on it speaks."""

    component_kind: ClassVar[str] = "finding"

    #: the plot that shows it, and the probe that the plot needs
    figure: ClassVar[str] = ""
    probe: ClassVar[str] = ""
    #: what may help, the likeliest first; ranked by what was measured where it was
    remedies: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """What is found, place by place; nothing for a healthy model."""

    def found(
        self,
        where: str,
        says: str,
        *,
        severity: float,
        confidence: float,
        remedies: tuple[str, ...] | None = None,
        **numbers: float,
    ) -> Found:
        """A finding of this kind."""
        chosen = self.remedies if remedies is None else remedies
        clipped = round(min(1.0, max(0.0, severity)), 3), round(min(0.99, max(0.0, confidence)), 3)
        return Found(
            self.name,
            where,
            says,
            *clipped,
            {k: float(v) for k, v in numbers.items()},
            self.figure,
            chosen,
        )


def _finite(trace: Trace) -> bool:
    return trace.immediate is None or bool(trace.immediate.mantissa.sum().isfinite())


def _drawn(trace: Trace) -> Trace:
    """The trace with a random gradient at its end, where no backward pass was recorded."""
    states = trace.states.detach()
    drawn = torch.randn(
        states.shape[-1], generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    mantissa = torch.zeros_like(states)
    mantissa[-1] = drawn.to(states)
    scale = torch.zeros(states.shape[:2], dtype=torch.float64, device=states.device)
    return Trace(trace.cell, trace.inputs, states, immediate=Adjoints(mantissa, scale))


def laplace(shown: Any) -> float:
    """(k + 1) / (n + 2) for k of n sequences that show it."""
    values = np.asarray(shown, dtype=bool).ravel()
    return (int(values.sum()) + 1) / (len(values) + 2)


@torch.no_grad()
def _driven_on(trace: Trace, steps: int) -> Trace:
    """The trace made longer: each sequence goes on from its last state with the inputs of the
    others, in turn.

    As it is where the cell cannot be run on, or leaves all bounds.
    """
    rounds = math.ceil(steps / trace.time) - 1
    more = [trace.inputs.roll(-turn, dims=1) for turn in range(1, rounds + 1)]
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


def middle(logs: np.ndarray) -> np.ndarray:
    """Median over sequences at each lag, of those that are that long; exact zeros stay -inf."""
    ordered = np.sort(np.where(np.isnan(logs), np.inf, logs), axis=1)
    count = (~np.isnan(logs)).sum(1)
    rows = ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, rows, np.nan)


def below_for_good(curve: np.ndarray, level: float) -> int | None:
    """The first index from which on the curve stays under the level; None if it ends above."""
    above = np.flatnonzero(~(curve < level))
    start = int(above[-1]) + 1 if len(above) else 0
    return start if start < len(curve) else None


def times(log_factor: float) -> str:
    """e^log_factor in words: 'a factor of 2.3e+05'."""
    if math.isinf(log_factor):
        return "all of it"
    return (
        f"a factor of {10 ** (log_factor / math.log(10)):.2g}"
        if log_factor < 600
        else f"a factor of e^{log_factor:.0f}"
    )


#: every finding
FINDINGS: Kind[Finding, Finding] = Kind("finding")
register = FINDINGS.register
