"""Checks for illnesses of gradients, one per file.

A check says what it looks at, from what value on it is a finding, and what may help.
"""

from gradscope.findings._check import FINDINGS as FINDINGS
from gradscope.findings._check import Check as Check
from gradscope.findings._check import register as register
from gradscope.findings._evidence import ClippedNorm as ClippedNorm
from gradscope.findings._evidence import Evidence as Evidence
from gradscope.findings._finding import Finding as Finding
from gradscope.findings._recurrence import Recurrence as Recurrence
