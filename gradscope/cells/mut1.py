"""MUT1, a mutation of the GRU that architecture search found."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator

from gradscope.cells._reset_before import ResetBefore
from gradscope.options import Named
from gradscope.registry import register


@register("cell", "mut1")
class MUT1(ResetBefore):
    """h_t = z n + (1 - z) h_{t-1}, with
    n = tanh(tanh(W_n x_t) + U_n (r h_{t-1})), z = sigmoid(W_z x_t), r = sigmoid(W_r x_t + U_r h_{t-1}).

    State s = h. There tanh(x_t) enters as it is, inputs being as long as h; here W_n maps it.

    Reference: Jozefowicz, Zaremba and Sutskever (2015), An empirical exploration of recurrent network architectures.
    """

    update_sees = "nothing"
    keeps = False
    squashed_input = True

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
