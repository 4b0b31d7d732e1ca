"""audit: what every recurrence of a model can remember, without data and forward pass."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from gradscope.auditing._cells import Cells
from gradscope.auditing._checkpoint import loaded, weights_of
from gradscope.auditing._decays import READERS
from gradscope.auditing._judgement import Judgement, judged
from gradscope.auditing._memory import Memory
from gradscope.auditing._text import audit_html, audit_text
from gradscope.errors import GradscopeError

_READERS = (*READERS, Cells())
_NONE = (
    "has no recurrence that can be read from its weights: no RNN, LSTM, GRU, gradscope cell, "
    "Mamba, Gated DeltaNet, KDA, RWKV, xLSTM, RG-LRU or retention. "
    "gradscope.influence(model, inputs) measures what any model remembers"
)


@dataclass(frozen=True, eq=False)
class Audit:
    """What the recurrences of a model can remember at rest, by their weights.

    ``print`` it for a table, or let a notebook show it.

    Attributes:
        model: the model's class.
        memories: of every recurrence, in the order of ``model.named_modules()``.
        judgements: what is wrong, and what else is worth knowing.
        against: the same of another checkpoint, where one was given.
        notes: what the reader should know.
    """

    model: str
    memories: Sequence[Memory]
    judgements: Sequence[Judgement]
    against: Sequence[Memory] = ()
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        return audit_text(self.model, self.memories, self.judgements, self.against, self.notes)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return audit_html(self.model, self.memories, self.judgements, self.against, self.notes)

    @property
    def faults(self) -> list[Judgement]:
        """What is wrong."""
        return [judgement for judgement in self.judgements if judgement.is_fault]

    def to_frame(self) -> pd.DataFrame:
        """A row for each head: place, kind, unit, index, rate (nats/step) and horizon (steps)."""
        parts = [
            pd.DataFrame(
                {
                    "place": memory.place,
                    "kind": memory.kind,
                    "unit": memory.unit,
                    "index": range(memory.count),
                    "rate": memory.rates.tolist(),
                    "horizon": memory.horizons.tolist(),
                }
            )
            for memory in self.memories
        ]
        return pd.concat(parts, ignore_index=True)

    def as_json(self) -> dict[str, object]:
        """All of it as plain values; an infinite number is null."""
        return {
            "model": self.model,
            "recurrences": [_plain(memory) for memory in self.memories],
            "against": [_plain(memory) for memory in self.against],
            "judgements": [
                {"name": j.name, "place": j.place, "says": j.says, "fault": j.is_fault}
                for j in self.judgements
            ],
            "notes": list(self.notes),
        }


def audit(
    model: nn.Module,
    *,
    length: int | None = None,
    against: str | Path | Mapping[str, Tensor] | None = None,
) -> Audit:
    """What every recurrence of a model can remember, from its weights alone.

    No data, and no forward pass: of a recurrence with a decay of its own (Mamba, Gated DeltaNet,
    KDA, RWKV, xLSTM, RG-LRU, RetNet) the decay is taken where the input is zero, of an LSTM or GRU
    the forget gate, of any other cell the eigenvalues of its Jacobian at rest. A horizon is the
    number of steps (tokens) after which a head has lost a factor e; after 6.9 times as many a
    thousandth is left. What the input adds to a gate is not in it: record a batch with ``attach``
    for that.

        print(gradscope.audit(model))
        assert not gradscope.audit(model, length=2048).faults

    Args:
        model: as initialised or loaded; nothing in it is changed.
        length: steps over which something has to be remembered: a recurrence that reaches less far
            is a fault.
        against: another checkpoint of the same model, a file (.safetensors, or .pt of weights) or a
            state dict, which is audited beside it.

    Raises:
        GradscopeError: if the model has no recurrence that is known, lies on the meta device, or
            the checkpoint does not fit.

    Reference: Gu and Dao (2023), Mamba; Dao and Gu (2024), Transformers are SSMs: the steps with
    which they start. Gers, Schmidhuber and Cummins (2000), Learning to forget: the forget gate.
    """
    if not isinstance(model, nn.Module):
        raise GradscopeError(f"audit() takes a torch.nn.Module, got {type(model).__name__}")
    if length is not None and length < 1:
        raise GradscopeError(f"length={length}: should be at least 1, or None")
    memories = _memories(model)
    if not memories:
        raise GradscopeError(f"{type(model).__name__} {_NONE}")
    others: list[Memory] = []
    notes: list[str] = []
    if against is not None:
        other, notes = loaded(copy.deepcopy(model), weights_of(against))
        others = _memories(other)
    found = [judgement for memory in memories for judgement in judged(memory, length)]
    found.sort(key=lambda judgement: not judgement.is_fault)
    return Audit(type(model).__name__, memories, found, others, notes)


def _memories(model: nn.Module) -> list[Memory]:
    inside: list[str] = []
    memories: list[Memory] = []
    for name, module in model.named_modules():
        if any(name.startswith(f"{outer}.") or not outer for outer in inside):
            continue
        reader = next((reader for reader in _READERS if reader.knows(module)), None)
        if reader is None:
            continue
        if any(part.is_meta for part in module.parameters()):
            raise GradscopeError(
                f"the weights of '{name or type(module).__name__}' are on the meta device: there "
                "are no numbers to read"
            )
        inside.append(name)
        for part, rates, facts, unit in reader.read(module):
            place = ".".join(word for word in (name, part) if word) or type(module).__name__
            memories.append(Memory(place, type(module).__name__, unit, rates, facts))
    return memories


def _plain(memory: Memory) -> dict[str, object]:
    numbers = {
        "horizon_least": memory.shortest,
        "horizon_median": memory.median,
        "horizon_longest": memory.longest,
        **memory.facts,
    }
    about = {"place": memory.place, "kind": memory.kind, "unit": memory.unit}
    finite = {name: value if abs(value) < torch.inf else None for name, value in numbers.items()}
    return {**about, "count": memory.count, **finite, "horizons": _finite(memory.horizons)}


def _finite(values: Tensor) -> list[float | None]:
    return [value if abs(value) < torch.inf else None for value in values.tolist()]
