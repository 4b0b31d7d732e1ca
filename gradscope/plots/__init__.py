"""Figures, one per file: DataFrames in, a matplotlib Figure out."""

from gradscope.plots._plot import Plot

__all__ = ["Plot"]
