"""Recurrent cells, one per file: s_t = F(x_t, s_{t-1})."""

from gradscope.cells._affine import AffineCell as AffineCell
from gradscope.cells._affine_equation import Derivatives as Derivatives
from gradscope.cells._cell import CELLS as CELLS
from gradscope.cells._cell import Cell as Cell
from gradscope.cells._cell import CellOptions as CellOptions
from gradscope.cells._cell import Forced as Forced
from gradscope.cells._cell import register as register
from gradscope.cells._gated import GatedCell as GatedCell
from gradscope.cells._gated import InitOption as InitOption
from gradscope.cells._gated import affine as affine
from gradscope.cells._stack import Stack as Stack
from gradscope.dynamics.activations import ACTIVATIONS as ACTIVATIONS
from gradscope.dynamics.activations import Gate as Gate
