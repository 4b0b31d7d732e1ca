"""MUT3, a mutation of the GRU that architecture search found."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator

from gradscope.cells._reset_before import ResetBefore
from gradscope.options import Named
from gradscope.registry import register


@register("cell", "mut3")
class MUT3(ResetBefore):
    """h_t = z n + (1 - z) h_{t-1}, with
    n = tanh(W_n x_t + U_n (r h_{t-1})), z = sigmoid(W_z x_t + U_z tanh(h_{t-1})).

    State s = h. r = sigmoid(W_r x_t + U_r h_{t-1}).

    Reference: Jozefowicz, Zaremba and Sutskever (2015), An empirical exploration of recurrent network architectures.
    """

    update_sees = "squashed"
    keeps = False

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: Annotated[int, Field(ge=1, description="number of units")] = 64,
        bias: Annotated[bool, Field(description="whether there are biases")] = True,
        recurrent_init: Annotated[Any, Named("init")] = "uniform",
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        super().__init__(input_size, hidden_size, bias, recurrent_init, generator, dtype, device)
