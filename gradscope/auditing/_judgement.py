"""What is wrong with what a recurrence can remember, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gradscope.auditing._memory import Memory
from gradscope.results.formats import number

#: share of heads that forget within a step beyond which that is a fault
_SHARE = 0.5
#: of what: an LSTM's units have a bias, and of a random matrix most modes are fast
_OF_THEIR_OWN = ("head", "channel")
#: mean of a forget gate below which it is shut
_SHUT = 0.15
#: eigenvalues at rest above which a state runs away; chi above which gradients explode
_RUNAWAY, _EXPLODING = 2.0, 2.0


@dataclass(frozen=True)
class Judgement:
    """Something to know of a recurrence.

    Attributes:
        name: what is found, as findings of a diagnosis are called.
        place: the module.
        says: with the numbers, a sentence in lower case without a full stop.
        is_fault: whether it is wrong, or only a remark.
    """

    name: str
    place: str
    says: str
    is_fault: bool

    def __str__(self) -> str:
        word = "fault" if self.is_fault else "remark"
        return f"{word}: {self.name.replace('_', ' ')} at {self.place}: {self.says}"


def judged(memory: Memory, length: int | None) -> Iterator[Judgement]:
    """What there is to say of one recurrence.

    Args:
        memory: of the recurrence.
        length: steps over which something has to be remembered; None asks for nothing.
    """
    within = memory.share_within(1.0)
    plural = f"{memory.unit}s" if memory.count > 1 else memory.unit
    if within > _SHARE and memory.unit in _OF_THEIR_OWN:
        count = f"{round(within * memory.count)} of {memory.count} {plural}"
        yield Judgement(
            "heads_forget",
            memory.place,
            f"{count} lose a factor e within a step; the longest horizon is "
            f"{number(memory.longest)} steps",
            True,
        )
    yield from _gates(memory)
    yield from _growth(memory)
    if length is not None and memory.reach < length:
        yield Judgement(
            "short_memory",
            memory.place,
            f"nothing reaches over {length} steps: after {number(memory.reach)} the {memory.unit} "
            "that remembers longest has a thousandth left",
            True,
        )


def _gates(memory: Memory) -> Iterator[Judgement]:
    forget = memory.facts.get("forget_gate", math.nan)
    if forget < _SHUT:
        yield Judgement(
            "forget_gates_shut",
            memory.place,
            f"its forget gates start at {forget:.3f} on average",
            True,
        )


def _growth(memory: Memory) -> Iterator[Judgement]:
    radius = memory.facts.get("spectral_radius", math.nan)
    chi = memory.facts.get("chi", math.nan)
    if radius > _RUNAWAY:
        yield Judgement(
            "exploding",
            memory.place,
            f"at rest its state grows by a factor of {radius:.3g} in a step",
            True,
        )
    elif chi > _EXPLODING:
        yield Judgement(
            "exploding",
            memory.place,
            f"gradients of random weights of this size grow: chi = {chi:.3g}, "
            f"{0.5 * math.log(chi):.2g} nats a step",
            True,
        )
    elif math.isfinite(radius) and radius < 0.5 and memory.unit == "mode":
        yield Judgement(
            "vanishing",
            memory.place,
            f"at rest its slowest mode keeps {radius:.2g} of itself in a step",
            False,
        )
