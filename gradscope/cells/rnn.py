"""The Elman network, the plain recurrent cell."""

from __future__ import annotations

from torch import nn

from gradscope.cells._cell import TorchModule, register
from gradscope.cells._elman import ElmanCell
from gradscope.errors import GradscopeError


@register("rnn")
class RNN(ElmanCell):
    """The Elman network, with any activation phi.

        h_t = phi(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

    State s = h. With tanh or relu it is torch.nn.RNN, whose state dict loads.

    Reference: Elman, J. L. (1990). Finding structure in time. Cognitive Science 14.
    """

    def torch_module(self) -> tuple[TorchModule, dict[str, object]]:
        """torch.nn.RNN, which has tanh and relu.

        Raises:
            GradscopeError: for any other activation.
        """
        if self.activation not in ("tanh", "relu"):
            raise GradscopeError(
                f"torch.nn.RNN has tanh or relu in all layers, not {self.activation}"
            )
        return nn.RNN, {"nonlinearity": self.activation}
