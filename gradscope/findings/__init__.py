"""Illnesses of gradients, one per file: what is looked at, from what value on it is a finding, and
what helps.
"""

from gradscope.findings._finding import Evidence, Finding, Found

__all__ = ["Evidence", "Finding", "Found"]
