"""MUT2, a mutation of the GRU that architecture search found."""

from __future__ import annotations

from gradscope.cells._cell import register
from gradscope.cells._reset_before import ResetBefore


@register("mut2")
class MUT2(ResetBefore):
    """h_t = z n + (1 - z) h_{t-1}, with
    n = tanh(W_n x_t + U_n (r h_{t-1})), z, r = sigmoid(W x_t + U h_{t-1}).

    State s = h. There x_t enters r as it is, inputs being as long as h; here W_r maps it, so that
    the cell is a GRU whose gate writes.

    Reference: Jozefowicz, Zaremba and Sutskever (2015), An empirical exploration of recurrent
    network architectures.
    """

    update_sees = "state"
    keeps = False
