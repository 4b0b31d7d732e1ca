"""From measurements to a verdict and its remedies."""

from gradscope.diagnosis._diagnosis import Diagnosis, examine

__all__ = ["Diagnosis", "examine"]
