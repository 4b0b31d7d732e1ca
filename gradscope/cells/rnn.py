"""The Elman cell of the lecture."""

from __future__ import annotations

from torch import nn

from gradscope.cells._cell import register
from gradscope.cells._elman import ElmanCell
from gradscope.errors import GradscopeError


@register("rnn")
class RNN(ElmanCell):
    """h_t = phi(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), with any activation phi.

    State s = h. With tanh or relu it is torch.nn.RNN: its state dict loads.

    Reference: Elman, J. L. (1990). Finding structure in time. Cognitive Science 14.
    """

    def torch_module(self) -> tuple[type[nn.RNNBase], dict[str, object]]:
        """torch.nn.RNN, for tanh and relu."""
        if self.activation not in ("tanh", "relu"):
            raise GradscopeError(
                f"torch.nn.RNN has tanh or relu in all layers, not {self.activation}"
            )
        return nn.RNN, {"nonlinearity": self.activation}
