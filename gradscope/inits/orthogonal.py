"""Orthogonal weights with a gain."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator

from gradscope.inits._init import Init, Matrix, normal, register


@register("orthogonal")
class Orthogonal(Init):
    """Recurrent weights g Q, with Q orthogonal and Haar distributed; zero biases.

    Every singular value is g.

    Reference: Saxe, McClelland and Ganguli (2014), Exact solutions to the nonlinear dynamics of
    learning.
    """

    gain: float = Field(
        1.0,
        gt=0,
        description=(
            "gain g, the one singular value of the recurrent matrix: 1 keeps norms, "
            "above 1 they grow by ln g nats a step"
        ),
    )

    def recurrent(self, size: int, generator: Generator | None) -> Matrix:
        """g Q, from the QR decomposition of a Gaussian matrix."""
        # with the signs of R's diagonal Q is Haar distributed
        q, r = torch.linalg.qr(normal(size, size, 1.0, generator))
        return self.gain * q * torch.sign(torch.diagonal(r))
