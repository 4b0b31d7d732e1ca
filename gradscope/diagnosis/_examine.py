"""From a recording to a diagnosis."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import nn

from gradscope.capture import Recording, resets_of
from gradscope.diagnosis._diagnosis import Diagnosis
from gradscope.dynamics import Trace
from gradscope.findings import FINDINGS, ClippedNorm, Evidence, Finding

#: steps of a recurrence from which on a gradient that vanishes is told
ENOUGH = 8


def examine(
    recording: Recording, history: Mapping[int, ClippedNorm], model: nn.Module
) -> Diagnosis:
    """Look for every registered finding in a recording.

    A check that ends in an error costs its own findings only, and is named in the diagnosis.

    Args:
        recording: of ``Scope.record``.
        history: over all recordings: train_step to the gradient's norm.
        model: that was recorded.
    """
    evidence = Evidence(recording, history, model)
    findings: list[Finding] = []
    failed: dict[str, str] = {}
    for name in FINDINGS.names():
        try:
            findings += FINDINGS.make(name).examine(evidence)
        except Exception as error:  # of a user's own check as well
            failed[name] = _said(error)
    ranked = sorted(
        _unexplained(findings), key=lambda finding: -finding.severity * finding.confidence
    )
    cells = {name: type(trace.cell).__name__ for name, trace in recording.traces.items()}
    return Diagnosis(
        findings=_gathered(ranked),
        cells=cells,
        looked_at=tuple(name for name in FINDINGS.names() if name not in failed),
        notes=(
            *recording.notes,
            *(
                f"{name} was not looked for: its check failed: {error}"
                for name, error in failed.items()
            ),
        ),
        failed=failed,
        unjudged=_unjudged(recording),
    )


def _unjudged(recording: Recording) -> dict[str, str]:
    """Recurrences of which too little was seen to say that nothing is wrong, and what to do."""
    found = dict(recording.unseen)
    stretches: dict[str, list[str]] = {}
    for name, place in recording.places.items():
        if not place.along_depth and name not in recording.nonfinite:
            stretches.setdefault(place.recurrence, []).append(name)
    for recurrence, names in stretches.items():
        time = max(_uncut(recording.traces[name]) for name in names)
        if time >= ENOUGH:
            continue
        if any(resets_of(recording.traces[name]) is not None for name in names):
            todo = "record episodes that are longer: the state is set anew at the end of each"
        elif len(names) == 1:
            todo = f"record sequences of {ENOUGH} steps or more"
        else:
            todo = (
                "keep its state connected from call to call, or name the module whose call is the "
                "whole step in steps="
            )
        steps = f"{time} step{'s' * (time > 1)}"
        found[recurrence] = f"a gradient goes back {steps} at most, {ENOUGH} are needed; {todo}"
    return found


def _uncut(trace: Trace) -> int:
    """The most steps that any sequence takes after its state was last set anew."""
    if (resets := resets_of(trace)) is None:
        return trace.time
    since = resets.flip(0).int().argmax(0) + 1  # from the end; the step that begins anew counts
    return int(torch.where(resets.any(0), since, trace.time).max())


def _said(error: Exception) -> str:
    """What went wrong, and at which line."""
    *_, frame = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"


def _unexplained(findings: list[Finding]) -> Iterable[Finding]:
    """The findings that no other one at the same recurrence explains."""
    explained = {
        (name, finding.recurrence)
        for finding in findings
        for name in FINDINGS.get(finding.name).explains
    }
    return (f for f in findings if (f.name, f.recurrence) not in explained)


def _gathered(ranked: list[Finding]) -> tuple[Finding, ...]:
    """Of several stretches of one recurrence the gravest, with how many more there are."""
    first: dict[tuple[str, str], int] = {}
    more: dict[int, int] = {}
    gathered: list[Finding] = []
    for finding in ranked:
        key = finding.name, finding.recurrence
        of_stretch = finding.place is not None and finding.place.stretch is not None
        if of_stretch and key in first:
            more[first[key]] = more.get(first[key], 0) + 1
            continue
        first.setdefault(key, len(gathered))
        gathered.append(finding)
    for index, count in more.items():
        says = f"{gathered[index].says} (and in {count} more of its stretches)"
        gathered[index] = replace(gathered[index], says=says)
    return tuple(gathered)
