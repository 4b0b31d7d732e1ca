"""Losses of each output, in the place of the output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gradscope.errors import GradscopeError

#: the loss of each output: of predicting the next token, or a function of the outputs
Loss = Callable[[Tensor], Tensor] | Literal["next_token"]


def next_token_losses(
    logits: Tensor, tokens: Tensor, real: Tensor, loss: str
) -> tuple[Tensor, Tensor]:
    """-ln p of the next token at each position (0 at the last), and which positions have one.

    Shapes: logits ``(batch, time, token)``, tokens and real ``(batch, time)``. ``loss`` is its
    name.

    Raises:
        GradscopeError: for another loss, or if the tokens have no place among the logits.
    """
    if loss != "next_token":
        raise GradscopeError(f"loss={loss!r}: should be 'next_token', or a function of the output")
    if tokens.is_floating_point() or tokens.ndim != 2 or logits.shape[1] != tokens.shape[1]:
        raise GradscopeError(
            "loss='next_token' needs tokens (batch, time) and logits for each of them; a function "
            "of the output is a loss as well"
        )
    if int(tokens.max()) >= logits.shape[-1]:
        raise GradscopeError(
            f"loss='next_token': the output has {logits.shape[-1]} numbers for each position, and "
            f"there is a token {int(tokens.max())}: they should be logits of tokens"
        )
    half = logits.dtype in (torch.float16, torch.bfloat16)
    scores = (logits.float() if half else logits)[:, :-1].flatten(0, 1)
    losses = F.cross_entropy(scores, tokens[:, 1:].flatten(), reduction="none")
    losses = losses.reshape(len(tokens), -1)
    scored = torch.zeros_like(real)
    scored[:, :-1] = real[:, :-1] & real[:, 1:]
    return F.pad(losses, (0, 1)), scored
