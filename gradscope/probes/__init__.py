"""Measurements of a training in progress, one per file."""

from gradscope.probes._cost import decomposition_seconds as decomposition_seconds
from gradscope.probes._probe import PROBES as PROBES
from gradscope.probes._probe import Probe as Probe
from gradscope.probes._probe import register as register
from gradscope.results.columns import Columns as Columns
from gradscope.results.columns import Rows as Rows
