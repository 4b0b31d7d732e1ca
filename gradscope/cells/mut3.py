"""MUT3, a mutation of the GRU that architecture search found."""

from __future__ import annotations

from gradscope.cells._cell import register
from gradscope.cells._reset_before import ResetBefore


@register("mut3")
class MUT3(ResetBefore):
    """A GRU whose update gate sees tanh of the state.

        z = sigmoid(W_z x_t + U_z tanh(h_{t-1}))        r = sigmoid(W_r x_t + U_r h_{t-1})
        n = tanh(W_n x_t + U_n (r h_{t-1}))
        h_t = z n + (1 - z) h_{t-1}

    State s = h.

    Reference: Jozefowicz, Zaremba and Sutskever (2015), An empirical exploration of recurrent
    network architectures.
    """

    update_sees = "squashed"
    keeps = False
