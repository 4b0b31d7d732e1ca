"""An influence in words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from gradscope.dynamics import DecayFit, InfluenceProfile
from gradscope.results.formats import number, share

#: columns of a line
_WIDTH = 100


def text(of: str, profile: InfluenceProfile, estimator: str, notes: Sequence[str]) -> str:
    """What it is of, its measures, and how they were found."""
    lines = [f"Influence of inputs on {of}, {lags(profile)}"]
    lines += [f"  {name:<18} {value}" for name, value in measures(profile)]
    for said in (f"{estimator}; {errors(profile)}", *(f"note: {note}" for note in notes)):
        lines += textwrap.wrap(said, _WIDTH, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def lags(profile: InfluenceProfile) -> str:
    """Which lags there are."""
    future = f", and {-profile.lags[0]} steps after the output" if profile.lags[0] < 0 else ""
    return f"lags 0 to {profile.longest}{future}"


def measures(profile: InfluenceProfile) -> list[tuple[str, str]]:
    """Each measure's name, and its value in words."""
    if not np.isfinite(profile.log_norms).any():
        return [("all lags", "exactly zero")]
    said = [
        ("temporal range", str(profile.temporal_range)),
        ("effective context", f"{profile.effective_context}: within it lies 90% of the influence"),
        ("decay", decay(profile)),
    ]
    if profile.horizon is not None:
        said.append(("memory horizon", f"{profile.horizon} (from lag 0)"))
    if profile.lags[0] < 0:
        said.append(("future", f"{share(profile.future_share)} of the influence"))
    return said


def decay(profile: InfluenceProfile) -> str:
    """The law of decay from lag 1 on, and how much speaks for it."""
    if profile.past_is_zero:
        return "exactly zero from lag 1 on"
    if profile.longest < 4:
        return "too few lags for a law"
    if not profile.falls:
        return "no significant fall from lag 1 on"
    if profile.decay is None:
        return "too few lags that are not exactly zero for a law"
    weights = profile.law_weights
    others = ", ".join(f"{law} {weight:.2g}" for law, weight in list(weights.items())[1:])
    best = f"{weights[profile.decay.law]:.2g}"
    return f"{law(profile.decay)}; Akaike weight {best} ({others}), from lag 1 on"


def law(fit: DecayFit) -> str:
    """A law with its parameters and their intervals."""
    if fit.law == "power":
        low, high = fit.intervals["alpha"]
        exponent = number(fit.parameters["alpha"])
        return f"power law (1 + lag)^-α, α = {exponent} ({number(low)} to {number(high)})"
    low, high = fit.horizon_interval
    steps = f"{number(fit.horizon)} steps ({number(low)} to {number(high)})"
    if fit.law == "exponential":
        return f"exponential, a factor e in {steps}"
    return f"stretched exponential, exponent {number(fit.parameters['beta'])}, e after {steps}"


def errors(profile: InfluenceProfile) -> str:
    """How certain the norms are."""
    known = profile.standard_errors[np.isfinite(profile.standard_errors)]
    if not len(known):
        return "standard errors are not known, as there is one value for each lag"
    return f"standard error over {profile.units} {np.median(known):.2g} nats, the median over lags"
