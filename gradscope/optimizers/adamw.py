"""AdamW."""

from __future__ import annotations

from pydantic import Field
from torch import optim

from gradscope.optimizers._optimizer import AdamFamily, register


@register("adamw")
class AdamW(AdamFamily):
    """torch.optim.AdamW: Adam with weight decay that does not pass through the moments.

    Reference: Loshchilov and Hutter (2019), Decoupled weight decay regularization.
    """

    weight_decay: float = Field(
        0.01,
        ge=0,
        description=("decay of the weights beside the gradient's step: w <- w - lr weight_decay w"),
    )
    torch_class = optim.AdamW
