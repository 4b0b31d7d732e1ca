"""Phase diagrams: at which gains a random network's gradients vanish or explode, untrained."""

from gradscope.phase.measure import PhaseDiagram as PhaseDiagram
from gradscope.phase.report import write_phase_report as write_phase_report
