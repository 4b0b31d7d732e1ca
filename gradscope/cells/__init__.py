"""Recurrent cells, one per file: s_t = F(x_t, s_{t-1})."""

from gradscope.cells._affine import AffineCell, Local
from gradscope.cells._cell import Cell, Gate
from gradscope.cells._stack import Stack

__all__ = ["AffineCell", "Cell", "Gate", "Local", "Stack"]
