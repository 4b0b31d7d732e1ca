"""Which probes a scope measures unasked, by what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradscope.probes import PROBES, Probe

#: a probe's name, a mapping with ``name`` and options, or a probe
ProbeChoice = str | Mapping[str, object] | Probe
#: several; None is those that suit
Chosen = Sequence[ProbeChoice] | None

#: units of the state above which Jacobians of the full state are not formed unasked
LARGE = 1100


def made(choices: Iterable[ProbeChoice]) -> list[Probe]:
    """The probes.

    Raises:
        ConfigError: for a name or an option that does not exist.
    """
    return [PROBES.make(choice) for choice in choices]


def default_probes() -> list[Probe]:
    """What every recorded block measures: probes whose work grows with the steps alone."""
    return _in_order(probe for probe in PROBES.classes() if probe.cost == "steps")


def report_probes(state_size: int, also: Sequence[str]) -> tuple[list[Probe], list[str]]:
    """What a report measures of the last recording, and what the reader should know of it.

    Args:
        state_size: of the largest state; where it is large, nothing that forms Jacobians.
        also: names of probes that findings need.
    """
    wanted = [
        probe
        for name, probe in zip(PROBES.names(), PROBES.classes(), strict=True)
        if probe.in_report or name in also
    ]
    if state_size <= LARGE:
        return _in_order(wanted), []
    note = (
        f"a state has more than {LARGE} units: Jacobians were not formed; scope.measure(...) does "
        "it"
    )
    return _in_order(probe for probe in wanted if probe.cost != "jacobians"), [note]


def _in_order(probes: Iterable[type[Probe]]) -> list[Probe]:
    ordered = sorted(probes, key=lambda probe: probe.order)
    return [probe.model_validate(dict(probe.scope_options)) for probe in ordered]
