"""Rules that bound a gradient, one per file."""

from gradscope.clips._clip import Clip, gradient_norm

__all__ = ["Clip", "gradient_norm"]
