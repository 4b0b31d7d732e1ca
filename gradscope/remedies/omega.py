"""Pascanu's Omega."""

from __future__ import annotations

from gradscope.remedies._league import SIMPLE
from gradscope.remedies._remedy import Remedy, register


@register("omega")
class Omega(Remedy):
    """Add Pascanu's Omega, which holds the adjoint's norm."""

    of = ("RNN",)
    entrant = "tanh, Omega"
    against = SIMPLE
