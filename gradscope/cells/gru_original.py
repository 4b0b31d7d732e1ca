"""The GRU with the reset gate before the recurrent matrix."""

from __future__ import annotations

from gradscope.cells._cell import register
from gradscope.cells._reset_before import ResetBefore


@register("gru_original")
class GRUOriginal(ResetBefore):
    """The GRU as first published, whose reset gate acts before the recurrent matrix.

        r, z = sigmoid(W x_t + U h_{t-1})
        n = tanh(W_n x_t + U_n (r h_{t-1}))
        h_t = z h_{t-1} + (1 - z) n

    State s = h. In ``gru``, which is torch's, the reset gate acts after the matrix.

    Reference: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder for
    statistical machine translation.
    """
