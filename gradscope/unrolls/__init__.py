"""Any unroll: a step function, a state and a length, and what gradients through it are worth."""

from gradscope.unrolls._measure import horizon as horizon
from gradscope.unrolls._result import GradientHorizon as GradientHorizon
from gradscope.unrolls._result import Signs as Signs
from gradscope.unrolls._trust import Truncation as Truncation
