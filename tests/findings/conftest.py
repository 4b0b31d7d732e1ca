"""What the tests of checks share: evidence made by hand, and recurrences of known gradients."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from gradscope.capture import GradientNorms, Place, Recording
from gradscope.dynamics import Adjoints, Trace
from gradscope.findings import FINDINGS, ClippedNorm, Evidence, Finding
from tests.conftest import build, draw

RNN = Place("rnn", "rnn")


def evidence_of(
    traces: Mapping[Place, Trace],
    *,
    model: nn.Module | None = None,
    gradients: Mapping[str, float] | None = None,
    updates: Mapping[str, float] | None = None,
    history: Mapping[int, ClippedNorm] | None = None,
    carried: Collection[Place] = (),
) -> Evidence:
    """Evidence of traces; all of one model, each of its submodule of the place's name."""
    model = model or nn.ModuleDict({place.module: nn.RNNCell(3, 4) for place in traces})
    recording = Recording(0)
    for place, trace in traces.items():
        module = model.get_submodule(place.module)
        recording.add(place, trace, module, carried=place in carried)
    for name, norm in (gradients or {}).items():
        recording.gradients[name] = GradientNorms(1, norm, float("nan"))
    recording.updates |= updates or {}
    return Evidence(recording, history or {}, model)


def findings_of(name: str, evidence: Evidence, **options: object) -> list[Finding]:
    """What one check finds."""
    return list(FINDINGS.make({"name": name, **options}).examine(evidence))


def names_of(findings: Collection[Finding]) -> list[str]:
    return [finding.name for finding in findings]


def linear(
    gain: float, time: int, batch: int = 3, heard: bool = True, turning: bool = True
) -> Trace:
    """h_t = gain Q h_{t-1} + W x_t with Q orthogonal, and a loss of the last state alone.

    Of what it sends back, lag steps leave exactly gain^lag. Q is the identity where nothing turns.
    """
    size = 4
    cell = build("rnn", hidden_size=size, activation="identity", bias=False)
    with torch.no_grad():
        turn = torch.linalg.qr(draw(size, size, seed=5))[0] if turning else torch.eye(size)
        cell.weight_hh.copy_(gain * turn)
    inputs = draw(time, batch, 3, seed=1)
    states = cell.scan(inputs, cell.initial_state(batch)).detach()
    trace = Trace(cell, inputs, states)
    return trace.with_losses_of(last_alone(trace)) if heard else trace


def last_alone(trace: Trace, gradient: Tensor | None = None) -> Adjoints:
    """An immediate gradient of the last state alone."""
    immediate = torch.zeros_like(trace.states)
    immediate[-1] = draw(*trace.states.shape[1:], seed=2) if gradient is None else gradient
    return Adjoints(immediate)
