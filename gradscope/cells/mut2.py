"""MUT2, a mutation of the GRU that architecture search found."""

from __future__ import annotations

from gradscope.cells._cell import register
from gradscope.cells._reset_before import ResetBefore


@register("mut2")
class MUT2(ResetBefore):
    """A GRU whose update gate opens for the candidate rather than for the old state.

        z, r = sigmoid(W x_t + U h_{t-1})
        n = tanh(W_n x_t + U_n (r h_{t-1}))
        h_t = z n + (1 - z) h_{t-1}

    State s = h. In the publication inputs are as long as h and x_t takes the place of W_r x_t.

    Reference: Jozefowicz, Zaremba and Sutskever (2015), An empirical exploration of recurrent
    network architectures.
    """

    update_sees = "state"
    keeps = False
