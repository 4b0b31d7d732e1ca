"""Optimisers of torch.optim, one per file."""

from gradscope.optimizers._optimizer import OPTIMIZERS as OPTIMIZERS
from gradscope.optimizers._optimizer import Optimizer as Optimizer
from gradscope.optimizers._optimizer import register as register
