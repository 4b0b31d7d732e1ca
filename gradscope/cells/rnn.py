"""The Elman cell of the lecture."""

from gradscope.cells._elman import ElmanCell
from gradscope.components.registry import register


@register("cell", "rnn")
class RNN(ElmanCell):
    """h_t = phi(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), the simple recurrent cell with any
    activation.

    State s = h. With tanh or relu it is torch.nn.RNN: its state dict loads.

    Reference: Elman, J. L. (1990). Finding structure in time. Cognitive Science 14.
    """
