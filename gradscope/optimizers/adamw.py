"""AdamW."""

from __future__ import annotations

from pydantic import Field
from torch import optim

from gradscope.optimizers._optimizer import AdamFamily, register


@register("adamw")
class AdamW(AdamFamily):
    """torch.optim.AdamW. Loshchilov and Hutter (2019): weight decay decoupled from the gradient."""

    weight_decay: float = Field(0.01, ge=0, description="weight decay")
    torch_class = optim.AdamW
