"""MUT1, a mutation of the GRU that architecture search found."""

from __future__ import annotations

from gradscope.cells._cell import register
from gradscope.cells._reset_before import ResetBefore


@register("mut1")
class MUT1(ResetBefore):
    """A GRU whose update gate sees the input alone, and whose candidate squashes its input.

        z = sigmoid(W_z x_t)        r = sigmoid(W_r x_t + U_r h_{t-1})
        n = tanh(tanh(W_n x_t) + U_n (r h_{t-1}))
        h_t = z n + (1 - z) h_{t-1}

    State s = h. In the publication inputs are as long as h and tanh(x_t) takes the place of
    tanh(W_n x_t).

    Reference: Jozefowicz, Zaremba and Sutskever (2015), An empirical exploration of recurrent
    network architectures.
    """

    update_sees = "nothing"
    keeps = False
    squashed_input = True
