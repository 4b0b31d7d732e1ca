"""An influence in words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from gradscope.dynamics import DecayFit, InfluenceProfile
from gradscope.results.formats import number, share

#: columns of a line
_WIDTH = 100
#: a fall is clear from so many standard errors on
_CLEAR = 3


def text(of: str, profile: InfluenceProfile, estimator: str, notes: Sequence[str]) -> str:
    """What it is of, its measures, and how they were found."""
    lines = [f"Influence of inputs on {of}, {lags(profile)}"]
    for name, value in measures(profile):
        lines += textwrap.wrap(
            f"{name:<18} {value}", _WIDTH, initial_indent="  ", subsequent_indent=21 * " "
        )
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
        ("effective context", f"{profile.effective_context}: 90% of the influence lies within it"),
        ("own input", f"{share(profile.own_share)} of the influence is that of lag 0"),
        ("decay", decay(profile)),
    ]
    if profile.horizon is not None:
        said.append(("memory horizon", f"{profile.horizon} (from lag 0)"))
    if profile.lags[0] < 0:
        said.append(("future", f"{share(profile.future_share)} of the influence"))
    return said


def decay(profile: InfluenceProfile) -> str:
    """How it falls from lag 1 on: by which law, how much speaks for that, and where it ends."""
    if profile.past_is_zero:
        return "exactly zero from lag 1 on"
    ends = "" if profile.support is None else f"; exactly zero from lag {profile.support} on"
    if len(profile.fits) == 0:
        return f"too few lags for a law{ends}"
    if profile.decay is None and ends:
        return f"no law of decay from lag 1 on{ends}"
    if profile.decay is None:
        fallen, error = profile.fall
        if not fallen > _CLEAR * error:
            return f"no fall from lag 1 to {profile.longest}"
        return f"falls by {number(fallen)} nats from lag 1 to {profile.longest}, by no clear law"
    weights = profile.law_weights
    best, *others = (f"{law} {_chance(weight)}" for law, weight in weights.items())
    found = law(profile.decay)
    if not profile.explained:
        found = f"nearest to {found}, with steps that no law explains"
    return f"{found}; Akaike weights {best}, {', '.join(others)}; from lag 1 on{ends}"


def _chance(weight: float) -> str:
    return f"{weight:.2g}" if weight >= 0.001 else "< 0.001"


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
