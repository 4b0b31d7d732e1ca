"""Rules that bound the gradient of an update, one per file."""

from gradscope.clips._clip import CLIPS as CLIPS
from gradscope.clips._clip import Clip as Clip
from gradscope.clips._clip import gradient_norm as gradient_norm
from gradscope.clips._clip import register as register
