"""From measurements to a verdict and its remedies."""

from gradscope.diagnosis._diagnosis import Diagnosis, check_names, examine
from gradscope.remedies.remedies import Plan, Remedy

__all__ = ["Diagnosis", "Plan", "Remedy", "check_names", "examine"]
