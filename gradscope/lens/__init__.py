"""Linear lenses: what a layer's activation means at the last layer, on average."""

from gradscope.lens._estimate import Position as Position
from gradscope.lens._estimate import depth_lens as depth_lens
from gradscope.lens._lens import DepthLens as DepthLens
