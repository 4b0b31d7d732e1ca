"""The GRU with the reset gate before the recurrent matrix."""

from __future__ import annotations

from gradscope.cells._cell import register
from gradscope.cells._reset_before import ResetBefore


@register("gru_original")
class GRUOriginal(ResetBefore):
    """h_t = z h_{t-1} + (1 - z) n, n = tanh(W_n x_t + U_n (r h_{t-1})), r, z = sigmoid(W x_t + U
    h_{t-1}).

    State s = h. The reset gate acts before the matrix, as first published; ``gru`` is torch's,
    which resets after it.

    Reference: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder for
    statistical machine translation.
    """
