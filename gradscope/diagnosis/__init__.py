"""From measurements to a verdict and its remedies."""

from gradscope.diagnosis._diagnosis import Diagnosis, examine
from gradscope.diagnosis._remedies import Plan, Remedy

__all__ = ["Diagnosis", "Plan", "Remedy", "examine"]
