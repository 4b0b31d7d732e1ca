"""Measurements of a training in progress, one per file."""

from gradscope.probes._probe import Probe

__all__ = ["Probe"]
