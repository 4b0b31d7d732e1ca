"""Optimisers of torch.optim, one per file."""

from gradscope.optimizers._optimizer import Optimizer

__all__ = ["Optimizer"]
